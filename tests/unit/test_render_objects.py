"""How objects are drawn: the table, what stands below it, what gives way, what is said."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.anatomy.objects import (
    Container,
    Growth,
    Objects,
    Owner,
    Task,
    TypeChange,
    TypeCount,
    compare,
)
from memtop.anatomy.result import Missing
from memtop.probe.sample import Identity
from memtop.render.cells import EDGE
from memtop.render.counted import ORDERS, Counted, matching, rows_of, standing_of
from memtop.render.escape import ASCII, cells
from memtop.render.grown import grown_lines
from memtop.render.objects import count_of_lines, objects_lines, objects_text
from memtop.render.sight import Failure, Progress

MIB = 1 << 20
AT = 1_795_269_798.0  # 14:03:18Z
SIZES = [(160, 40), (120, 27), (96, 20), (80, 14), (60, 10), (40, 4), (12, 2), (1, 1)]
OWN = (ord("…"), ord("└"))  # written as several characters, or not at all


def kind(type_, module, count, mib, buffers=0.0):
    return TypeCount(type_, module, count, round(mib * MIB), round(buffers * MIB))


TYPES = (
    kind("ndarray", "numpy", 10_412, 1.1, 44_850),
    kind("bytes", "builtins", 18_204, 61),
    kind("dict", "builtins", 96_120, 8, 40),
    kind("str", "builtins", 388_412, 39),
    kind("list", "builtins", 41_207, 3, 9),
    kind("Tensor", "torch", 1_204, 4.2),
    kind("Frame", "bench.pipeline", 10_000, 1.1),
    kind("Odd", None, 3, 0.1),
    *(kind(f"Kind{index:02}", "some.module", 100 - index, 0.02) for index in range(40)),
)


def census(**fields):
    """What a bench of frames has, looked at from outside."""
    values = {
        "identity": Identity(1, 20817),
        "name": "python bench.py",
        "taken_at": AT,
        "seconds": 0.9,
        "source": "census",
        "types": TYPES,
        "malloc_in_use_python_bytes": 12 * MIB,
        "malloc_in_use_bytes": 269 * MIB,
        "big_blocks_python_bytes": 44_737 * MIB,
        "big_blocks_bytes": 44_755 * MIB,
        "big_blocks": (
            Owner("ndarray", "float32 (1080, 1920)", 10_000, 44_700 * MIB),
            Owner("bytes", None, 12, 37 * MIB),
            Owner("native or unknown", None, 9, 18 * MIB),
        ),
        **fields,
    }
    return Objects(**values)


def snapshot(**fields):
    """The same asked of the interpreter."""
    values = {
        "source": "snapshot",
        "gil_s": 0.21,
        "types": tuple(replace(one, bytes=one.all_bytes, buffer_bytes=0) for one in TYPES),
        "big_blocks": (),
        "malloc_in_use_bytes": None,
        "big_blocks_bytes": None,
        "containers": (
            Container("app.names", "list", 90_000),
            Container("tracker.pending", "dict", 14_006),
            Container("tracker.seen", "set", 1_207),
            *(Container(f"app.table{index}", "list", 900 - index) for index in range(27)),
        ),
        "tasks": (Task("tracker.poll", "pending", 1_204), Task("aiohttp.handle", "done", 3)),
        "threads": ("MainThread", "asyncio_0"),
        "gc_counts": (312, 4, 1),
        "gc_thresholds": (700, 10, 10),
        "garbage": 0,
        "is_tracing": False,
        **fields,
    }
    return census(**values)


def earlier(objects, *, seconds=600, lengths=(), blocks=0, native=0, **less):
    """The same process before types grew by so many objects and MiB."""
    types = []
    for one in objects.types:
        count, mib = less.get(one.type, (0, 0))
        types.append(replace(one, count=one.count - count, bytes=one.bytes - round(mib * MIB)))
    lengths = dict(lengths)
    first, *others = objects.big_blocks or (None,)
    if first is not None:
        first = replace(first, count=first.count - blocks, bytes=first.bytes - blocks * 4 * MIB)
    used = objects.malloc_in_use_bytes
    return replace(
        objects,
        taken_at=objects.taken_at - seconds,
        types=tuple(types),
        containers=tuple(
            replace(one, length=one.length - lengths.get(one.name, 0)) for one in objects.containers
        ),
        big_blocks=(first, *others) if first is not None else (),
        malloc_in_use_bytes=None if used is None else used - native * MIB,
    )


def counted(objects=None, before=None, *, age=12.0, order="growth", words="", **fields):
    """What the pane shows of an answer, compared to an earlier one."""
    growth = compare(before, objects) if before is not None else None
    rows = rows_of(objects, growth, order) if objects is not None else ()
    is_snapshot = objects is not None and objects.source == "snapshot"
    return Counted(
        **{
            "pid": 20817,
            "name": "python bench.py",
            "now": AT + age,
            "answer": objects,
            "growth": growth,
            "rows": matching(rows, words),
            "standing": standing_of(rows),
            "order": order,
            "words": words,
            "key": "S" if is_snapshot else "o",
            **fields,
        }
    )


def drawn(lines):
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def pane(what, width=120, room=27):
    """Body and finding, one text."""
    return "\n".join(drawn(objects_lines(what, width, room) + grown_lines(what, width - 2)))


def flat(text):
    """The text in one line: a sentence may have any number of them."""
    return " ".join(text.split())


def line_with(text, word):
    return next(line for line in text.splitlines() if line.strip(" ▌").startswith(word))


def role_of(lines, word):
    """The role of the piece that holds a word."""
    return next(role for line in lines for text, role in line if word in text)


# -- the head --------------------------------------------------------------------------------


def test_the_head_says_how_much_from_where_and_how_old():
    """Objects, bytes with what they own, the source with its cost, its age."""
    count = f"{sum(one.count for one in TYPES):,}"
    head = f"{count} objects   44.0 GiB with buffers   census, every pool read in 900 ms, 12 s ago"
    assert head in pane(counted(census()))
    text = pane(counted(snapshot()))
    assert "44.0 GiB   gc snapshot, GIL held 210 ms, 12 s ago" in text
    assert "with buffers" not in text
    assert "S again shows what has grown" in text


def test_a_sample_says_so():
    """Scaled counts are estimates, with their error; what was cut says how far it came."""
    text = pane(counted(census(sampled=True, error=0.02, coverage=0.1)))
    assert text.strip().startswith("≈ ")
    assert "census, sampled, ± 2 % in 900 ms" in text
    cut = pane(counted(census(sampled=True, error=0.004, coverage=0.43, cut=True)))
    assert "± 0.4 %, cut at 43 %" in cut
    words = "Cut when its time was over: 43 % of Python's memory was looked at, the rest is"
    assert words in cut
    assert "gc snapshot, cut, GIL held" in pane(counted(snapshot(cut=True)))
    assert "gc snapshot, sampled, GIL held" in pane(counted(snapshot(sampled=True)))


@pytest.mark.parametrize(
    ("error", "words"), [(0.0128, "± 2 %"), (0.01, "± 1 %"), (0.0091, "± 1 %"), (0.0031, "± 0.4 %")]
)
def test_an_error_is_never_said_to_be_less(error, words):
    """It is rounded up."""
    assert words in pane(counted(census(sampled=True, error=error)))


def test_since_when_changes_are_counted():
    """The first answer, the last one or r, with its moment; whatever the width."""
    now = census()
    before = earlier(now, ndarray=(5_000, 20))
    assert "Δ since the last, 13:53:18Z" in pane(counted(now, before, since="the last"))
    assert "Δ since r, 13:53:18Z, 10 m ago" in pane(counted(now, before, since="r"))
    for width in (40, 60, 80, 100, 120, 160):
        assert "Δ since the first" in pane(counted(now, before), width, 12).splitlines()[0]


def test_an_old_answer_says_so():
    """Older than a minute, or of another size: as of when, and the key that reads again."""
    assert "as of 14:03:18Z, 5 m ago   o reads again" in pane(counted(census(), age=300))
    moved = counted(snapshot(), rss_bytes=112 * MIB, read_rss_bytes=100 * MIB)
    assert "as of 14:03:18Z, 12 s ago; RSS has grown by 12 MiB   S reads again" in pane(moved)
    without = pane(counted(snapshot(), age=300, key=""))
    assert "5 m ago" in without
    assert "reads again" not in without


# -- the table -------------------------------------------------------------------------------


def test_a_row_has_what_is_known_of_a_type():
    """Name, module, count and bytes with those of buffers; changes when there is one before."""
    now = census()
    alone = line_with(pane(counted(now)), "dict")
    assert alone.split()[:10] == "dict builtins 96,120 – 48 MiB 40 MiB – –".split()
    grown = line_with(pane(counted(now, earlier(now, dict=(604, 5)))), "dict")
    assert "+604" in grown
    assert grown.split()[8:10] == ["+5.0", "+0.5"]  # in ten minutes
    assert line_with(pane(counted(now), room=40), "Odd").split()[1] == "–"  # no module is known


def test_numbers_stand_below_each_other():
    """Counts, sizes and changes end in the same cells in all rows, big blocks among them."""
    now = census()
    lines = drawn(objects_lines(counted(now, earlier(now, dict=(604, 5), blocks=3)), 120, 40))
    rows = [line for line in lines if "iB" in line and line[-1] in "━─"]

    assert len(rows) > 8
    assert len({line.index("iB", 70) for line in rows}) == 1
    assert len({len(line) for line in rows}) == 1
    heading = next(line for line in lines if "COUNT" in line)
    row = line_with("\n".join(lines), "str")
    assert heading.index("COUNT") + 5 == row.index("388,412") + 7
    assert heading.index("BYTES") + 5 == row.index("iB") + 2


def test_the_type_that_grew_most_stands_out():
    """The one with most of the growth is bold, its change in the colour of the trend."""
    now = census()
    what = counted(now, earlier(now, bytes=(40, 30), dict=(9, 6)), sign=("▲▲", "leak"))
    lines = objects_lines(what, 120, 27)

    assert line_with(pane(what), "bytes").split()[0] == "bytes"
    assert role_of(lines, "bytes ") == "strong"
    assert role_of(lines, "+30.0") == "leak"
    assert role_of(lines, "+6.0") == "rising"
    assert role_of(lines, "str ") == "dim"
    assert drawn(lines)[3].startswith(" bytes")  # the largest change comes first
    alike = counted(now, earlier(now, bytes=(1, 5), dict=(1, 5), str=(1, 5)))
    assert role_of(objects_lines(alike, 120, 27), "bytes ") != "strong"


def test_changes_within_the_error_of_a_sample_are_faint():
    """A sampled count that moved by less than its error may not have moved at all."""
    now = census(sampled=True, error=0.02)
    lines = objects_lines(counted(now, earlier(now, bytes=(10, 2))), 120, 27)
    text = pane(counted(now, earlier(now, bytes=(10, 2))))

    assert role_of(lines, "+2.0") == "faint"
    assert "No type moved in 10 m by more than the error of both, 4 %." in text


def test_types_that_are_gone_stay_in_the_table():
    """What is no longer there is a row with nothing and what it had."""
    now = census()
    before = replace(earlier(now), types=(*now.types, kind("Gone", "app", 70, 3)))
    row = line_with(pane(counted(now, before)), "Gone")

    assert row.split()[1:6] == ["app", "0", "−70", "0.0", "MiB"]
    assert "−3.0" in row


def test_a_type_whose_module_was_known_before():
    """It is one row, with its change: of small types the module is not always looked up."""
    now = census(types=(*TYPES, kind("Late", None, 900, 0.5)))
    growth = Growth(AT - 60, 60, (TypeChange("Late", "shop.model", 800, MIB // 2, MIB / 2),))
    (row,) = (one for one in rows_of(now, growth) if one.type == "Late")

    assert (row.module, row.count, row.count_change) == ("shop.model", 900, 800)


def test_what_only_one_has_counted_is_not_compared():
    """Where one of two snapshots has counted less, the rest has no change, and that is said."""
    now = snapshot()
    what = counted(now, earlier(replace(now, tracked_only=True), Frame=(5_000, 0.5)))
    text = pane(what, 160)

    assert {row.change for row in what.rows if row.type in ("dict", "list")} == {None, 0}
    assert "Not compared: types that only one of the two has counted." in text


@pytest.mark.parametrize(
    ("order", "first", "title"),
    [
        ("growth", "str", "Δ MiB ▼"),
        ("bytes", "ndarray", "BYTES ▼"),
        ("count", "str", "COUNT ▼"),
        ("name", "bytes", "TYPE ▼"),
    ],
)
def test_orders(order, first, title):
    """By growth, bytes, count or name; the column has the mark."""
    now = census()
    lines = drawn(objects_lines(counted(now, earlier(now, str=(1, 9)), order=order), 120, 27))

    assert title in lines[2]
    assert lines[2].count("▼") == 1
    assert lines[3].split()[0] == first


def test_a_filter_shows_what_it_finds():
    """The words stand in the heading; with nothing found it says how to see all again."""
    found = pane(counted(census(), words="PIPE"))
    assert "TYPE  / PIPE" in found
    assert "Frame" in found
    assert "Tensor" not in found
    none = pane(counted(census(), words="lua"))
    assert f"No type has lua in its name.   Esc shows all {len(TYPES)}" in none


def test_a_filter_does_not_change_what_stands_out():
    """What leads is judged among all types, also when it is filtered away."""
    now = census()
    what = counted(now, earlier(now, bytes=(1, 50), dict=(1, 2)), words="dict")

    assert role_of(objects_lines(what, 120, 27)[3:], "dict ") == "dim"


def test_what_is_not_shown_is_a_sum():
    """The types there is no room for are one row, and nothing is lost."""
    lines = objects_lines(counted(census(big_blocks=(), malloc_in_use_bytes=None)), 120, 20)
    rows = [line for line in drawn(lines)[3:] if "iB" in line]
    counts = [
        int(
            next(
                w
                for w in line.split()
                if w.replace(",", "").isdigit()
                and ("more" not in line or line.split().index(w) > 0)
            ).replace(",", "")
        )
        for line in rows
    ]

    assert "more types" in rows[-1]
    assert sum(counts) == sum(one.count for one in TYPES)


def test_the_cursor_scrolls():
    """The line under the cursor has the edge; past the types is all that stands below them."""
    now = snapshot()
    for at in (0, 5, 30, len(TYPES) - 1):
        what = counted(now, at=at)
        lines = objects_lines(what, 120, 27)
        here = [line for line in lines if line[:1] == [EDGE]]
        assert len(here) == 1
        assert drawn(here)[0].split()[0] == f"▌{what.rows[at].type}"
    last = count_of_lines(counted(now), 120) - 1
    text = "\n".join(drawn(objects_lines(counted(now, at=last), 120, 12)))
    assert "gc  counts 312 4 1" in text
    assert "app.table26" in text  # the last of thirty containers, never reached otherwise
    assert "TYPE" not in text
    assert count_of_lines(counted(), 120) == 0


# -- what stands below -----------------------------------------------------------------------


def test_big_blocks_by_owner():
    """Whose they are with dtype and shape, how many of which size, how much, what changed."""
    now = census()
    text = pane(counted(now, earlier(now, blocks=50)), 160)

    row = line_with(text, "ndarray  float32")
    assert "float32 (1080, 1920)" in row
    assert "4.5 MiB ×" in row
    for word in ("10,000", "+50", "43.7 GiB", "+200"):
        assert word in row
    assert line_with(text, "native or unknown").split()[3:6] == ["2.0", "MiB", "×"]


def test_containers_that_grow_come_first():
    """Before and after of those that are longer, in the order of growth; then the longest."""
    now = snapshot()
    before = earlier(now, lengths={"tracker.seen": 7, "tracker.pending": 12_802})
    text = pane(counted(now, before), room=40)
    lines = [line.split() for line in text.splitlines()]
    places = [
        next(i for i, line in enumerate(lines) if line[:1] == [name])
        for name in ("tracker.pending", "tracker.seen", "app.names", "app.table0")
    ]

    assert "containers  of modules; 2 longer than before" in text
    assert lines[places[0]][1:] == ["dict", "1,204", "→", "14,006"]
    assert lines[places[2]][1:] == ["list", "90,000"]
    assert places == sorted(places)


def test_a_container_that_was_shorter_meanwhile_does_not_only_grow():
    """One that goes up and down stands behind those that only ever got longer."""
    now = snapshot()
    before = earlier(now, lengths={"tracker.seen": 7, "tracker.pending": 12_802})
    what = counted(now, before, shrunk=frozenset(["tracker.pending"]))
    text = pane(what, room=40)

    assert text.index("tracker.seen") < text.index("  tracker.pending")
    assert "of module-level containers only tracker.seen 1,200 → 1,207 grew" in flat(text)


def test_what_else_the_interpreter_knows():
    """Tasks by coroutine and state, threads by name, the collector's figures."""
    text = pane(counted(snapshot()), room=40)

    assert "asyncio tasks  1,207, by coroutine" in text
    assert line_with(text, "tracker.poll").split() == ["tracker.poll", "pending", "1,204"]
    assert "threads  2: MainThread, asyncio_0" in text
    assert "gc  counts 312 4 1   thresholds 700 10 10   garbage 0   tracemalloc off" in text


# -- the sentence ----------------------------------------------------------------------------


def test_whose_the_growth_is():
    """Of how much in which time; the types with most of it; how many containers are longer."""
    now = snapshot()
    before = earlier(
        now,
        bytes=(9, 18),
        dict=(9, 3),
        str=(9, 2),
        lengths={"tracker.pending": 5, "tracker.seen": 2, "app.names": 1},
    )

    words = (
        "! 3 module-level containers grew in 10 m: tracker.pending 14,001 → 14,006, tracker.seen"
        " 1,205 → 1,207, and 1 more. Python objects grew by 23 MiB: bytes +18.0, dict +3.0."
    )
    assert words in flat(pane(counted(now, before), 160))


def test_what_is_native_comes_first():
    """Memory of malloc that no object owns, if that grew by more than all types; else behind."""
    now = census()
    text = flat(pane(counted(now, earlier(now, native=41)), 120))
    assert "! Native or unknown memory grew by 41 MiB in 10 m; no Python type did." in text

    text = flat(pane(counted(now, earlier(now, native=41, bytes=(9, 18))), 120))
    assert "grew by 41 MiB in 10 m. Python objects grew by 18 MiB: bytes +18.0." in text
    text = flat(pane(counted(now, earlier(now, native=9, bytes=(9, 18))), 120))
    assert "! Python objects grew by 18 MiB in 10 m: bytes +18.0." in text
    assert "Native or unknown, +9.0 MiB: " in text


def test_little_native_memory_has_no_line_of_its_own():
    """Of malloc's heaps; a sentence has it all the same. What has grown always has its line."""
    little = census(malloc_in_use_python_bytes=266 * MIB)
    text = pane(counted(little))
    assert "malloc  269 MiB" not in text
    assert "Native or unknown: 3.0 of 269 MiB in malloc" in text
    text = pane(counted(little, earlier(little, native=2)))
    assert "+2.0" in line_with(text.partition("malloc  269")[2], "native or unknown")


def test_what_is_native_may_be_the_error_of_a_sample():
    """A change of native memory that is within the error of what Python has is none."""
    now = census(sampled=True, error=0.5, malloc_in_use_python_bytes=200 * MIB)
    assert "grew" not in flat(pane(counted(now, earlier(now, native=41)), 120))


def test_blocks_that_nobody_owns_are_native():
    """Mappings of malloc's own without an owner count as native memory."""
    now = census(big_blocks=(Owner("native or unknown", None, 90, 900 * MIB),))
    text = flat(pane(counted(now, earlier(now, blocks=50)), 120))
    assert "Native or unknown memory grew by 200 MiB in 10 m; no Python type did." in text
    assert "Big blocks: 50 more of native or unknown, +200 MiB." in text


def test_a_class_that_came_along_is_named():
    """Objects of a class that came with the growth, small as they are; builtins tell nothing."""
    now = census()
    before = earlier(now, bytes=(9_000, 18), Frame=(5_000, 0.5), str=(9_000, 0.1))
    what = counted(now, before)

    words = "grew by 19 MiB in 10 m: bytes +18.0, with 5,000 more of bench.pipeline.Frame."
    assert words in flat(pane(what))
    lines = objects_lines(what, 140, 27)
    rows = [
        [line for line in lines if f" {name} " in drawn([line])[0]] for name in ("Frame", "str")
    ]
    assert role_of(rows[0], "+5,000") == "rising"
    assert role_of(rows[1], "+9,000") == "dim"


def test_what_has_no_type():
    """Big blocks by owner and malloc's memory that no object owns have their own sentence."""
    now = census()
    text = pane(counted(now, earlier(now, blocks=50, native=41)), 160)

    assert "Big blocks: 50 more of ndarray float32 (1080, 1920), +200 MiB." in text
    assert "257 of 269 MiB in malloc and 18 MiB of 43.7 GiB of big blocks" in text
    assert "Python objects own the rest." in text
    assert "malloc  269 MiB in use in its heaps" in text
    assert "+41.0" in line_with(text.partition("malloc  269")[2], "native or unknown")


def test_without_an_earlier_answer():
    """The largest type, with the figures that prove it; nothing is said of growth."""
    text = pane(counted(census()))

    assert "The largest type is numpy.ndarray: 43.8 of 44.0 GiB in 10,412 objects." in text
    assert "MiB in 1" not in text


def test_the_next_step_is_a_key():
    """When a type grows a census names the key that knows names; without the key it does not."""
    now = census()
    before = earlier(now, bytes=(1, 50))

    assert "→   S asks the interpreter" in pane(counted(now, before))
    assert "→" not in pane(counted(now, before, asks=""))
    assert "→" not in pane(counted(now))


def test_containers_that_do_not_grow_are_said():
    """That no named container is longer is a finding, too; from outside nothing is known of it."""
    now = snapshot()
    assert "no module-level container is longer" in pane(counted(now, earlier(now, bytes=(1, 9))))
    outside = census()
    text = pane(counted(outside, earlier(outside, bytes=(1, 9))))
    assert "container is longer" not in text


# -- what is not known -----------------------------------------------------------------------


def test_nothing_read_yet():
    """What is missing, and the keys that fill it."""
    text = pane(counted())
    assert "Nothing was read of 20817 yet.   o counts its objects from outside" in text
    assert "S asks the interpreter" in text
    assert "S asks" not in pane(counted(asks=""))
    off = pane(counted(off="Off: this is a recording."))
    assert off.strip() == "Off: this is a recording."


def test_progress():
    """What is read, how far, and the key that ends it; the old answer recedes meanwhile."""
    so_far = Progress(round(0.8 * (1 << 30)), round(1.8 * (1 << 30)))
    first = drawn(objects_lines(counted(progress=so_far), 100, 20))
    assert "0.8 of 1.8 GiB   Esc cancel" in first[0]
    lines = objects_lines(counted(census(), progress=so_far, at=0), 120, 27)
    roles = {role for line in lines[1:] for text, role in line if text != EDGE[0]}
    assert roles <= {"dim", "faint", "rule", "heading"}
    assert line_with("\n".join(drawn(lines)), "ndarray").startswith("▌ndarray")


def test_a_refusal_has_its_command():
    """Why nothing was read, what may, and the key that still works; with an answer both stand."""
    failure = Failure("20817 runs no CPython.", "sudo memtop census 20817")
    text = pane(counted(failure=failure))
    assert "–   20817 runs no CPython." in text
    assert "sudo memtop census 20817" in text
    assert "→   a reads what its memory is made of" in text
    kept = pane(counted(census(), failure=failure))
    assert "20817 runs no CPython." in kept
    assert "ndarray" in kept


def test_what_is_missing_is_said():
    """What could not be counted and why, with the command that may."""
    missing = (Missing("large objects", "jemalloc serves malloc", None, "memtop snapshot 20817"),)
    text = pane(counted(census(missing=missing)))

    assert "–   Not known: large objects: jemalloc serves malloc." in text
    assert "→   memtop snapshot 20817" in text


# -- room ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "room"), SIZES)
@pytest.mark.parametrize("make", [census, snapshot])
def test_every_size_has_something(width, room, make):
    """No line is wider than asked, nor are there more; the type that grew is there down to 40."""
    now = make()
    before = earlier(now, bytes=(40, 30), lengths={"tracker.pending": 9})
    for at in (None, 0):
        lines = objects_lines(counted(now, before, at=at), width, room)
        assert 0 < len(lines) <= room
        assert all(cells(line) <= width for line in drawn(lines))
        if width >= 40:
            text = "\n".join(drawn(lines))
            assert "bytes" in text
            assert "61 MiB" in text
            assert "+30.0" in text
        assert len(grown_lines(counted(now, before), width, room)) <= room


def test_columns_do_not_move():
    """Before and after there is something to compare the columns are the same."""
    now = census()
    for width in (160, 120, 100, 80, 60, 40):
        alone = drawn(objects_lines(counted(now), width, 14))
        both = drawn(objects_lines(counted(now, earlier(now, bytes=(1, 9))), width, 14))
        assert next(x for x in alone if "BYTES" in x) == next(x for x in both if "BYTES" in x)


def test_without_colour_and_beyond_ascii():
    """All that is drawn has a sign in ASCII."""
    now = snapshot()
    text = pane(counted(now, earlier(now, bytes=(1, 9), lengths={"tracker.seen": 7}), at=3))

    assert text.translate(ASCII).isascii()
    assert (
        pane(counted(census(sampled=True, error=0.02))).replace("±", "+").translate(ASCII).isascii()
    )


def test_text_for_the_command_line():
    """So many types, all that stands below, no ages and no keys; alone without changes."""
    now = snapshot()
    alone = "\n".join(drawn(objects_text(now, None, 80, 5)))
    assert "Δ" not in alone
    assert " ago" not in alone
    assert "again" not in alone
    assert f"{len(TYPES) - 5} more types" in alone
    assert "app.table26" in alone
    before = earlier(now, bytes=(9, 18), lengths={"tracker.pending": 5})
    both = "\n".join(drawn(objects_text(now, compare(before, now), 120, 5)))
    assert "Δ since 13:53:18Z, 10 m before" in both
    alone = "tracker.pending (dict) grew from 14,001 to 14,006 in 10 m, the only one of 30"
    assert alone in both
    every = "\n".join(drawn(objects_text(now, None, 80, len(TYPES) - 1)))
    assert "more type" not in every  # one more takes as much room as its name


# -- anything --------------------------------------------------------------------------------

label = st.text(max_size=30)
size = st.integers(0, 1 << 42)
small = st.integers(0, 1 << 34)
objects = st.builds(
    Objects,
    identity=st.just(Identity(1, 4711)),
    name=label,
    taken_at=st.floats(0, 1e10),
    seconds=st.floats(0, 1e4),
    source=st.sampled_from(["census", "snapshot"]),
    types=st.lists(
        st.builds(TypeCount, label, st.none() | label, small, size, size), max_size=30
    ).map(tuple),
    sampled=st.booleans(),
    coverage=st.floats(0, 1),
    error=st.none() | st.floats(0, 1),
    cut=st.booleans(),
    malloc_in_use_python_bytes=st.none() | size,
    malloc_in_use_bytes=st.none() | size,
    big_blocks_python_bytes=st.none() | size,
    big_blocks_bytes=st.none() | size,
    big_blocks=st.lists(st.builds(Owner, label, st.none() | label, small, size), max_size=9).map(
        tuple
    ),
    containers=st.lists(st.builds(Container, label, label, small), max_size=30).map(tuple),
    tasks=st.lists(st.builds(Task, label, label, small), max_size=5).map(tuple),
    threads=st.lists(label, max_size=5).map(tuple),
    gc_counts=st.lists(small, max_size=3).map(tuple),
    gc_thresholds=st.lists(small, max_size=3).map(tuple),
    garbage=st.none() | small,
    is_tracing=st.none() | st.booleans(),
    gil_s=st.none() | st.floats(0, 1e4),
    missing=st.lists(
        st.builds(Missing, label, label, st.none(), st.none() | label), max_size=5
    ).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(
    objects,
    objects,
    st.integers(1, 170),
    st.integers(0, 45),
    st.sampled_from([one[0] for one in ORDERS]),
    label,
    st.none() | st.integers(0, 80),
)
def test_anything_can_be_drawn(before, after, width, room, order, words, at):
    """Whatever was found: no exception, no line too wide, not one too many."""
    for first in (None, before):
        what = counted(after, first, order=order, words=words, at=at, name=words)
        for one in (what, replace(what, progress=Progress(5, 3)), replace(what, now=AT * 2)):
            lines = objects_lines(one, width, room)
            assert len(lines) <= room
            assert all(cells(line) <= width for line in drawn(lines))
        assert len(grown_lines(what, width, room)) <= room
        assert count_of_lines(what, width) >= len(what.rows)
        text = drawn(objects_text(after, what.growth, width, 10))
        assert all(cells(line) <= width for line in text)
        assert not any("\n" in line or "\x1b" in line for line in text)
