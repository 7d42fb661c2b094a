"""What commands print besides their answer: plain lines, progress, complaints, the end.

Text of other people's processes is made visible, and what the stream cannot show is replaced.
Progress is for terminals only: one line of stderr that the next one replaces.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from memtop import __version__
from memtop.errors import FilterError, MemtopError
from memtop.render.escape import ASCII, fit, visible
from memtop.units import iso_utc

INTERRUPTED = 130  # the exit code after ctrl+c
PIPED_WIDTH = 100  # cells of a line where no terminal says how many it has


def say(text: str, stream: TextIO) -> None:
    """A line, in characters that the stream can show."""
    print(fitting(text, stream), file=stream)


def fitting(text: str, stream: TextIO) -> str:
    """The text in characters that the stream can show."""
    if (stream.encoding or "").lower().replace("-", "") in ("utf8", "utf8mb4"):
        return text
    return text.translate(ASCII).encode("ascii", "backslashreplace").decode()


@contextmanager
def cancelled_by_ctrl_c() -> Iterator[threading.Event]:
    """An event that Ctrl+C sets, which breaks nothing off in the middle meanwhile."""
    cancel = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: cancel.set())
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)


def wrapped(text: str, stream: TextIO, indent: int) -> list[str]:
    """A sentence below its figures; on a terminal in lines that fit."""
    margin = " " * indent
    if not is_terminal(stream):
        return [margin + text]
    from textwrap import wrap

    return wrap(text, max(40, width(stream) - 1), initial_indent=margin, subsequent_indent=margin)


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal on which a line can be replaced."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "")


def width(stream: TextIO) -> int:
    """How many cells a line of the terminal has; 80 if that is not known."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def sheet_width(stream: TextIO) -> int:
    """How many cells the lines of a long answer have: the terminal's, or PIPED_WIDTH."""
    return width(stream) if stream.isatty() else PIPED_WIDTH


def complain(reason: str, command: str | None = None) -> None:
    """Why something was not done, and the command that helps, on stderr."""
    say(f"memtop: {visible(reason)}", sys.stderr)
    if command:
        say(f"        {visible(command)}", sys.stderr)


def fail(error: MemtopError, *, as_json: bool, known: dict[str, Any] | None = None) -> int:
    """Say what went wrong, as JSON too if that was asked for; returns the exit code.

    `known`: the answer as far as it goes, to which the error is added.
    """
    if as_json:
        import json

        right = getattr(error, "right", None)
        reason = {"reason": error.message, "right": right, "command": error.command}
        head = {"memtop": __version__, "taken_at": iso_utc(time.time())}
        print(json.dumps({**head, **(known or {}), "error": reason}))
    print(f"memtop: {visible(error.message)}", file=sys.stderr)
    if isinstance(error, FilterError):
        place = " " * len(visible(error.text[: error.position]))
        print(f"        {visible(error.text)}\n        {place}^", file=sys.stderr)
    if error.command:
        print(f"        {visible(error.command)}", file=sys.stderr)
    return error.exit_code


class Progress:
    """One line that says what is being done."""

    def __init__(self) -> None:
        self._is_shown = is_terminal(sys.stderr)
        self._is_there = False

    def show(self, words: str) -> None:
        """Replace the line."""
        if self._is_shown:
            self._is_there = True
            # No wider than the terminal, or only its last line would be replaced.
            text = fit(visible(words), width(sys.stderr) - 1).rstrip()
            sys.stderr.write(f"\r\x1b[K{fitting(text, sys.stderr)}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._is_there:
            self._is_there = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
