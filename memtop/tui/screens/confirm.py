"""The question before something is done: a named key does it, Esc leaves, Enter never acts."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from memtop.render.question import WIDTH, Question, answer_lines, question_lines
from memtop.tui.widgets.lines import Lines

FRAME = 2
ROOMY_ROWS = 20  # with fewer the question has no blank lines inside its frame


class Text(Lines):
    """The question, or its keys."""


class ConfirmScreen(ModalScreen[str | None]):
    """Shows a question; returns the key that answered it, None if it was left.

    With `typed` in the question that very text has to be typed and confirmed by Enter instead: it
    counts as the first answer.
    """

    BINDINGS = [Binding("escape,n", "leave", "leave", show=False)]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question, a field where something has to be typed, the keys."""
        with Vertical(id="question"):
            yield Text(id="text")
            if self._question.typed is not None:
                yield Input(id="typed")
            yield Text(id="answers")

    def on_mount(self) -> None:
        """Only the typed text needs a focus."""
        self.set_class(getattr(self.app, "ascii_only", False), "-ascii")
        if self._question.typed is not None:
            self.set_focus(self.query_one(Input))

    def on_resize(self, event: events.Resize) -> None:
        """Fit the text into the frame: as high as it needs, at most as high as the screen."""
        width = max(1, min(WIDTH, event.size.width - FRAME))
        answers = answer_lines(self._question, width)
        is_roomy = event.size.height >= ROOMY_ROWS
        self.set_class(not is_roomy, "-tight")
        room = event.size.height - FRAME - len(answers)
        room -= (3 if is_roomy else 0) + (self._question.typed is not None)
        lines = question_lines(self._question, width, max(1, room))
        for name, made in (("#text", lines), ("#answers", answers)):
            text = self.query_one(name, Text)
            text.styles.width, text.styles.height = width, len(made)
            text.show(made)

    def on_key(self, event: events.Key) -> None:
        """A key that answers; while a text has to be typed, all keys are letters."""
        if self._question.typed is not None or not self.is_current:
            return
        offered = {answer.key for answer in self._question.answers}
        pressed = event.character or event.key
        if pressed in offered:
            event.stop()
            self.dismiss(pressed)
        elif event.key == "enter":
            event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The text was typed; a wrong one leaves everything as it is."""
        if self.is_current:
            is_right = event.value.strip() == self._question.typed
            self.dismiss(self._question.answers[0].key if is_right else None)

    def action_leave(self) -> None:
        """Nothing is done; a second Esc comes too late."""
        if self.is_current:
            self.dismiss(None)
