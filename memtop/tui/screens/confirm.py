"""The question before something is done: `y` does it, Esc leaves, Enter alone never acts."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static


class ConfirmScreen(ModalScreen[bool]):
    """Shows a question with what it is about; returns True for `y`.

    With `typed` the very text has to be typed and confirmed by Enter instead.
    """

    BINDINGS = [
        Binding("escape,n", "answer(False)", "leave", show=False),
        Binding("y", "answer(True)", "do it", show=False),
    ]

    def __init__(self, question: str, lines: list[str], typed: str | None = None) -> None:
        super().__init__()
        self._question, self._lines, self._typed = question, lines, typed

    def compose(self) -> ComposeResult:
        """Question, what it means, keys."""
        with Vertical(id="dialog"):
            yield Static(self._question, classes="title", markup=False)
            yield Static("\n".join(self._lines), id="meaning", markup=False)
            if self._typed is None:
                yield Static("y does it   Esc leaves", classes="keys", markup=False)
            else:
                yield Static(f"Type {self._typed} and Enter", classes="keys", markup=False)
                yield Input(id="typed")

    def on_mount(self) -> None:
        """Only the typed text needs a focus."""
        self.set_class(self.app.size.height < 16, "-tiny")
        if self._typed is not None:
            self.set_focus(self.query_one(Input))

    def on_key(self, event: events.Key) -> None:
        """While a text has to be typed, y and n are letters."""
        if event.key == "enter" and self._typed is None:
            event.stop()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`y` alone is not enough where a text has to be typed."""
        return not (action == "answer" and parameters == (True,) and self._typed is not None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The text was typed."""
        if self.is_current:
            self.dismiss(event.value.strip() == self._typed)

    def action_answer(self, yes: bool) -> None:
        """Yes or no; the second answer comes too late."""
        if self.is_current:
            self.dismiss(yes)
