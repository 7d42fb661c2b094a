"""Which column to sort by: a list, one key away."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from memtop.columns import COLUMNS


class SortScreen(ModalScreen[str | None]):
    """Returns the id of a column, or None."""

    BINDINGS = [
        Binding("escape,q,s", "leave", "leave", show=False),
        Binding("enter", "select", show=False),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    def __init__(self, current: str) -> None:
        super().__init__()
        self._current = current
        self._columns = [column for column in COLUMNS if column.id != "command"]

    def compose(self) -> ComposeResult:
        """Title, columns, keys."""
        with Vertical(id="dialog"):
            yield Static("Sort by", classes="title", markup=False)
            yield OptionList(
                *(
                    Option(f"{column.id:<10} {column.help}", id=column.id)
                    for column in self._columns
                ),
                markup=False,
                compact=True,
            )
            yield Static("Enter sorts   Esc leaves", classes="keys", markup=False)

    def on_mount(self) -> None:
        """Begin at the column in force."""
        options = self.query_one(OptionList)
        ids = [column.id for column in self._columns]
        options.styles.height = min(len(ids), max(3, self.app.size.height * 55 // 100))
        options.highlighted = ids.index(self._current) if self._current in ids else 0
        self.set_focus(options)
        self.set_class(self.app.size.height < 16, "-tiny")

    def action_down(self) -> None:
        """One column down."""
        self.query_one(OptionList).action_cursor_down()

    def action_leave(self) -> None:
        """As it was."""
        if self.is_current:
            self.dismiss(None)

    def action_select(self) -> None:
        """Take the column under the cursor."""
        self.query_one(OptionList).action_select()

    def action_up(self) -> None:
        """One column up."""
        self.query_one(OptionList).action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """This one; a second Enter or click comes too late."""
        if self.is_current:
            self.dismiss(event.option.id)
