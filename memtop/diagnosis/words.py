"""Numbers and names as the sentences of a diagnosis write them.

Sizes come in bytes, times in seconds. Nothing that is unknown gets here: a sentence is left out
instead.
"""

from __future__ import annotations

from memtop import units
from memtop.diagnosis.evidence import Subject

MIB = 1 << 20
NAMED_BY_ROLE = frozenset({"worker", "forkserver", "tracker", "helper"})


def size(count: float) -> str:
    """`6.1 MiB`; never below zero."""
    return units.size(max(0.0, count) / 1024)


def change(count: float) -> str:
    """`+6.1 MiB`, `−310 MiB`, `0.0 MiB`."""
    text = size(abs(count))
    if not any(digit in "123456789" for digit in text):
        return text
    return ("+" if count > 0 else units.MINUS) + text


def part_of(part: float, whole: float) -> str:
    """`50 of 60 MiB`, `310 MiB of 1.31 GiB`, `all 60 MiB`."""
    small, large = size(part), size(whole)
    if small == large or part > whole:
        return f"all {large}"
    number, unit = small.split(" ")
    return f"{number} of {large}" if large.endswith(f" {unit}") else f"{small} of {large}"


def percent(share: float) -> str:
    """`53 %`."""
    return f"{max(0.0, share) * 100:.0f} %"


def rate(bytes_per_s: float) -> str:
    """`6.1 MiB/min`, without a sign."""
    return units.rate_mib_min(abs(bytes_per_s)).lstrip("+") + " MiB/min"


def count(number: int, one: str, many: str | None = None) -> str:
    """`one arena`, `13 arenas`."""
    return f"one {one}" if number == 1 else f"{number:,} {many or one + 's'}"


def who(subject: Subject) -> str:
    """`worker 4711`, `main process 4711`; a process without a role by its name."""
    if subject.role == "main":
        return f"main process {subject.pid}"
    known = subject.role if subject.role in NAMED_BY_ROLE else subject.name
    return f"{known or 'process'} {subject.pid}"


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def sentence(text: str) -> str:
    """With a capital and a full stop; names such as `malloc_trim` stay as they are."""
    is_word = text.partition(" ")[0].rstrip(":,").isalpha()
    return (text[:1].upper() if is_word else text[:1]) + text[1:] + "."
