"""One line to type an answer into, in the place of the keys: a time to go to, words of a mark."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from memtop.tui.widgets.filterbar import type_into


class AskBar(Horizontal):
    """A question, the line, and what can be said; what is wrong takes the place of the latter."""

    def compose(self) -> ComposeResult:
        """The question, the input, the hint."""
        yield Static("", id="prompt", markup=False)
        yield Input(id="answer", select_on_focus=False)
        yield Static("", id="hint", markup=False)

    def open(self, prompt: str, hint: str) -> None:
        """Begin to ask."""
        self.display = True
        self.query_one("#prompt", Static).update(prompt)
        self._hint(hint, wrong=False)
        entry = self.query_one(Input)
        entry.value = ""
        self.screen.set_focus(entry)

    def complain(self, words: str) -> None:
        """Say what is wrong with the answer, which stays."""
        self._hint(words, wrong=True)

    def close(self) -> None:
        """Hide the line."""
        self.display = False

    @property
    def is_open(self) -> bool:
        """Whether somebody types."""
        return bool(self.display)

    @property
    def text(self) -> str:
        """What was typed so far."""
        return self.query_one(Input).value

    def type(self, event: events.Key) -> bool:
        """Take a key at once, if it is one that types or edits; False if it is another."""
        return type_into(self.query_one(Input), event)

    def _hint(self, words: str, *, wrong: bool) -> None:
        hint = self.query_one("#hint", Static)
        hint.set_class(wrong, "-wrong")
        hint.update(words)
