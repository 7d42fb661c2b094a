"""What is said of what is around a process: its siblings, its cgroup, /dev/shm, files."""

from __future__ import annotations

from collections.abc import Iterator

from memtop import units
from memtop.diagnosis.figures import Figures
from memtop.diagnosis.finding import Cause
from memtop.diagnosis.phrases import came_of, of_the_rise, pace, the_rest
from memtop.diagnosis.saying import Saying
from memtop.diagnosis.words import MIB, change, count, size, who


def _many(f: Figures) -> str:
    crowd = f.evidence.crowd
    if crowd is None:
        return f"{f.evidence.tree_processes:,} processes below {who(f.evidence.subject)}"
    born = ""
    if crowd.births and crowd.born_bytes > 0:
        born = f": {count(crowd.births, 'new one')} brought {size(crowd.born_bytes)}"
    grow = f"{crowd.growing} grow" if crowd.growing > 1 else "one grows"
    return (
        f"{crowd.processes:,} processes below {crowd.parent_pid} hold {size(crowd.rss_bytes)}, "
        f"each ≈ {size(crowd.average_bytes)}, and {grow if crowd.growing else 'none grows'}{born}"
    )


def _many_for(f: Figures) -> Iterator[str | None]:
    crowd = f.evidence.crowd
    if crowd is None:
        return
    yield (
        f"{crowd.processes:,} × {crowd.label}: {size(crowd.average_bytes)} on average, the largest "
        f"{size(crowd.largest_bytes)}"
    )
    if crowd.born_bytes or crowd.died_bytes or crowd.grown_bytes:
        yield (
            f"births brought {size(crowd.born_bytes)}, deaths took {size(abs(crowd.died_bytes))}, "
            f"those that lived on changed by {change(crowd.grown_bytes)}"
        )
    if crowd.births:
        were = "was" if crowd.births == 1 else "were"
        yield f"{crowd.births:,} {were} started in the last 10 minutes"
    if crowd.pss_bytes is not None and crowd.pss_bytes < 0.8 * crowd.rss_bytes:
        yield (
            f"their own memory (PSS) is {size(crowd.pss_bytes)}: the sum counts shared pages once "
            "for each of them"
        )


def _many_against(f: Figures) -> Iterator[str | None]:
    crowd = f.evidence.crowd
    if crowd is not None and crowd.growing:
        yield f"{crowd.growing:,} of the {crowd.processes:,} grow themselves"
    if crowd is not None and crowd.grown_bytes > 0.3 * max(1, crowd.born_bytes):
        yield f"those that lived on grew by {size(crowd.grown_bytes)} together"


def _capacity(f: Figures) -> str:
    room = f.evidence.room
    if room is None or room.limit_bytes is None or room.worst_child_bytes is None:
        return "the limit leaves no room for another child"
    taken, total = room.taken_bytes or 0, room.fits_total or 0
    needs = taken + (total + 1) * room.worst_child_bytes
    fits = f"no child of {size(room.worst_child_bytes)} fits"
    if total:
        fits = f"{count(total, 'child', 'children')} of up to {size(room.worst_child_bytes)} "
        fits += "fits" if total == 1 else "fit"
    kills = ""
    if room.oom_kills_seen:
        kills = f"; {count(room.oom_kills_seen, 'OOM kill')} while it was watched"
    return (
        f"{fits} beside the {size(taken)} of the others: one more would need {size(needs)} of "
        f"{size(room.limit_bytes)}, an OOM kill{kills}"
    )


def _capacity_for(f: Figures) -> Iterator[str | None]:
    room = f.evidence.room
    if room is None or room.limit_bytes is None or room.worst_child_bytes is None:
        return
    source = "its RLIMIT_AS" if room.worst_child_from == "RLIMIT_AS" else "the largest one seen"
    yield (
        f"{size(room.limit_bytes)} is the limit of {room.path}, {size(room.worst_child_bytes)} is "
        f"what a child may take ({source})"
    )
    if room.children is not None and room.fits_more is not None:
        runs = count(room.children, "child runs", "children run")
        yield f"{runs}, {room.fits_more:,} more {'fits' if room.fits_more == 1 else 'fit'}"
    if room.oom_kills:
        yield f"{count(room.oom_kills, 'OOM kill')} in this cgroup so far"


def _capacity_against(f: Figures) -> Iterator[str | None]:
    room, crowd = f.evidence.room, f.evidence.crowd
    if room is None or crowd is None or room.worst_child_from != "peak":
        return
    if crowd.average_bytes < 0.6 * (room.worst_child_bytes or 0):
        yield f"on average a child takes {size(crowd.average_bytes)} only"


def _files(f: Figures) -> str:
    room, came = f.evidence.room, came_of(f, "files")
    if came is not None and f.share("files") > 0.35:
        return f"{pace(f)}: {came} are pages of files, which the kernel can take back"
    if room is None or room.file_change_bytes is None:
        return f"{pace(f)}: {size(f.held('files'))} of it are pages of files"
    return (
        f"the cgroup {room.path} has {change(room.file_change_bytes)} of page cache in "
        f"{units.duration(room.seconds)}, which the kernel can take back"
    )


def _files_for(f: Figures) -> Iterator[str | None]:
    if f.came.get("files", 0) > 0.1 * MIB:
        yield of_the_rise(f, "files")
    yield from _charged(f, "page cache", "file_change_bytes")


def _files_against(f: Figures) -> Iterator[str | None]:
    yield the_rest(f, "files")


def _segments(f: Figures) -> str:
    room, came = f.evidence.room, came_of(f, "shared")
    if came is not None and f.share("shared") > 0.3:
        if f.is_unnamed:
            return f"{pace(f)}: {came} are shared memory that it has mapped, not in /dev/shm"
        return f"{pace(f)}: {came} are shared memory, which stays until it is unlinked"
    if room is None:
        return f"{pace(f)}: {size(f.held('shared'))} of it are shared memory"
    what, came_bytes = f"shared memory of {room.path}", room.shmem_change_bytes or 0
    if (room.shm_change_bytes or 0) >= came_bytes:
        what, came_bytes = "/dev/shm", room.shm_change_bytes or 0
    flat = "" if f.rises else f", while {who(f.evidence.subject)} itself does not grow"
    return (
        f"{what} grew by {size(came_bytes)} in {units.duration(room.seconds)}{flat}: it stays "
        "until it is unlinked"
    )


def _segments_for(f: Figures) -> Iterator[str | None]:
    room = f.evidence.room
    if f.came.get("shared", 0) > 0.1 * MIB:
        yield of_the_rise(f, "shared")
    if room is not None and room.shm_change_bytes and room.shm_bytes is not None:
        yield f"/dev/shm holds {size(room.shm_bytes)}, {change(room.shm_change_bytes)} meanwhile"
    yield from _charged(f, "shared memory", "shmem_change_bytes")


def _segments_against(f: Figures) -> Iterator[str | None]:
    room = f.evidence.room
    if f.came.get("shared", 0) <= 0 and room is not None and not room.shmem_change_bytes:
        yield "who made the segments is not known: anybody with this /dev/shm may have"
    yield the_rest(f, "shared")


def _charged(f: Figures, what: str, field: str) -> Iterator[str | None]:
    """What a cgroup was charged with, beside its anonymous memory."""
    room = f.evidence.room
    came = getattr(room, field) if room is not None else None
    if room is None or not came:
        return
    anon = ""
    if room.anon_change_bytes is not None:
        anon = f", anonymous memory {change(room.anon_change_bytes)}"
    yield f"charged to {room.path}: {what} {change(came)}{anon}"


def _own(f: Figures) -> str:
    return (
        f"{who(f.evidence.subject)} stays at {size(f.rss_bytes)}, but {size(f.unshared_bytes)} "
        "that it shared with its parent became its own"
    )


def _own_for(f: Figures) -> Iterator[str | None]:
    seconds = units.duration(f.between_s)
    yield f"shared with others: {change(-f.unshared_bytes)} in {seconds}"
    yield f"RSS between the looks: {change(f.rise_bytes or 0)}"


def _own_against(f: Figures) -> Iterator[str | None]:
    crowd = f.evidence.crowd
    if crowd is not None and crowd.deaths:
        deaths = count(crowd.deaths, "sibling")
        yield f"{deaths} ended meanwhile: what only they shared is its own now, without a copy"


SAYINGS: dict[Cause, Saying] = {
    "many_processes": Saying(_many, _many_for, _many_against),
    "capacity": Saying(_capacity, _capacity_for, _capacity_against),
    "page_cache": Saying(_files, _files_for, _files_against),
    "shared_memory": Saying(_segments, _segments_for, _segments_against),
    "copy_on_write": Saying(_own, _own_for, _own_against),
}
