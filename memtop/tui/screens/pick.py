"""A list to pick from: what to sort by, which signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option


class Options(OptionList):
    """A list that does not break when its terminal is a few cells wide."""

    def _move_page(self, direction: Any) -> None:
        try:
            super()._move_page(direction)
        except KeyError:  # it has no lines then
            pass


class PickScreen(ModalScreen[str | None]):
    """Shows (id, name, help) of things; returns the id of the one picked, or None."""

    BINDINGS = [
        Binding("escape,q", "leave", "leave", show=False),
        Binding("enter", "select", show=False),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    def __init__(
        self, title: str, things: Sequence[tuple[str, str, str]], current: str | None, verb: str
    ) -> None:
        super().__init__()
        self._title, self._things, self._current, self._verb = title, things, current, verb

    def compose(self) -> ComposeResult:
        """Title, list, keys."""
        with Vertical(id="dialog"):
            yield Static(self._title, classes="title", markup=False)
            yield Options(
                *(Option(f"{name:<10} {words}", id=id_) for id_, name, words in self._things),
                markup=False,
                compact=True,
            )
            yield Static(f"Enter {self._verb}   Esc leaves", classes="keys", markup=False)

    def on_mount(self) -> None:
        """Begin at the one in force."""
        options = self.query_one(OptionList)
        ids = [id_ for id_, _, _ in self._things]
        options.styles.height = min(len(ids), max(3, self.app.size.height * 55 // 100))
        options.highlighted = ids.index(self._current) if self._current in ids else 0
        self.set_focus(options)
        self.set_class(self.app.size.height < 16, "-tiny")

    def action_down(self) -> None:
        """One down."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """One up."""
        self.query_one(OptionList).action_cursor_up()

    def action_select(self) -> None:
        """Take the one under the cursor."""
        self.query_one(OptionList).action_select()

    def action_leave(self) -> None:
        """None of them."""
        if self.is_current:
            self.dismiss(None)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """This one; a second Enter or click comes too late."""
        if self.is_current:
            self.dismiss(event.option.id)
