"""The log of what was done, and how its tab is drawn."""

import pytest

from memtop.model.log import Entry, Log
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Identity, Wanted
from memtop.render.escape import cells
from memtop.render.log import log_lines, log_title

MIB = 1 << 20
AT = 1_795_269_600.0  # 14:00:00Z
KEYS = (("T", "trim"), ("C", "gc"))


def trimmed(pid=4711, *, at=AT, sentence="31 MiB came back.", **fields):
    values = {
        "before_bytes": 1341 * MIB,
        "after_bytes": 1310 * MIB,
        "returned_bytes": 31 * MIB,
        "held_us": 190.0,
        **fields,
    }
    return Entry(at, "trim", pid, "pool_worker", "returned", sentence, Identity(1, pid), **values)


def refused(pid=12):
    return Entry(
        AT,
        "gc",
        pid,
        "shop",
        "refused",
        "It is stopped.",
        command=f"kill -CONT {pid}",
        is_warning=True,
        before_bytes=90 * MIB,
    )


def filled(*entries):
    log = Log()
    for entry in entries:
        log.add(entry)
    return log


def text(lines):
    return ["".join(piece for piece, _ in line).rstrip() for line in lines]


def test_the_newest_is_on_top():
    """Entries come out the newest first."""
    log = filled(trimmed(1), trimmed(2))

    assert [entry.pid for entry in log] == [2, 1]
    assert (len(log), log.total) == (2, 2)


def test_only_the_last_ones_are_kept():
    """The log is bounded; it still knows how many there were."""
    log = Log(kept=3)
    for pid in range(10):
        log.add(trimmed(pid))

    assert [entry.pid for entry in log] == [9, 8, 7]
    assert log.total == 10


def test_title_counts_since_the_beginning():
    """How many actions, since memtop began to watch; and of how many only the last are kept."""
    source = FakeSource(now=AT)
    source.spawn(1)
    tracker = Tracker(1.0, None)
    for _ in range(21):
        state = tracker.feed(source.sample(Wanted()))
    log = Log(kept=2)

    assert text([log_title(log, state)]) == ["log   0 actions since 14:00:00Z"]
    log.add(trimmed())
    assert text([log_title(log, state)]) == ["log   1 action since 14:00:00Z"]
    log.add(trimmed())
    log.add(trimmed())
    assert text([log_title(log, state)]) == ["log   the last 2 of 3 actions since 14:00:00Z"]


def test_wide_screens_have_every_figure():
    """At 120 cells: time, action, PID, name, all figures with units, outcome; then the sentence."""
    lines = text(log_lines(filled(trimmed(predicted_bytes=30 * MIB)), KEYS, 120, 10))

    assert lines[:3] == [
        " TIME      ACTION      PID  PROCESS              BEFORE      AFTER    RETURNED   PREDICTED"
        "       HELD   OUTCOME",
        "▌14:00:00Z trim       4711  pool_worker        1.31 GiB   1.28 GiB      31 MiB      30 MiB"
        "    0.19 ms   returned",
        "▌          31 MiB came back.",
    ]


@pytest.mark.parametrize(
    ("width", "kept", "gone"),
    [
        (120, ["PREDICTED", "HELD", "BEFORE", "AFTER", "RETURNED"], []),
        (100, ["HELD", "BEFORE", "AFTER", "RETURNED"], ["PREDICTED"]),
        (80, ["AFTER", "RETURNED"], ["PREDICTED", "HELD", "BEFORE"]),
        (60, ["RETURNED"], ["AFTER"]),
    ],
)
def test_narrow_screens_lose_what_matters_least(width, kept, gone):
    """Prediction goes first, then how long it was held, then the size before."""
    heading = text(log_lines(filled(trimmed()), KEYS, width, 10))[0]

    assert all(name in heading for name in [*kept, "TIME", "ACTION", "PID", "OUTCOME"])
    assert not any(name in heading for name in gone)


@pytest.mark.parametrize("width", [160, 120, 100, 80, 60, 40, 20, 5, 1])
@pytest.mark.parametrize("room", [30, 8, 3, 1, 0])
def test_it_fits(width, room):
    """Never more lines than there is room for; from 60 cells on no line is too long."""
    log = filled(*(trimmed(pid, sentence=f"{pid} " * 40) for pid in range(20)), refused())

    for skip in (0, 5, 20):
        lines = log_lines(log, KEYS, width, room, skip)
        assert len(lines) <= room
        if width >= 60:
            assert all(cells(line) <= width for line in text(lines))


def test_sentences_are_wrapped_whole():
    """A long sentence goes on in further lines, and no word of it is lost."""
    sentence = "Little came back, because what is free lies between what is in use. " * 3
    lines = text(log_lines(filled(trimmed(sentence=sentence)), KEYS, 80, 20))

    said = " ".join(line.strip("▌ ") for line in lines[2:])
    assert said.split() == sentence.split()


def test_refusals_are_warnings_with_a_way_out():
    """Action, outcome and sentence have the colour of a warning; the command stands below."""
    lines = log_lines(filled(refused()), KEYS, 120, 10)

    assert [piece.strip() for piece, role in lines[1] if role == "rising"] == ["gc", "refused"]
    assert ("It is stopped.", "rising") in lines[2]
    assert text(lines)[3] == "▌          →  kill -CONT 12"


def test_unknown_is_a_dash_and_nothing_is_zero():
    """What was not measured is –; what did not come back is 0 MiB."""
    line = text(log_lines(filled(trimmed(returned_bytes=20_000, held_us=None)), KEYS, 120, 9))[1]

    assert "      0 MiB           –          –   returned" in line


def test_signals_have_no_figures():
    """A signal that was sent has neither sizes nor dashes for them."""
    sent = Entry(AT, "TERM", 7, "mailer", "sent", "TERM was sent to 7")
    line = text(log_lines(filled(sent), KEYS, 120, 9))[1]

    assert line.split() == ["▌14:00:00Z", "TERM", "7", "mailer", "sent"]


def test_the_same_is_said_once():
    """Several in a row of which the same is to be said stand together, the sentence below them."""
    log = filled(refused(1), trimmed(2), trimmed(3), trimmed(4, sentence="Other."))
    lines = text(log_lines(log, KEYS, 120, 20))

    assert sum("31 MiB came back." in line for line in lines) == 1
    place = next(i for i, line in enumerate(lines) if " 3  pool_worker" in line)
    assert " 2  pool_worker" in lines[place + 1]
    assert "31 MiB came back." in lines[place + 2]


def test_more_entries_than_room():
    """It says how many older ones there are, and newer ones once they are scrolled away."""
    log = filled(*(trimmed(pid, sentence=f"of {pid}") for pid in range(20)))

    assert text(log_lines(log, KEYS, 120, 11))[-1] == " ] 17 older"
    scrolled = text(log_lines(log, KEYS, 120, 11, skip=6))
    assert scrolled[-1] == " ] 11 older   [ 6 newer"
    assert not any("▌" in line for line in scrolled)
    assert text(log_lines(log, KEYS, 120, 11, skip=19))[-1] == " [ 19 newer"


def test_many_of_one_kind_keep_their_sentence():
    """Where not all fit, the sentence still stands below the last one shown."""
    log = filled(*(trimmed(pid) for pid in range(20)))
    lines = text(log_lines(log, KEYS, 120, 10))

    assert sum("pool_worker" in line for line in lines) == 6
    assert "31 MiB came back." in lines[7]
    assert lines[-1] == " ] 14 older"


def test_an_empty_log_names_the_keys_that_fill_it():
    """Nothing done yet: the keys that act; none with --read-only, and it says so."""
    assert "Nothing has been done" in text(log_lines(Log(), KEYS, 80, 5))[0]
    assert "T trim" in text(log_lines(Log(), KEYS, 80, 5))[0]
    assert "--read-only" in text(log_lines(Log(), (), 80, 5))[0]


def test_hostile_names_are_made_visible():
    """A name or sentence with control characters reaches no terminal raw."""
    entry = trimmed(sentence="\x1b[31mred")._replace(name="a\x1b]0;b\x07")
    shown = "".join(text(log_lines(filled(entry), KEYS, 120, 10)))

    assert "\x1b" not in shown
    assert "\\x1b[31mred" in shown
