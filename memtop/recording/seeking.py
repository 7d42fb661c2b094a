"""Finding a moment of a recording: by the clock, from where one is, by what happened then.

`14:03`, `14:03:22`, `2026-11-21 14:03`, `+5m`, `-90s`, `start`, `end`, `oom`, `leak`, `rise`,
`highest`, or a part of what a mark says. Times are UTC, in seconds since the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from memtop import units
from memtop.errors import UsageError
from memtop.recording.recording import Event, Recording

WAYS = "14:03 14:03:22 +5m -90s start end oom leak rise highest, or a mark"
RISE_OVER_S = 60.0
_CLOCK = re.compile(r"(?:(\d{4}-\d\d-\d\d)[ T])?(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d*)?)?\s*[zZ]?\Z")
_KINDS = {"oom": ("oom", "no OOM kill was seen"), "leak": ("leak-like", "nothing was leak-like")}


class Found(NamedTuple):
    """A sample, and what there is to see, in words; empty where that is just a time."""

    tick: int
    words: str = ""


def seek(recording: Recording, text: str, here: int | None = None) -> Found:
    """The sample that a text means; UsageError says what is possible instead.

    `here` is the sample on show: what is relative counts from it, of several events the next one
    is taken, the first one after the last. Without it `+` counts from the start, `-` from the end.
    """
    wanted = text.strip()
    word = wanted.lower()
    if word in _WORDS:
        return _WORDS[word](recording)
    if wanted[:1] in ("+", "-", "−"):
        return Found(_relative(recording, wanted, here))
    if match := _CLOCK.match(wanted):
        return Found(_by_clock(recording, match, wanted, here))
    if word in _KINDS:
        kind, missing = _KINDS[word]
        events = [one for one in recording.events() if one.kind == kind]
        if not events:
            raise UsageError(f"{missing} in this recording")
        return _next(recording, events, here)
    events = [one for one in recording.events() if word and word in one.text.lower()]
    exact = [one for one in events if one.text.lower() == word]
    if not events:
        raise UsageError(f"no {wanted!r} here: {WAYS}" if word else f"type {WAYS}")
    return _next(recording, exact or events, here)


def beside(recording: Recording, events: Sequence[Event], here: int, by: int) -> Found | None:
    """The next event after a sample (`by` > 0), or the one before it; None if there is none.

    `events` are in order of time. An event belongs to the first sample at its time or later.
    """
    at = recording.time_of(here)
    later = [one for one in events if one.at > at]
    if by > 0:
        found = ((one, tick_of(recording, one.at)) for one in later)
        return next((Found(tick, one.text) for one, tick in found if tick > here), None)
    earlier = events[: len(events) - len(later)]
    found = ((one, tick_of(recording, one.at)) for one in reversed(earlier))
    return next((Found(tick, one.text) for one, tick in found if tick < here), None)


def tick_of(recording: Recording, at: float) -> int:
    """The first sample at a time or later, as far as there is one."""
    tick = recording.tick_at(at)
    if recording.time_of(tick) < at - 0.001:  # times are kept in milliseconds
        tick = min(tick + 1, recording.last_tick)
    return tick


def _next(recording: Recording, events: Sequence[Event], here: int | None) -> Found:
    found = None if here is None else beside(recording, events, here, 1)
    if found is not None:
        return found
    return Found(tick_of(recording, events[0].at), events[0].text)


def _relative(recording: Recording, text: str, here: int | None) -> int:
    try:
        seconds = units.parse_duration_s(text[1:])
    except ValueError:
        raise UsageError(f"{text!r} is not a step such as +5m or -90s") from None
    if text[0] == "+":
        begin = recording.time_of(recording.first_tick if here is None else here)
        return recording.tick_at(begin + seconds)
    begin = recording.time_of(recording.last_tick if here is None else here)
    return recording.tick_at(begin - seconds)


def _by_clock(recording: Recording, match: re.Match[str], text: str, here: int | None) -> int:
    """A time of the day: of the day on show, else of the one that the recording has it of."""
    day, hours, minutes, seconds = match.groups()
    ends = (recording.first_tick, recording.last_tick)
    first_at, last_at = sorted(map(recording.time_of, ends))  # clocks are put back
    try:
        clock = timedelta(
            hours=_within(hours, 24), minutes=_within(minutes, 60), seconds=_within(seconds, 60)
        )
        days = [_midnight(day)] if day else _days(first_at, last_at)
    except ValueError:
        raise UsageError(f"{text!r} is not a time of the day") from None
    # Of a minute any of its seconds will do, and a sample comes a bit after its second.
    interval_s = recording.run_of(recording.last_tick).interval_s
    slack_s = 60.0 if seconds is None else max(1.0, interval_s)
    moments = [(one + clock).timestamp() for one in days]
    inside = [at for at in moments if first_at - slack_s < at <= last_at]
    if not inside:
        begin, end = units.iso_utc(first_at)[:19], units.iso_utc(last_at)[:19]
        if begin[:10] == end[:10]:
            begin, end = begin[11:], end[11:]
        raise UsageError(f"{text} is not within {begin}Z to {end}Z")
    at = last_at if here is None else recording.time_of(here)
    found = min(inside, key=lambda one: abs(one - at))
    # `14:03` is the first sample of the minute, `14:03:22` the one that is shown with that time.
    return tick_of(recording, found) if seconds is None else recording.tick_at(found + 0.999)


def _within(number: str | None, most: int) -> int:
    value = int(number or 0)
    if value >= most:
        raise ValueError
    return value


def _midnight(day: str) -> datetime:
    return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=timezone.utc)


def _days(first_at: float, last_at: float) -> list[datetime]:
    """The days that a recording touches."""
    day = datetime.fromtimestamp(first_at, timezone.utc).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    made = []
    while day.timestamp() <= last_at:
        made.append(day)
        day += timedelta(days=1)
    return made


def _rise(recording: Recording) -> Found:
    found = recording.largest_rise(RISE_OVER_S)
    if found is None:
        raise UsageError("memory never rose in this recording")
    low, high = found
    size, over = units.size(high.rss_kib - low.rss_kib), units.duration(high.at - low.at)
    return Found(high.tick, f"largest rise: {size} in {over}")


def _highest(recording: Recording) -> Found:
    found = recording.highest()
    if found is None:
        raise UsageError("this recording has no sample")
    many = "process" if found.processes == 1 else "processes"
    words = f"highest: {units.size(found.rss_kib)} in {found.processes:,} {many}"
    return Found(found.tick, words)


_WORDS: dict[str, Callable[[Recording], Found]] = {
    "start": lambda recording: Found(recording.first_tick),
    "end": lambda recording: Found(recording.last_tick),
    "rise": _rise,
    "highest": _highest,
}
