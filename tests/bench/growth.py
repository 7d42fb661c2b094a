"""Traces of kinds of growth that the labelled public ones do not hold, and what a detector costs.

    growth.py write FILE.jsonl.gz [SEED]   labelled traces, one JSON object a line
    growth.py cost                         time a sample, bytes a process, worst and mean tick

A trace has `id label leak dt_s rss_kib true_slope_mib_h onset_s end_s grace source`. Grace is time
in which growth is real but bounded: start-up, a climb plus 40 % of its length, a first cycle.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

from memtop.model.growth import GrowthDetector

KIB_IN_MIB = 1024
Trace = dict[str, Any]


class Scene:
    """One trace in the making: `size` samples every `dt` seconds, sizes in MiB."""

    def __init__(self, rnd: random.Random) -> None:
        self.rnd = rnd
        self.dt = rnd.choice((1, 1, 2, 5, 10, 30, 60))
        self.size = rnd.choice((600, 900, 1200, 1800, 2400))
        self.base = 10 ** rnd.uniform(1.1, 3.2)
        self.total_s = (self.size - 1) * self.dt
        ramp = rnd.randrange(2, max(3, self.size // 40))
        self.ramp_s = ramp * self.dt
        self.values = [self.base * min(1.0, (i + 1) / ramp) for i in range(self.size)]
        self.grace = [(0.0, self.ramp_s * 1.4)]

    def put(self, shape: Callable[[float], float]) -> Scene:
        """Add a function of the share of the trace that has passed (0 to 1)."""
        for i in range(self.size):
            self.values[i] += shape(i / (self.size - 1))
        return self

    def noise(self, mib: float, memory: float = 0.0) -> Scene:
        """Gaussian noise of this deviation; `memory` is the autocorrelation of neighbours."""
        level, fresh = 0.0, math.sqrt(1 - memory * memory)
        for i in range(self.size):
            level = memory * level + fresh * self.rnd.gauss(0, mib)
            self.values[i] += level
        return self

    def bound(self, until: float) -> Scene:
        """Growth up to this share of the trace is real but bounded."""
        self.grace.append((0.0, until * self.total_s * 1.4))
        return self

    def trace(
        self, label: str, leak: tuple[float, float] | None = None, grown: float = 0.0
    ) -> Trace:
        """`leak`: from and to which share of the trace it leaks, `grown` MiB in that time."""
        long_s = (leak[1] - leak[0]) * self.total_s if leak else 1.0
        return {
            "label": label,
            "leak": leak is not None,
            "dt_s": self.dt,
            "rss_kib": [max(0, int(mib * KIB_IN_MIB)) & ~3 for mib in self.values],
            "true_slope_mib_h": grown / long_s * 3600 if leak and grown else None,
            "onset_s": leak[0] * self.total_s if leak else None,
            "end_s": leak[1] * self.total_s + (self.dt if leak[1] == 1 else 0) if leak else None,
            "grace": self.grace,
            "source": "synthetic",
        }


def amount(scene: Scene, least: float = 0.04, most: float = 0.6) -> float:
    """MiB that a leak adds over the trace."""
    return max(4.0, scene.base * scene.rnd.uniform(least, most))


def saw(period: float, phase: float = 0.0) -> Callable[[float], float]:
    """Rises from 0 to 1 in each period and falls at once."""
    return lambda x: ((x + phase) / period) % 1.0


# -- leaks ----------------------------------------------------------------------------------------


def load_leak(s: Scene) -> Trace:
    """Leaks only as fast as a load that swings goes: half of each cycle rests."""
    grown, cycles = amount(s), s.rnd.randrange(4, 16)
    gain = [max(0.0, math.sin(2 * math.pi * cycles * i / s.size)) for i in range(s.size)]
    rate = grown / sum(gain)
    level = 0.0
    for i, share in enumerate(gain):
        level += rate * share
        s.values[i] += level
    return s.noise(grown * 0.01).trace("load_leak", (0.03, 1.0), grown)


def paged_leak(s: Scene) -> Trace:
    """A leak seen in steps of a huge page of 2 MiB."""
    grown = max(24.0, amount(s))
    s.put(lambda x: grown * x)
    s.values = [mib // 2 * 2 for mib in s.values]
    return s.trace("paged_leak", (0.03, 1.0), grown)


def huge_leak(s: Scene) -> Trace:
    """30 GiB with noise of 1 %, leaking 6 to 20 %."""
    scale = 30 * 1024 / s.base
    s.values = [mib * scale for mib in s.values]
    grown = 30 * 1024 * s.rnd.uniform(0.06, 0.2)
    s.put(lambda x: grown * x).noise(300, 0.5)
    return s.trace("huge_leak", (0.03, 1.0), grown)


def two_rates(s: Scene) -> Trace:
    """A leak that becomes 3 to 6 times as fast, or as slow, half way."""
    grown, fold = amount(s), s.rnd.choice((1 / 5, 1 / 3, 3, 5))
    s.put(lambda x: grown * (min(x, 0.5) + fold * max(0.0, x - 0.5)) / (0.5 + 0.5 * fold))
    return s.noise(grown * 0.015).trace("two_rates", (0.03, 1.0))


def gc_floor(s: Scene) -> Trace:
    """Garbage comes and goes, and a part of it stays each time."""
    grown, teeth = amount(s), s.rnd.randrange(6, 30)
    high = grown * s.rnd.uniform(0.1, 0.5)
    s.put(lambda x: grown * math.floor(x * teeth) / teeth)
    s.put(lambda x: high * saw(1 / teeth)(x)).noise(grown * 0.005)
    return s.trace("gc_floor", (0.03, 1.0), grown)


def swap_drops(s: Scene) -> Trace:
    """A leak of which a part is swapped out now and then."""
    grown = max(20.0, amount(s, 0.3, 1.0))
    drops = sorted(s.rnd.uniform(0.35, 0.9) for _ in range(s.rnd.randrange(1, 3)))
    sizes = [s.rnd.uniform(0.05, 0.2) * s.base for _ in drops]
    s.put(lambda x: grown * x)
    s.put(lambda x: -sum(mib for at, mib in zip(drops, sizes, strict=True) if x > at))
    return s.noise(grown * 0.01).trace("swap_drops", (0.03, 1.0), grown)


def tiny_under_saw(s: Scene) -> Trace:
    """0.5 to 2 MiB an hour below a sawtooth of 6 MiB."""
    s.dt = s.rnd.choice((10, 30, 60))
    s.size = 2400 if s.dt < 30 else 1200
    s = _again(s)
    grown = max(6.0, s.rnd.uniform(0.5, 2.0) * s.total_s / 3600)
    period = s.rnd.uniform(8, 30) / s.size
    s.put(lambda x: grown * x).put(lambda x: 6 * saw(period)(x)).noise(0.2)
    return s.trace("tiny_under_saw", (0.03, 1.0), grown)


def _again(s: Scene) -> Scene:
    """The same scene with another dt and size."""
    dt, size = s.dt, s.size
    fresh = Scene(s.rnd)
    fresh.dt, fresh.size = dt, size
    fresh.total_s = (size - 1) * dt
    ramp = 8
    fresh.ramp_s = ramp * dt
    fresh.values = [fresh.base * min(1.0, (i + 1) / ramp) for i in range(size)]
    fresh.grace = [(0.0, fresh.ramp_s * 1.4)]
    return fresh


def late_leak(s: Scene) -> Trace:
    """Rests for long, and then leaks."""
    grown, at = amount(s), s.rnd.uniform(0.4, 0.7)
    s.put(lambda x: grown * max(0.0, x - at) / (1 - at)).noise(grown * 0.02, 0.3)
    return s.trace("late_leak", (at, 1.0), grown)


def burst_leak(s: Scene) -> Trace:
    """Leaks by requests that come in bunches, of very unequal sizes."""
    grown = amount(s)
    steps = [0.0] * s.size
    for _ in range(s.rnd.randrange(40, 120)):
        steps[s.rnd.randrange(s.size)] += s.rnd.lognormvariate(0, 0.8)
    scale, level = grown / sum(steps), 0.0
    for i, step in enumerate(steps):
        level += step * scale
        s.values[i] += level
    return s.noise(0.05).trace("burst_leak", (0.03, 1.0), grown)


def wandering_leak(s: Scene) -> Trace:
    """A leak in noise that remembers."""
    grown = amount(s)
    s.put(lambda x: grown * x).noise(grown * 0.05, 0.95)
    return s.trace("wandering_leak", (0.03, 1.0), grown)


def spiky_leak(s: Scene) -> Trace:
    """A leak below short spikes that are as high as all it leaks."""
    grown = amount(s)
    s.put(lambda x: grown * x).noise(grown * 0.005)
    for i in range(s.size):
        if s.rnd.random() < 0.15:
            s.values[i] += grown * s.rnd.expovariate(1.0)
    return s.trace("spiky_leak", (0.03, 1.0), grown)


def daily_leak(s: Scene) -> Trace:
    """A trend under a daily swing that is as high as a quarter of it."""
    grown, cycles = amount(s, 0.2, 0.8), s.rnd.randrange(3, 7)
    s.put(lambda x: grown * x)
    s.put(lambda x: -0.12 * grown * math.cos(2 * math.pi * cycles * x)).noise(grown * 0.005)
    return s.trace("daily_leak", (0.03, 1.0), grown)


def warm_then_leak(s: Scene) -> Trace:
    """A warm-up that bends over, with a leak below it all the time."""
    grown, warm = amount(s), s.base * s.rnd.uniform(0.2, 1.0)
    tau = s.rnd.uniform(0.02, 0.08)
    s.put(lambda x: grown * x + warm * (1 - math.exp(-x / tau))).noise(grown * 0.01)
    return s.trace("warm_then_leak", (0.03, 1.0), grown)


def stopped_leak(s: Scene) -> Trace:
    """Leaks, and is mended; what it took stays."""
    grown, until = amount(s), s.rnd.uniform(0.35, 0.6)
    s.put(lambda x: grown * min(1.0, x / until)).noise(grown * 0.01)
    return s.trace("stopped_leak", (0.03, until), grown)


# -- no leaks -------------------------------------------------------------------------------------


def batches(s: Scene) -> Trace:
    """Jobs come periodically: memory climbs, stays, returns."""
    jobs, high = s.rnd.randrange(5, 40), s.base * s.rnd.uniform(0.1, 1.5)
    busy, climb = s.rnd.uniform(0.3, 0.8), s.rnd.uniform(0.05, 0.9)

    def job(x: float) -> float:
        at = (x * jobs) % 1.0 / busy
        return high * min(1.0, at / climb) if at < 1 else 0.0

    s.grace.append((0.0, s.total_s / jobs * 1.1))
    return s.put(job).noise(high * 0.01).trace("batches")


def daily(s: Scene) -> Trace:
    """A daily swing without a trend."""
    cycles, high = s.rnd.randrange(3, 7), s.base * s.rnd.uniform(0.05, 0.5)
    s.put(lambda x: high * (1 - math.cos(2 * math.pi * cycles * x)) / 2).noise(high * 0.02)
    s.grace.append((0.0, s.total_s / cycles))
    return s.trace("daily")


def cold_cache(s: Scene) -> Trace:
    """A cache that fills evenly for long and is full then."""
    high, until = s.base * s.rnd.uniform(0.2, 1.5), s.rnd.uniform(0.1, 0.5)
    s.put(lambda x: high * min(1.0, x / until)).noise(high * 0.01)
    return s.bound(until).trace("cold_cache")


def slow_warm(s: Scene) -> Trace:
    """A cache that fills the slower the fuller it is."""
    high, tau = s.base * s.rnd.uniform(0.2, 1.5), s.rnd.uniform(0.03, 0.15)
    s.put(lambda x: high * (1 - math.exp(-x / tau))).noise(high * 0.005)
    return s.bound(3 * tau).trace("slow_warm")


def two_warm(s: Scene) -> Trace:
    """A second warm-up after a deployment or a new kind of traffic."""
    high, tau, at = s.base * s.rnd.uniform(0.1, 0.8), s.rnd.uniform(0.01, 0.05), 0.5
    for begin in (0.0, at):
        s.put(lambda x, b=begin: high * (1 - math.exp(-max(0.0, x - b) / tau)))  # type: ignore[misc]
        s.grace.append((begin * s.total_s, (begin + 3 * tau * 1.4) * s.total_s))
    return s.noise(high * 0.01).trace("two_warm")


def late_trims(s: Scene) -> Trace:
    """Arenas grow by steps and are trimmed at random moments."""
    level, high = 0.0, s.base * s.rnd.uniform(0.1, 0.6)
    every = s.rnd.randrange(20, 120)
    for i in range(s.size):
        if s.rnd.random() < 6 / every:
            level = min(high, level + s.rnd.uniform(0, high / 8))
        if s.rnd.random() < 1 / every:
            level *= s.rnd.uniform(0.1, 0.7)
        s.values[i] += level
    s.grace.append((0.0, min(0.3, 3 * every / s.size) * s.total_s))
    return s.trace("late_trims")


def wandering(s: Scene) -> Trace:
    """Noise that remembers for 20 to 200 samples."""
    high = s.base * s.rnd.uniform(0.02, 0.15)
    s.noise(high, 1 - 1 / s.rnd.uniform(20, 200))
    s.grace.append((0.0, 0.15 * s.total_s))
    return s.trace("wandering")


def huge_calm(s: Scene) -> Trace:
    """30 GiB with noise of 1 %."""
    scale = 30 * 1024 / s.base
    s.values = [mib * scale for mib in s.values]
    return s.noise(300, s.rnd.choice((0.0, 0.5, 0.9))).trace("huge_calm")


def elastic_pool(s: Scene) -> Trace:
    """A sum of workers that come and go with the load."""
    workers, mean = 6.0, s.rnd.uniform(4, 12)
    each, stay = s.base / 8, s.rnd.uniform(10, 80)
    for i in range(s.size):
        workers += (s.rnd.random() < mean / stay) - (s.rnd.random() < workers / stay)
        s.values[i] += each * workers
    s.grace.append((0.0, min(0.5, 4 * stay / s.size) * s.total_s))
    return s.noise(each * 0.02).trace("elastic_pool")


def restarts(s: Scene) -> Trace:
    """Restarted periodically; each life climbs for a third of it."""
    lives, climb = s.rnd.randrange(3, 9), s.rnd.uniform(0.05, 0.33)
    base = s.base
    s.values = [
        base * (0.3 + 0.7 * min(1.0, (i / s.size * lives) % 1.0 / climb)) for i in range(s.size)
    ]
    for life in range(lives):
        begin = life / lives * s.total_s
        s.grace.append((begin, begin + climb * 1.4 * s.total_s / lives))
    return s.noise(base * 0.003).trace("restarts")


def levels(s: Scene) -> Trace:
    """Levels of concurrency up and down."""
    level, left = 0.0, 0
    high = s.base * s.rnd.uniform(0.1, 0.5)
    stay = s.size // s.rnd.randrange(6, 15)
    for i in range(s.size):
        if not left:
            level, left = s.rnd.choice((0, 1, 2, 4)) * high, s.rnd.randrange(stay // 2, stay * 2)
        left -= 1
        s.values[i] += level
    return s.noise(high * 0.01).trace("levels")


def log_creep(s: Scene) -> Trace:
    """Grows with the logarithm of time: heaps settle like that."""
    high = s.base * s.rnd.uniform(0.02, 0.2)
    s.put(lambda x: high * math.log1p(x * 60)).noise(high * 0.01)
    s.grace.append((0.0, 0.5 * s.total_s))
    return s.trace("log_creep")


def draining(s: Scene) -> Trace:
    """Falls slowly."""
    loss = s.base * s.rnd.uniform(0.1, 0.5)
    return s.put(lambda x: -loss * x).noise(s.base * 0.003).trace("draining")


def paged_calm(s: Scene) -> Trace:
    """Calm but for huge pages that are made and split."""
    for i in range(s.size):
        s.values[i] += 2 * s.rnd.randrange(0, 3)
    return s.trace("paged_calm")


def late_step(s: Scene) -> Trace:
    """One or two large things are loaded for good."""
    for _ in range(s.rnd.randrange(1, 3)):
        at, mib = s.rnd.uniform(0.2, 0.9), s.base * s.rnd.uniform(0.1, 1.0)
        s.put(lambda x, a=at, m=mib: m if x > a else 0.0)  # type: ignore[misc]
    return s.noise(s.base * 0.002).trace("late_step")


LEAKS = (
    load_leak, paged_leak, huge_leak, two_rates, gc_floor, swap_drops, tiny_under_saw, late_leak,
    burst_leak, wandering_leak, spiky_leak, daily_leak, warm_then_leak, stopped_leak,
)  # fmt: skip
CALM = (
    batches, daily, cold_cache, slow_warm, two_warm, late_trims, wandering, huge_calm, elastic_pool,
    restarts, levels, log_creep, draining, paged_calm, late_step,
)  # fmt: skip


def traces(seed: int = 1, each: int = 10) -> Iterable[Trace]:
    """All kinds, `each` traces of each."""
    for kind in (*LEAKS, *CALM):
        for number in range(each):
            rnd = random.Random(f"{seed} {kind.__name__} {number}")
            yield {"id": f"{kind.__name__}-{number}", **kind(Scene(rnd))}


def write(path: str, seed: int = 1) -> None:
    """Write them as a scorer reads them."""
    with gzip.open(path, "wt") as file:
        for trace in traces(seed):
            file.write(json.dumps(trace) + "\n")


# -- cost -----------------------------------------------------------------------------------------


def rss_of(what: str, i: int) -> int:
    """Bytes of a series that rests, is noisy or leaks a page a sample."""
    if what == "leaking":
        return (100 << 20) + (i << 12)
    return (100 << 20) + (i * 7919 % 997 << 12 if what == "noisy" else 0)


def held(what: str, samples: int, detectors: int = 4) -> float:
    """Bytes of one detector after so many samples."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [GrowthDetector(4711 + i) for i in range(detectors)]
    for detector in kept:
        for i in range(samples):
            detector.add(float(i), rss_of(what, i))
            if not i % 10:
                detector.verdict()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / detectors


def cost(processes: int = 5000, ticks: int = 400) -> None:
    """Print what a detector costs."""
    for what in ("idle", "noisy", "leaking"):
        held(what, 2000)  # what the interpreter itself allocates once
        young, day = held(what, 30), held(what, 86400)
        detector, best = GrowthDetector(4711), math.inf
        for chunk in range(20):
            begin = time.perf_counter()
            for i in range(chunk * 2000, chunk * 2000 + 2000):
                detector.add(float(i), rss_of(what, i))
                detector.verdict()
            best = min(best, (time.perf_counter() - begin) / 2000 * 1e6)
        print(
            f"{what}: {young:.0f} B after 30 samples, {day:.0f} after a day, {best:.1f} µs a sample"
        )
    detector = GrowthDetector(4711)
    for i in range(1000):
        detector.add(float(i), rss_of("noisy", i))
    begin = time.perf_counter()
    detector.repeat(86400, 87400.0)
    print(f"a day of rest: {(time.perf_counter() - begin) * 1e6:.0f} µs")
    for stride in (1, 7, 64):
        crowd = [GrowthDetector(1000 + stride * i) for i in range(processes)]
        times = []
        for tick in range(ticks):
            begin = time.perf_counter()
            for number, detector in enumerate(crowd):
                detector.add(float(tick), (50 << 20) + (tick * number % 61 << 12))
                detector.verdict()
            times.append(time.perf_counter() - begin)
        late = times[30:]
        mean = sum(late) / len(late)
        print(
            f"pids in steps of {stride}: mean tick {mean * 1e3:.1f} ms, "
            f"worst {max(late) * 1e3:.1f} ms (x {max(late) / mean:.2f})"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    else:
        cost()
