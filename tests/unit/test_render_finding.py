"""A diagnosis as lines: one line, the end of a pane, the whole answer."""

from dataclasses import replace

import pytest

from memtop.diagnosis.finding import CAUSES, Finding, Lack
from memtop.render.answer import most_at, reasons_lines
from memtop.render.cells import width_of
from memtop.render.finding import (
    Course,
    Reasons,
    Verdict,
    brief_lines,
    hint_line,
    one_line,
    sign_of,
)

LEAK = ("▲▲", "leak")
TRAPPED = Finding(
    "arena_fragmentation",
    "worker 4711 grows 6.1 MiB/min: 50 of 60 MiB are freed memory in 13 malloc arenas in holes"
    " below a page; malloc_trim would return 6.0 MiB; objects are flat",
    0.86,
    4711,
    "worker",
    supporting=("Holes: +50 MiB of the +60 MiB.", "RSS moved by +60 MiB in 10 m, leak-like."),
    against=("It was watched for 10 m only.",),
    missing=(
        Lack("its objects", "nobody counted them", "o", "memtop census 4711"),
        Lack("how it goes on", "it was watched for 10 m", None, "memtop diagnose 4711 --for 60s"),
    ),
    next_step="set MALLOC_ARENA_MAX=2 in the environment that starts it, and restart it",
    remarks=("It is a worker that is used again.",),
)
OBJECTS = Finding(
    "python_objects", "hardly objects, of the 60 MiB that came", 0.0, against=("They are flat.",)
)
UNKNOWN = Finding("unknown", "main process 1 grows, and what it is made of is not known", 0.9, 1)
STEADY = Finding("steady", "main process 1 does not grow", 0.9, 1, next_step="Nothing to do")


def reasons(*findings, **fields):
    given = {name: fields.pop(name) for name in ("looks", "asked") if name in fields}
    made = Verdict(
        findings, 1000.0, 600.0, **{"looks": 2, "between_s": 30.0, "asked": True} | given
    )
    values = {"key": "d", "verdict": made if findings else None, "sign": LEAK}
    return Reasons(4711, "pool_worker", fields.pop("now", 1004.0), **values | fields)


def text(lines):
    return "\n".join("".join(piece for piece, _ in line).rstrip() for line in lines)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 120, 200])
def test_one_line_fits(width):
    """One line is never wider than asked, and begins with sign and whose memory it is."""
    line = one_line(TRAPPED, width, LEAK)
    assert width_of(line) <= width
    assert text([line]).startswith("▲▲  Worker 4711 "[:width])


def test_one_line_loses_what_matters_least():
    """How sure it is goes first, then the last clauses; the cause stays."""
    assert text([one_line(TRAPPED, 200, LEAK)]).endswith("objects are flat (almost sure).")
    assert text([one_line(TRAPPED, 160, LEAK)]).endswith("objects are flat.")
    short = text([one_line(TRAPPED, 115, LEAK)])
    assert short.endswith(
        "50 of 60 MiB are freed memory in 13 malloc arenas in holes below a page."
    )
    assert "50 of 60 MiB are freed" in text([one_line(TRAPPED, 80, LEAK)])


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_has_a_sign(cause):
    """With a growing trend and without; what is calm by itself is never red."""
    finding = replace(TRAPPED, cause=cause)
    for trend in (LEAK, ("", "dim")):
        sign, role = sign_of(finding, trend)
        assert sign.strip() and role
        if cause in ("steady", "warm_up", "sawtooth", "many_processes"):
            assert role != "leak"
    assert sign_of(replace(TRAPPED, cause="native"), LEAK) == LEAK


def test_the_end_of_a_pane():
    """What and its proof, then the next step; where there is room for two lines only, one each."""
    lines = brief_lines(reasons(TRAPPED, OBJECTS), 118)
    assert text(lines).splitlines()[0].startswith("▲▲  Worker 4711 grows 6.1 MiB/min: 50 of 60 MiB")
    assert lines[-1] == [("→   ", "accent"), ("Set MALLOC_ARENA_MAX=2 in the environment that"
                         " starts it, and restart it.", "text")]  # fmt: skip
    low = brief_lines(reasons(TRAPPED, OBJECTS), 78, room=2)
    assert [line[0][0].strip() for line in low] == ["▲▲", "→"]
    assert len(brief_lines(reasons(TRAPPED), 78, room=1)) == 1
    assert brief_lines(reasons(TRAPPED), 78, room=0) == []


@pytest.mark.parametrize("width", [16, 38, 58, 78, 118])
@pytest.mark.parametrize("room", [1, 2, 3, 4, 9])
def test_the_end_of_a_pane_fits(width, room):
    """It never takes more lines or cells than there are, and marks what it leaves out."""
    lines = brief_lines(reasons(TRAPPED, OBJECTS), width, room)
    assert 1 <= len(lines) <= room
    assert all(width_of(line) <= width for line in lines)
    if width <= 38:
        assert "…" in text(lines)


def test_what_tells_nothing_is_not_said():
    """Before somebody asked, what the trend says as well is left to the trend; a cause is not."""
    for finding in (UNKNOWN, STEADY):
        assert brief_lines(reasons(finding, asked=False, looks=0), 118) == []
        assert brief_lines(reasons(finding, asked=True), 118) != []
    assert brief_lines(reasons(STEADY, asked=False, looks=1), 118) != []
    assert brief_lines(reasons(UNKNOWN, asked=False, looks=1), 118) == []
    many = replace(TRAPPED, cause="many_processes")
    assert text(brief_lines(reasons(many, asked=False, looks=0), 118)).startswith("≡   ")
    assert brief_lines(reasons(), 118) == []


def test_an_old_answer_says_when():
    """After a minute the end of a pane says of when the answer is."""
    assert "As of" not in text(brief_lines(reasons(TRAPPED), 200))
    assert "As of 00:16:40Z." in text(brief_lines(reasons(TRAPPED, now=1100.0), 200))


def test_the_key_that_tells():
    """`d` is offered where it can tell; then how far that is; never where it is off."""
    assert text([hint_line(reasons())]) == "→   d tells why"
    assert text([hint_line(reasons(key="f5"))]) == "→   f5 tells why"
    assert hint_line(reasons(off="4711 has ended.")) == []
    assert hint_line(reasons(key="")) == []
    course = Course("watches 4711 pool_worker", 12.4, 30.0)
    assert "watches 4711 pool_worker   12 of 30 s" in text([hint_line(reasons(course=course))])


def test_the_whole_answer():
    """Cause, next step, reasons for and against, remarks, what is not known, the other causes."""
    made = reasons(TRAPPED, OBJECTS, labels={"o": "o"})
    lines = text(reasons_lines(made, 120, 60)).splitlines()
    assert lines[0].startswith(" watched 10 m, two looks 30 s apart, 4 s ago")
    order = [
        "▲▲  Worker 4711 grows",
        "→   Set MALLOC_ARENA_MAX=2",
        "for        Holes: +50 MiB",
        "RSS moved by +60 MiB in 10 m",
        "against    It was watched for 10 m only.",
        "also       It is a worker that is used again.",
        "not known  Its objects: nobody counted them.",
        "→ o would tell",
        "How it goes on: it was watched for 10 m.",
        "→ memtop diagnose 4711 --for 60s",
        "other causes",
        "unlikely   Hardly objects, of the 60 MiB that came. They are flat.",
    ]
    places = [next(i for i, line in enumerate(lines) if words in line) for words in order]
    assert places == sorted(places)


def test_keys_that_do_not_exist():
    """Where a key is off, or there is none, the command stands in its place."""
    for fields in ({"labels": {}}, {"labels": {"o": "o"}, "off": "4711 has ended."}):
        shown = text(reasons_lines(reasons(TRAPPED, **fields), 120, 60))
        assert "→ memtop census 4711" in shown
        assert "would tell" not in shown


def test_while_it_is_found_out():
    """What is done and how far; what was known before stays, an old answer is dimmed."""
    course = Course("watches 4711 pool_worker", 12.4, 30.0)
    first = reasons_lines(reasons(TRAPPED, asked=False, looks=0, course=course), 120, 60)
    assert "watches 4711 pool_worker" in text(first[:1])
    assert "12 of 30 s   Esc cancel" in text(first[:1])
    assert any(role == "leak" for line in first for _, role in line)
    again = reasons_lines(reasons(TRAPPED, course=course), 120, 60)
    assert text(again[1:]) == text(first[1:])
    assert {role for line in again[1:] for _, role in line} <= {"dim", "faint"}


def test_before_anything_is_known():
    """What the key does; no finding is made up."""
    shown = text(reasons_lines(reasons(), 120, 20))
    assert "Nothing is known yet." in shown
    assert "d watches and looks inside" in shown
    off = text(reasons_lines(reasons(off="4711 has ended."), 120, 20))
    assert "4711 has ended." in off
    assert "watches" not in off


@pytest.mark.parametrize(("width", "room"), [(120, 12), (80, 8), (60, 6), (40, 5), (30, 5)])
def test_every_line_can_be_reached(width, room):
    """An answer that is too long is scrolled to its end, and says how much there is more."""
    made = reasons(TRAPPED, OBJECTS)
    whole = reasons_lines(made, width, 1000)
    seen = set()
    last = most_at(made, width, room)
    assert last > 0
    for at in range(last + 1):
        lines = reasons_lines(replace(made, at=at), width, room)
        assert len(lines) == room
        assert all(width_of(line) <= width for line in lines)
        assert ("below" in text(lines[-1:])) is (at < last)
        seen |= {text([line]) for line in lines}
    assert {text([line]) for line in whole} <= seen
    assert most_at(made, width, len(whole)) == 0


@pytest.mark.parametrize("room", [0, 1, 2, 3])
def test_hardly_any_room(room):
    """A pane of a line or two has the beginning."""
    assert len(reasons_lines(reasons(TRAPPED, OBJECTS), 60, room)) <= room


def test_control_characters_are_made_visible():
    """A name of a process cannot draw on the terminal."""
    evil = replace(TRAPPED, headline="x\x1b[31m grows", supporting=("a\x1b[2J",), next_step="\x1b]")
    for lines in (brief_lines(reasons(evil), 100), reasons_lines(reasons(evil), 100, 50)):
        assert "\x1b" not in text(lines)
