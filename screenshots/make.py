"""Makes the pictures of this folder from the real screen over real processes.

    make screenshots

It starts small services of its own, of which one worker grows, one creeps, one swings and one
ends; watches them for a few minutes, and takes the pictures. A PID namespace of their own keeps
the machine's other processes out of them (needs root; without it they are in the picture, too).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
WATCH_S = 160
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
]
# Name, cells, theme, ASCII, and the keys that are pressed first.
PICTURES = [
    ("main-120x40-dark", (120, 40), "dark", False, "down,down,enter"),
    ("main-120x40-light", (120, 40), "light", False, "down,down,enter"),
    ("main-160x48-dark", (160, 48), "dark", False, "down,down,enter"),
    ("main-80x24-dark", (80, 24), "dark", False, "down,down"),
    ("main-80x24-ansi", (80, 24), "ansi", False, "down,down"),
    ("main-120x40-ascii", (120, 40), "ansi", True, "down,down,enter"),
    ("detail-80x24-dark", (80, 24), "dark", False, "down,down,enter"),
    ("signal-80x24-dark", (80, 24), "dark", False, "down,down,K,enter"),
    ("palette-80x24-dark", (80, 24), "dark", False, "colon"),
    ("help-120x40-dark", (120, 40), "dark", False, "question_mark"),
    ("filter-80x24-dark", (80, 24), "dark", False, "slash,p,o,o,l,space,r,s,s,greater_than_sign"),
    ("sort-80x24-dark", (80, 24), "dark", False, "s"),
    ("users-80x24-dark", (80, 24), "dark", False, "v,v"),
]
BEHAVIOUR = """
import os, subprocess, sys, time

def live(kind, below=()):
    for module, how in below:
        subprocess.Popen([sys.executable, '-m', module, '--mode', how, '--token', 'not-shown'])
    mib = lambda n: [os.urandom(4096) * 256 for _ in range(n)]
    kept, begin = mib({'grows': 120, 'creeps': 60, 'shrinks': 90}.get(kind, 40)), time.monotonic()
    while True:
        age = time.monotonic() - begin
        if kind == 'grows': kept += mib(1) if int(age) % 5 else []
        if kind == 'creeps' and age > 60: kept += mib(1) if not int(age) % 13 else []
        if kind == 'swings': kept[40:] = mib(int(age) % 37)
        if kind == 'shrinks' and age > 80: del kept[50:]
        if kind == 'ends' and age > 135: os._exit(0)
        time.sleep(1)
"""


def write_services(folder: Path) -> None:
    """The packages that are run: real modules, so that real command lines are in the picture."""
    (folder / "behaviour.py").write_text(BEHAVIOUR)
    for package, module, kind in PROCESSES:
        (folder / package).mkdir(exist_ok=True)
        (folder / package / "__init__.py").touch()
        below = [
            (f"{package}.{name}", how)
            for owner, name, how in PROCESSES
            if owner == package and name != "main"
        ]
        code = "import sys\nfrom behaviour import live\n"
        code += f"live({kind!r}, {below!r})\n" if module == "main" else "live(sys.argv[2])\n"
        (folder / package / f"{module}.py").write_text(code)


def isolated() -> None:
    """Start again in a PID namespace, where there is one to be had."""
    if os.environ.get("MEMTOP_PICTURES") or os.geteuid() or not shutil.which("unshare"):
        return
    os.environ["MEMTOP_PICTURES"] = "1"
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable]
    os.execvp(command[0], [*command, str(Path(__file__).resolve())])


async def take() -> None:
    """Watch, then take each picture."""
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
        state = tracker.feed(source.sample(Wanted()))
    for name, size, theme, ascii_only, keys in PICTURES:
        app = MemtopApp(
            source,
            tracker,
            state,
            View(),
            theme=theme,
            ascii_only=ascii_only,
            sampling=False,
            portrait_root="/proc",
        )
        async with app.run_test(size=size) as pilot:
            for key in keys.split(","):
                await pilot.press(key)
                await pilot.pause(0.3)
            if not keys.endswith(("K,enter", "colon")):
                for _ in range(3):  # what is read for the row under the cursor takes two samples
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
    """Start the service, take the pictures, end it."""
    isolated()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_services(folder)
        python = folder / "python"
        python.symlink_to(sys.executable)
        services = [
            subprocess.Popen(
                [python, "-m", f"{package}.main"],
                cwd=folder,
                start_new_session=True,
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": name},
            )
            for package, module, _ in PROCESSES
            if module == "main"
        ]
        try:
            asyncio.run(take())
        finally:
            for service in services:
                os.killpg(service.pid, 9)
                service.wait()


if __name__ == "__main__":
    main()
