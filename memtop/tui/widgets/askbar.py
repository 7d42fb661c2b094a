"""One line to type into, in the place of the keys; and a question that is answered there.

What is typed counts at once: keys that come right behind it, Enter for one, find it there.
"""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

EDITING = {
    "backspace": "delete_left",
    "delete": "delete_right",
    "left": "cursor_left",
    "right": "cursor_right",
    "home": "home",
    "end": "end",
    "ctrl+a": "home",
    "ctrl+e": "end",
    "ctrl+h": "delete_left",
    "ctrl+u": "delete_left_all",
    "ctrl+k": "delete_right_all",
    "ctrl+w": "delete_left_word",
}


class TypedLine(Horizontal):
    """A prompt, the line, and a hint; what is wrong takes the place of the latter."""

    def compose(self) -> ComposeResult:
        """The prompt, the input, the hint."""
        yield Static("", id="prompt", markup=False)
        yield Input(id="text", select_on_focus=False)
        yield Static("", id="hint", markup=False)

    def begin(self, prompt: str, hint: str = "", text: str = "") -> None:
        """Begin to type, with this text."""
        self.display = True
        self.query_one("#prompt", Static).update(prompt)
        self.tell(hint)
        entry = self.query_one(Input)
        entry.value = text
        entry.cursor_position = len(text)
        # focus() would wait for the next message, and keys typed meanwhile go to the table.
        self.screen.set_focus(entry)

    def tell(self, words: str, *, wrong: bool = False) -> None:
        """Say what can be typed, or what is wrong with what was."""
        hint = self.query_one("#hint", Static)
        hint.set_class(wrong, "-wrong")
        hint.update(words)

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
        """Take a key at once, if it is one that types or edits; False if it is another.

        The input would take it from its queue some turns later: what comes right behind it, Enter
        for one, would find a text without it.
        """
        entry = self.query_one(Input)
        if event.is_printable and event.character is not None:
            entry.insert_text_at_cursor(event.character)
        elif event.key in EDITING:
            getattr(entry, f"action_{EDITING[event.key]}")()
        else:
            return False
        return True


class AskBar(TypedLine):
    """A question; `take` gets the answer when Enter takes it, and raises MemtopError if it is
    wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.take: Callable[[str], None] = lambda text: None

    def ask(self, prompt: str, hint: str, take: Callable[[str], None]) -> None:
        """Begin to ask."""
        self.take = take
        self.begin(prompt, hint)
