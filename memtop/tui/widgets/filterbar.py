"""The filter as it is typed: takes the place of the keys, says at once what is wrong.

What finds types by name is plain words, which cannot be wrong; so is the text of a mark, which
counts when Enter takes it.
"""

from __future__ import annotations

from typing import Literal

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from memtop.errors import FilterError
from memtop.model.filter import Filter, parse

Kind = Literal["filter", "types", "mark"]
SIGNS: dict[Kind, str] = {"filter": "/", "types": "/", "mark": "mark"}
HINTS: dict[Kind, str] = {"mark": "Enter marks the moment of m, Esc leaves"}
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


class FilterBar(Horizontal):
    """A line to type a filter into. What cannot be read leaves the filter before it in force."""

    class Changed(Message):
        """A filter that can be read."""

        def __init__(self, made: Filter) -> None:
            super().__init__()
            self.made = made

    class Typed(Message):
        """Plain words as they stand."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    kind: Kind = "filter"

    def compose(self) -> ComposeResult:
        """The slash, the input, what is wrong."""
        yield Static("/", id="slash")
        yield Input(id="text", select_on_focus=False)
        yield Static("", id="verdict", markup=False)

    def open(self, text: str, *, kind: Kind = "filter") -> None:
        """Begin to type, with the filter in force; types and marks are words."""
        self.display, self.kind = True, kind
        sign = self.query_one("#slash", Static)
        sign.update(SIGNS[kind])
        sign.styles.width = len(SIGNS[kind]) + 1
        verdict = self.query_one("#verdict", Static)
        verdict.set_class(False, "-wrong")
        verdict.update(HINTS.get(kind, ""))
        entry = self.query_one(Input)
        entry.value = text
        entry.cursor_position = len(text)
        # focus() would wait for the next message, and keys typed meanwhile go to the table.
        self.screen.set_focus(entry)

    def close(self) -> None:
        """Hide the line."""
        self.display = False

    @property
    def is_open(self) -> bool:
        """Whether somebody types."""
        return self.display

    def on_input_changed(self, event: Input.Changed) -> None:
        """Try the filter at each key."""
        event.stop()
        if not self.is_open or self.kind == "mark":
            return
        if self.kind == "types":
            self.post_message(self.Typed(event.value))
            return
        verdict = self.query_one("#verdict", Static)
        try:
            made = parse(event.value)
        except FilterError as error:
            verdict.set_class(True, "-wrong")
            verdict.update(f"at {error.position + 1}: {error.message}")
            return
        verdict.set_class(False, "-wrong")
        verdict.update("")
        self.post_message(self.Changed(made))

    @property
    def text(self) -> str:
        """What was typed so far."""
        return self.query_one(Input).value

    def read(self) -> Filter | None:
        """The filter as it stands, None if it cannot be read."""
        try:
            return parse(self.text)
        except FilterError:
            return None

    def type(self, event: events.Key) -> bool:
        """Take a key at once, if it is one that types or edits; False if it is another.

        The input would take it from its queue some turns later: what comes right behind it, Enter
        for one, would find a text without it.
        """
        return type_into(self.query_one(Input), event)


def type_into(entry: Input, event: events.Key) -> bool:
    """Let a key type or edit; False if it does neither."""
    if event.is_printable and event.character is not None:
        entry.insert_text_at_cursor(event.character)
    elif event.key in EDITING:
        getattr(entry, f"action_{EDITING[event.key]}")()
    else:
        return False
    return True
