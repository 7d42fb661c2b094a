"""A day of recording, made faster than it goes by: size of the file, time to open it and to jump.

`python tests/bench/recording.py [HOURS] [PROCESSES] [FILE]` (24, 200, a temporary one): samples at
2 s of services whose workers grow, are noisy, rest, are born and die; then 1,000 processes for the
CPU that a sample costs. Prints a table with the goals and PASS or FAIL; exit code 0 or 1.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Cgroup, Host, Wanted
from memtop.recording.opening import make
from memtop.recording.recorder import Recorder
from memtop.recording.recording import Recording
from memtop.reports.report import report_of

INTERVAL_S = 2.0
MOST_MIB, MOST_OPEN_S, MOST_JUMP_MS, MOST_CPU_MS, MOST_GROWTH_MIB = 40.0, 0.5, 100.0, 5.0, 2.0
MOST_REPORT_S = 5.0
JUMPS = 60
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class Day:
    """Services of 20 processes each: a main process, workers that grow, swing, step or rest."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._pid = 100
        self._kinds: dict[int, str] = {}
        self._mains: list[int] = []
        self._base: dict[int, int] = {}
        self.source = FakeSource(
            step_s=INTERVAL_S, before_sample=self._move, host=Host("day", 64 << 20, 8 << 20)
        )
        while len(self._kinds) < count:
            main = self._spawn(1, "rest", f"python -m service{len(self._mains)}.main", "python")
            self._mains.append(main)
            for _ in range(min(19, count - len(self._kinds))):
                self._worker(main)

    def _worker(self, main: int) -> None:
        kind = self._random.choices(("grow", "noise", "saw", "rest"), (0.1, 0.25, 0.05, 0.6))[0]
        command = self.source.processes[main].command or ""
        self._spawn(main, kind, command, "pool_worker")

    def _spawn(self, parent: int, kind: str, command: str, name: str) -> int:
        self._pid += 1
        pid = self._pid
        process = self.source.spawn(
            pid,
            parent,
            name,
            self._random.uniform(50, 500),
            command=command,
            exe="/usr/bin/python3",
            cgroup=f"/kubepods/pod{pid % 5}",
            swap_kib=0,
        )
        self._kinds[pid], self._base[pid] = kind, process.rss_kib
        return pid

    def _move(self, source: FakeSource) -> None:
        roll, at = self._random, source.clock_s
        for pid, kind in self._kinds.items():
            process = source.processes[pid]
            if kind == "rest":
                if roll.random() < 0.002:
                    process.rss_kib = self._base[pid] + 4 * roll.randrange(200)
                continue
            if kind == "grow":
                process.rss_kib += 4 * roll.randrange(20)
                if process.rss_kib > 4 << 20:
                    process.rss_kib = self._base[pid]
            elif kind == "noise":
                process.rss_kib = self._base[pid] + 4 * roll.randrange(1500)
            else:
                process.rss_kib = self._base[pid] + 4 * int(at % 45 / 45 * 20_000)
            process.cpu_percent = (
                float(roll.randrange(60)) if roll.random() < 0.2 else process.cpu_percent
            )
            process.state = "R" if roll.random() < 0.1 else "S"
        if roll.random() < 0.05:  # one in 40 s
            pid = roll.choice([one for one in self._kinds if one not in self._mains])
            main = source.processes[pid].ppid
            source.end(pid)
            del self._kinds[pid]
            self._worker(main)
        total = sum(one.rss_kib for one in source.processes.values())
        source.host = Host("day", 64 << 20, (4 << 20) + total)
        source.cgroups = [
            Cgroup(
                f"/kubepods/pod{index}",
                None,
                None,
                32 << 30,
                False,
                limit_file="memory.max",
                current_bytes=total * 205 + roll.randrange(1 << 22),
                working_set_bytes=total * 204,
                floor_bytes=total * 200,
                anon_bytes=total * 198,
                file_bytes=1 << 28,
                kernel_bytes=1 << 24,
                oom_kills=0,
            )
            for index in range(5)
        ]


def own_rss_mib() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * PAGE_MIB


def write_day(path: str, hours: float, count: int) -> list[float]:
    """Record it; own RSS in MiB after each hour."""
    day, tracker = Day(count), Tracker(INTERVAL_S)
    recorder = Recorder(make(path), path)
    seen: list[float] = []
    cpu_s = 0.0
    ticks = round(hours * 3600 / INTERVAL_S)
    for tick in range(ticks):
        state = tracker.feed(day.source.sample(Wanted(all_usage=True)))
        begin = time.process_time()
        recorder.write(state)
        cpu_s += time.process_time() - begin
        if tick % round(3600 / INTERVAL_S) == round(1800 / INTERVAL_S):
            seen.append(own_rss_mib())
    recorder.close()
    print(f"  recording took {cpu_s / ticks * 1000:.2f} ms of CPU a sample of {count} processes")
    return seen


def cost_ms(path: str, count: int, ticks: int = 600) -> tuple[float, float]:
    """CPU of a sample of so many processes: the mean, and the dearest."""
    day, tracker = Day(count), Tracker(INTERVAL_S)
    recorder = Recorder(make(path), path)
    costs: list[float] = []
    for _ in range(ticks):
        state = tracker.feed(day.source.sample(Wanted(all_usage=True)))
        begin = time.process_time()
        recorder.write(state)
        costs.append((time.process_time() - begin) * 1000)
    recorder.close()
    return sum(costs[1:]) / (len(costs) - 1), max(costs[1:])


def jumps_ms(recording: Recording) -> list[float]:
    """CPU of jumps to random samples, with the sparklines of 40 rows."""
    roll = random.Random(2)
    took: list[float] = []
    for _ in range(JUMPS):
        tick = roll.randrange(recording.first_tick, recording.last_tick + 1)
        begin = time.process_time()
        state = recording.state(tick)
        for row in list(state.rows.values())[:40]:
            if row.history is not None:
                row.history.peaks(state.bucket - 39, state.bucket)
        took.append((time.process_time() - begin) * 1000)
    return took


def chart_ms(recording: Recording) -> list[float]:
    """CPU of the chart of 24 h of one process at the end."""
    took: list[float] = []
    state = recording.state(recording.last_tick)
    for row in list(state.rows.values())[:30]:
        if row.history is None:
            continue
        begin = time.process_time()
        last = state.bucket // 20
        row.history.long_spans(last - 287, last)
        took.append((time.process_time() - begin) * 1000)
    return took


def main() -> int:
    """Measure and judge."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 24.0
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    failed = False

    def tell(what: str, value: float, most: float, unit: str) -> None:
        nonlocal failed
        failed |= value > most
        print(f"{'FAIL' if value > most else 'PASS'}  {what:<44} {value:8.2f} {unit} (≤ {most:g})")

    with tempfile.TemporaryDirectory() as folder:
        path = sys.argv[3] if len(sys.argv) > 3 else str(Path(folder) / "day.memtop")
        begin = time.perf_counter()
        rss = write_day(path, hours, count)
        print(f"  {hours:g} h of {count} processes made in {time.perf_counter() - begin:.0f} s")
        print("  own RSS after each hour, MiB:", *(f"{one:.1f}" for one in rss))
        size = os.path.getsize(path) / (1 << 20)
        tell("file of 24 h, 200 processes", size * 24 / hours * 200 / count, MOST_MIB, "MiB")
        if len(rss) > 3:
            tell("own RSS, growth from the third hour on", rss[-1] - rss[2], MOST_GROWTH_MIB, "MiB")
        begin = time.perf_counter()
        recording = Recording(path)
        recording.state(recording.last_tick)
        tell("opening", time.perf_counter() - begin, MOST_OPEN_S, "s")
        jumps = jumps_ms(recording)
        tell(
            f"jump, dearest of {JUMPS} (median {median(jumps):.0f})", max(jumps), MOST_JUMP_MS, "ms"
        )
        charts = chart_ms(recording)
        print(f"  chart of 24 h: median {median(charts):.1f}, dearest {max(charts):.1f} ms")
        begin = time.perf_counter()
        recording.highest()
        print(f"  highest sum: {(time.perf_counter() - begin) * 1000:.0f} ms")
        begin = time.perf_counter()
        seen = len(recording.processes()), sum(1 for _ in recording.trends())
        print(f"  {seen} processes, trends: {(time.perf_counter() - begin) * 1000:.0f} ms")
        begin = time.process_time()
        report_of(recording)
        tell("CPU of a report", time.process_time() - begin, MOST_REPORT_S, "s")
        recording.close()
        mean, dearest = cost_ms(str(Path(folder) / "many.memtop"), 1000)
        tell(f"CPU a sample of 1,000 (dearest {dearest:.1f})", mean, MOST_CPU_MS, "ms")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
