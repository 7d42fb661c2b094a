"""The filter as it is typed: takes the place of the keys, says at once what is wrong.

What finds types by name is plain words, which cannot be wrong.
"""

from __future__ import annotations

from textual.message import Message
from textual.widgets import Input

from memtop.errors import FilterError
from memtop.model.filter import Filter, parse
from memtop.tui.widgets.askbar import TypedLine


class FilterBar(TypedLine):
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

    is_plain = False

    def open(self, text: str, *, plain: bool = False) -> None:
        """Begin to type, with the filter in force; `plain` words are no filter."""
        self.is_plain = plain
        self.begin("/", text=text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Try the filter at each key."""
        event.stop()
        if not self.is_open:
            return
        if self.is_plain:
            self.post_message(self.Typed(event.value))
            return
        try:
            made = parse(event.value)
        except FilterError as error:
            self.tell(f"at {error.position + 1}: {error.message}", wrong=True)
            return
        self.tell("")
        self.post_message(self.Changed(made))

    def read(self) -> Filter | None:
        """The filter as it stands, None if it cannot be read."""
        try:
            return parse(self.text)
        except FilterError:
            return None
