"""No secret of a real process gets out: not into the file, nor into anything made of it."""

import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="memtop looks into x86_64 only"),
]

SECRET = "sesame4711OPEN"  # short enough to stand in a name of 15 bytes with a sign before it
WAYS = [
    [f"--password={SECRET}"],
    ["--password", SECRET],
    [f"-p{SECRET}"],
    [f"DB_PASSWORD={SECRET}"],
    ["--env=API_KEY=" + SECRET],
    ["--set", f"a=b,auth.token={SECRET}"],
    ["-o", f"username=a,password={SECRET}"],
    [f"Authorization: Bearer {SECRET}"],
    ["Bearer", SECRET],
    [f"redis://bob:{SECRET}@cache:6379/0"],
    [f"bob:{SECRET}@cache"],
    [f"https://{SECRET}:x-oauth-basic@example.org/x"],
    [f"https://example.org/hook?x=1&token={SECRET}"],
    [f'--config={{\\"password\\": \\"{SECRET}\\"}}'],
    [f"os.environ['PASSWORD'] = b'{SECRET}'"],
    [f"first line\n--token\n{SECRET}\nlast line"],
    [b"caf\xe9 \xff --password=\xfe" + SECRET.encode()],
    [f"\x1b]0;x\x07 PASSWORD='{SECRET}' | `x` <b>"],
    [f"hvs.{SECRET}"],
    [f"worker (password {SECRET})"],
]
# It names itself and a thread, as programs do that write their title there, too.
TARGET = """
import ctypes, sys, threading
prctl = ctypes.CDLL(None).prctl
secret = sys.argv[1].partition("=")[2]
def name(text):
    prctl(15, text.encode(), 0, 0, 0)
def rest():
    name("token=" + secret[:9])
    threading.Event().wait()
threading.Thread(target=rest, daemon=True, name="job --token " + secret).start()
name("pw=" + secret[:12])
kept = [bytes(400) for _ in range(20_000)]
print("ready", flush=True)
sys.stdin.read()
"""
# Enough of it to know it again, where 15 bytes are kept.
PARTS = (SECRET[:9].encode(), b"VALUE0815")
SERVICE = """
import subprocess, sys
for argv in eval(sys.stdin.readline()):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", *argv])
print("ready", flush=True)
sys.stdin.read()
"""


def memtop(*arguments, **options):
    command = [sys.executable, "-m", "memtop", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=120, **options)


class Journal:
    """What the journal of a file holds, from time to time while somebody writes."""

    def __init__(self, path):
        self.seen, self._path, self._ended = set(), f"{path}-journal", threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        while not self._ended.wait(0.002):
            try:
                with open(self._path, "rb") as file:
                    self.seen.add(file.read())
            except OSError:
                pass


@pytest.fixture(scope="module")
def tree():
    """A service with children that have secrets in every form: it, and one to be looked into."""
    environ = {**os.environ, "PLAIN_NAME": "envVALUE0815", "API_KEY": "keyVALUE0815"}
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environ}
    options["start_new_session"] = True
    service = subprocess.Popen([sys.executable, "-c", SERVICE], **options)
    inside = subprocess.Popen([sys.executable, "-c", TARGET, f"--api-key={SECRET}"], **options)
    try:
        service.stdin.write(repr(WAYS).encode() + b"\n")
        service.stdin.flush()
        assert service.stdout.readline() and inside.stdout.readline()
        yield service.pid, inside.pid
    finally:
        for one in (service, inside):
            os.killpg(one.pid, 9)
            one.communicate()


@pytest.fixture(scope="module")
def recorded(tree, tmp_path_factory):
    """A recording of them with the answers of all commands, and all that was printed meanwhile."""
    service, inside = tree
    path = tmp_path_factory.mktemp("secret") / "a.memtop"
    printed = []
    with Journal(path) as journal:
        recorder = subprocess.Popen(
            [sys.executable, "-m", "memtop", "record", str(path), "--interval", "0.2"],
            stderr=subprocess.PIPE,
        )
        try:
            while not path.exists() or path.stat().st_size < 50_000:
                assert recorder.poll() is None
                time.sleep(0.05)
            asked = ["anatomy", "census", "snapshot", "trim", "gc"]
            commands = [[one, inside, "--record", path] for one in asked]
            commands += [["diagnose", inside, "--for", "2s", "--record", path]]
            commands += [["mark", path, "level 8"]]
            for command in commands:
                done = memtop(*command)
                printed += [done.stdout, done.stderr]
        finally:
            recorder.terminate()
            printed.append(recorder.communicate(timeout=60)[1])
    done = memtop("report", service, "--for", "1s")
    printed += [done.stdout, done.stderr]
    done = memtop("report", inside, "--for", "1s", "--json")
    printed += [done.stdout, done.stderr]
    return path, printed, journal.seen


def safe(data):
    return not any(part in data for part in PARTS)


def test_the_file_holds_no_secret(recorded):
    """Neither the file has one, nor what is in it put together, nor its journal meanwhile."""
    path, _, journals = recorded
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    rows = [
        value if isinstance(value, bytes) else str(value).encode()
        for table in tables
        for row in connection.execute(f"SELECT * FROM {table.decode()}")
        for value in row
    ]
    commands = connection.execute("SELECT command FROM facts").fetchall()
    kinds = {kind for (kind,) in connection.execute("SELECT kind FROM results")}
    connection.close()
    assert sum(b"time.sleep(600)" in (one or b"") and b"***" in one for (one,) in commands) == len(
        WAYS
    )
    assert kinds >= {b"anatomy", b"census", b"diagnose", b"trim", b"gc", b"snapshot"}
    assert safe(path.read_bytes())
    assert safe(b"\0".join(rows))
    assert any(journals) and all(map(safe, journals))


def test_what_is_printed_holds_no_secret(recorded):
    """No command prints one, in its answer or in its complaints."""
    _, printed, _ = recorded
    assert sum(map(bool, printed)) >= 8
    assert all(map(safe, printed)), [one for one in printed if not safe(one)]


@pytest.mark.parametrize("form", [(), ("--md",), ("--json",)])
def test_reports_hold_no_secret(recorded, form):
    """Nor does a report in any form."""
    done = memtop("report", recorded[0], *form)
    assert done.returncode == 0
    assert b"***" in done.stdout.replace(b"\\", b"") or not form
    assert safe(done.stdout) and safe(done.stderr)


def test_pictures_hold_no_secret(recorded, tree, tmp_path):
    """Nor do the pictures of a report, and those of the screen over a recording."""
    path, _, _ = recorded
    done = memtop("report", path, "--save", tmp_path / "a.md")
    assert done.returncode == 0, done.stderr
    for name, keys in (("0.txt", "enter"), ("1.svg", "enter,tab,tab"), ("2.svg", "d")):
        shot = ["screenshot", tmp_path / name, "--from", path, "--keys", keys, "--pid", tree[1]]
        done = memtop(*shot, "--size", "200x60")
        assert done.returncode == 0, done.stderr
    assert "***" in (tmp_path / "0.txt").read_text()
    made = sorted(tmp_path.iterdir())
    assert len(made) > 5
    for one in made:
        assert safe(one.read_bytes()), one


def test_own_patterns_are_hidden_where_a_process_is_watched(tree, tmp_path):
    """What the settings of a user hide is hidden, too, where a report is about a process."""
    config = tmp_path / "memtop.toml"
    config.write_text("mask = ['time\\.sleep\\(\\d+\\)', 'stdin']\n")
    env = {**os.environ, "MEMTOP_CONFIG": str(config)}
    done = memtop("report", tree[0], "--for", "0.5s", "--json", env=env)
    assert done.returncode == 0, done.stderr
    assert b"import" in done.stdout and b"***" in done.stdout
    assert b"sys.stdin" not in done.stdout and b"time.sleep(6" not in done.stdout
