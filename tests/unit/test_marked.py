"""The line below a chart that says what changed from mark to mark."""

import pytest

from memtop.render.cells import width_of
from memtop.render.chart import Mark, chart_cells, columns_of
from memtop.render.marked import change_cells, changes

NOW, MIB = 1_795_269_600.0, 1024
STEPS = [(0, 40), (150, 340), (300, 640), (450, 600)]  # seconds after the window began, MiB
BEGIN = NOW - 600


def stairs():
    """A point a second over 10 minutes: up by 300 MiB, again, then down by 40."""
    return [
        (BEGIN + second, max(at for at in STEPS if at[0] <= second)[1] * float(MIB))
        for second in range(601)
    ]


def marks(*names):
    return [Mark(BEGIN + at, name) for (at, _), name in zip(STEPS[1:], names, strict=False)]


def text_of(cells):
    return "".join(text for text, _ in cells)


def test_changes_stand_below_their_stretches():
    """Each change is centred between two marks, below the columns that those have in the chart."""
    named = marks("1 stream", "2 streams", "4 streams")
    named = [mark.__class__(mark.at - 1, mark.text) for mark in named]  # just before each step
    columns = columns_of(100)

    line = text_of(change_cells(changes(stairs(), named), BEGIN, 600, columns))
    above = text_of(chart_cells(stairs(), 600, NOW, 100, 12, marks=named)[0])

    assert line.startswith("  by mark  ├")
    parts = line.partition("├")[2].rstrip("┤").split("├")
    assert [part.strip("─ ") for part in parts] == ["0.0 MiB", "+300 MiB", "+300 MiB", "−40 MiB"]
    signs = [place for place, letter in enumerate(above) if letter == "▼"]
    assert signs == [place for place, letter in enumerate(line) if letter == "├"][1:]
    assert "▼ 1 stream" in above


def test_where_it_is_narrow_the_largest_are_listed():
    """Marks that are too near for figures between them: the largest changes, in order of time."""
    near = [Mark(BEGIN + at - 4, f"level {at}") for at, _ in STEPS[1:]]
    near += [Mark(BEGIN + at + 4, f"rest {at}") for at, _ in STEPS[1:]]
    stretches = changes(stairs(), near)

    wide = text_of(change_cells(stretches, BEGIN, 600, 70))
    narrow = text_of(change_cells(stretches, BEGIN, 600, 40))

    assert wide.split("by mark")[1].split() == (
        "level 150 +300 MiB level 300 +300 MiB level 450 −40 MiB".split()
    )
    assert narrow.split("by mark")[1].split() == "level 150 +300 MiB".split()


@pytest.mark.parametrize("columns", [8, 20, 47, 200])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_it_never_takes_more_than_its_place(columns, count):
    """However many marks there are, and however narrow it is."""
    many = [Mark(BEGIN + 600 * n / count, "x" * n) for n in range(count)]
    cells = change_cells(changes(stairs(), many), BEGIN, 600, columns)

    assert width_of(cells) <= 11 + columns


def test_marks_that_are_near_share_the_line():
    """Names are cut or left out, signs are not; what somebody typed cannot move the cursor."""
    near = [Mark(NOW - 300, "first\x1b[31m"), Mark(NOW - 260, "second"), Mark(NOW - 250, "third")]
    lines = chart_cells(stairs(), 600, NOW, 60, 12, marks=near)
    first = text_of(lines[0])

    assert first.count("▼") == 3
    assert "\x1b" not in first
    assert "▼ third" in first
    assert len(first) == 60
    assert all(text_of(line).count("┊") <= 3 for line in lines)
    assert sum("┊" in text_of(line) for line in lines) > 5


def test_a_range_counts_as_what_it_never_fell_below():
    """In long windows a point is a range: its floor counts, as for trends."""
    ranges = [(0.0, 100.0), (0.0, 900.0), (60.0, 200.0), (60.0, 950.0), (120.0, 260.0)]

    made = changes(ranges, [Mark(60.0, "a")])

    assert [one.change_kib for one in made] == [100, 60]


def test_what_memtop_notices_divides_nothing():
    """That a process is called leak-like is no level of somebody's test."""
    made = changes(stairs(), [Mark(NOW - 500, "a"), Mark(NOW - 300, "leak-like", divides=False)])

    assert [one.text for one in made] == ["", "a"]
