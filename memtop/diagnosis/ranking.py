"""How sure each cause is: the rules, how good the evidence is, what causes say about each other.

Everything is a share from 0 to 1. Below `TELL` nothing is told apart from guessing, and the answer
is `unknown`.
"""

from __future__ import annotations

from typing import NamedTuple

from memtop.diagnosis.figures import GROWING, Figures, finite, ramp
from memtop.diagnosis.finding import Cause
from memtop.diagnosis.rules import RULES, Needs
from memtop.diagnosis.shares import FREED
from memtop.diagnosis.words import MIB

TELL = 0.45
LIKELY, POSSIBLE = 0.75, 0.35
MUCH = 0.4  # of what came
FREED_CAUSES: tuple[Cause, ...] = (
    "arena_retention",
    "arena_fragmentation",
    "pymalloc_fragmentation",
    "huge_pages",
)
GLIBC_ONLY: tuple[Cause, ...] = ("arena_retention", "arena_fragmentation")
FREED_KINDS = (*FREED, "pymalloc_free", "huge_pages")
# Causes that are told by what came, and are no news where it stays as it is.
LIVE_CAUSES: tuple[Cause, ...] = ("python_objects", "native", "big_blocks", "page_cache")
CACHES: tuple[Cause, ...] = ("python_objects", "native", "big_blocks")


class Weighed(NamedTuple):
    """A cause, how sure, and the rules that speak for it."""

    cause: Cause
    confidence: float
    rules: tuple[str, ...]


def weigh(figures: Figures) -> list[Weighed]:
    """Every cause for which anything speaks, the surest first."""
    strengths: dict[Cause, float] = {}
    rules: dict[Cause, list[str]] = {}
    for rule in RULES:
        if rule.cause in GLIBC_ONLY and figures.is_foreign:
            continue
        strength = rule.weigh(figures) * quality(figures, rule.needs)
        if strength > 0:
            strengths[rule.cause] = max(strengths.get(rule.cause, 0.0), strength)
            rules.setdefault(rule.cause, []).append(rule.id)
    made = _among_each_other(figures, strengths)
    order = sorted(made, key=lambda cause: (-made[cause], cause))
    return [Weighed(one, round(made[one], 3), tuple(rules[one])) for one in order]


def quality(f: Figures, needs: Needs) -> float:
    """How far a rule that needs this can be trusted."""
    last = f.last
    if needs == "outside":
        return 1.0
    if last is None:
        return 0.0
    if needs == "look":
        seen = last.explained_bytes / last.rss_bytes if last.rss_bytes > 0 else 0.0
        return last.confidence * ramp(seen, 0.3, 0.8)
    if f.pair is None:
        return 0.0
    exact = min(one.confidence for one in f.pair) * _time(f)
    if needs == "rise" and f.is_over:
        exact *= 0.7
    return exact if needs == "looks" else exact * _amount(f) * _agreement(f) * _counting(f)


def _amount(f: Figures) -> float:
    """Whether the rise is more than the coming and going of a busy process."""
    rise = f.rise_bytes or 0
    if f.trend in GROWING:
        return ramp(rise, 0.1 * MIB, MIB + 0.002 * f.rss_bytes)
    if not f.is_alive or f.trend == "steady":
        return ramp(rise, f.noise_bytes, 3 * f.noise_bytes)
    return ramp(rise, 0.3 * f.noise_bytes, 1.5 * f.noise_bytes + MIB)


def _time(f: Figures) -> float:
    """A few seconds may show one request only."""
    return 0.5 + 0.5 * ramp(max(f.between_s, min(f.watched_s, 2 * f.between_s)), 3, 20)


def _agreement(f: Figures) -> float:
    """The looks are two moments: a rise that the floor has not seen is a request in flight."""
    watch, rise = f.evidence.watch, f.rise_bytes or 0
    if watch is None or f.watched_s <= 0 or rise <= 0:
        return 1.0
    floor = watch.change_bytes * min(1.0, f.between_s / f.watched_s)
    slope = finite(watch.slope_bytes_s) if f.trend in GROWING else None
    if slope is not None:
        floor = max(floor, slope * f.between_s)
    least = 0.25 if watch.falls else 0.7  # nothing has come back yet: it may be a step
    return least + (1.0 - least) * ramp(floor / rise, 0.2, 0.75)


def _counting(f: Figures) -> float:
    """Counts that were scaled up may be off by more than what came, or contradict the parts."""
    rise = max(1, f.rise_bytes or 0)
    return (1.0 - 0.6 * ramp(f.counting_error_bytes / rise, 0.3, 1.5)) * (
        1.0 - 0.6 * ramp(f.contradiction_bytes / rise, 0.4, 0.9)
    )


def _among_each_other(f: Figures, strengths: dict[Cause, float]) -> dict[Cause, float]:
    made = dict(strengths)
    freed = max(strengths.get(cause, 0.0) for cause in FREED_CAUSES)
    around = max(strengths.get(cause, 0.0) for cause in ("many_processes", "capacity"))
    for cause, value in strengths.items():
        if cause == "warm_up":
            # A rise of freed memory bends over as well: each new largest request is rarer.
            value *= 1.0 - 0.85 * max(freed, ramp(f.share(*FREED), 0.3, 0.7))
        elif cause == "sawtooth":
            value *= 1.0 - 0.8 * freed
        elif cause == "steady":
            value *= 1.0 - 0.85 * max(freed, _news(f, strengths))
            value *= 1.0 - max(strengths.get("sawtooth", 0.0), strengths.get("warm_up", 0.0))
        elif cause in LIVE_CAUSES:
            value *= 1.0 - 0.75 * f.slowing * (strengths.get("warm_up", 0.0) > 0)
            value *= 1.0 - 0.7 * strengths.get("sawtooth", 0.0)
            if cause in CACHES:
                # A cache that fills looks the same as a leak, until it is full.
                value *= 1.0 - f.youth * (0.3 - 0.08 * ramp(f.watched_s, 10, 60))
                value *= 1.0 - f.youth * 0.3 * f.leaning
            if cause == "python_objects":
                value *= 1.0 - 0.4 * ramp(strengths.get("arena_fragmentation", 0.0), 0.5, 0.9)
            if around > value:
                value *= 0.8
        elif cause in FREED_CAUSES and f.rises and f.came and f.share(*FREED_KINDS) < 0.2:
            # It holds much, but that is not what grows; holes may be what keeps it from going back.
            value *= 0.8 if cause == "arena_fragmentation" else 0.65
        made[cause] = min(0.98, max(0.0, value))
    _share_between(f, made)
    return made


def _share_between(f: Figures, made: dict[Cause, float]) -> None:
    """Where more of what came is in use by objects than is free, both are worth knowing."""
    if not (f.rises and f.came) or f.share("objects") <= f.share(*FREED_KINDS):
        return
    for cause in FREED_CAUSES:
        if cause in made:
            made[cause] = min(made[cause], LIKELY)
    if "python_objects" in made and f.share("objects") >= MUCH:
        made["python_objects"] = max(made["python_objects"], POSSIBLE)


def _news(f: Figures, strengths: dict[Cause, float]) -> float:
    """The strongest of what is worth saying although its RSS stays."""
    around: tuple[Cause, ...] = (
        "many_processes",
        "capacity",
        "page_cache",
        "shared_memory",
        "copy_on_write",
        "thread_stacks",
    )
    return max(strengths.get(cause, 0.0) for cause in around)
