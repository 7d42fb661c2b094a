"""Ten minutes as a line of blocks."""

import pytest

from memtop.model.history import BUCKET_S, History
from memtop.render.sparkline import bin_of, heights_kib, sparkline

MIB = 1024


@pytest.mark.parametrize(
    ("heights_mib", "line"),
    [
        ([100, 100, 100], "▁▁▁"),
        ([None, None, 100], "  ▁"),
        ([100, 100.5, 101], "▁▁▁"),  # 1 MiB of 16: noise
        ([100, 108, 116], "▁▄▇"),  # 16 MiB: the full height
        ([1000, 1020, 1040], "▁▄▇"),  # 4 % of the size
        ([0, 500, 1000], "▁▄▇"),
        ([None, None], "  "),
        ([200, 100], "▇▁"),
    ],
)
def test_growth_has_height_and_noise_none(heights_mib, line):
    """The scale is the row's own, over at least 16 MiB and 4 % of its size."""
    assert sparkline([None if h is None else round(h * MIB) for h in heights_mib]) == line


@pytest.mark.parametrize("cells", [10, 20, 24, 32])
def test_only_the_last_cell_changes_within_a_bin(cells):
    """From tick to tick the closed cells stay; when a bin ends the line steps left by one."""
    begin_s = 1_795_269_600
    history, clock_s, before, bin_before = None, begin_s, None, None
    previous = begin_s // BUCKET_S
    for tick in range(1500):
        clock_s += 1
        bucket = clock_s // BUCKET_S
        kib = 100 * MIB + tick * 37
        if history is None:
            history = History(tick, bucket, kib)
        else:
            history.add(tick, bucket, kib, previous)
        previous = bucket
        heights, now = heights_kib(history, bucket, cells), bin_of(bucket, cells)
        if before is not None and now == bin_before:
            assert heights[:-1] == before[:-1]
        elif before is not None:
            assert now == bin_before + 1
            assert heights[:-1] == before[1:]
        before, bin_before = heights, now
    assert all(before)
    assert before == sorted(before)


def test_nothing_is_drawn_where_nothing_was_seen():
    """Before birth, after death and in gaps the line is blank."""
    history = History(0, 1000, 5 * MIB)

    heights = heights_kib(history, 1030, 10, gaps=((1008, 1019),), ended=1024)

    assert sparkline(heights) == "  ▁▁  ▁▁  " or " " in sparkline(heights)
    line = sparkline(heights)
    assert line[-1] == " "
    assert "▁" in line
    assert line.strip().count(" ") >= 2
