"""`memtop anatomy`: what it prints, where, how it is cancelled, exit codes; of real processes."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Imported here, because another user may not be able to read them later.
import memtop.anatomy.anatomy
import memtop.anatomy.report
import memtop.console
import memtop.looking
import memtop.render.anatomy
from memtop import __version__
from memtop.cli import main
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.render.escape import cells

sys.path.insert(0, str(Path(__file__).parent.parent))
from users import NOBODY as SOMEBODY
from users import SYS_PTRACE, as_user, with_capabilities

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="memtop looks into x86_64 only"),
]

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
MIB = 1 << 20
NOBODY = 2**22 + 1  # above the largest PID that Linux gives
# 20 MiB of objects; for each line that is written to it 30 MiB of big blocks more.
GROWS = """
import sys
kept = [bytes(400) for _ in range(50_000)]
print('ready', flush=True)
for line in sys.stdin:
    kept += [bytearray(b'x') * MIB for _ in range(30)]
    print('grown', flush=True)
""".replace("MIB", str(MIB))


@pytest.fixture
def child(children):
    return children.ready(GROWS)


def run(*arguments, **options):
    """memtop in a process of its own."""
    command = [sys.executable, "-m", "memtop", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def called(*arguments):
    """Exit code, stdout and stderr of the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return code, out.getvalue(), err.getvalue()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


# -- what is asked for -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "PID"),
        (["0"], "'0' is not a PID"),
        (["abc"], "'abc' is not a PID"),
        (["1", "2"], "2"),
        (["1", "--for", "soon"], "'soon' is not a duration"),
        (["1", "--force"], "--force"),
    ],
)
def test_wrong_arguments(arguments, words):
    """Nothing is looked at; the sentence names what is wrong, also as JSON."""
    code, out, err = called("anatomy", *arguments)
    assert (code, out) == (2, "")
    assert words in err and "memtop anatomy --help" in err

    code, out, _ = called("anatomy", "--json", *arguments)
    assert code == 2
    assert words in json.loads(out)["error"]["reason"]


def test_help_names_the_command(capsys):
    """Whoever asks what memtop can do finds it."""
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "memtop anatomy" in capsys.readouterr().out


def test_there_is_no_such_process():
    """Exit code 4; as JSON an object that says so."""
    assert called("anatomy", str(NOBODY)) == (
        4,
        "",
        f"memtop: there is no process {NOBODY}\n        memtop ps\n",
    )
    code, out, _ = called("anatomy", str(NOBODY), "--json")
    document = json.loads(out)
    assert code == 4
    assert set(document) == {"memtop", "taken_at", "error"}
    assert document["error"]["command"] == "memtop ps"


def test_the_number_of_a_thread_is_no_pid(children):
    """The process is named instead."""
    code = (
        "import threading, time; t = threading.Thread(target=time.sleep, args=(60,), daemon=True);"
        "t.start(); print(t.native_id, flush=True); t.join()"
    )
    child = children.python(code)
    thread = int(child.stdout.readline())
    code, _, err = called("anatomy", str(thread))

    assert code == 4
    assert f"that is a thread of {child.pid}" in err
    assert f"memtop anatomy {child.pid}" in err


def test_a_process_that_waits_to_be_reaped(children):
    """It has no memory any more: exit code 4."""
    child = children.ready(GROWS)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    code, out, err = called("anatomy", str(child.pid))
    assert (code, out) == (4, "")
    assert f"{child.pid} has ended" in err


def test_another_hosts_proc_is_not_looked_into(child, monkeypatch, tmp_path):
    """Where /proc does not show memtop itself, PIDs mean something else: it says why it is off."""
    (tmp_path / str(child.pid)).mkdir()
    monkeypatch.setattr("memtop.named.ROOT", str(tmp_path))
    code, out, err = called("anatomy", str(child.pid))

    assert (code, out) == (1, "")
    assert "anatomy is off" in err and "run memtop there" in err


# -- what is printed ---------------------------------------------------------------------------


def test_json_is_one_object_about_this_process(child):
    """Who it is, and parts that sum up to nearly all of its RSS."""
    done = run("anatomy", str(child.pid), "--json")
    document = json.loads(done.stdout)
    stat = parse.parse_stat(read(f"/proc/{child.pid}/stat"))
    parts = {part["id"]: part["bytes"] for part in document["parts"]}

    assert (done.returncode, done.stderr) == (0, "")
    assert document["memtop"] == __version__
    assert (document["pid"], document["name"]) == (child.pid, stat.name)
    assert sum(parts.values()) == pytest.approx(document["rss_bytes"], rel=0.01)
    assert document["explained_bytes"] == sum(parts.values()) - parts.get("other", 0)
    assert parts["python_objects"] == pytest.approx(50_000 * 448, rel=0.2)
    assert document["missing"] == [] and document["changes"] is None
    assert 0 < document["seconds"] < 60
    assert document["arenas"][0]["main"] is True
    assert child.poll() is None


def test_started_is_the_one_of_ps(child):
    """The same process has the same moment in both commands."""
    _, out, _ = called("anatomy", str(child.pid), "--json")
    _, tree, _ = called("ps", "--json", "--pid", str(child.pid))

    assert json.loads(out)["started"] == json.loads(tree)["processes"][0]["started"]


def test_text_says_who_and_fits(child):
    """The process in the first line; then the parts; nothing on stderr, no line over 100 cells."""
    code, out, err = called("anatomy", str(child.pid))
    lines = out.splitlines()

    assert (code, err) == (0, "")
    assert re.match(rf"{child.pid} \S+   python 3[.\d]+.*   20\d\d-\d\d-\d\dT", lines[0])
    assert "python objects" in out and "RSS" in out and "explained" in out
    assert all(cells(line) <= 100 for line in lines)
    assert all(line == line.rstrip() for line in lines)
    assert "\x1b" not in out


def test_text_fits_a_terminal(child, monkeypatch):
    """It is as wide as the terminal is, at most."""
    monkeypatch.setattr("memtop.console.width", lambda _: 60)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main(["anatomy", str(child.pid)]) == 0

    lines = sys.stdout.getvalue().splitlines()
    assert max(map(cells, lines)) <= 60
    assert any("python objects" in line for line in lines)


def test_a_poor_locale_is_served(child):
    """What ASCII cannot show is replaced, not an error."""
    done = run("anatomy", str(child.pid), env={**os.environ, "PYTHONIOENCODING": "ascii"})

    assert done.returncode == 0
    assert done.stdout.isascii() and "\\u" not in done.stdout


def test_names_cannot_play_with_the_terminal(children):
    """A process is called what it likes; the same name is whole in the JSON."""
    code = "import ctypes; ctypes.CDLL(None).prctl(15, b'\\x1b[31m\\xff\\nx', 0, 0, 0);" + GROWS
    child = children.ready(code.replace("\nimport", "import", 1))
    _, out, err = called("anatomy", str(child.pid))
    assert "\\x1b[31m\\xff\\nx" in out and "\x1b" not in out + err

    _, out, _ = called("anatomy", str(child.pid), "--json")
    assert json.loads(out)["name"] == "\x1b[31m\ufffd\nx"


def test_progress_is_for_terminals(child, monkeypatch):
    """How much of how much was read, on a line that is gone when the answer comes."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setenv("TERM", "xterm")
    assert main(["anatomy", str(child.pid), "--for", "0.3s"]) == 0
    text = sys.stderr.getvalue()

    assert re.search(r"reading \d[.\d]* of \d[.\d]* MiB", text)
    assert "looks again in 1 s" in text
    assert text.endswith("\r\x1b[K") and "\n" not in text


@pytest.mark.parametrize(
    ("done", "total", "words"),
    [
        (820 * MIB, 1843 * MIB, "0.80 of 1.80 GiB"),
        (12 * MIB, 310 * MIB, "12 of 310 MiB"),
        (99 * MIB, 9 * MIB, "9.0 of 9.0 MiB"),
        (0, 0, "0.0 of 0.0 MiB"),
    ],
)
def test_amounts_have_one_unit(done, total, words):
    """The part in the unit of the whole, and never more than that."""
    assert memtop.looking._of(done, total) == words


# -- twice -------------------------------------------------------------------------------------


@pytest.fixture
def meanwhile(monkeypatch):
    """Does something once, between the first look and the second one."""

    def do(what):
        todo = [what]

        def show(_, words):
            if words.startswith("looks again") and todo:
                todo.pop()()

        monkeypatch.setattr("memtop.looking.Progress.show", show)

    return do


def test_for_shows_what_has_changed(child, meanwhile):
    """It looks, waits and looks again: the blocks that came meanwhile are the change."""

    def grow():
        print("more", file=child.stdin, flush=True)
        assert child.stdout.readline()

    meanwhile(grow)
    _, out, _ = called("anatomy", str(child.pid), "--json", "--for", "0.3s")
    document = json.loads(out)
    changes = document["changes"]

    assert changes["since_at"] < document["taken_at"]
    assert 0.3 <= changes["seconds"] < 60
    assert 30 * MIB <= changes["rss_bytes"] < 40 * MIB
    assert changes["parts"][0]["bytes"] == pytest.approx(30 * MIB, rel=0.1)
    assert changes["parts"][0]["id"] == "big_blocks"


def test_it_ends_while_it_is_waited_for(child, meanwhile):
    """What is known of it is printed all the same, then why there is no more: exit code 4."""

    def end():
        child.kill()
        child.wait()

    meanwhile(end)
    code, out, err = called("anatomy", str(child.pid), "--json", "--for", "60s")
    document = json.loads(out)

    assert code == 4
    assert document["pid"] == child.pid and document["parts"]
    assert document["error"]["reason"] == f"{child.pid} has ended"
    assert f"{child.pid} has ended" in err


def test_ctrl_c_ends_the_waiting(child, meanwhile):
    """The first answer is printed, then 130."""
    meanwhile(lambda: signal.raise_signal(signal.SIGINT))
    code, out, err = called("anatomy", str(child.pid), "--for", "60s")

    assert code == 130
    assert "python objects" in out
    assert err == "memtop: cancelled\n"


def test_ctrl_c_ends_the_reading(child, monkeypatch):
    """Nothing is known then; JSON is an object all the same, and the handler is put back."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(
        "memtop.looking.Progress.show", lambda *_: signal.raise_signal(signal.SIGINT)
    )
    code, out, err = called("anatomy", str(child.pid), "--json")

    assert code == 130
    assert json.loads(out)["error"]["reason"] == "cancelled"
    assert err == "memtop: cancelled\n"
    assert signal.getsignal(signal.SIGINT) is before


# -- rights ------------------------------------------------------------------------------------


@ROOT_ONLY
def test_without_any_right(child):
    """Another user's process: exit code 3, which right is missing, and the command that has it."""
    code, out, err = as_user(SOMEBODY, lambda: called("anatomy", str(child.pid), "--json"))
    error = json.loads(out)["error"]

    assert code == 3
    assert error["right"] == "smaps"
    assert str(child.pid) in error["reason"]
    assert error["command"] and error["command"] in err


@ROOT_ONLY
def test_a_partial_answer_is_an_answer(children):
    """With smaps alone: parts as smaps has them, what is missing and why, exit code 0."""
    # PR_SET_DUMPABLE: else its files belong to root all the same (proc(5)).
    become = f"import ctypes, os; os.setuid({SOMEBODY}); ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)"
    child = children.ready(become + GROWS)
    code, out, err = with_capabilities(
        SYS_PTRACE, lambda: called("anatomy", str(child.pid), "--json")
    )
    document = json.loads(out)

    assert code == 0
    assert document["arenas"] == [] and document["trim_would_return_bytes"] is None
    assert sum(part["bytes"] for part in document["parts"]) == document["rss_bytes"]
    assert document["missing"][0]["right"] == "memory"
    assert "error" not in document
    assert "memtop: not known: " in err and "needs that user or CAP_DAC" in err

    code, out, _ = with_capabilities(SYS_PTRACE, lambda: called("anatomy", str(child.pid)))
    assert code == 0
    assert "RSS" in out and "files" in out
