"""Hours of running, in minutes: the real screen over 1,000 processes of which ten a second change.

`python tests/bench/soak.py [MINUTES]` (30 unless said). Looks at memtop from outside every 10 s,
prints a table, and at the end what it was at the first mark (5 minutes, or half of a run that is
shorter than 10), what it is now, and PASS or FAIL. Exit code 0, 1 (FAIL), 130 (ctrl+c).

As root it runs in a PID namespace of its own, which takes everything along when it ends; to end
it early use ctrl+c, timeout(1) or kill -KILL, since unshare(1) passes no other signal on.
Otherwise every process here ends because a pipe does: its only writer is this process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import NamedTuple

from memtop.probe import parse

SLEEPERS, BIRTHS_PER_S, LIFE_S = 1000, 10, 4.0
ROWS, COLUMNS = 48, 160
EVERY_S, FIRST_MARK_S, WINDOW_S = 10.0, 300.0, 60.0
MOST_GROWTH_MIB, MOST_UNEXPLAINED, MOST_SLOWER = 3.0, 64, 1.25
TICK_HZ = os.sysconf("SC_CLK_TCK")
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)

# The sleepers wait for the end of stdin, so that they end however this process ends.
POPULATION = """
import os, select, signal, sys, time
count, births_per_s, life_s = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
signal.signal(signal.SIGINT, signal.SIG_IGN)
def bear(seconds):
    if os.fork() == 0:
        select.select([0], [], [], seconds)
        os._exit(0)
for _ in range(count):
    bear(None)
print('ready', flush=True)
due = time.monotonic()
while not select.select([0], [], [], max(0.0, due - time.monotonic()))[0]:
    bear(life_s)
    due += 1 / births_per_s
"""


class Look(NamedTuple):
    """What is seen of memtop from outside, `at_s` seconds after its start."""

    at_s: float
    rss_mib: float
    descriptors: int
    living: int
    cpu_s: float
    threads: int
    written: int

    @property
    def unexplained(self) -> int:
        """Descriptors beyond the two that each living process explains."""
        return self.descriptors - 2 * self.living


START = Look(0.0, 0.0, 0, 0, 0.0, 0, 0)


def isolated() -> None:
    """Start again in a PID namespace, so that nothing else is seen and nothing is left."""
    if os.environ.pop("MEMTOP_BENCH", "") or os.geteuid():
        return
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode:
        print("no PID namespaces here: running among all processes", file=sys.stderr)
        return
    os.execvpe(
        unshare[0], [*unshare, sys.executable, *sys.argv], {**os.environ, "MEMTOP_BENCH": "1"}
    )


class Population:
    """The processes that memtop looks at."""

    def __init__(self) -> None:
        numbers = [str(SLEEPERS), str(BIRTHS_PER_S), str(LIFE_S)]
        self._parent = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", POPULATION, *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._parent.stdout is not None
        if self._parent.stdout.readline() != b"ready\n":
            raise SystemExit("the population did not start")

    def is_alive(self) -> bool:
        """Whether births go on."""
        return self._parent.poll() is None

    def end(self) -> None:
        """End all of it."""
        assert self._parent.stdin is not None and self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.stdout.read()  # returns when the last of them has closed it
        self._parent.stdout.close()
        self._parent.wait()


class Screen:
    """memtop in a pty whose terminal swallows everything and answers nothing."""

    def __init__(self) -> None:
        dropped = ("COLORTERM", "NO_COLOR", "LINES", "COLUMNS", "TMUX", "TMUX_PANE")
        env = {key: value for key, value in os.environ.items() if key not in dropped}
        env |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            try:
                size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
                fcntl.ioctl(0, termios.TIOCSWINSZ, size)
                os.execve(sys.executable, [sys.executable, "-m", "memtop", "--interval", "1"], env)
            finally:
                os._exit(127)
        self.started = time.monotonic()
        self.written = 0
        self.latest = b""
        self.ended = False

    def drain(self, until: float) -> None:
        """Swallow what it writes until a moment of the monotonic clock, or its end."""
        while not self.ended and (left := until - time.monotonic()) > 0:
            if not select.select([self._terminal], [], [], left)[0]:
                return
            try:
                data = os.read(self._terminal, 1 << 16)
            except OSError as error:
                if error.errno != errno.EIO:  # EIO: nobody has the other end any more
                    raise
                data = b""
            self.ended = not data
            self.written += len(data)
            self.latest = (self.latest + data)[-2000:]

    def look(self) -> Look:
        """What it is now; OSError when it is gone."""
        with open(f"/proc/{self.pid}/stat", "rb") as file:
            stat = parse.parse_stat(file.read())
        with open(f"/proc/{self.pid}/statm", "rb") as file:
            statm = parse.parse_statm(file.read())
        return Look(
            at_s=time.monotonic() - self.started,
            rss_mib=statm.rss_pages * PAGE_MIB,
            descriptors=len(os.listdir(f"/proc/{self.pid}/fd")),
            living=sum(name.isdigit() for name in os.listdir("/proc")),
            cpu_s=stat.cpu_ticks / TICK_HZ,
            threads=stat.threads,
            written=self.written,
        )

    def end(self) -> int:
        """Ask it to end with `q`, make it end if it does not; its exit code (< 0: the signal)."""
        if not self.ended:
            os.write(self._terminal, b"q")
            self.drain(time.monotonic() + 5)
        if not self.ended:
            os.kill(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._terminal)
        return code


def rate(looks: list[Look], until: Look, window_s: float) -> float:
    """CPU seconds a second in the time before a look."""
    since = min(looks, key=lambda look: abs(look.at_s - (until.at_s - window_s)))
    return (until.cpu_s - since.cpu_s) / max(0.001, until.at_s - since.at_s)


def print_line(look: Look, before: Look) -> None:
    """One line of the table; CPU and bytes a second since the look before."""
    passed_s = max(0.001, look.at_s - before.at_s)
    cpu_ms = (look.cpu_s - before.cpu_s) / passed_s * 1e3
    kib = (look.written - before.written) / passed_s / 1024
    print(
        f"{look.at_s / 60:7.2f} {look.rss_mib:9.2f} {look.descriptors:6} {look.living:7}"
        f" {look.unexplained:12} {cpu_ms:9.1f} {look.threads:8} {kib:8.2f}",
        flush=True,
    )


def verdict(looks: list[Look], total_s: float) -> bool:
    """Print the first mark beside the end; whether the end is as good."""
    mark_s = min(FIRST_MARK_S, total_s / 2)
    window_s = min(WINDOW_S, mark_s / 2)
    mark, last = min(looks, key=lambda look: abs(look.at_s - mark_s)), looks[-1]
    growth_mib = last.rss_mib - mark.rss_mib
    unexplained = max(look.unexplained for look in looks)
    before, after = rate(looks, mark, window_s), rate(looks, last, window_s)
    slower = after / before if before else 0.0
    marks = f"{mark.at_s / 60:.1f} min", f"{last.at_s / 60:.1f} min"
    print(f"\n{'':24} {marks[0]:>10} {marks[1]:>10}")
    lines = (
        ("RSS, MiB", mark.rss_mib, last.rss_mib, growth_mib <= MOST_GROWTH_MIB),
        (
            "descriptors unexplained",
            mark.unexplained,
            last.unexplained,
            unexplained <= MOST_UNEXPLAINED,
        ),
        ("CPU, ms a second", before * 1e3, after * 1e3, slower <= MOST_SLOWER),
    )
    limits = (
        f"{growth_mib:+.2f} MiB (at most +{MOST_GROWTH_MIB:g})",
        f"at worst {unexplained} (at most {MOST_UNEXPLAINED})",
        f"× {slower:.2f} over {window_s:.0f} s (at most {MOST_SLOWER:g})",
    )
    for (name, one, two, good), limit in zip(lines, limits, strict=True):
        print(f"{name:24} {one:10.2f} {two:10.2f}  {'PASS' if good else 'FAIL'}  {limit}")
    return all(good for *_, good in lines)


def watch(screen: Screen, population: Population, total_s: float) -> list[Look]:
    """Look every 10 s until the time is over; a run that ends early is a failure."""
    print("minutes   RSS MiB    fds  living  unexplained  CPU ms/s  threads    KiB/s")
    screen.drain(screen.started + EVERY_S)
    looks: list[Look] = []
    while True:
        if screen.ended or not population.is_alive():
            who = "memtop" if screen.ended else "the population"
            raise SystemExit(
                f"{who} has ended by itself; the terminal last got:\n{screen.latest!r}"
            )
        looks.append(screen.look())
        print_line(looks[-1], looks[-2] if len(looks) > 1 else START)
        due = screen.started + (len(looks) + 1) * EVERY_S
        if due > screen.started + total_s + 1:
            return looks
        screen.drain(due)


def main(minutes: float) -> int:
    """Run it, and end everything whatever happens."""
    population = Population()
    screen = None
    try:
        screen = Screen()
        looks = watch(screen, population, minutes * 60)
        good = verdict(looks, minutes * 60)
        code = screen.end()
        screen = None
        print(f"memtop ended with {code}")
        print("PASS" if good and code == 0 else "FAIL")
        return 0 if good and code == 0 else 1
    except KeyboardInterrupt:
        print("interrupted")
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # impatience must not leave anything behind
        if screen is not None:
            screen.end()
        population.end()


def end_by_signal(*_: object) -> None:
    """SIGTERM and SIGHUP end it as ctrl+c does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    wanted = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    if not 1 <= wanted <= 120:
        raise SystemExit("MINUTES must be between 1 and 120")
    isolated()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, end_by_signal)
    signal.signal(signal.SIGHUP, end_by_signal)
    raise SystemExit(main(wanted))
