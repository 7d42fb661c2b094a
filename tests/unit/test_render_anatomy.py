"""How an anatomy is drawn: sums, bars, what gives way, what is said of what is not known."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.anatomy.difference import compare
from memtop.anatomy.objects import Objects
from memtop.anatomy.result import (
    PART_IDS,
    Anatomy,
    Arena,
    BigBlocks,
    Heaps,
    Missing,
    Part,
    Settings,
    SizeClass,
)
from memtop.probe.sample import Identity
from memtop.render.anatomy import anatomy_text, compact_lines, inside_lines
from memtop.render.escape import ASCII, cells
from memtop.render.inside import Again, Inside, finding_lines
from memtop.render.parts import Deltas
from memtop.render.sight import Failure, Progress

MIB = 1 << 20
AT = 1_795_269_798.0  # 14:03:18Z
SIZES = [(160, 40), (120, 28), (96, 20), (80, 14), (60, 10), (40, 4), (12, 2), (1, 1)]


def arena(index, used, trapped, trimmable=0, top=0, released=0):
    sizes = [size * MIB for size in (used, trapped, trimmable, top, released)]
    used, trapped, trimmable, top, released = sizes
    free = released + trapped + trimmable + top
    return Arena(index, index == 0, used + free, used, free, released, trapped, trimmable, top)


def parts(**sizes):
    return tuple(
        Part(one, one.replace("_", " "), round(sizes[one] * MIB))
        for one in PART_IDS
        if one in sizes
    )


def worker(**fields):
    """A process whose malloc keeps 305 MiB in 14 arenas, as in the incident."""
    arenas = [arena(0, 61, 57), *(arena(index, 16, 19) for index in range(1, 14))]
    values = {
        "identity": Identity(1, 4711),
        "name": "worker",
        "taken_at": AT,
        "seconds": 0.31,
        "rss_bytes": 1113 * MIB,
        "parts": parts(
            python_objects=318,
            pymalloc_free=22,
            malloc_in_use=269,
            malloc_trapped=304,
            malloc_trimmable=6,
            malloc_top=1,
            big_blocks=92,
            thread_stacks=14,
            files=78,
            other=9,
        ),
        "arenas": tuple(arenas),
        "big_blocks": BigBlocks(
            11, 92 * MIB, (SizeClass(MIB, 9, 30 * MIB), SizeClass(16 * MIB, 2, 62 * MIB))
        ),
        "trim_would_return_bytes": 6 * MIB,
        "allocator": "glibc 2.36",
        "settings": Settings(0, 128 << 10, 4 * MIB, 128 << 10, False),
        "threads": 31,
        **fields,
    }
    return Anatomy(**values)


def earlier(anatomy, *, seconds=600, **less):
    """The same process before its parts grew by so many MiB."""
    made = tuple(
        part._replace(bytes=part.bytes - round(less.get(part.id, 0) * MIB))
        for part in anatomy.parts
    )
    rss = anatomy.rss_bytes - round(sum(less.values()) * MIB)
    return replace(anatomy, taken_at=anatomy.taken_at - seconds, parts=made, rss_bytes=rss)


def grown(anatomy, **less):
    return Deltas(compare(earlier(anatomy, **less), anatomy))


def inside(anatomy=None, *, age=4.0, **fields):
    rss = anatomy.rss_bytes if anatomy else None
    values = {"rss_bytes": rss, "read_rss_bytes": rss, **fields}
    return Inside(4711, "worker", AT + age, answer=anatomy, **values)


def drawn(lines):
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def pane(what, width=120, room=28):
    """Body and finding, one text."""
    return "\n".join(drawn(inside_lines(what, width, room) + finding_lines(what, width)))


def line_with(text, word):
    return next(line for line in text.splitlines() if line.strip().startswith(word))


# -- what it says ----------------------------------------------------------------------------


def test_the_head_says_how_much_how_well_and_how_old():
    """RSS, the share that is explained, how long the reading took, and its age."""
    text = pane(inside(worker()))

    assert "1.09 GiB RSS   99.2 % explained   read in 310 ms, 4 s ago" in text


def test_sums_of_groups_are_those_of_their_parts():
    """In use, freed and the rest have sums, and together they are RSS."""
    text = pane(inside(worker()))

    assert line_with(text, "live  680 MiB").split()[:3] == ["live", "680", "MiB"]
    assert "freed, not returned  332 MiB" in text
    assert "rest  101 MiB" in text
    assert line_with(text, "not heap").split()[2:4] == ["101", "MiB"]
    assert line_with(text, "RSS  ").split()[:5] == ["RSS", "1.09", "GiB", "100", "%"]


def test_numbers_stand_below_each_other():
    """Units, per cents and changes end in the same column in all rows of the table."""
    answer = worker()
    what = inside(answer, deltas=grown(answer, malloc_trapped=120, python_objects=9.6))
    lines = drawn(inside_lines(what, 80, 40))
    rows = [line for line in lines if " % " in line and ("━" in line or "╍" in line)]

    assert len(rows) >= 5
    assert len({line.index("%") for line in rows}) == 1
    assert len({line.index("iB", 40) for line in rows}) == 1
    dots = {line.rindex(".") for line in rows if line.rstrip(" ▲")[-2] == "."}
    assert len(dots) == 1


def test_the_largest_part_is_the_whole_bar():
    """One scale for all bars: the largest part fills its own, half of it half."""
    answer = worker(parts=parts(malloc_in_use=100, python_objects=50, big_blocks=0.001))
    rows = [line for line in drawn(inside_lines(inside(answer), 80, 40)) if "malloc in use" in line]
    half = [line for line in drawn(inside_lines(inside(answer), 80, 40)) if "python obj" in line]

    full = rows[0].count("━")
    assert full > 10
    assert "─" not in rows[0]
    assert abs(half[0].count("━") + half[0].count("╸") - full / 2) <= 1


def test_strokes_tell_the_kinds_apart_without_colour():
    """In use, trapped, trimmable and no heap differ as characters, with --ascii as well."""
    text = pane(inside(worker()))
    names = ("python objects", "malloc trapped", "malloc trimmable", "files")
    lines = [line_with(text, name) for name in names]
    found = [next(c for c in line if c in "━╍┄═─") for line in lines]

    assert found == ["━", "╍", "┄", "─"]
    assert [c.translate(ASCII) for c in found] == ["=", "x", ".", "-"]


def test_what_is_shared_is_drawn_lighter():
    """The part of a bar that other processes share has a stroke of its own."""
    mine = Part("python_objects", "python objects", 100 * MIB, 50 * MIB)
    answer = worker(parts=(mine, Part("malloc_in_use", "malloc in use", 100 * MIB, 0)))
    text = pane(inside(answer), 80, 30)

    shared = line_with(text, "python objects")
    assert shared.count("═") == shared.count("━") > 3
    assert "═" not in line_with(text, "malloc in use")
    assert "═".translate(ASCII) == ":"


def test_the_part_that_grew_most_has_the_sign():
    """A second look shows what changed; the part with most of the growth stands out."""
    answer = worker()
    deltas = grown(answer, malloc_trapped=46.2, python_objects=9.6, files=-2)._replace(
        mark=("▲▲", "leak")
    )
    what = inside(answer, deltas=deltas, age=0)
    text = pane(what)

    assert "+46.2  ▲▲ " in line_with(text, "malloc trapped")
    assert "−2.0" in line_with(text, "files")
    assert "0.0" in line_with(text, "big blocks")
    assert "+46.2" in line_with(text, "freed, not returned   ")
    assert "Δ since 13:53:18Z, 10 m ago" in text
    assert "Of +53.8 MiB in 10 m: malloc trapped +46.2, python objects +9.6." in text
    assert text.count("▲▲") == 1
    faint = [piece for line in inside_lines(what, 120, 28) for piece in line if piece[1] == "faint"]
    assert "0.0" in [text.strip() for text, _ in faint]


def test_growth_without_a_leader_has_no_sign():
    """Several parts that grew alike: none of them stands out."""
    answer = worker()
    text = pane(inside(answer, deltas=grown(answer, malloc_in_use=5, python_objects=4, files=5)))

    assert "▲" not in text


def test_arenas_read_again_change_only_what_is_malloc_s():
    """After a quick look the other parts have no change, which is not the same as none."""
    answer = worker()
    deltas = grown(answer, malloc_trapped=3)._replace(is_partial=True)
    text = pane(inside(answer, deltas=deltas, again=Again(AT + 2, 0.021)))

    assert "+3.0" in line_with(text, "malloc trapped")
    assert line_with(text, "python objects").split("%")[1].split()[0] == "–"
    assert "arenas read again in 21 ms, 2 s ago" in text


def test_arenas_and_their_sum():
    """Those that hold most, how many more, and what all of them hold and trap."""
    text = pane(inside(worker()))
    rows = [line for line in text.splitlines() if "118 MiB    57 MiB" in line]

    assert "main    ━━━━━━━━╍╍╍╍╍╍╍" in rows[0]
    assert "14 arenas                573 MiB   304 MiB" in text
    assert "of what they hold                   53 %" in text
    assert "more" in text
    hidden = int(next(w for w in text.split("more")[0].split()[::-1] if w.isdigit()))
    assert hidden + text.count("35 MiB    19 MiB") + 1 == 14


def test_settings_in_force():
    """What malloc goes by, in words; a threshold that moves says so."""
    text = pane(inside(worker()))

    for words in (
        "trim would return                  6.0 MiB",
        "arena_max                          not set",
        "allocator                       glibc 2.36",
        "threads                                 31",
        "mmap threshold              128 KiB, moves",
        "trim threshold              4.0 MiB, moves",
    ):
        assert words in text
    fixed = worker(
        settings=Settings(2, 128 << 10, 4 * MIB, 0, True), provider="/usr/lib/libjemalloc.so.2"
    )
    text = pane(inside(fixed))
    assert "arena_max                                2" in text
    assert "moves" not in text
    assert "libjemalloc.so.2" in text


def test_big_blocks_by_size():
    """How many blocks of which size, if there is room."""
    text = "\n".join(drawn(inside_lines(inside(worker()), 120, 30)))

    assert "BIG BLOCKS FROM" in text
    assert line_with(text[text.index("BIG BLOCKS") :], "1.0 MiB").split()[-3:] == ["9", "30", "MiB"]


def test_doubt_is_told():
    """Less than full confidence is a figure of its own."""
    doubtful = worker(confidence=0.987, resyncs=3)

    assert line_with(pane(inside(doubtful)).replace(" made", "\nmade"), "made sense").endswith(
        "98.7 %, 3 × lost"
    )
    assert "made sense" not in pane(inside(worker(confidence=0.99999, resyncs=2)))


# -- the sentence ----------------------------------------------------------------------------


def test_what_malloc_keeps_is_said_with_its_proof():
    """Trapped memory: how much of what the arenas hold, and what trim would return."""
    text = pane(inside(worker()))

    assert (
        "Freed, but kept by malloc: 304 of 573 MiB in 14 arenas, in holes smaller than a page;"
        " trim would return 6.0 MiB." in text
    )
    assert "→" not in text


def test_what_trim_returns_is_the_next_step():
    """Whole free pages: the key that returns them; without the key it is not named."""
    answer = worker(
        parts=parts(malloc_in_use=60, malloc_trapped=30, malloc_trimmable=216),
        rss_bytes=306 * MIB,
        arenas=(arena(0, 60, 30, 216),),
        trim_would_return_bytes=216 * MIB,
    )
    text = pane(inside(answer))

    assert "Freed, not returned: 246 of 306 MiB in 1 arena; trim would return 216 MiB." in text
    assert "→   T trim would return ≈ 216 MiB" in text
    assert "→" not in pane(inside(answer, trim=""))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (
            {"python_objects": 80, "files": 10},
            "In use: 80 of 90 MiB; the largest part is python objects, 80 MiB.",
        ),
        ({"files": 80, "malloc_in_use": 10}, "The largest part is files: 80 of 90 MiB."),
        (
            {"python_objects": 40, "pymalloc_free": 60},
            "Freed, but kept by Python: 60 of 100 MiB in its pools are free.",
        ),
    ],
)
def test_the_sentence_is_made_of_the_figures(sizes, words):
    """It says what most of RSS is."""
    answer = worker(parts=parts(**sizes), rss_bytes=sum(sizes.values()) * MIB, arenas=())

    assert words in pane(inside(answer))


def test_a_census_tells_what_of_malloc_is_python_s():
    """Once objects were counted; before, when malloc grows most, the key that counts them."""
    now = worker()
    census = Objects(
        now.identity,
        now.name,
        AT - 8,
        0.3,
        "census",
        (),
        malloc_in_use_python_bytes=200 * MIB,
        malloc_in_use_bytes=269 * MIB,
        big_blocks_python_bytes=92 * MIB,
        big_blocks_bytes=92 * MIB,
    )
    text = " ".join(pane(inside(now, census=census)).split())
    words = "Native or unknown: 69 of 269 MiB in malloc and 0.0 of 92 MiB of big blocks; Python"
    assert f"{words} objects own the rest (census, 12 s ago)." in text
    assert "Native" not in pane(inside(now))

    before = earlier(now, malloc_in_use=40)
    grew = inside(now, deltas=Deltas(compare(before, now)))
    key = "→   o counts objects, and tells how much of malloc they own"
    assert key in pane(grew)
    assert key not in pane(replace(grew, census=census))
    assert key not in pane(replace(grew, objects=""))
    assert key not in pane(inside(now))


def test_the_sign_is_that_of_the_trend():
    """A leak-like process has its sign; a calm one with much freed memory a warning."""
    assert "▲▲  Freed, but kept" in pane(inside(worker(), sign=("▲▲", "leak")))
    assert "!   Freed, but kept" in pane(inside(worker()))


# -- what is not known -----------------------------------------------------------------------


def test_without_the_right_to_memory():
    """From smaps alone: heaps, what is missing, which right, and the command that has it."""
    answer = worker(
        parts=parts(allocator_other=0, other=520, files=20),
        arenas=(),
        heaps=Heaps(9, 480 * MIB),
        big_blocks=None,
        settings=None,
        trim_would_return_bytes=None,
        missing=(
            Missing(
                "arenas, pools", "memory needs CAP_SYS_PTRACE", "memory", "sudo memtop anatomy 4711"
            ),
        ),
    )
    text = pane(inside(answer))

    assert "heaps, not read" in text
    assert "9, 480 MiB" in text
    assert "Heaps of malloc have 480 MiB; what of that is in use was not read." in text
    assert "–   Not known: arenas, pools: memory needs CAP_SYS_PTRACE." in text
    assert "→   sudo memtop anatomy 4711" in text


def test_a_refusal_has_its_command():
    """Why nothing was read, and the command that may; in full, however narrow."""
    what = inside(
        failure=Failure(
            "4711 belongs to uid 1001: it needs CAP_SYS_PTRACE.", "sudo memtop anatomy 4711"
        )
    )
    text = " ".join(pane(what, 40, 4).split())

    assert "belongs to uid 1001: it needs CAP_SYS_PTRACE." in text
    assert "→ sudo memtop anatomy 4711" in text


def test_nothing_read_yet():
    """What is missing, and the key that fills it."""
    assert "Nothing was read of 4711 yet.   a reads what its memory is made of" in pane(inside())


def test_progress():
    """What is read, how far, and the key that ends it; the old answer recedes meanwhile."""
    so_far = Progress(round(0.8 * (1 << 30)), round(1.8 * (1 << 30)))
    first = drawn(inside_lines(inside(progress=so_far), 100, 20))
    assert first == [
        " reading 4711 worker   ━━━━━━━━━━━─────────────   0.8 of 1.8 GiB   Esc cancel"
    ]
    lines = inside_lines(inside(worker(), progress=so_far), 100, 20)
    roles = {role for line in lines[1:] for _, role in line}
    assert roles <= {"dim", "faint", "rule", "heading"}
    assert "python objects" in "\n".join(drawn(lines))


def test_an_old_answer_says_so():
    """Older than a minute, or another size: as of when, and the key that reads again."""
    old = pane(inside(worker(), age=300))
    assert "as of 14:03:18Z, 5 m ago   a reads again" in old
    assert "RSS has" not in old
    moved = pane(inside(worker(), rss_bytes=1200 * MIB))
    assert "as of 14:03:18Z, 4 s ago; RSS has grown by 87 MiB   a reads again" in moved
    assert "as of" not in pane(inside(worker(), rss_bytes=1120 * MIB))


def test_where_it_is_off():
    """A recording: why, instead of a key."""
    text = pane(inside(off="Off: this is a recording."))

    assert "Off: this is a recording." in text
    assert "reads" not in text


# -- room ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "room"), SIZES)
def test_every_size_has_something(width, room):
    """No line is wider than asked, nor are there more; the head is always there."""
    answer = worker()
    what = inside(answer, deltas=grown(answer, malloc_trapped=46.2), again=Again(AT, 0.02))
    lines = inside_lines(what, width, room)

    assert 0 < len(lines) <= room
    assert all(cells(line) <= width for line in drawn(lines))
    if width >= 40:
        assert "1.09 GiB RSS" in drawn(lines)[0]
    if width >= 40 and room >= 4:
        assert "318 MiB" in "\n".join(drawn(lines))


def test_small_screens_keep_the_largest_parts():
    """80x24: the largest parts, what the others are together, and the arenas in a line."""
    text = pane(inside(worker()), 80, 13)

    for words in ("python objects", "malloc trapped", "malloc in use", "more", "14 arenas 573 MiB"):
        assert words in text
    assert "trim would return 6.0 MiB" in text


def test_the_finding_leaves_the_pane_its_room():
    """With one line left the sentence is one line."""
    assert len(finding_lines(inside(worker()), 40, 1)) == 1
    assert len(finding_lines(inside(worker()), 40)) > 2


def test_beside_the_chart():
    """The parts in short, with RSS and the age below a rule."""
    answer = worker()
    text = "\n".join(drawn(compact_lines(inside(answer, deltas=grown(answer, files=2)), 52)))

    assert line_with(text, "malloc trapped").split()[-3:] == ["304", "MiB", "0.0"]
    assert "Δ 10 m" in text
    assert "RSS   99.2 % explained, 4 s ago" in text
    assert compact_lines(inside(), 52) == []


def test_text_for_the_command_line():
    """The same content without ages and keys; without an earlier look there is no column for it."""
    answer = worker()
    alone = "\n".join(drawn(anatomy_text(answer, None, 80)))
    assert "Δ" not in alone
    assert "ago" not in alone
    assert alone.count("MiB    19 MiB") == 13
    assert "Freed, but kept by malloc" in alone
    both = "\n".join(drawn(anatomy_text(answer, compare(earlier(answer, files=5), answer), 120)))
    assert "Δ since 13:53:18Z, 10 m before" in both
    assert "+5.0" in both


# -- anything --------------------------------------------------------------------------------

bytes_ = st.integers(0, 1 << 42)
label = st.text(max_size=30)
some_parts = st.lists(
    st.builds(Part, st.sampled_from(PART_IDS), label, bytes_, st.none() | bytes_), max_size=14
)
some_arenas = st.lists(
    st.builds(Arena, st.integers(0, 9999), st.booleans(), *[bytes_] * 7), max_size=40
)
blocks = st.builds(
    BigBlocks,
    bytes_,
    bytes_,
    st.lists(st.builds(SizeClass, bytes_, bytes_, bytes_), max_size=20).map(tuple),
    st.none() | bytes_,
)
anatomies = st.builds(
    Anatomy,
    identity=st.just(Identity(1, 4711)),
    name=label,
    taken_at=st.floats(0, 1e10),
    seconds=st.floats(0, 1e4),
    rss_bytes=bytes_,
    parts=some_parts.map(tuple),
    confidence=st.floats(0, 1),
    resyncs=st.integers(0, 999),
    arenas=some_arenas.map(tuple),
    heaps=st.none() | st.builds(Heaps, bytes_, bytes_),
    big_blocks=st.none() | blocks,
    trim_would_return_bytes=st.none() | bytes_,
    allocator=st.none() | label,
    provider=st.none() | label,
    settings=st.none() | st.builds(Settings, bytes_, bytes_, bytes_, bytes_, st.booleans()),
    threads=st.none() | st.integers(0, 99999),
    swapped_bytes=bytes_,
    missing=st.lists(
        st.builds(Missing, label, label, st.none() | label, st.none() | label), max_size=5
    ).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(anatomies, anatomies, st.integers(1, 170), st.integers(0, 45), st.booleans(), label)
def test_any_anatomy_can_be_drawn(before, after, width, room, is_partial, name):
    """Whatever was found: no exception, no line too wide, not one too many."""
    difference = compare(before, after)
    deltas = None if difference is None else Deltas(difference, is_partial)
    for progress in (None, Progress(5, 3), Progress()):
        what = Inside(
            4711,
            name,
            after.taken_at + 5,
            before.rss_bytes,
            answer=after,
            deltas=deltas,
            progress=progress,
            again=Again(after.taken_at, 0.1),
        )
        lines = inside_lines(what, width, room)
        assert len(lines) <= room
        assert all(cells(line) <= width for line in drawn(lines))
    assert len(finding_lines(what, width, room)) <= room
    assert all(cells(line) <= 52 for line in drawn(compact_lines(what, 52)))
    text = drawn(anatomy_text(after, difference, width))
    assert all(cells(line) <= width for line in text)
    assert not any("\n" in line or "\x1b" in line for line in text)
