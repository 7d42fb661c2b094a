"""`memtop trim` and `memtop gc`: what they print, where, how they are cancelled, exit codes."""

import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
import types

import pytest

from memtop import __version__
from memtop.actions.report import exit_code
from memtop.actions.result import Generation, Result
from memtop.cli import main
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.probe.sample import Identity
from memtop.target.memory import Memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

MIB = 1 << 20
WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"
NOBODY = 2**22 + 1  # above the largest PID that Linux gives
COMMON = set(
    "pid started name outcome reason meaning right command held_us seconds rss_before_bytes "
    "rss_after_bytes".split()
)
FIELDS = {
    "trim": COMMON
    | set("returned_bytes predicted_bytes allocator in_use_bytes free_bytes".split()),
    "gc": COMMON | set("collected uncollectable would_unshare_bytes generations".split()),
}


def result(action, target, **values):
    """A result as the action would give it."""
    defaults = {"outcome": "returned", "meaning": "It went well, as expected.", "at": time.time()}
    return Result(
        action,
        target.identity.pid,
        name=target.name,
        identity=target.identity,
        **{**defaults, **values},
    )


@pytest.fixture
def acts(monkeypatch):
    """Puts something in the place of the action; returns what it was called with."""
    calls = []

    def replace(make):
        def perform(action, targets, **options):
            calls.append((action, targets, options))
            for target in targets:
                yield make(action, target, options)

        module = types.ModuleType("memtop.actions.perform")
        module.perform = perform
        monkeypatch.setitem(sys.modules, "memtop.actions.perform", module)
        return calls

    return replace


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


# --- what is asked for


@pytest.mark.parametrize("command", ["trim", "gc"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "PID"),
        (["0"], "'0' is not a PID"),
        (["-5"], "-5"),
        (["abc"], "'abc' is not a PID"),
        (["1.5"], "'1.5' is not a PID"),
        (["٣"], "is not a PID"),
        (["12", "--procfs", "/x"], "--procfs"),
    ],
)
def test_wrong_arguments(command, arguments, words, capsys):
    """Nothing is done; the sentence names what is wrong, also as JSON."""
    assert main([command, *arguments]) == 2
    assert words in capsys.readouterr().err

    assert main([command, "--json", *arguments]) == 2
    document = json.loads(capsys.readouterr().out)
    assert words in document["error"]["reason"]
    assert document["error"]["command"] == f"memtop {command} --help"


def test_no_predict_is_of_trim_only(capsys):
    """A collection predicts nothing."""
    assert main(["gc", "1", "--no-predict"]) == 2
    assert "--no-predict" in capsys.readouterr().err


def test_pids_are_acted_on_once_and_in_order(acts, children, capsys):
    """A PID that is named twice means one process; who that is, is settled before all else."""
    calls = acts(lambda action, target, _: result(action, target, outcome="done"))
    pids = [children.ready(WAIT).pid for _ in range(2)]
    pids.sort(reverse=True)

    assert main(["gc", "--json", "--force", *map(str, [*pids, pids[0]])]) == 0

    ((action, targets, options),) = calls
    assert action == "gc"
    assert [target.identity.pid for target in targets] == pids
    for target in targets:
        stat = parse.parse_stat(read(f"/proc/{target.identity.pid}/stat"))
        assert target.identity == Identity(stat.start_ticks, target.identity.pid)
        assert target.name == stat.name and not target.kernel
    assert options["force"] is True and options["live"] is True and options["root"] == "/proc"
    assert [each["pid"] for each in json.loads(capsys.readouterr().out)["results"]] == pids


def test_force_must_be_said(acts, capsys):
    """Without it, what is refused stays undone."""
    calls = acts(lambda action, target, _: result(action, target))
    main(["trim", str(os.getpid()), "--no-predict"])

    assert calls[0][2]["force"] is False


def test_nothing_is_imported_for_a_process_that_is_not_there(acts, capsys):
    """The answer comes at once; the others are acted on all the same."""
    calls = acts(lambda action, target, _: result(action, target))

    assert main(["trim", str(NOBODY)]) == 4
    assert calls == []
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"memtop: there is no process {NOBODY}\n        memtop ps\n"

    assert main(["trim", str(NOBODY), str(os.getpid())]) == 4
    assert len(calls[0][1]) == 1
    assert str(os.getpid()) in capsys.readouterr().out


def test_the_number_of_a_thread_is_no_pid(children, capsys):
    """/proc shows threads to those who ask; the process is named instead."""
    code = (
        "import threading, time; t = threading.Thread(target=time.sleep, args=(60,), daemon=True);"
        "t.start(); print(t.native_id, flush=True); t.join()"
    )
    child = children.python(code)
    thread = int(child.stdout.readline())

    assert main(["gc", str(thread)]) == 4
    assert capsys.readouterr().err == (
        f"memtop: there is no process {thread}: that is a thread of {child.pid}\n"
        f"        memtop gc {child.pid}\n"
    )


# --- what is printed


@pytest.mark.parametrize("action", ["trim", "gc"])
def test_json_has_every_field_of_the_contract(acts, capsys, action):
    """Figures as they were measured, null where nothing is known, no error where none is."""
    generations = (Generation(3, 0, 0.5), Generation(1000, 2, 0.25))

    def make(action, target, _):
        return result(
            action,
            target,
            held_us=193.456,
            seconds=0.0123456,
            rss_before_bytes=300 * MIB,
            rss_after_bytes=269 * MIB,
            allocator="glibc 2.36",
            in_use_bytes=100,
            free_bytes=200,
            generations=generations if action == "gc" else (),
            would_unshare_bytes=5 if action == "gc" else None,
        )

    acts(make)
    assert main([action, "--json", str(os.getpid())]) == 0
    document = json.loads(capsys.readouterr().out)
    (one,) = document["results"]

    assert set(document) == {"memtop", "taken_at", "results"}
    assert document["memtop"] == __version__ and document["taken_at"].endswith("Z")
    assert set(one) == FIELDS[action]
    assert one["pid"] == os.getpid() and one["outcome"] == "returned" and one["reason"] is None
    assert (one["held_us"], one["seconds"]) == (193.5, 0.0123)
    assert (one["rss_before_bytes"], one["rss_after_bytes"]) == (300 * MIB, 269 * MIB)
    if action == "trim":
        assert one["returned_bytes"] == 31 * MIB and one["predicted_bytes"] is None
        assert (one["allocator"], one["in_use_bytes"], one["free_bytes"]) == (
            "glibc 2.36",
            100,
            200,
        )
    else:
        assert (one["collected"], one["uncollectable"]) == (1003, 2)
        assert one["would_unshare_bytes"] == 5
        assert one["generations"][0] == {"collected": 3, "uncollectable": 0, "seconds": 0.5}


def test_started_is_the_one_of_ps(acts, capsys):
    """The same process has the same moment in both commands."""
    acts(lambda action, target, _: result(action, target))
    main(["trim", "--json", str(os.getpid())])
    (one,) = json.loads(capsys.readouterr().out)["results"]
    main(["ps", "--json", "--pid", str(os.getpid())])
    processes = json.loads(capsys.readouterr().out)["processes"]

    assert one["started"] == next(p["started"] for p in processes if p["pid"] == os.getpid())


def test_text_is_a_line_of_figures_and_a_sentence(acts, capsys):
    """The heading comes once; nothing is on stderr."""
    acts(
        lambda action, target, _: result(
            action,
            target,
            held_us=193.4,
            rss_before_bytes=300 * MIB,
            rss_after_bytes=269 * MIB,
        )
    )
    assert main(["trim", "--no-predict", str(os.getpid()), "1"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()

    assert err == ""
    assert lines[0].split() == "PID PROCESS BEFORE AFTER RETURNED HELD OUTCOME".split()
    assert lines[1].startswith(f"{os.getpid():>7}  ")
    assert lines[1].endswith("300 MiB    269 MiB     31 MiB    0.19 ms   returned")
    assert lines[2] == " " * 9 + "It went well, as expected."
    assert len(lines) == 5
    assert all(len(line) <= 80 for line in lines)


def test_what_was_predicted_stands_beside_what_came_back(acts, children, capsys):
    """A column of its own, – where nothing could be predicted; none for who wanted none."""
    other = children.ready(WAIT).pid
    predicted = {os.getpid(): 31 * MIB, other: None}
    calls = acts(
        lambda action, target, _: result(
            action, target, predicted_bytes=predicted[target.identity.pid]
        )
    )
    main(["trim", str(os.getpid()), str(other)])
    heading, first, _, second, _ = capsys.readouterr().out.splitlines()

    assert heading.split()[-3:] == ["PREDICTED", "HELD", "OUTCOME"]
    assert first.split()[-5:] == ["–", "31", "MiB", "–", "returned"]
    assert second.split()[-4:] == ["–", "–", "–", "returned"]
    assert first.index("31 MiB") + len("31 MiB") == heading.index("PREDICTED") + len("PREDICTED")
    assert calls[-1][2]["predict"] is True

    main(["trim", "--no-predict", str(os.getpid())])
    assert "PREDICTED" not in capsys.readouterr().out
    assert calls[-1][2]["predict"] is False

    main(["gc", str(os.getpid())])
    assert "PREDICTED" not in capsys.readouterr().out


def test_a_prediction_leaves_lines_of_80_cells(acts, monkeypatch):
    """On a narrow terminal name and figures are closer together."""
    acts(
        lambda action, target, _: result(
            action,
            target,
            held_us=193.4,
            predicted_bytes=77 * MIB,
            rss_before_bytes=1300 * MIB,
            rss_after_bytes=1269 * MIB,
        )
    )
    monkeypatch.setenv("TERM", "xterm")
    for cells, longest in ((80, 80), (120, 91)):
        monkeypatch.setattr("memtop.acting.width", lambda _, cells=cells: cells)
        monkeypatch.setattr(sys, "stdout", Terminal())
        main(["trim", str(os.getpid())])
        lines = sys.stdout.getvalue().splitlines()
        assert len(lines[1]) == longest
        assert lines[0].index("PREDICTED") + 9 == lines[1].index("77 MiB") + 6


def test_names_cannot_play_with_the_terminal(acts, children, capsys):
    """A process is called what it likes; the same text is whole in the JSON."""
    child = children.ready(
        "import ctypes; ctypes.CDLL(None).prctl(15, b'\\x1b[31m\\xff\\nx', 0, 0, 0);" + WAIT
    )
    acts(
        lambda action, target, _: result(
            action, target, outcome="failed", reason=f"{target.name} would not", held_us=1.0
        )
    )
    assert main(["trim", str(child.pid)]) == 1
    out, err = capsys.readouterr()
    assert "\\x1b[31m\\xff\\nx" in out and "\\x1b[31m\\xff\\nx" in err
    assert "\x1b" not in out + err

    main(["trim", str(child.pid), "--json"])
    assert json.loads(capsys.readouterr().out)["results"][0]["name"] == "\x1b[31m\ufffd\nx"


def test_a_poor_locale_is_served(acts, monkeypatch):
    """What ASCII cannot show is replaced, not an error."""
    acts(lambda action, target, _: result(action, target, meaning="≈ 3 MiB – größer"))
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)

    assert main(["trim", str(os.getpid())]) == 0
    stream.flush()
    assert b"~ 3 MiB - gr\\xf6\\xdfer" in stream.buffer.getvalue()


def test_progress_is_for_terminals(acts, monkeypatch, capsys):
    """One line that is replaced, and gone before the result comes; a pipe gets none of it."""

    def make(action, target, options):
        options["watch"]("waiting for the GIL")
        return result(action, target)

    acts(make)
    main(["gc", str(os.getpid())])
    assert capsys.readouterr().err == ""

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    main(["gc", str(os.getpid())])
    text = stream.getvalue()
    assert f"gc.collect {os.getpid()} " in text and text.endswith("\r\x1b[K")
    assert "waiting for the GIL" in text and "\n" not in text

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "dumb")
    main(["gc", str(os.getpid())])
    assert stream.getvalue() == ""


def test_progress_names_the_process_that_it_is_about(acts, children, monkeypatch):
    """Of several processes, the one that is being acted on."""
    pids = [children.ready(WAIT).pid for _ in range(2)]

    def make(action, target, options):
        options["watch"](f"about {target.identity.pid}")
        return result(action, target)

    acts(make)
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    main(["trim", str(pids[0]), str(NOBODY), str(pids[1])])

    for pid in pids:
        assert f"trim {pid} " in stream.getvalue().partition(f"about {pid}")[0].rpartition("\r")[2]


# --- what goes wrong


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"outcome": "done"}, 0),
        ({"outcome": "returned"}, 0),
        ({"outcome": "nothing_to_return"}, 0),
        ({"outcome": "not_applicable"}, 0),
        ({"outcome": "refused", "reason": "is stopped"}, 1),
        ({"outcome": "failed", "reason": "no"}, 1),
        ({"outcome": "cancelled", "reason": "no"}, 1),
        ({"outcome": "refused", "reason": "no", "right": "CAP_SYS_PTRACE"}, 3),
        ({"outcome": "failed", "reason": "no", "right": "CAP_SYS_PTRACE"}, 3),
        ({"outcome": "refused", "reason": "has ended", "gone": True}, 4),
    ],
)
def test_exit_codes(acts, capsys, values, code):
    """As the contract says; the error of the JSON is there if, and only if, it is not 0."""
    acts(lambda action, target, _: result(action, target, **values))

    assert main(["trim", "--json", str(os.getpid())]) == code
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert ("error" in document) == (code != 0)
    assert bool(err) == (code != 0)
    if code:
        assert document["error"] == {
            "reason": values["reason"],
            "right": values.get("right"),
            "command": None,
        }
        assert document["results"][0]["reason"] == values["reason"]


def test_of_several_the_worst_counts():
    """Whatever the order: a process that is gone, a missing right, a failure, success."""
    made = {
        code: Result("trim", 1, "", 0.0, outcome, "", right=right, gone=gone)
        for code, outcome, right, gone in (
            (0, "done", None, False),
            (1, "failed", None, False),
            (3, "refused", "root", False),
            (4, "refused", None, True),
        )
    }
    assert exit_code([]) == 0
    for codes in ([0], [1, 0], [0, 1, 3, 1], [4, 3, 0], [0, 3, 1, 4]):
        assert exit_code([made[code] for code in codes]) == max(codes)


def test_a_refusal_says_why_and_what_helps(acts, capsys):
    """On stderr, like every other command; no row of figures that were not measured."""
    acts(
        lambda action, target, _: result(
            action,
            target,
            outcome="refused",
            reason="needs CAP_SYS_PTRACE",
            right="CAP_SYS_PTRACE",
            command=f"sudo memtop trim {target.identity.pid}",
        )
    )
    assert main(["trim", str(os.getpid())]) == 3
    out, err = capsys.readouterr()

    assert out == ""
    assert err == (
        f"memtop: {os.getpid()}: needs CAP_SYS_PTRACE\n        sudo memtop trim {os.getpid()}\n"
    )


def test_ctrl_c_cancels_and_waits(acts, children, capsys):
    """The action is told, and ends by itself; what is known is printed; then 130."""
    pids = [children.ready(WAIT).pid for _ in range(2)]

    def make(action, target, options):
        if target.identity.pid == pids[0]:
            signal.raise_signal(signal.SIGINT)
        assert options["cancel"].wait(5)
        return result(action, target, outcome="cancelled", reason="was cancelled")

    acts(make)
    before = signal.getsignal(signal.SIGINT)
    assert main(["gc", "--json", *map(str, pids)]) == 130

    document = json.loads(capsys.readouterr().out)
    assert [each["outcome"] for each in document["results"]] == ["cancelled", "cancelled"]
    assert document["error"]["reason"] == "was cancelled"
    assert signal.getsignal(signal.SIGINT) is before


# --- for real


@pytest.fixture
def target(children):
    """A Python child that this process may look into."""
    child = children.ready(WAIT)
    try:
        Memory(child.pid, writable=True).close()
    except OSError as error:
        pytest.skip(f"ptrace is not permitted here: {error}")
    return child


def run(*arguments):
    command = [sys.executable, "-m", "memtop", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("action", ["trim", "gc"])
def test_a_real_process(target, action):
    """It is acted on, measured, and lives on."""
    done = run(action, "--json", str(target.pid))
    document = json.loads(done.stdout)
    (one,) = document["results"]

    assert (done.returncode, done.stderr) == (0, "")
    assert set(one) == FIELDS[action]
    assert one["outcome"] in ("done", "returned", "nothing_to_return")
    assert 0 < one["held_us"] < 1e6
    assert one["rss_before_bytes"] > MIB and one["rss_after_bytes"] > MIB
    if action == "trim":
        assert one["allocator"] and one["in_use_bytes"] > 0
    else:
        assert len(one["generations"]) == 3 and one["collected"] >= 0
    assert target.poll() is None


def test_memtop_never_acts_on_itself(capsys):
    """Not even when it is asked to."""
    assert main(["gc", str(os.getpid())]) == 1
    assert "memtop itself" in capsys.readouterr().err


def test_the_whole_command_takes_little(target):
    """Both its processes together take the CPU time of some dozens of bare interpreters."""

    def cpu_s(*command):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    command = (sys.executable, "-m", "memtop", "trim", str(target.pid), "--no-predict")
    whole = min(cpu_s(*command) for _ in range(5))
    bare = min(cpu_s(sys.executable, "-I", "-S", "-c", "") for _ in range(5))

    assert whole < 40 * bare  # 15 to 20 on a quiet machine


def test_no_process_can_be_started(tmp_path, children, monkeypatch, capsys):
    """Where its own Python cannot be started, that is said, and not of the output."""
    child = children.ready("print(1, flush=True); import sys; sys.stdin.read()")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))

    assert main(["trim", str(child.pid)]) == 1
    assert "python cannot be started, which acts on the process" in capsys.readouterr().err
