"""`memtop census` and `memtop diff`: what they print and keep, where, exit codes."""

import contextlib
import io
import json
import os
import re
import signal
import stat
import sys
from pathlib import Path

import pytest

from memtop.cli import main
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.render.escape import cells

sys.path.insert(0, str(Path(__file__).parent.parent))
from users import NOBODY as SOMEBODY
from users import as_user

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="memtop looks into x86_64 only"),
]

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 2**22 + 1  # above the largest PID that Linux gives
MIB = 1 << 20
COUNT = 20_000
# So many messages; for each line that is written to it as many more, and a big block.
GROWS = f"""
import sys
class Message:
    __slots__ = ('data',)
    def __init__(self):
        self.data = None
kept = [Message() for _ in range({COUNT})]
big = [bytearray(b'x') * {MIB}]
print('ready', flush=True)
for line in sys.stdin:
    kept += [Message() for _ in range({COUNT})]
    big.append(bytearray(b'x') * {MIB})
    print('grown', flush=True)
"""


@pytest.fixture
def child(children):
    return children.ready(GROWS)


def grow(child):
    print("more", file=child.stdin, flush=True)
    assert child.stdout.readline()


def called(*arguments):
    """Exit code, stdout and stderr of the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(map(str, arguments)))
    return code, out.getvalue(), err.getvalue()


def of(document, name):
    """The entry of a type, of a census or of what changed."""
    (found,) = [one for one in document["types"] if one["type"] == name]
    return found


# -- what is asked for -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["census"], "PID"),
        (["census", "0"], "'0' is not a PID"),
        (["census", "1", "2"], "2"),
        (["census", "1", "--top", "0"], "'0' is not a positive number"),
        (["census", "1", "--top", "few"], "'few' is not a positive number"),
        (["census", "1", "--budget", "soon"], "'soon' is not a duration"),
        (["census", "1", "--for", "soon"], "'soon' is not a duration"),
        (["snapshot"], "PID"),
        (["snapshot", "1", "2"], "2"),
        (["snapshot", "1", "--full"], "--full"),
        (["snapshot", "1", "--budget", "soon"], "'soon' is not a duration"),
        (["diff"], "A"),
        (["diff", "a"], "B"),
        (["diff", "a", "b", "c"], "c"),
    ],
)
def test_wrong_arguments(arguments, words):
    """Nothing is done; the sentence names what is wrong, also as JSON."""
    code, out, err = called(*arguments)
    assert (code, out) == (2, "")
    assert words in err and f"memtop {arguments[0]} --help" in err

    code, out, _ = called(*arguments, "--json")
    assert code == 2
    assert words in json.loads(out)["error"]["reason"]


def test_help_names_the_commands(capsys):
    """Whoever asks what memtop can do finds them."""
    with pytest.raises(SystemExit):
        main(["--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert all(f"memtop {name}" in words for name in ("census", "snapshot", "diff"))


@pytest.mark.parametrize("command", ["census", "snapshot"])
def test_there_is_no_such_process(command):
    """Exit code 4; as JSON an object that says so."""
    code, out, err = called(command, NOBODY)
    assert (code, out) == (4, "")
    assert err == f"memtop: there is no process {NOBODY}\n        memtop ps\n"

    code, out, _ = called(command, NOBODY, "--json")
    assert code == 4
    assert json.loads(out)["error"]["command"] == "memtop ps"


def test_a_program_without_python(children):
    """There are no objects to count: it says so, exit code 1."""
    child = children.ready(
        "import os; print('ready', flush=True); os.execvp('sleep', ['sleep', '60'])"
    )
    for _ in range(500):
        if parse.parse_stat(read(f"/proc/{child.pid}/stat")).name == "sleep":
            break
    code, out, err = called("census", child.pid)
    assert (code, out) == (1, "")
    assert "Python" in err


# -- what is printed ---------------------------------------------------------------------------


def test_json_is_one_object_about_this_process(child):
    """Who it is, the types, the owners of big blocks, and how much was looked at."""
    code, out, err = called("census", child.pid, "--json", "--full")
    document = json.loads(out)
    name = parse.parse_stat(read(f"/proc/{child.pid}/stat")).name

    assert (code, err) == (0, "")
    assert (document["pid"], document["name"]) == (child.pid, name)
    assert document["python"] == ".".join(map(str, sys.version_info[:3]))
    assert document["sampled"] is False and document["sampling_error"] is None
    assert 0.999 <= document["coverage"] <= 1
    message = of(document, "Message")
    assert (message["count"], message["module"]) == (COUNT, "__main__")
    assert message["bytes"] == COUNT * 48
    (owner,) = [one for one in document["big_blocks"] if one["type"] == "bytearray"]
    assert owner["count"] == 1 and MIB <= owner["bytes"] <= MIB + 8192
    assert document["big_blocks_python_bytes"] >= MIB
    assert document["objects"] == sum(one["count"] for one in document["types"])
    assert document["changes"] is None and document["missing"] == []
    assert child.poll() is None


def test_started_is_the_one_of_ps(child):
    """The same process has the same moment in both commands."""
    _, out, _ = called("census", child.pid, "--json")
    _, tree, _ = called("ps", "--json", "--pid", child.pid)
    assert json.loads(out)["started"] == json.loads(tree)["processes"][0]["started"]


def test_text_says_who_and_fits(child):
    """The process in the first line; then the types; nothing on stderr, no line over 100 cells."""
    code, out, err = called("census", child.pid)
    lines = out.splitlines()

    assert (code, err) == (0, "")
    assert re.match(rf"{child.pid} \S+   python 3[.\d]+   census   20\d\d-\d\d-\d\dT", lines[0])
    assert re.search(r"Message +__main__ +20,000\b", out)
    assert all(cells(line) <= 100 for line in lines)
    assert all(line == line.rstrip() for line in lines)
    assert "\x1b" not in out


def test_top_is_how_many_types_there_are(child):
    """In the text and in the JSON."""
    _, out, _ = called("census", child.pid, "--json", "--top", "3")
    document = json.loads(out)
    assert len(document["types"]) == 3
    assert document["objects"] > sum(one["count"] for one in document["types"])

    few = called("census", child.pid, "--top", "3")[1].splitlines()
    many = called("census", child.pid, "--top", "12")[1].splitlines()
    assert len(many) - len(few) == 9


def test_ctrl_c_ends_the_counting(child, monkeypatch):
    """Nothing is known then; JSON is an object all the same, and the handler is put back."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(
        "memtop.looking.Progress.show", lambda *_: signal.raise_signal(signal.SIGINT)
    )
    code, out, err = called("census", child.pid, "--json", "--full")

    assert code == 130
    assert json.loads(out)["error"]["reason"] == "cancelled"
    assert err == "memtop: cancelled\n"
    assert signal.getsignal(signal.SIGINT) is before


@ROOT_ONLY
def test_without_the_right(child):
    """Another user's process: exit code 3, which right is missing, and the command that has it."""
    code, out, err = as_user(SOMEBODY, lambda: called("census", child.pid, "--json"))
    error = json.loads(out)["error"]

    assert code == 3
    assert error["right"] == "memory" and str(child.pid) in error["reason"]
    assert error["command"] and error["command"] in err


# -- twice -------------------------------------------------------------------------------------


def test_for_shows_what_has_grown(child, monkeypatch):
    """It counts, waits and counts again: what came meanwhile is the change."""
    todo = [lambda: grow(child)]

    def show(_, words):
        if words.startswith("looks again") and todo:
            todo.pop()()

    monkeypatch.setattr("memtop.looking.Progress.show", show)
    code, out, _ = called("census", child.pid, "--json", "--full", "--for", "0.3s")
    document = json.loads(out)
    changes = document["changes"]

    assert code == 0
    assert changes["since_at"] < document["taken_at"] and changes["seconds"] >= 0.3
    assert of(changes, "Message")["count"] == COUNT
    assert changes["types"][0]["type"] == "bytearray"
    assert of(changes, "bytearray")["bytes"] == pytest.approx(MIB, rel=0.02)


# -- asked of the interpreter ------------------------------------------------------------------


@pytest.fixture
def asleep(children):
    """A process that waits where a thread can be borrowed, with a list in its module."""
    return children.ready(
        "import threading, time\n"
        "class Message:\n"
        "    pass\n"
        "pending = [Message() for _ in range(5000)]\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(0.05)"
    )


@pytest.fixture
def asked(asleep):
    """called('snapshot', …) of it; skips where nobody may do that."""

    def ask(*arguments):
        code, out, err = called("snapshot", asleep.pid, *arguments)
        if code == 3 or ("refused" in out and '"right": null' not in out):
            pytest.skip(f"no right to act on other processes: {err}")
        return code, out, err

    return ask


def test_a_snapshot_as_json(asked, asleep):
    """One result: types, the list by its name, threads; the sums are of all types."""
    code, out, err = asked("--json", "--top", "2")
    (result,) = json.loads(out)["results"]

    assert (code, err) == (0, "")
    assert (result["pid"], result["outcome"]) == (asleep.pid, "done")
    assert len(result["types"]) == 2
    assert result["objects"] > 5000
    pending = {"name": "__main__.pending", "kind": "list", "length": 5000}
    assert pending in result["containers"]
    assert "MainThread" in result["threads"]
    assert asleep.poll() is None


def test_a_snapshot_as_text(asked, asleep):
    """The process first, then types and containers in 100 cells; a sentence ends it."""
    code, out, err = asked("--top", "30")
    *lines, last = out.splitlines()

    assert (code, err) == (0, "")
    assert re.match(rf"{asleep.pid} \S+   python 3[.\d]+   snapshot   20\d\d-", out)
    assert re.search(r"Message +__main__ +5,000\b", out)
    assert "__main__.pending" in out
    assert all(cells(line) <= 100 for line in lines)
    assert last.endswith(".")


def test_snapshots_are_kept_and_compared(asked, tmp_path):
    """--save as of a census; one of each is not compared, and it says why."""
    first, second, census = (tmp_path / name for name in ("a", "b", "c"))
    assert asked("--save", first)[0] == 0
    assert asked("--save", second)[0] == 0
    code, out, err = asked("--save", first)
    assert (code, out) == (1, "") and str(first) in err and "--force" in err

    code, out, _ = called("diff", first, second, "--json")
    document = json.loads(out)
    assert code == 0 and document["source"] == "snapshot"
    assert document["threads"] == ["MainThread"]
    assert all(abs(one["count"]) < 500 for one in document["changes"]["types"])

    assert called("census", document["pid"], "--save", census)[0] == 0
    code, out, err = called("diff", first, census)
    assert (code, out) == (2, "")
    assert "a snapshot" in err and "a census" in err


# -- kept --------------------------------------------------------------------------------------


@pytest.fixture
def two(child, tmp_path):
    """Two censuses of a process that has grown, in files."""
    files = tmp_path / "a.json", tmp_path / "b.json"
    assert called("census", child.pid, "--full", "--save", files[0])[0] == 0
    grow(child)
    assert called("census", child.pid, "--full", "--save", files[1])[0] == 0
    return files


def test_what_was_saved_can_be_compared(two, child):
    """Long after the process has ended: what grew, as JSON and as text."""
    child.kill()
    child.wait()
    code, out, err = called("diff", *two, "--json")
    document = json.loads(out)

    assert (code, err) == (0, "")
    assert of(document["changes"], "Message")["count"] == COUNT
    assert document["pid"] == document["before"]["pid"] == child.pid
    assert document["before"]["taken_at"] < document["taken_at"]
    assert document["started"] is None
    assert len(json.loads(called("diff", *two, "--json", "--top", "1")[1])["types"]) == 1

    code, out, err = called("diff", *two)
    assert (code, err) == (0, "")
    assert re.search(r"Message.*\+20,000", out)
    assert all(cells(line) <= 100 for line in out.splitlines())


def test_files_are_private_and_not_overwritten(two, child):
    """Mode 0600; a second one of that name needs --force, and that is said before the counting."""
    assert stat.S_IMODE(two[0].stat().st_mode) == 0o600
    before = two[0].read_bytes()
    code, out, err = called("census", child.pid, "--save", two[0])
    assert (code, out) == (1, "")
    assert str(two[0]) in err and "--force" in err
    assert two[0].read_bytes() == before

    assert called("census", child.pid, "--save", two[0], "--force")[0] == 0
    assert two[0].read_bytes() != before


def test_a_file_that_cannot_be_written(child, tmp_path):
    """The answer is printed all the same, then why it is not kept: exit code 1."""
    place = tmp_path / "none" / "a.json"
    code, out, err = called("census", child.pid, "--json", "--save", place)
    document = json.loads(out)

    assert code == 1
    assert of(document, "Message")["count"] == COUNT
    assert str(place) in document["error"]["reason"] and str(place) in err


def test_files_in_the_wrong_order(two):
    """It says so, and the command that is right."""
    code, out, err = called("diff", two[1], two[0])
    assert (code, out) == (2, "")
    assert f"memtop diff {two[0]} {two[1]}" in err


@pytest.mark.parametrize("content", [None, "", "{}", "[1]", '{"pid": 1}', "\0\xff", "nan"])
def test_files_that_are_none(two, content):
    """No file, or one of something else: exit code 1 or 2, a reason that names it, no traceback."""
    other = two[0].with_name("other")
    if content is not None:
        other.write_text(content)
    code, out, err = called("diff", other, two[1], "--json")

    assert code in (1, 2)
    assert str(other) in json.loads(out)["error"]["reason"]
    assert str(other) in err and "Traceback" not in err
