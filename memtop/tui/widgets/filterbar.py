"""The filter as it is typed: takes the place of the keys, says at once what is wrong."""

from __future__ import annotations

import asyncio

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from memtop.errors import FilterError
from memtop.model.filter import Filter, parse

PATIENCE = 100  # turns of the event loop; an input needs two or three for a key


class FilterBar(Horizontal):
    """A line to type a filter into. What cannot be read leaves the filter before it in force."""

    class Changed(Message):
        """A filter that can be read."""

        def __init__(self, made: Filter) -> None:
            super().__init__()
            self.made = made

    def compose(self) -> ComposeResult:
        """The slash, the input, what is wrong."""
        yield Static("/", id="slash")
        yield Input(id="text", select_on_focus=False)
        yield Static("", id="verdict", markup=False)

    def open(self, text: str) -> None:
        """Begin to type, with the filter in force."""
        self.display = True
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
        if not self.is_open:
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

    def read(self) -> Filter | None:
        """The filter as it stands, None if it cannot be read."""
        try:
            return parse(self.query_one(Input).value)
        except FilterError:
            return None

    async def finish_typing(self) -> None:
        """Wait until the input has taken the keys that it was sent."""
        entry = self.query_one(Input)
        for _ in range(PATIENCE):
            if entry._message_queue.empty():
                break
            await asyncio.sleep(0)
