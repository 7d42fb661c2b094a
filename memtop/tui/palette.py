"""The palette (`:`): every action, every column to sort by, every theme, by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.await_complete import AwaitComplete
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider

from memtop.columns import COLUMNS
from memtop.tui import keys, themes

if TYPE_CHECKING:
    from collections.abc import Callable


class MemtopCommands(Provider):
    """What the palette finds."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], Any]]]:
        """Name, help and what it does."""
        screen, app = self.screen, self.app

        def choose(theme: str) -> None:
            app.theme = f"memtop-{theme}"

        for key in getattr(app, "key_table", keys.KEYS):
            if key.id in ("palette", "escape"):
                continue
            yield key.help, f"key {key.label}", partial(screen.run_action, key.action)
        for column in COLUMNS:
            if column.id != "command":
                action = partial(screen.run_action, f"sort({column.id!r})")
                yield f"sort by {column.id}", column.help, action
                action = partial(screen.run_action, f"toggle_column({column.id!r})")
                yield f"column {column.id}: show or hide", column.help, action
        yield (
            "save these settings",
            "sort, filter, view, columns and theme go to memtop.toml",
            partial(screen.run_action, "save_settings"),
        )
        for name in themes.NAMES:
            yield f"theme {name}", "colours of the screen", partial(choose, name)

    async def discover(self) -> Hits:
        """Everything, before anything is typed."""
        for name, words, command in self._commands():
            yield DiscoveryHit(name, command, help=words)

    async def search(self, query: str) -> Hits:
        """What matches."""
        matcher = self.matcher(query)
        for name, words, command in self._commands():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), command, help=words)


class Palette(CommandPalette):
    """Textual's palette, which does not break when it is closed twice or made tiny."""

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Close; a second Enter or click comes too late."""
        return super().dismiss(result) if self.is_current else AwaitComplete()

    def _action_command_list(self, action: str) -> None:
        """Move in the list; at a width of a few cells it has no lines to move by."""
        try:
            super()._action_command_list(action)
        except KeyError:
            pass
