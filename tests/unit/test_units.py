"""Numbers with units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop import units


@pytest.mark.parametrize(
    ("mib", "written"),
    [
        (0, "0.0 MiB"),
        (0.05, "0.1 MiB"),
        (9.0, "9.0 MiB"),
        (9.94, "9.9 MiB"),
        (9.96, "10 MiB"),
        (310, "310 MiB"),
        (999.4, "999 MiB"),
        (999.5, "0.98 GiB"),
        (1341, "1.31 GiB"),
        (12.4 * 1024, "12.4 GiB"),
        (128 * 1024, "128 GiB"),
        (1100 * 1024, "1.07 TiB"),
    ],
)
def test_sizes_have_at_most_four_characters_and_a_unit(mib, written):
    """Sizes are written with three digits, no unit below MiB, GiB from 999.5 MiB on."""
    assert units.size(mib * 1024) == written
    assert len(units.size_parts(mib * 1024)[0]) <= 4


def test_unknown_is_a_dash():
    """What is not known is written as a dash, without a unit."""
    assert units.size(None) == "–"
    assert units.rate_mib_min(None) == "–"


@pytest.mark.parametrize(
    ("mib_min", "written"),
    [
        (6.1, "+6.1"),
        (-0.8, "−0.8"),
        (0.04, "0.0"),
        (-0.04, "0.0"),
        (1066, "+1,066"),
        (99.96, "+100"),
    ],
)
def test_rates_are_signed_mib_per_minute(mib_min, written):
    """Rates have a sign and one decimal, none from 100 on; zero has no sign."""
    assert units.rate_mib_min(mib_min * 1024**2 / 60) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 m"),
        (3599, "59 m"),
        (3600, "1 h"),
        (2 * 3600 + 51 * 60, "2 h 51 m"),
        (86400, "1 d"),
        (3 * 86400 + 4 * 3600 + 59, "3 d 4 h"),
        (-5, "0 s"),
    ],
)
def test_durations_have_two_steps_at_most(seconds, written):
    """Durations are written in the largest fitting unit and the one below it."""
    assert units.duration(seconds) == written


@pytest.mark.parametrize(
    ("text", "seconds"), [("20s", 20), ("2m", 120), ("1.5h", 5400), ("7", 7), (" 250ms ", 0.25)]
)
def test_durations_are_read(text, seconds):
    """A bare number is seconds."""
    assert units.parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "5 parsecs", "-3s", "1e3", "nan", "inf"])
def test_what_is_no_duration_is_refused(text):
    """Anything else is a ValueError that shows the text."""
    with pytest.raises(ValueError, match=r"is not a duration"):
        units.parse_duration_s(text)


@pytest.mark.parametrize(
    ("text", "size"), [("500m", 500 << 20), ("1.5g", 3 << 29), ("3GiB", 3 << 30), ("12", 12)]
)
def test_sizes_are_read(text, size):
    """Units are of 1024, in either case, with or without iB."""
    assert units.parse_size_bytes(text) == size


@given(st.floats(min_value=0, max_value=1e12))
def test_written_sizes_never_exceed_their_column(kib):
    """Whatever the size, it fits the eight cells of its column."""
    assert len(units.size(kib)) <= 8


def test_times_are_utc_with_milliseconds():
    """Times are ISO 8601 with a Z."""
    assert units.iso_utc(1795269602.1204) == "2026-11-21T14:00:02.120Z"
