"""The errors that memtop tells people about, and the exit code of each.

    MemtopError          1  it failed
    ├── UsageError       2  the command line, the filter or the config is wrong
    ├── Denied           3  a right is missing; names it and the command that has it
    └── NoSuchProcess    4

A process that vanished between two reads, a zombie or a late sample is no error:
the probe reports it as an ordinary value.
"""

from __future__ import annotations


class MemtopError(Exception):
    """Something failed; the message is for people, `command` is what helps, if anything does."""

    exit_code = 1

    def __init__(self, message: str, *, command: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.command = command


class UsageError(MemtopError):
    """What was asked for makes no sense."""

    exit_code = 2


class FilterError(UsageError):
    """A filter that cannot be read; `position` is the index in `text` of what is wrong first."""

    def __init__(self, message: str, position: int, text: str = "") -> None:
        super().__init__(message)
        self.position = position
        self.text = text


class Denied(MemtopError):
    """The right `right` is missing; `command` has it."""

    exit_code = 3

    def __init__(self, message: str, *, right: str, command: str | None = None) -> None:
        super().__init__(message, command=command)
        self.right = right


class NoSuchProcess(MemtopError):
    """There is no process with that PID."""

    exit_code = 4
