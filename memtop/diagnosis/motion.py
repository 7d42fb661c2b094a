"""What is said of how RSS moves: it warms up, goes up and down, stays, or nothing can be told."""

from __future__ import annotations

from collections.abc import Iterator

from memtop import units
from memtop.diagnosis.figures import Figures, finite
from memtop.diagnosis.finding import Cause
from memtop.diagnosis.phrases import grown_type, kind_words, moved, pace
from memtop.diagnosis.saying import Saying
from memtop.diagnosis.shares import FREED
from memtop.diagnosis.words import MIB, change, count, listed, percent, size, who


def _warm_up(f: Figures) -> str:
    name, came = who(f.evidence.subject), f.change_bytes or 0
    if came <= f.noise_bytes:
        return f"{name} has warmed up to {size(f.rss_bytes)} and grows no more"
    kind = grown_type(f)
    what = f", mostly {kind.name}" if kind is not None and f.share("objects") > 0.5 else ""
    ends = "the rise slows down"
    if f.is_over:
        ends = f"nothing in the last {units.duration(f.still_s)}"
    return f"{name} warms up: {change(came)} in {units.duration(f.watched_s)}{what}, and {ends}"


def _warm_up_for(f: Figures) -> Iterator[str | None]:
    watch, uptime_s = f.evidence.watch, finite(f.evidence.subject.uptime_s)
    share = finite(watch.recent_share) if watch is not None else None
    if share is not None and f.slowing and (f.change_bytes or 0) > f.noise_bytes:
        yield f"the last quarter of the time brought {percent(share)} of the rise"
    if uptime_s is not None and uptime_s < 900:
        yield f"it was started {units.duration(uptime_s)} ago"
    yield moved(f)


def _warm_up_against(f: Figures) -> Iterator[str | None]:
    uptime_s = finite(f.evidence.subject.uptime_s)
    if (share := f.share(*FREED)) > 0.3:
        yield f"{percent(share)} of what came is freed memory, not a cache that fills"
    if uptime_s is not None and uptime_s > 3600:
        yield f"it has run for {units.duration(uptime_s)} already"
    if f.watched_s < 60:
        yield f"it was watched for {units.duration(f.watched_s)} only"


def _sawtooth(f: Figures) -> str:
    watch, name = f.evidence.watch, who(f.evidence.subject)
    if watch is None or watch.peak_bytes is None or watch.floor_bytes is None or not f.swing_bytes:
        return f"{name} goes up and down, and is no higher in the end"
    times = f", {watch.falls} times in {units.duration(f.watched_s)}" if watch.falls > 1 else ""
    return (
        f"{name} goes up and down between {size(watch.floor_bytes)} and {size(watch.peak_bytes)}"
        f"{times}: what it takes comes back"
    )


def _sawtooth_for(f: Figures) -> Iterator[str | None]:
    watch = f.evidence.watch
    if watch is None:
        return
    if f.swing_bytes and watch.falls:
        yield (
            f"{count(watch.rises, 'rise')} and {count(watch.falls, 'fall')} within "
            f"{size(f.swing_bytes)}"
        )
    if watch.floor_rise_bytes is not None:
        yield f"its floor moved by {change(watch.floor_rise_bytes)} from one half to the other"
    if (kind := grown_type(f)) is not None:
        yield f"between the looks {kind.name} moved by {change(kind.bytes)}"
    yield moved(f)


def _sawtooth_against(f: Figures) -> Iterator[str | None]:
    watch = f.evidence.watch
    if watch is not None and watch.falls == 1:
        yield "only one fall was seen"


def _steady(f: Figures) -> str:
    name, came = who(f.evidence.subject), f.change_bytes or 0
    seconds = units.duration(f.watched_s)
    if came < -f.noise_bytes:
        return f"{name} shrinks: {change(came)} in {seconds}, to {size(f.rss_bytes)}"
    does = "hardly grows" if came >= 0.2 * MIB else "does not grow"
    return f"{name} {does}: {change(came)} in {seconds}, at {size(f.rss_bytes)}"


def _steady_for(f: Figures) -> Iterator[str | None]:
    yield moved(f)
    tree, tree_change = f.evidence.tree_processes, f.evidence.tree_change_bytes
    if tree > 1 and tree_change is not None:
        below = f"the {tree:,} processes from {f.evidence.asked_pid} down"
        yield f"{below} that live now changed by {change(tree_change)} together"
    crowd = f.evidence.crowd
    if crowd is not None and crowd.comes_and_goes and crowd.births and crowd.deaths:
        yield f"{crowd.label}: {crowd.births:,} were started and {crowd.deaths:,} ended"
    if f.swing_bytes:
        yield f"all that was seen of it lies within {size(f.swing_bytes)}"


def _steady_against(f: Figures) -> Iterator[str | None]:
    came = f.change_bytes or 0
    if f.watched_s < 300:
        slow = f", and {change(came)} may be one" if came >= 0.2 * MIB else ""
        seconds = units.duration(f.watched_s)
        yield f"it was watched for {seconds} only: a slow leak takes longer{slow}"


def _unknown(f: Figures) -> str:
    subject = f.evidence.subject
    name = who(subject)
    if subject.ended:
        watch = f.evidence.watch
        if watch is not None and watch.change_bytes > f.noise_bytes:
            return (
                f"{name} grew by {size(watch.change_bytes)} in {units.duration(f.watched_s)} and "
                "has ended: no cause is sure"
            )
        return f"{name} has ended, and what is known of it tells no cause"
    if subject.stopped:
        return f"{name} is stopped: that it does not grow now says nothing"
    if f.evidence.watch is None and f.last is None:
        return f"nothing is known about {name} yet"
    if f.rises:
        came = _largest(f)
        if came and not f.is_blind:
            return f"{pace(f)}, and no cause is sure: {listed(came)} came"
        return f"{pace(f)}, and what it is made of is not known"
    came_bytes = f.change_bytes or 0
    if f.watched_s < 10:
        return f"{name} was watched for {units.duration(f.watched_s)} only"
    if came_bytes < -f.noise_bytes:
        return f"{name} shrank by {size(-came_bytes)}, and whether that lasts is not known"
    return f"{name} moved by {change(came_bytes)}, which is too little to tell a cause"


def _largest(f: Figures) -> list[str]:
    """The two kinds of which most came."""
    kinds = sorted(f.came, key=lambda kind: (-f.came[kind], kind))[:2]
    return [f"{size(f.came[one])} {kind_words(one, f)}" for one in kinds if f.came[one] > MIB / 4]


def _unknown_for(f: Figures) -> Iterator[str | None]:
    yield moved(f)
    kinds = sorted(f.came, key=lambda kind: (-abs(f.came[kind]), kind))[:3]
    known = [
        f"{kind_words(one, f)} {change(f.came[one])}"
        for one in kinds
        if abs(f.came[one]) > MIB / 10
    ]
    if known:
        yield "between the looks: " + ", ".join(known)


def _nothing(_: Figures) -> Iterator[str | None]:
    return iter(())


SAYINGS: dict[Cause, Saying] = {
    "warm_up": Saying(_warm_up, _warm_up_for, _warm_up_against),
    "sawtooth": Saying(_sawtooth, _sawtooth_for, _sawtooth_against),
    "steady": Saying(_steady, _steady_for, _steady_against),
    "unknown": Saying(_unknown, _unknown_for, _nothing),
}
