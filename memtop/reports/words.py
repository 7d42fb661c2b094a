"""Names, rates and moments as a report writes them."""

from __future__ import annotations

import math
from datetime import datetime, timezone

from memtop import units
from memtop.reports.slope import Final, Slope
from memtop.reports.stairs import Step
from memtop.reports.subject import Subject

LONGEST_NAME = 40
VAGUE = 4.0  # times a slope: where its spread is that wide, its lower end says nothing
STAYS = 0.9  # of its highest: it has not come down again
FINE_S = 10.0  # a moment that is known less well is told to the minute
_KEEP_NEXT = ("-m", "-c")


def brief(name: str, most: int = LONGEST_NAME) -> str:
    """A command without folders and what follows its first option; other names as they are."""
    words = name.split(" ")
    made: list[str] = []
    for place, word in enumerate(words):
        if made and word.startswith("-") and word not in _KEEP_NEXT and len(made) > 1:
            break
        is_path = "/" in word and not word.endswith("/") and "://" not in word and place < 3
        made.append(word.rsplit("/", 1)[1] if is_path else word)
    text = " ".join(made).strip() or name
    return text if len(text) <= most else text[: most - 1] + "…"


def who(one: Subject) -> str:
    """Its name and its PID; of a group, how many it was."""
    if one.members is not None:
        return f"{one.members.most} × {brief(one.name)}"
    return f"{brief(one.name)} {one.pid}"


def is_slow(kib_s: float) -> bool:
    """Whether a rate is better told by the hour."""
    return abs(kib_s) * 60 / 1024 < 0.0995


def rate(kib_s: float, *, slow: bool | None = None) -> str:
    """`+6.1 MiB/min`, or by the hour where that would be nothing: `+1.0 MiB/h`."""
    slow = is_slow(kib_s) if slow is None else slow
    unit = "MiB/h" if slow else "MiB/min"
    value = kib_s * (3600 if slow else 60) / 1024
    decimals = 0 if abs(value) >= 99.5 else 1 if abs(value) >= 0.95 else 2
    return f"{units.signed(value, decimals)} {unit}"


def slope(one: Slope) -> str:
    """A slope with its spread: `+6.1 MiB/min (±0.2)`."""
    slow = is_slow(one.kib_s)
    value = abs(one.kib_s) * (3600 if slow else 60) / 1024
    least = 1 if value >= 99.5 else 0.1 if value >= 0.95 else 0.01  # as fine as the slope is told
    spread = max(one.spread * (3600 if slow else 60) / 1024, least)
    decimals = 0 if spread >= 9.95 or least == 1 else 1 if least == 0.1 else 2
    return f"{rate(one.kib_s, slow=slow)} (±{spread:,.{decimals}f})"


def less_than(kib_s: float) -> str:
    """A bound, rounded up to two digits: `less than 0.4 MiB/min`."""
    slow = is_slow(kib_s)
    value = kib_s * (3600 if slow else 60) / 1024
    step = 10 ** (math.floor(math.log10(value)) - 1) if value > 0 else 1
    shown = math.ceil(value / step - 1e-9) * step
    return f"less than {shown:.3g} {'MiB/h' if slow else 'MiB/min'}"


def ending(final: Final) -> str:
    """How it was in the last quarter, in words."""
    if final.word == "plateau" and final.below is not None:
        return f"plateau ({less_than(final.below)})"
    if final.word in ("growing", "falling") and final.slope is not None:
        return ("still " if final.word == "growing" else "falls ") + slope(final.slope)
    if final.word == "unsure" and final.slope is not None:
        slow = is_slow(max(abs(final.slope.low), abs(final.slope.high)))
        low, high = (rate(one, slow=slow) for one in (final.slope.low, final.slope.high))
        if final.slope.spread > VAGUE * abs(final.slope.kib_s):
            return f"not known, below {high}"
        return f"not known: between {low} and {high}"
    return "too short to tell"


def resting(one: Subject) -> str:
    """Since when one that rose in steps is level; empty if it is not."""
    if not one.steps or one.last_kib < STAYS * one.highest_kib:
        return ""
    return f"level since {step_moment(one.steps[-1]).split()[1]}"


def settling(one: Subject) -> str:
    """How it is at the end: since when a stair is level, or how the last quarter was."""
    if one.steps:
        return resting(one) or "came down again"
    return ending(one.final)


def step_moment(step: Step) -> str:
    """When a step came, as finely as it is known."""
    if step.at - step.begin > FINE_S:
        return f"about {moment(step.at)[11:16]}Z"
    return f"at {moment(step.at)[11:]}"


def moment(at: float | None) -> str:
    """A moment in UTC: `2026-11-21 14:03:22Z`."""
    if at is None:
        return units.UNKNOWN
    try:
        return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return units.UNKNOWN


def change(kib: float | None) -> str:
    """A change of memory with its sign: `+56.3 MiB`, `−1.21 GiB`, `0 MiB`."""
    if kib is None:
        return units.UNKNOWN
    mib = kib / 1024
    if abs(mib) < 0.05:
        return "0 MiB"
    if abs(mib) < 99.95:
        return f"{units.signed(mib)} MiB"
    if abs(mib) < 999.5:
        return f"{units.signed(mib, 0)} MiB"
    return f"{units.signed(mib / 1024, 2)} GiB"


def span(seconds: float) -> str:
    """A time that passed, to two steps."""
    if 60 <= seconds < 600:
        return f"{int(seconds) // 60} m {int(seconds) % 60:02} s"
    return units.duration(seconds)


def plural(number: int, one: str, many: str | None = None) -> str:
    """`1 process`, `2 processes`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
