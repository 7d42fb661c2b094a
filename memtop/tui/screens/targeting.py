"""Which processes a key is about, and where it is said and kept what became of them."""

from __future__ import annotations

from collections.abc import Iterable

from textual.screen import Screen

from memtop.actions.signals import Target
from memtop.model.log import Entry
from memtop.model.state import State
from memtop.probe.sample import Identity
from memtop.render.cells import process_name
from memtop.tui.widgets.table import ProcessTable


class Targeting(Screen[None]):
    """The part of the main screen that knows who is meant."""

    table: ProcessTable
    _state: State

    def say(self, message: str, *, warning: bool = False) -> None:
        """Say something for a few seconds; the main screen knows where."""
        raise NotImplementedError

    def mark(self, text: str, whose: set[Identity] | None, *, at: float | None = None) -> None:
        """Put a mark on the charts of processes; the pane knows how."""
        raise NotImplementedError

    def note_signal(self, name: str, whose: set[Identity]) -> None:
        """Note signals that were sent; whoever records knows how."""
        raise NotImplementedError

    def keep(self, entry: Entry) -> None:
        """Put something that was done into the log; the pane knows how."""
        raise NotImplementedError

    @property
    def is_live(self) -> bool:
        """Whether the processes are those of this machine, as memtop sees it."""
        return bool(getattr(self.app, "live", False))

    def targets(self, *, members: bool) -> list[Target]:
        """The tagged processes that live, else the one under the cursor.

        With `members` a group under the cursor stands for those of its members that live.
        """
        if self.table.tags:
            return self._living(self.table.tags)
        line = self.table.cursor_line
        if line is None:
            return []
        if not isinstance(line.key, str):
            return self._living([line.key])
        if not members:
            return []
        group = self._state.groups.get(line.key)
        return self._living(group.members if group is not None else line.members)

    def say_no_target(self, *, members: bool) -> None:
        """Why there is nothing to act on."""
        line = self.table.cursor_line
        if self.table.tags:
            words = "none of the tagged processes lives; U forgets the tags"
        elif members and line is not None and isinstance(line.key, str):
            words = "no member of this group lives"
        elif members:
            words = "select a living process or a group"
        else:
            words = "select a living process, or tag the members of a group"
        self.say(words, warning=True)

    def _living(self, identities: Iterable[Identity]) -> list[Target]:
        rows, own = self._state.rows, self._state.own
        living = [one for one in identities if one in rows and rows[one].ended_at is None]
        return [
            Target(one, process_name(rows[one], own=one == own, short=True), rows[one].kernel)
            for one in sorted(living, key=lambda one: one.pid)
        ]
