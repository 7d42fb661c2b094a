"""The command line: what it prints, where, and its exit codes."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from memtop import __version__
from memtop.cli import main
from memtop.render.report import JSON_FIELDS

CONTRACT = (
    "pid started ppid uid user name command role framework group rss_bytes shared_bytes swap_bytes "
    "pss_bytes peak_bytes cpu_percent threads write_bytes_per_s written_bytes_per_s "
    "rate_bytes_per_s trend since_s cgroup container pod namespace rights"
).split()
GROUP = set(
    "id label role framework pid_parent processes rss_bytes largest_rss_bytes average_rss_bytes "
    "rate_bytes_per_s trend births deaths growing finding".split()
)
CGROUP = set(
    "path container pod namespace qos limit_bytes limit_from current_bytes working_set_bytes "
    "floor_bytes oom_kills oom_group rate_bytes_per_s eta_s capacity".split()
)


def run(*arguments, **options):
    """memtop in a process of its own."""
    command = [sys.executable, "-m", "memtop", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def own(document):
    return next(p for p in document["processes"] if p["pid"] == os.getpid())


def test_json_has_every_field_of_the_contract():
    """`ps --json` prints one object with every promised field, null where nothing is known."""
    done = run("ps", "--json")
    document = json.loads(done.stdout)

    assert done.returncode == 0
    assert done.stderr == ""
    assert list(JSON_FIELDS) == CONTRACT
    assert document["memtop"] == __version__
    assert document["taken_at"].endswith("Z")
    assert all(set(group) == GROUP for group in document["groups"])
    assert all(set(cgroup) == CGROUP for cgroup in document["cgroups"])
    assert set(own(document)) == set(CONTRACT)


def test_json_tells_the_truth_about_this_process():
    """PID, parent, owner, memory, threads and start of a real process are right."""
    process = own(json.loads(run("ps", "--json").stdout))
    with open("/proc/self/statm") as file:
        rss = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    assert process["ppid"] == os.getppid()
    assert process["uid"] == os.getuid()
    assert process["rss_bytes"] == pytest.approx(rss, rel=0.1)
    assert process["peak_bytes"] >= process["rss_bytes"] * 0.95
    assert process["swap_bytes"] is not None
    assert process["threads"] >= 1
    assert process["cpu_percent"] is None or process["cpu_percent"] >= 0
    assert process["rate_bytes_per_s"] is None
    assert process["role"] in ("main", "worker")  # a worker where tests run in several processes
    assert process["trend"] is None or process["trend"] == "new"
    assert "smaps" in process["rights"]
    assert process["started"] < time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def test_watching_gives_rates(children):
    """With `--for` there are rates: of memory that grows, and of CPU."""
    code = (
        "import time; print(1, flush=True); kept = []\n"
        "while True: kept.append(bytearray(b'x') * 1_000_000); time.sleep(0.1)"
    )
    child = children.ready(code)

    done = run("ps", "--json", "--for", "21s", f"pid={child.pid}")

    document = json.loads(done.stdout)
    assert document["watched_s"] >= 20.5
    (process,) = document["processes"]
    assert process["rate_bytes_per_s"] == pytest.approx(1e7, rel=0.25)
    assert process["cpu_percent"] is not None
    assert process["written_bytes_per_s"] is not None


def test_text_is_a_tree(children):
    """`ps` prints headings and one line a process, children below their parents."""
    child = children.ready("print(1, flush=True); input()", "a-word-to-find")

    lines = run("ps", "--pid", str(os.getpid())).stdout.splitlines()

    assert lines[0].split()[0] == "PID"
    assert lines[0].endswith("PROCESS")
    places = [int(line.split()[0]) for line in lines[1:]]
    assert places.index(os.getpid()) < places.index(child.pid)
    found = next(line for line in lines if "a-word-to-find" in line and str(child.pid) in line)
    assert "└─ " in found or "├─ " in found


def test_filters_and_columns(children):
    """Words filter, `--columns` chooses, `--sort` orders."""
    child = children.ready("print(1, flush=True); input()", "a-word-to-find")

    done = run("ps", "a-word-to-find", f"pid={child.pid}", "--columns", "pid,peak,command")

    lines = [line for line in done.stdout.splitlines() if f"{child.pid} " in line]
    assert done.stdout.split()[:3] == ["PID", "PEAK", "PROCESS"]
    assert "MiB" in lines[0]


def test_a_word_that_is_no_command_filters():
    """`memtop WORD` without a terminal prints what `ps WORD` prints."""
    done = run(f"pid={os.getpid()}", stdin=subprocess.DEVNULL)

    assert done.returncode == 0
    assert f"{os.getpid()}" in done.stdout
    assert run("--", "ps", stdin=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("ps", "rss>"), 2, "nothing to compare rss with"),
        (("ps", "colour=red"), 2, "no column 'colour'"),
        (("ps", "--interval", "0.01"), 2, "less than 0.1 s"),
        (("ps", "--interval", "soon"), 2, "not a duration"),
        (("ps", "--sort", "beauty"), 2, "no column 'beauty'"),
        (("ps", "--nonsense"), 2, "--nonsense"),
        (("ps", "--pid", "4194304"), 4, "no process 4194304"),
        (("ps", "--procfs", "/nonexistent"), 1, "cannot read /nonexistent"),
        (("ps", "--procfs", "/usr"), 1, "holds no process folders"),
        (("screenshot",), 2, "no file to write"),
        (("screenshot", "x.gif"), 2, "neither in .svg"),
        (("screenshot", "x.svg", "--size", "huge"), 2, "not a size"),
    ],
)
def test_errors_are_sentences_with_exit_codes(arguments, code, words, tmp_path):
    """What goes wrong is said in one sentence on stderr, with the exit code of its kind."""
    done = run(*arguments, cwd=tmp_path)

    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_wrong_filter_is_pointed_at():
    """Below the filter a caret stands where it is wrong."""
    lines = run("ps", "redis", "rss>x").stderr.splitlines()

    assert lines[1] == "        redis rss>x"
    assert lines[2] == "        " + " " * 10 + "^"


def test_filters_and_orders_read_what_they_need(children):
    """A filter by a figure that is not shown works all the same."""
    code = "kept = bytearray(b'x') * (300 << 20); del kept; print(1, flush=True); input()"
    child = children.ready(code)

    assert f"{child.pid} " in run("ps", "peak>290m", f"pid={child.pid}").stdout


def test_a_process_that_dies_while_watched_is_gone(children):
    """`--pid` of a process that ended meanwhile is exit code 4."""
    child = children.ready("import time; print(1, flush=True); time.sleep(1.5)")
    threading.Thread(target=child.wait, daemon=True).start()  # so that it is no zombie

    assert run("ps", "--pid", str(child.pid), "--for", "3s").returncode == 4


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "<&- >/dev/null"])
def test_closed_and_full_streams(redirection):
    """Output that cannot be written is an error in one sentence; a closed stream is none."""
    line = f"{sys.executable} -m memtop ps {redirection}; echo code $? >&2"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)

    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == ("code 1" if "full" in redirection else "code 0")


def test_names_that_are_no_utf8_are_json(children):
    """Every parser can read the names; foreign bytes become U+FFFD."""
    code = "import ctypes; ctypes.CDLL(None).prctl(15, b'bad\\xff', 0, 0, 0);"
    child = children.ready(code + "print(1, flush=True); input()")
    document = json.loads(run("ps", "--json").stdout)

    process = next(p for p in document["processes"] if p["pid"] == child.pid)
    assert process["name"] == "bad\ufffd"
    json.dumps(document, ensure_ascii=False).encode("utf-8")


def test_json_holds_an_object_on_failure_too():
    """With `--json` stdout has one object whose `error` says why."""
    done = run("ps", "--json", "--pid", "4194304")

    assert done.returncode == 4
    error = json.loads(done.stdout)["error"]
    assert set(error) == {"reason", "right", "command"}
    assert "no process 4194304" in error["reason"]


def test_version_and_help(capsys):
    """They print and exit with 0, without a screen."""
    for arguments, words in (
        (["--version"], f"memtop {__version__}"),
        (["--help"], "FILTER"),
        (["ps", "--help"], "--for"),
        (["screenshot", "--help"], "OUT.svg"),
    ):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 0
        assert words in capsys.readouterr().out


def test_a_reader_that_leaves_is_no_error():
    """`memtop ps | head -1` ends quietly."""
    line = f"{sys.executable} -m memtop ps | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)

    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("0", "141")


def test_a_poor_locale_is_served():
    """Where only ASCII can be printed, it is."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = run("ps", "--pid", str(os.getpid()), env=environment)

    assert done.returncode == 0
    assert done.stdout.isascii()


def test_pictures(tmp_path):
    """`screenshot` writes what its ending says, from the real screen, and overwrites nothing."""
    for name, head in (("a.svg", b"<svg"), ("a.txt", b" host "), ("a.png", b"\x89PNG")):
        path = tmp_path / name
        done = run("screenshot", str(path), "--size", "80x24", "--for", "1", "--fake", "40:5")
        assert done.returncode == 0, done.stderr
        assert path.read_bytes().startswith(head)
        assert path.stat().st_mode & 0o777 == 0o600
    assert "fonts.cdn" not in (tmp_path / "a.svg").read_text()
    assert "http" not in (tmp_path / "a.svg").read_text().replace("http://www.w3.org/2000/svg", "")
    text = (tmp_path / "a.txt").read_text().splitlines()
    assert len(text) == 24
    assert max(map(len, text)) <= 80
    again = run("screenshot", str(path), "--fake", "40:5", "--for", "1")
    assert again.returncode == 1
    assert "exists" in again.stderr


def test_keys_are_pressed_for_a_picture(tmp_path):
    """`--keys` act on the screen before the picture is taken."""
    path = tmp_path / "help.txt"
    run("screenshot", str(path), "--keys", "question_mark", "--for", "1", "--fake", "9")

    assert "keys and signs" in path.read_text()
