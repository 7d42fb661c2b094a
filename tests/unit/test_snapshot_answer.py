"""What a process answers to a snapshot is text of anybody's: read, scaled, or a clear failure."""

import random

import pytest

from memtop.actions.remote.session import Reply
from memtop.actions.remote.snapshot_code import CHUNK, snapshot_code, stride_of
from memtop.actions.result import Result
from memtop.actions.snapshot import judge
from memtop.probe.sample import Identity

ANSWER = """\
container\t__main__.PENDING\tdict\t40000
thread\tMainThread
thread\treader --password=hunter2
gc\t1\t2\t3\t700\t10\t10\t0\t0\t0
type\tPartial\tapp.models\t100000\t10\t0.0\t0.0\t5600000
type\tstr\tbuiltins\t0\t0\t90000.0\t10000.0\t5000000
type\todd\\tna\\nme\\x1b[31m\t?\t1\t1\t0.0\t0.0\t10
task\tpoll\tpending\t3
seen\t{seen}\t100001\t{stride}\t1\t{follows}
held\t0.250000\t0.260000"""


def answer(seen=100001, stride=1, follows=1):
    return ANSWER.format(seen=seen, stride=stride, follows=follows)


def judged(body, head="ok"):
    result = Result("snapshot", 4711, "worker", 1e9, "done", "", Identity(1, 4711), seconds=0.5)
    payload = f"{head}\n{body}".encode("utf-8", "replace")
    return judge(result, Reply("done", payload=payload), "3.11.7")


def types_of(result):
    return {one.type: one for one in result.objects.types}


def test_in_full():
    """Types by bytes, the longest time, a sentence with number, largest type and time; secrets
    masked."""
    result = judged(answer())
    assert result.outcome == "done"
    assert [one.type for one in result.objects.types][:2] == ["Partial", "str"]
    assert (result.objects.sampled, result.objects.error, result.objects.cut) == (
        False,
        None,
        False,
    )
    assert result.objects.gil_s == 0.26
    assert result.objects.threads == ("MainThread", "reader --password=***")
    for words in ("190,001 objects", "app.models.Partial", "__main__.PENDING", "260 ms"):
        assert words in result.meaning
    assert types_of(result)["odd\tna\nme\x1b[31m"].module is None


def test_one_of_some_was_asked():
    """What containers refer to has an error; what the collector tracks has none."""
    result = judged(answer(stride=9))
    assert result.objects.sampled and not result.objects.cut
    assert types_of(result)["Partial"].error == 0
    assert result.objects.error == types_of(result)["str"].error == pytest.approx(0.02)


def test_cut_off():
    """Counts are scaled to all objects; the error is that of so many chunks."""
    result = judged(answer(seen=10 * CHUNK))
    scale = 100001 / (10 * CHUNK)
    assert result.objects.cut and result.objects.sampled
    assert types_of(result)["Partial"].count == round(100_000 * scale)
    assert types_of(result)["Partial"].error == pytest.approx(2 / 10**0.5)
    assert types_of(result)["str"].error == result.objects.error == 1  # it was in no chunk itself
    assert "time was over" in result.meaning


def test_not_followed():
    """Then it says that only tracked objects are in it."""
    result = judged(answer(follows=0))
    assert result.objects.tracked_only
    assert "shares with relatives" in result.objects.missing[0].reason


def test_an_exception_in_it():
    """Its words are the reason, of bounded length."""
    result = judged("MemoryError: " + "x" * 10_000, head="error")
    assert result.outcome == "failed" and "MemoryError" in result.reason
    assert len(result.reason) < 300


@pytest.mark.parametrize("line", range(10))
def test_a_line_is_missing_or_wrong(line):
    """It fails with a sentence, or leaves out what was in the line; it never raises."""
    lines = answer().split("\n")
    for made in (lines[:line] + lines[line + 1 :], [*lines, lines[line].replace("\t", "\t-", 1)]):
        assert judged("\n".join(made)).outcome in ("done", "failed")


def test_garbage():
    """Whatever comes, a result of bounded size."""
    chooser, text = random.Random(1), answer()
    for _ in range(2000):
        at = chooser.randrange(len(text))
        made = text[:at] + chooser.choice("\t\n\\-9eé\x00\ud800") + text[at + 1 :]
        result = judged(made)
        assert result.outcome in ("done", "failed") and len(result.meaning) < 2000


@pytest.mark.parametrize(
    "text", ["\n", "tab\t", "quote'\"", "\\", "\x1b[0m", "ü中\U0001f600", "\ud800"]
)
def test_names(text):
    """What ascii() writes is read as it was; a lone surrogate is replaced."""
    body = answer() + f"\ntype\t{ascii(text)[1:-1]}\tm\t5\t1\t0.0\t0.0\t10"
    assert text.encode("utf-8", "replace").decode() in types_of(judged(body))


def test_many():
    """More lines than it may send are left out; figures are bounded."""
    more = "\n".join(f"container\tm.c{n}\tlist\t{10**18}" for n in range(1000))
    result = judged(more + "\n" + answer())
    assert len(result.objects.containers) == 30
    assert max(one.length for one in result.objects.containers) <= 1 << 48


def test_the_code_is_python():
    """ASCII, and it compiles."""
    compile(snapshot_code(0.1, False).decode("ascii"), "snapshot", "exec")
    assert [stride_of(n) for n in (0, 60_000, 119_999, 120_000, 1_000_000)] == [1, 1, 1, 3, 17]
