"""What is typed in the place of the keys: the filter, and answers to questions.

While a line is open no key acts on the table, but those that end the line.
"""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.binding import Binding, BindingType
from textual.screen import Screen

from memtop.errors import MemtopError
from memtop.tui.widgets.askbar import AskBar, TypedLine
from memtop.tui.widgets.filterbar import FilterBar
from memtop.tui.widgets.lines import KeyBar
from memtop.tui.widgets.table import ProcessTable

ENDINGS: tuple[BindingType, ...] = (
    Binding("enter", "end_filter(True)", "keep the filter", show=False, priority=True),
    Binding("escape", "end_filter(False)", "clear the filter", show=False, priority=True),
    Binding("enter", "end_asking(True)", "answer", show=False, priority=True),
    Binding("escape", "end_asking(False)", "leave", show=False, priority=True),
)


class Entering(Screen[None]):
    """The part of the main screen that lets somebody type."""

    table: ProcessTable

    def ask(self, prompt: str, hint: str, take: Callable[[str], None]) -> None:
        """Ask for a line; `take` gets it, unless it was left. MemtopError says what is wrong."""
        self.query_one(KeyBar).display = False
        self.query_one(AskBar).ask(prompt, hint, take)

    def action_end_asking(self, keep: bool) -> None:
        """Take what was typed, unless it was left; what is wrong may be put right."""
        bar = self.query_one(AskBar)
        if keep:
            try:
                bar.take(bar.text.strip())
            except MemtopError as error:
                bar.tell(error.message, wrong=True)
                return
        self.end_typing(bar)

    def end_typing(self, line: TypedLine) -> None:
        """Back to the table and its keys."""
        line.close()
        self.query_one(KeyBar).display = True
        self.set_focus(self.table)

    def type(self, event: events.Key) -> bool:
        """Whether a line that is open has taken the key."""
        if not (self.is_mounted and self.is_current):
            return False
        return any(line.is_open and line.type(event) for line in self._lines)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key acts on the table while something is typed, but those that end that."""
        filtering, asking = (line.is_open for line in self._lines)
        if action in ("end_filter", "end_asking"):
            return filtering if action == "end_filter" else asking
        return not (filtering or asking)

    @property
    def _lines(self) -> tuple[TypedLine, TypedLine]:
        return self.query_one(FilterBar), self.query_one(AskBar)
