"""What the new thread is to do: a list of C calls, laid out as `struct control` of stub.c.

Arguments may be numbers, texts, room for results, or the result of an earlier call. The region has
the code in its first page and everything else, which may be written, in those after it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

PAGE = 4096
MAGIC = 0x706F746D656D  # "memtop"
_CONTROL = struct.Struct("<15Q")  # magic … all
_CALL = struct.Struct("<12Q")  # what … argument[5]
MADE_AT, STEP, CANCEL, DONE, ACK, GO = (
    PAGE + 8 * n for n in (1, 2, 3, 4, 5, 6)
)  # offsets in the region
_RAN, _RESULT = 8 * 4, 8 * 5  # offsets in struct call
YES = struct.pack("<Q", 1)  # what memtop sets a word to
MOST_BYTES = 1 << 20  # of a region


class Was(NamedTuple):
    """The word that says whether the call of this name was made."""

    call: str


class Result(NamedTuple):
    """The word with the result of the call of this name."""

    call: str


class Cancelled(NamedTuple):
    """The word that memtop sets to have the rest left out."""


class Text(NamedTuple):
    """The address of these bytes; a NUL follows them."""

    data: bytes

    def content(self) -> bytes:
        """What lies there at first."""
        return self.data + b"\0"


class Room(NamedTuple):
    """The address of so many bytes for results, which can be read under this name."""

    name: str
    size: int

    def content(self) -> bytes:
        """What lies there at first."""
        return bytes(self.size)


Argument = int | Text | Room | Result
Condition = Was | Result | Cancelled | int | None  # a number: the word at that address


class Call(NamedTuple):
    """One call of a C function. `needs`: only if that word is not 0, `unless`: only if it is."""

    name: str
    function: int
    arguments: tuple[Argument, ...] = ()
    needs: Condition = None
    unless: Condition = None


class Tools(NamedTuple):
    """The functions that the stub itself needs."""

    poll: int
    munmap: int
    pthread_self: int
    pthread_detach: int


class Job:
    """Calls before and after the results are read; where everything lies in its region."""

    def __init__(self, calls: Sequence[Call], after: Sequence[Call], tools: Tools) -> None:
        """ValueError if it becomes too large."""
        self._calls = (*calls, *after)
        self._first, self._tools = len(calls), tools
        self.index = {call.name: place for place, call in enumerate(self._calls)}
        self._offsets: dict[Text | Room, int] = {}
        at = PAGE + _CONTROL.size + _CALL.size * len(self._calls)
        for call in self._calls:
            for argument in call.arguments:
                if isinstance(argument, Text | Room) and argument not in self._offsets:
                    self._offsets[argument] = at
                    at += len(_padded(argument))
        self.size = at + PAGE - 1 & -PAGE
        if self.size > MOST_BYTES:
            raise ValueError("the job is too large")

    def data(self, region: int, size: int, made_at: int) -> bytes:
        """What the second page begins with, for a region of `size` bytes at that address."""
        control = _CONTROL.pack(
            *(MAGIC, made_at, 0, 0, 0, 0, 0, *self._tools, region, size),
            *(self._first, len(self._calls)),
        )
        parts = [control, *(self._pack(call, region) for call in self._calls)]
        return b"".join(parts + [_padded(argument) for argument in self._offsets])

    def result_at(self, name: str) -> int:
        """The offset of the result of a call in the region."""
        return self._call_at(name) + _RESULT

    def ran_at(self, name: str) -> int:
        """The offset of the word that says whether a call was made."""
        return self._call_at(name) + _RAN

    def room_at(self, name: str) -> int:
        """The offset of room for results."""
        for argument, offset in self._offsets.items():
            if isinstance(argument, Room) and argument.name == name:
                return offset
        raise KeyError(name)

    def _call_at(self, name: str) -> int:
        return PAGE + _CONTROL.size + _CALL.size * self.index[name]

    def _pack(self, call: Call, region: int) -> bytes:
        by_reference, words = 0, []
        for place, argument in enumerate(call.arguments):
            if isinstance(argument, int):
                words.append(argument & (1 << 64) - 1)
            elif isinstance(argument, Result):
                by_reference |= 1 << place
                words.append(region + self.result_at(argument.call))
            else:
                words.append(region + self._offsets[argument])
        words += [0] * (6 - len(words))
        needs, unless = self._word(call.needs, region), self._word(call.unless, region)
        return _CALL.pack(call.function, needs, unless, by_reference, 0, 0, *words)

    def _word(self, condition: Condition, region: int) -> int:
        if condition is None:
            return 0
        if isinstance(condition, int):
            return condition
        if isinstance(condition, Cancelled):
            return region + CANCEL
        if isinstance(condition, Was):
            return region + self.ran_at(condition.call)
        return region + self.result_at(condition.call)


def _padded(argument: Text | Room) -> bytes:
    """What lies at an argument's address, up to the next word."""
    content = argument.content()
    return content + bytes(-len(content) % 8)
