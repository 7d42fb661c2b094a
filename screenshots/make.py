"""Makes the pictures of this folder: of recordings, and of the real screen over real processes.

    make screenshots
    python screenshots/make.py objects-120x40-dark      (only this one)

Each of the five incidents has a recording here (record.py makes them) and a picture of it. What a
recording cannot show, dialogs and what is typed, is of living processes: it starts small services
of its own, of which one worker grows, one creeps, one swings and one ends; watches them for a few
minutes, and takes the pictures. A PID namespace of their own keeps the machine's other processes
out of them (needs root; without it they are in the picture, too).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
WATCH_S = 160
CGROUPS = Path("/sys/fs/cgroup/memory/services")  # cgroup v1; without it there are no limits
# Package, module, and how its memory behaves; a module called main starts the rest of its package.
PROCESSES = [
    ("tracker", "main", "calm"),
    ("tracker", "pool_worker", "grows"),
    ("tracker", "pool_worker", "calm"),
    ("tracker", "pool_worker", "calm"),
    ("tracker", "thumbnails", "swings"),
    ("tracker", "migrate", "ends"),
    ("shop", "main", "calm"),
    ("shop", "web_worker", "creeps"),
    ("shop", "web_worker", "calm"),
    ("shop", "web_worker", "calm"),
    ("shop", "web_worker", "calm"),
    ("shop", "mailer", "calm"),
    ("relay", "main", "shrinks"),
    ("cache", "main", "calm"),
    ("voice", "main", "storm"),
    ("render", "main", "request"),
    ("media", "main", "calm"),
    ("media", "frame_worker", "frees"),
    ("media", "frame_worker", "frees"),
    ("ingest", "main", "traps"),
    ("intake", "main", "piles"),
]
LIMITS_MIB = {"tracker": 1536, "voice": 1024, "render": 704}
# Name, cells, theme, ASCII, the keys that are pressed first, and whose subtree it is.
PICTURES = [
    ("anatomy-80x24-dark", (80, 24), "dark", False, "a,wait,a", "ingest"),
    ("objects-120x40-dark", (120, 40), "dark", False, "o,wait,o", "intake"),
    ("objects-80x24-dark", (80, 24), "dark", False, "o,wait,o", "intake"),
    ("snapshot-120x40-dark", (120, 40), "dark", False, "S,y,wait,S,y", "intake"),
    ("why-80x24-dark", (80, 24), "dark", False, "d,wait", "intake"),
    ("trim-120x40-dark", (120, 40), "dark", False, "down,down,T", "media"),
    ("log-120x40-dark", (120, 40), "dark", False, "down,down,T,y,C,y,down,T,y", "media"),
    ("log-80x24-dark", (80, 24), "dark", False, "down,down,C,y", "media"),
    ("main-120x40-dark", (120, 40), "dark", False, "down,down,down,enter"),
    ("main-120x40-light", (120, 40), "light", False, "down,down,down,enter"),
    ("main-160x48-dark", (160, 48), "dark", False, "down,down,down,enter"),
    ("main-80x24-dark", (80, 24), "dark", False, "down,down,down"),
    ("main-80x24-ansi", (80, 24), "ansi", False, "down,down,down"),
    ("main-120x40-ascii", (120, 40), "ansi", True, "down,down,down,enter"),
    ("detail-80x24-dark", (80, 24), "dark", False, "down,down,down,enter"),
    ("signal-80x24-dark", (80, 24), "dark", False, "down,down,down,K,enter"),
    ("palette-80x24-dark", (80, 24), "dark", False, "colon"),
    ("help-120x40-dark", (120, 40), "dark", False, "question_mark"),
    ("filter-80x24-dark", (80, 24), "dark", False, "slash,p,o,o,l,space,r,s,s,greater_than_sign"),
    ("sort-80x24-dark", (80, 24), "dark", False, "s"),
    ("users-80x24-dark", (80, 24), "dark", False, "v,v"),
]
# The same of a recording: its moment, and the keys that lead to the pane with the answer.
INCIDENTS = {
    "s1": ("+300s", "down,down,d"),
    "s2": ("+310s", "a"),
    "s3": ("+286s", "down,down,enter"),
    "s4": ("+320s", "enter"),
    "s5": ("+200s", "enter,tab,tab,tab"),
}
BEHAVIOUR = """
import multiprocessing, os, resource, subprocess, sys, threading, time

started = []

def job(number):
    with open('/proc/self/comm', 'w') as file: file.write('job_process')
    kept = os.urandom(4096) * 256 * (12 + number % 4)
    time.sleep(3600)

def jobs(wanted):
    while len(started) < wanted:
        worker = multiprocessing.get_context('forkserver').Process(target=job, args=(len(started),))
        worker.start()
        started.append(worker)

def request(age):
    if age in started: return
    started.append(age)
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))
    code = "import time; page = b'x' * (290 << 20); time.sleep(%d)" % (20 if age < 100 else 3600)
    subprocess.Popen([sys.executable, '-c', code, '--pdf'], preexec_fn=limit)

def free_half(kept):
    kept += [b'x' * 9000 for _ in range(30_000)]
    del kept[41::2]

def frames(begin):
    kept = [bytes(1887) for _ in range(12_000)][::2]
    while True:
        time.sleep(1)
        if time.monotonic() - begin > 150:  # none of these fits into a hole of those
            kept += [bytes(2467 + 16 * int(time.monotonic() - begin)) for _ in range(80)][::2]

def pile(count):
    from intake import inbox
    for number in range(len(inbox.pending), len(inbox.pending) + count):
        message = inbox.pending[f'message-{number}'] = inbox.Message(number)
        message.parts += [os.urandom(2500) for _ in range(3)]

def live(kind, below=()):
    for module, how in below:
        subprocess.Popen([sys.executable, '-m', module, '--mode', how, '--token', 'not-shown'])
    mib = lambda n: [os.urandom(4096) * 256 for _ in range(n)]
    kept, begin = mib({'grows': 120, 'creeps': 60, 'shrinks': 90}.get(kind, 40)), time.monotonic()
    for _ in range(8 if kind == 'traps' else 0):
        threading.Thread(target=frames, args=(begin,), daemon=True).start()
    while True:
        age = time.monotonic() - begin
        if kind == 'grows': kept += mib(1) if int(age) % 5 else []
        if kind == 'creeps' and age > 60: kept += mib(1) if not int(age) % 13 else []
        if kind == 'frees' and len(kept) == 40: free_half(kept)
        if kind == 'swings': kept[40:] = mib(int(age) % 37)
        if kind == 'shrinks' and age > 80: del kept[50:]
        if kind == 'ends' and age > 135: os._exit(0)
        if kind == 'piles': pile(25)
        if kind == 'storm' and age < 140: jobs(int(age / 5))
        if kind == 'request' and int(age) in (60, 130): request(int(age))
        time.sleep(1)
"""
INBOX = """
pending, cameras = {}, [f'camera-{number}' for number in range(400)]

class Message:
    def __init__(self, number): self.number, self.parts = number, []
"""


def write_services(folder: Path) -> None:
    """The packages that are run: real modules, so that real command lines are in the picture."""
    (folder / "behaviour.py").write_text(BEHAVIOUR)
    for package, module, kind in PROCESSES:
        (folder / package).mkdir(exist_ok=True)
        (folder / package / "__init__.py").touch()
        (folder / package / "inbox.py").write_text(INBOX)
        below = [
            (f"{package}.{name}", how)
            for owner, name, how in PROCESSES
            if owner == package and name != "main"
        ]
        code = "import sys\nfrom behaviour import live\n"
        call = f"live({kind!r}, {below!r})" if module == "main" else "live(sys.argv[2])"
        code += f"if __name__ == '__main__': {call}\n"  # a forkserver imports it again
        (folder / package / f"{module}.py").write_text(code)


def isolated() -> None:
    """Start again in a PID namespace with memory cgroups, where there are some to be had."""
    if os.environ.get("MEMTOP_PICTURES") or os.geteuid() or not shutil.which("unshare"):
        return
    os.environ["MEMTOP_PICTURES"] = "1"
    # A shell is the first process there: what memtop starts itself would be its workers.
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "entrypoint.sh"]
    made = make_cgroups()
    try:
        with tempfile.TemporaryDirectory() as folder:
            words = shlex.join([sys.executable, str(Path(__file__).resolve()), *sys.argv[1:]])
            (Path(folder) / "entrypoint.sh").write_text(f"{words}\nexit $?\n")
            code = subprocess.run(command, cwd=folder).returncode
    finally:
        time.sleep(1)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
    sys.exit(code)


def make_cgroups() -> list[Path]:
    """A memory cgroup for each package and one for memtop, the limits set; what could be made."""
    made: list[Path] = []
    with contextlib.suppress(OSError):
        for name in ("", "memtop", *dict.fromkeys(package for package, _, _ in PROCESSES)):
            folder = CGROUPS / name
            folder.mkdir()
            made.append(folder)
            if name in LIMITS_MIB:
                limit = str(LIMITS_MIB[name] << 20)
                (folder / "memory.limit_in_bytes").write_text(limit)
    return made


def start(package: str, folder: Path) -> int:
    """Start a package as a service of its own, in its cgroup if there is one; its PID."""
    pid_file, place = folder / f"{package}.pid", CGROUPS / package / "cgroup.procs"
    enter = f"echo $$ > {place}; " if place.exists() else ""
    subprocess.run(
        [
            *("setsid", "-f", "sh", "-c", f'echo $$ > {pid_file}; {enter}exec "$@"', "sh"),
            *(str(folder / "python"), "-m", f"{package}.main"),
        ],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(folder)},
        check=True,
    )
    while not (pid_file.exists() and pid_file.read_text().strip()):
        time.sleep(0.05)
    return int(pid_file.read_text())


def draw_incidents(names: list[str]) -> None:
    """The pictures of recordings: the same file always gives the same picture."""
    for name in names:
        at, keys = INCIDENTS[name]
        subprocess.run(
            [
                *(sys.executable, "-m", "memtop", "screenshot", str(HERE / f"{name}.svg")),
                *("--from", str(HERE / f"{name}.memtop"), f"--at={at}", "--keys", keys),
                *("--size", "120x40", "--theme", "dark", "--force"),
            ],
            check=True,
        )


def wanted() -> list[tuple]:
    """The pictures that were named, or all."""
    return [one for one in PICTURES if not sys.argv[1:] or one[0] in sys.argv[1:]]


async def take(tops: dict[str, int]) -> None:
    """Watch, then take each picture; `tops` has the first process of every package."""
    from memtop.model.query import View
    from memtop.model.tracker import Tracker
    from memtop.probe.procfs import ProcfsSource
    from memtop.probe.sample import Wanted
    from memtop.render.picture import as_bytes
    from memtop.tui.app import MemtopApp

    source = ProcfsSource()
    tracker = Tracker(1.0, source.own)
    begin = time.monotonic()
    for second in range(WATCH_S):
        await asyncio.sleep(max(0.0, begin + second - time.monotonic()))
        state = tracker.feed(source.sample(tracker.ask(Wanted())))
    for name, size, theme, ascii_only, keys, *top in wanted():
        app = MemtopApp(
            source,
            tracker,
            state,
            View(fold_many=True, top_pid=tops[top[0]] if top else None),
            theme=theme,
            ascii_only=ascii_only,
            sampling=False,
            portrait_root="/proc",
        )
        async with app.run_test(size=size) as pilot:
            for key in keys.split(","):
                if key == "wait":  # something is to change meanwhile
                    for _ in range(20):
                        await pilot.pause(1.0)
                        app.feed()
                    continue
                await pilot.press(key)
                await pilot.pause(0.3)
                await app.settle()
            if not keys.endswith(("K,enter", "colon", "T")):
                for _ in range(5):  # what is read for the row under the cursor takes some samples
                    app.feed()
                    await pilot.pause(0.7)
            await app.workers.wait_for_complete()
            await pilot.pause(0.2)
            picture = app.picture("svg")
            (HERE / f"{name}.svg").write_bytes(as_bytes(picture, "svg"))
            if name == "main-120x40-dark":
                (HERE / f"{name}.png").write_bytes(as_bytes(picture, "png"))
    source.close()


def main() -> None:
    """Draw the recordings; start the services, take the other pictures, end them."""
    if "MEMTOP_PICTURES" not in os.environ:
        draw_incidents([one for one in INCIDENTS if not sys.argv[1:] or one in sys.argv[1:]])
    if not wanted():
        return
    isolated()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_services(folder)
        python = folder / "python"
        python.symlink_to(sys.executable)
        if (own := CGROUPS / "memtop" / "cgroup.procs").exists():
            own.write_text("0")
        packages = list(dict.fromkeys(package for package, *_ in PROCESSES))
        if all(len(one) > 5 for one in wanted()):  # each of them shows one service
            packages = [package for package in packages if package in [one[5] for one in wanted()]]
        pids = {package: start(package, folder) for package in packages}
        try:
            asyncio.run(take(pids))
        finally:
            for pid in pids.values():
                os.killpg(pid, 9)


if __name__ == "__main__":
    main()
