"""Numbers with units: read from what people type, written as people read them.

Sizes are kept in KiB (what /proc counts in) or bytes (what JSON shows), times in seconds.
Written sizes have at most four digits and no unit below MiB; unknown is written `–`.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

UNKNOWN = "–"
MINUS = "−"
KIB_PER_MIB = 1024.0
KIB_PER_GIB = 1024.0 * 1024

_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-zA-Z]*)\Z")


def parse_duration_s(text: str) -> float:
    """`20s`, `2m`, `1.5h` or bare seconds, in seconds; ValueError otherwise."""
    match = _NUMBER.match(text.strip())
    if match is None or match[2].lower() not in _SECONDS:
        raise ValueError(f"{text!r} is not a duration such as 20s, 2m or 1.5h")
    return float(match[1]) * _SECONDS[match[2].lower()]


def parse_size_bytes(text: str) -> float:
    """`500m`, `1.5g`, `3GiB` or bare bytes, in bytes (units of 1024); ValueError otherwise."""
    match = _NUMBER.match(text.strip())
    unit = match[2].lower().removesuffix("ib") if match else "?"
    if match is None or unit not in _BYTES:
        raise ValueError(f"{text!r} is not a size such as 500m or 1.5g")
    return float(match[1]) * _BYTES[unit]


def size_parts(kib: float | None) -> tuple[str, str]:
    """A size as number and unit: `("1.31", "GiB")`, `("310", "MiB")`, `("9.0", "MiB")`."""
    if kib is None:
        return UNKNOWN, ""
    mib = kib / KIB_PER_MIB
    if mib < 9.95:
        return f"{mib:.1f}", "MiB"
    if mib < 999.5:
        return f"{mib:.0f}", "MiB"
    gib, unit = kib / KIB_PER_GIB, "GiB"
    if gib >= 999.5:
        gib, unit = gib / 1024, "TiB"
    if gib < 9.995:
        return f"{gib:.2f}", unit
    return (f"{gib:.1f}" if gib < 99.95 else f"{gib:.0f}"), unit


def size(kib: float | None) -> str:
    """A size as one word: `1.31 GiB`; `–` when unknown."""
    number, unit = size_parts(kib)
    return f"{number} {unit}" if unit else number


def signed(value: float, decimals: int = 1) -> str:
    """`+6.1`, `−0.8`, `0.0`, `+1,066`: a sign unless it is zero as written, thousands by commas."""
    text = f"{abs(value):,.{decimals}f}"
    if not any(digit in "123456789" for digit in text):
        return text
    return ("+" if value > 0 else MINUS) + text


def rate_mib_min(bytes_per_s: float | None) -> str:
    """A rate of memory in MiB per minute: `+6.1`; without decimals from 100 on; `–` if unknown."""
    if bytes_per_s is None:
        return UNKNOWN
    value = bytes_per_s * 60 / 1024**2
    return signed(value) if abs(value) < 99.95 else signed(value, 0)


def duration(seconds: float) -> str:
    """`24 s`, `22 m`, `2 h 51 m`, `3 d 4 h`: two steps at most."""
    s = max(0, int(seconds))
    if s < 60:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} m"
    if s < 86400:
        hours, minutes = s // 3600, s % 3600 // 60
        return f"{hours} h {minutes:02} m" if minutes else f"{hours} h"
    days, hours = s // 86400, s % 86400 // 3600
    return f"{days} d {hours} h" if hours else f"{days} d"


def span(seconds: float) -> str:
    """A short time that was measured, to two digits: `0.19 ms`, `38 ms`, `1.2 s`, `24 s`."""
    if seconds < 0.00995:
        return f"{seconds * 1000:.2g} ms" if seconds >= 0.00001 else "0 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)


def about(seconds: float) -> str:
    """An estimate of a time, coarse enough not to claim more than it knows: `2 h 05 m`, `100 s`."""
    steps = ((60, 5), (120, 10), (600, 60), (3600, 300), (36_000, 900), (86_400, 3600))
    step_s = next((step for below, step in steps if seconds < below), 6 * 3600)
    rounded = max(step_s, round(seconds / step_s) * step_s)
    return f"{rounded} s" if rounded <= 120 else duration(rounded)


def clock(epoch_s: float) -> str:
    """A moment of the day in UTC: `14:03:22Z`; `–` for one that no calendar has."""
    try:
        return datetime.fromtimestamp(epoch_s, timezone.utc).strftime("%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return UNKNOWN


def iso_utc(epoch_s: float) -> str:
    """A moment as ISO 8601 in UTC with milliseconds: `2026-11-21T14:03:22.120Z`."""
    moment = datetime.fromtimestamp(epoch_s, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
