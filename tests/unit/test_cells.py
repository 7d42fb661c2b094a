"""Rows as cells: widths, roles, words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.columns import COLUMNS
from memtop.model.query import View, arrange
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Wanted
from memtop.render.cells import Scene, heading_cells, process_name, row_cells
from memtop.render.escape import cells as cell_width
from memtop.render.layout import layout
from memtop.render.summary import Notice, head_cells, key_cells, view_cells
from memtop.render.words import trend_words

WIDTHS = [*range(12, 60, 7), 60, 79, 80, 95, 96, 111, 112, 120, 159, 160, 200]


def one(ticks=30, **fields):
    """A state with a root and one process below it."""
    source = FakeSource()
    source.spawn(1, 0, "init", age_s=900)
    process = source.spawn(4711, 1, **{"age_s": 600, **fields})
    grow = fields.get("state") is None
    tracker = Tracker()
    for _ in range(ticks):
        process.rss_kib += 400 if grow else 0
        state = tracker.feed(source.sample(Wanted()))
    return state, state.rows[process.identity]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("sort", [column.id for column in COLUMNS])
def test_every_line_fills_the_width_exactly(width, sort):
    """Headings, rows, summary and keys take the width of the screen, whatever it is."""
    state, _ = one(command="python -m 日本 " + "x" * 300)
    view = View(sort=sort)
    plan = layout(width, sort, 7, since=True)
    lines = [heading_cells(plan, view), head_cells(state, None, width)]
    lines += [
        row_cells(line, Scene(state, view, plan, {}), "▌") for line in arrange(state, view).lines
    ]
    lines.append(view_cells(state, view, Notice(3, "a filter", None, 2), width))
    lines.append(key_cells([("/", "filter", True), ("s", "sort", False)], 5e4, 1.0, width))

    if width >= 30:
        assert {sum(cell_width(text) for text, _ in pieces) for pieces in lines} == {width}


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160])
def test_memory_and_growth_never_go(width):
    """However narrow, RSS and its rate are on show."""
    plan = layout(width, "rate")

    assert plan.slot("rss")
    assert plan.slot("rate")


def test_the_design_widths():
    """At the design's widths the columns stand where the mock has them."""
    assert layout(80, "rate").slots[1].width == 22
    assert layout(80, "rate").spark_cells == 10
    assert layout(120, "rate").spark_cells == 24
    assert layout(160, "rate").slot("swap")
    assert layout(100, "rate").slot("user") is None


def test_pieces_of_a_row_never_change_in_number():
    """A row has the same pieces in every state of its process, so parts can be painted alone."""
    plan, view = layout(120, "rate"), View()
    counts = set()
    for fields in ({}, {"state": "Z"}, {"rights": ()}, {"ticks": 1}, {"swap_kib": None}):
        state, _ = one(**fields)
        lines = arrange(state, view).lines
        counts |= {len(row_cells(line, Scene(state, view, plan))) for line in lines}

    assert len(counts) == 1


def test_growth_is_ink():
    """A growing row has a bright name, a warm rate and a warm line; a calm one none of these."""
    state, _ = one()
    plan, view = layout(120, "rate"), View()
    init, worker = (
        row_cells(line, Scene(state, view, plan)) for line in arrange(state, view).lines
    )

    assert "rising" in {role for _, role in worker}
    assert "bright" in {role for _, role in worker}
    assert {role for _, role in init} <= {"dim", "faint", "rule", "ink", "accent", "text"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"age_s": 1, "ticks": 2}, ("–", "")),
        ({"age_s": 900, "ticks": 5}, ("–", "")),
        ({"state": "Z"}, ("–", "zombie")),
        ({"state": "T"}, ("–", "stopped")),
    ],
)
def test_what_is_said_about_a_life(fields, words):
    """Zombies, stopped and new processes say so; the others have a trend."""
    state, row = one(**fields)

    assert trend_words(row, state)[:2] == words


def test_who_is_born_while_memtop_watches_is_new():
    """It says for how long it has been there, until its trend is known."""
    source, tracker = FakeSource(), Tracker()
    source.spawn(1, 0, "init", age_s=900)
    for tick in range(32):
        if tick == 8:
            worker = source.spawn(10, 1, "worker")
        state = tracker.feed(source.sample(Wanted()))
        if tick == 12:
            words = trend_words(state.rows[worker.identity], state)
            assert words[:2] == ("~", "new 4 s")

    assert trend_words(state.rows[worker.identity], state)[:2] == ("=", "steady")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/opt/venv/bin/python -m app", "python -m app"),
        ("python -m app", "python -m app"),
        ("gunicorn: worker [shop]", "gunicorn: worker [shop]"),
        ("evil\x1b[2J\nname", "evil\\x1b[2J\\nname"),
        ("", "python"),
        (None, "python"),
    ],
)
def test_names_are_short_and_visible(command, name):
    """The interpreter's folder goes, what could harm the screen is escaped."""
    _, row = one(command=command)

    assert process_name(row) == name


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=16), st.sampled_from([40, 80, 120, 160]))
def test_hostile_names_never_break_a_line(command, name, width):
    """Whatever a process calls itself, its line keeps its width and holds no control characters."""
    state, _ = one(ticks=1, command=command, name=name)
    view, plan = View(), layout(width, "rate")
    for line in arrange(state, view).lines:
        text = "".join(text for text, _ in row_cells(line, Scene(state, view, plan)))
        assert cell_width(text) == width
        assert text.isprintable()


def test_the_footer_keeps_what_is_needed_most():
    """Keys that stay never go; others drop from the right."""
    keys = [("/", "filter", True), ("s", "sort", False), ("?", "help", True), ("q", "quit", True)]
    text = "".join(text for text, _ in key_cells(keys, 1024.0, 0.0, 30))

    assert "filter" in text
    assert "quit" in text
    assert "sort" not in text
