"""The chart of one history."""

import pytest

from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Wanted
from memtop.render.chart import WINDOWS_S, Mark, chart_cells, points
from memtop.render.escape import cells


def grown(ticks, step_s=1.0, kib=300):
    """A row that grew by `kib` each tick from 40 MiB on, and its state."""
    source, tracker = FakeSource(step_s=step_s), Tracker(step_s)
    process = source.spawn(10, rss_mib=40, age_s=100)
    for _ in range(ticks):
        state = tracker.feed(source.sample(Wanted()))
        process.rss_kib += kib
    return state.rows[process.identity], state


@pytest.mark.parametrize(
    ("window_s", "ticks", "step_s"), [(600, 560, 1.0), (7200, 900, 8.0), (86_400, 1000, 80.0)]
)
def test_points_are_the_history(window_s, ticks, step_s):
    """In each window the points rise in time and in size, from where it began to what is now."""
    row, state = grown(ticks, step_s)

    made = points(row.history, state, window_s, row.ended_at)

    times, sizes = [at for at, _ in made], [kib for _, kib in made]
    assert times == sorted(times)
    assert sizes == sorted(sizes) or window_s > 600  # a range is two points at one time
    assert sizes[-1] <= row.rss_kib
    assert max(sizes) == row.rss_kib
    assert state.taken_at - window_s - 300 <= times[0]
    span_s = min(window_s, ticks * step_s)
    assert times[-1] - times[0] == pytest.approx(span_s, rel=0.1)


def test_nothing_is_drawn_twice():
    """Where values are known tick by tick, the buckets that hold the same are left out."""
    row, state = grown(200)

    assert len(points(row.history, state, 600, row.ended_at)) == 200


def test_what_ended_ends():
    """After the end of a process no point is made."""
    source, tracker = FakeSource(), Tracker()
    process = source.spawn(10, rss_mib=40, age_s=100)
    for tick in range(60):
        if tick == 40:
            source.end(10)
        state = tracker.feed(source.sample(Wanted()))

    row = state.rows[process.identity]
    made = points(row.history, state, 600, row.ended_at)

    assert made[-1][0] <= state.rows[process.identity].ended_at


@pytest.mark.parametrize(("width", "height"), [(60, 16), (100, 30), (30, 6), (12, 3)])
@pytest.mark.parametrize("window", list(WINDOWS_S))
def test_charts_fill_their_place(width, height, window):
    """A chart has as many lines of as many cells as it was given room."""
    row, state = grown(200)
    window_s = WINDOWS_S[window]

    lines = chart_cells(
        points(row.history, state, window_s, row.ended_at),
        window_s,
        state.taken_at,
        width,
        height,
        levels=[("peak", 90 * 1024), ("swap", 12 * 1024)],
        marks=[Mark(state.taken_at - 60, "TERM")],
    )

    assert len(lines) <= max(height, 4)
    for pieces in lines:
        assert sum(cells(text) for text, _ in pieces) == max(width, 20) or width < 20


def test_labels_are_round_and_name_the_middle_of_their_row():
    """Ticks are round sizes; a flat line at a tick runs in the row of its label."""
    now = 1_795_269_600.0
    flat = [(now - 600 + second, 200 * 1024.0) for second in range(600)]

    lines = chart_cells(flat, 600, now, 60, 14)

    texts = ["".join(text for text, _ in pieces) for pieces in lines]
    labels = [text[:9].strip() for text in texts if "┤" in text]
    drawn = [text for text in texts if any(0x2801 <= ord(c) <= 0x28FF for c in text)]
    assert all(label.endswith("MiB") for label in labels)
    assert len(drawn) == 1
    assert "200 MiB" in labels
    assert drawn[0].startswith("  200 MiB")


def test_noise_is_no_mountain():
    """Within 16 MiB the axis does not zoom in any further."""
    now = 1_795_269_600.0
    noisy = [(now - 600 + second, 300 * 1024.0 + second % 7 * 100) for second in range(600)]

    lines = chart_cells(noisy, 600, now, 60, 14)

    rows = [
        index
        for index, pieces in enumerate(lines)
        if any(0x2801 <= ord(c) <= 0x28FF for text, _ in pieces for c in text)
    ]
    assert len(rows) <= 2


def test_levels_are_drawn_across():
    """A peak that is near has a dashed line and its name; one far away is left out."""
    now = 1_795_269_600.0
    line = [(now - 600 + second, 200 * 1024.0 + second * 50) for second in range(600)]

    lines = chart_cells(line, 600, now, 60, 14, levels=[("peak", 240 * 1024), ("swap", 10)])

    texts = ["".join(text for text, _ in pieces) for pieces in lines]
    assert sum("peak" in text and "╌╌╌" in text for text in texts) == 1
    assert not any("swap" in text for text in texts)


def test_marks_stand_where_they_happened():
    """A mark stands above the chart at its moment."""
    row, state = grown(300)

    lines = chart_cells(
        points(row.history, state, 600, row.ended_at),
        600,
        state.taken_at,
        60,
        12,
        marks=[Mark(state.taken_at - 300, "TERM"), Mark(state.taken_at - 5000, "old")],
    )

    first = "".join(text for text, _ in lines[0])
    assert 30 <= first.index("▼ TERM") <= 40
    assert "old" not in first
