"""Trim: what is predicted before it, and the sentence after it."""

import struct
import sys
import threading
import time

import pytest

from memtop.actions import perform as acting
from memtop.actions import trim
from memtop.actions.perform import perform, plan_all
from memtop.actions.remote.session import Reply
from memtop.actions.result import Result
from memtop.actions.signals import Target
from memtop.anatomy import predict
from memtop.anatomy.predict import Prediction
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.probe.sample import Identity
from memtop.target.memory import Memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

MIB = 1 << 20
WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"
# Every second block of 3000 bytes is free again: holes smaller than a page. Then 40 blocks of
# 100,000 bytes between others that stay: whole pages, which a trim gives back.
HOLES = """
import ctypes, sys
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def block(size):
    where = malloc(size)
    ctypes.memset(where, 1, size)
    return where
small = [block(3000) for _ in range(8000)]
large = [(block(100_000), block(3000)) for _ in range(40)]
for where in small[::2]:
    free(where)
for where, _ in large:
    free(where)
print('ready', flush=True)
sys.stdin.read()
"""


def judged(before, after, prediction=None, *, in_use=270 * MIB, free=311 * MIB):
    """The sentence after a trim."""
    result = Result(
        "trim",
        4711,
        "shop",
        0.0,
        "done",
        "",
        rss_before_bytes=before,
        rss_after_bytes=after,
        predicted_bytes=prediction and prediction.returns_bytes,
    )
    room = None if in_use is None else struct.pack("<10Q", 0, 0, 0, 0, MIB, 0, 0, in_use, free, 0)
    return trim.judge(result, Reply("done", room=room), prediction).meaning


# -- what it means -----------------------------------------------------------------------------


def test_as_predicted_and_the_rest_is_trapped():
    """The incident: 6 MiB come back, 305 stay between what is in use, and it says why."""
    foreseen = Prediction(6 * MIB, 312 * MIB, 305 * MIB, 14)

    assert judged(1092 * MIB, 1086 * MIB, foreseen) == (
        "6.0 MiB came back to the system, as predicted. 305 MiB of freed memory stay in holes"
        " smaller than a page, in 14 arenas, beside 271 MiB in use: trimming again will not help."
    )


def test_nothing_came_back_as_predicted():
    """No return is a result, too."""
    foreseen = Prediction(0, 305 * MIB, 305 * MIB, 1)
    words = judged(600 * MIB, 600 * MIB, foreseen, in_use=None)

    assert words == (
        "Nothing came back, as predicted. 305 MiB of freed memory stay in holes smaller than a"
        " page, in one arena: trimming again will not help."
    )


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (600, 590, "10 MiB came back to the system, not 31 MiB as predicted: other threads have"),
        (600, 520, "80 MiB came back to the system, not 31 MiB as predicted: other threads have"),
        (600, 600, "Nothing came back, not 31 MiB as predicted: other threads have"),
        (600, 640, "Nothing came back: it took 40 MiB more meanwhile, while 31 MiB were predicted"),
        (600, 569, "31 MiB came back to the system, as predicted."),
        (600, 567, "33 MiB came back to the system, as predicted."),
    ],
)
def test_what_differs_much_is_said(before, after, words):
    """A prediction that was wrong is not passed over; one that is off by a tenth was right."""
    assert words in judged(before * MIB, after * MIB, Prediction(31 * MIB, 99 * MIB, 0, 3))


def test_more_than_the_nothing_that_was_predicted():
    """Zero is written as a word."""
    assert "5.0 MiB came back to the system, not nothing as predicted" in judged(
        600 * MIB, 595 * MIB, Prediction(0, 0, 0, 1)
    )


def test_little_that_stays_is_no_fragmentation():
    """Nobody is told that trimming is of no use where it has returned nearly everything."""
    words = judged(600 * MIB, 380 * MIB, Prediction(220 * MIB, 220 * MIB, 300_000, 9))

    assert words == (
        "220 MiB came back to the system, as predicted."
        " malloc has 271 MiB in use, and hardly anything that is free."
    )


def test_without_a_prediction_nothing_is_concluded():
    """malloc's own figures count what was given back long ago: it says so, and not `trapped`."""
    words = judged(600 * MIB, 590 * MIB)

    assert words.startswith("10 MiB came back to the system. malloc has 271 MiB in use")
    assert words.endswith("part of it perhaps given back already.")
    assert "holes" not in words and "predicted" not in words


def test_why_there_was_no_prediction():
    """The reason follows malloc's own figures."""
    words = judged(600 * MIB, 590 * MIB, Prediction(reason="the arenas of glibc were not found"))

    assert "counts 311 MiB as free" in words
    assert words.endswith("was not predicted: the arenas of glibc were not found.")


def test_a_process_that_has_ended_since():
    """Without RSS afterwards nothing is compared."""
    assert "it has ended since" in judged(600 * MIB, None, Prediction(31 * MIB, 0, 0, 1))


# -- before it ---------------------------------------------------------------------------------


def target_of(pid):
    stat = parse.parse_stat(read(f"/proc/{pid}/stat"))
    return Target(Identity(stat.start_ticks, pid), stat.name)


@pytest.fixture
def targets(children):
    """Python children that this process may look into."""

    def make(count, code=WAIT):
        pids = [children.ready(code).pid for _ in range(count)]
        try:
            Memory(pids[0], writable=True).close()
        except OSError as error:
            pytest.skip(f"ptrace is not permitted here: {error}")
        return [target_of(pid) for pid in pids]

    return make


def test_a_plan_predicts(targets):
    """A trim's plan has what would come back, out of how much; a collection's has none."""
    (one,) = targets(1, HOLES)
    (plan,) = plan_all("trim", [one])
    assert plan.refusal is None
    assert plan.prediction.reason is None
    assert 3 * MIB < plan.prediction.returns_bytes < 8 * MIB
    assert 8 * MIB < plan.prediction.trapped_bytes < 16 * MIB
    assert plan.prediction.freed_bytes >= (
        plan.prediction.returns_bytes + plan.prediction.trapped_bytes
    )

    assert plan_all("trim", [one], predict=False)[0].prediction is None
    assert plan_all("gc", [one])[0].prediction is None


def test_what_was_predicted_comes_back(targets):
    """The real trim returns what was predicted right before, and the sentence says what stays."""
    (one,) = targets(1, HOLES)
    (result,) = perform("trim", [one])

    assert result.outcome == "returned"
    assert abs(result.returned_bytes - result.predicted_bytes) <= 300_000
    assert "came back to the system, as predicted." in result.meaning
    assert "in holes smaller than a page, in one arena" in result.meaning

    (again,) = perform("trim", [one])
    assert again.predicted_bytes < 300_000
    assert "Nothing came back, as predicted." in again.meaning
    (blind,) = perform("trim", [one], predict=False)
    assert blind.predicted_bytes is None and "predicted" not in blind.meaning


def test_what_is_refused_is_not_looked_into(targets, monkeypatch):
    """No time is spent on what will not be trimmed."""
    asked = []
    monkeypatch.setattr(predict, "predict_trim", lambda pid, **_: asked.append(pid) or Prediction())
    (one,) = targets(1)
    gone = Target(one.identity._replace(start_ticks=1), "python")
    first, second = plan_all("trim", [gone, one])

    assert first.refusal.gone and first.prediction is None
    assert second.prediction == Prediction()
    assert asked == [one.identity.pid]


def test_predictions_have_a_time_for_all_of_them(targets, monkeypatch):
    """What does not fit into it is left out, and says so; each gets what is left of it."""
    given = []

    def slow(pid, *, root, cancel, most_s):
        given.append(most_s)
        time.sleep(0.15)
        return Prediction(1, 2, 3, 1)

    monkeypatch.setattr(predict, "predict_trim", slow)
    monkeypatch.setattr(acting, "PREDICTION_S", 0.2)
    plans = plan_all("trim", targets(3))

    assert [plan.prediction.returns_bytes for plan in plans] == [1, 1, None]
    assert plans[2].prediction.reason == "left out: it would take too long"
    assert given[0] == 0.2 and given[1] <= 0.05


def test_looking_at_many_tells_how_far_it_is_and_can_be_left(targets):
    """The number of each target; once cancelled, nothing more is looked at, and nothing done."""
    several, seen, cancel = targets(3), [], threading.Event()

    def watch(number, total):
        seen.append((number, total))
        if number == 2:
            cancel.set()

    plans = plan_all("trim", several, watch=watch, cancel=cancel)
    assert seen == [(1, 3), (2, 3)]
    assert [plan.identity for plan in plans] == [one.identity for one in several]
    assert plans[2].refusal.verdict == "cancelled"

    results = list(perform("trim", several, cancel=cancel))
    assert [result.outcome for result in results] == ["cancelled"] * 3
    assert all(result.predicted_bytes is None for result in results)


def test_cancelled_while_it_predicts(targets, monkeypatch):
    """Then nothing is run in the process."""
    cancel, words = threading.Event(), []

    def cancelled(pid, **_):
        cancel.set()
        return Prediction(reason="cancelled")

    monkeypatch.setattr(predict, "predict_trim", cancelled)
    (result,) = perform("trim", targets(1), cancel=cancel, watch=words.append)

    assert result.outcome == "cancelled" and result.held_us is None
    assert words == ["looking at what it keeps free"]
