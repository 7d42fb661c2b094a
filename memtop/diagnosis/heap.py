"""What is said of memory that malloc, Python's pools or the kernel hold beside living objects."""

from __future__ import annotations

from collections.abc import Iterator

from memtop.diagnosis.figures import Figures
from memtop.diagnosis.finding import Cause
from memtop.diagnosis.phrases import (
    arenas,
    came_of,
    objects_word,
    of_the_rise,
    pace,
    the_rest,
    tried_word,
    trim_word,
)
from memtop.diagnosis.saying import Saying, joined
from memtop.diagnosis.words import MIB, part_of, percent, size

RISEN_BYTES = MIB  # a threshold this high was moved: it begins at 128 KiB (mallopt(3))


def _trapped(f: Figures) -> str:
    came, held = came_of(f, "trapped"), part_of(f.held("trapped"), f.arena_bytes)
    if came is not None and f.share("trapped") >= 0.3:
        of = f"{came} are freed memory in {arenas(f)} in holes below a page"
    else:
        of = f"{held} in {arenas(f)} are freed memory in holes below a page"
        if came is not None:
            of += f", {came} of what came"
    return joined(f"{pace(f)}: {of}", trim_word(f), objects_word(f))


def _trapped_for(f: Figures) -> Iterator[str | None]:
    if f.arena_bytes:
        share = percent(f.held("trapped") / f.arena_bytes)
        yield (
            f"{part_of(f.held('trapped'), f.arena_bytes)} in {arenas(f)} are free, in holes smaller"
            f" than a page ({share})"
        )
    if f.share("trapped") >= 0.3:
        yield of_the_rise(f, "trapped")
    if (word := trim_word(f)) and f.last is not None and f.last.rss_bytes:
        back = (f.last.trim_would_return_bytes or 0) / f.last.rss_bytes
        yield f"{word}, {percent(back)} of RSS" + (": trimming cannot help" if back < 0.1 else "")
    yield tried_word(f)


def _trapped_against(f: Figures) -> Iterator[str | None]:
    yield _no_arenas(f)
    if not f.is_foreign and f.arena_bytes and f.held("trapped") < 0.1 * f.arena_bytes:
        share = percent(f.held("trapped") / f.arena_bytes)
        yield f"holes are {share} of what malloc's arenas hold"
    if f.share("trapped") < 0.3:
        yield of_the_rise(f, "trapped")
    yield the_rest(f, "trapped")


def _free(f: Figures) -> str:
    came = came_of(f, "trimmable", "tops")
    if came is not None and f.rises and f.share("trimmable", "tops") >= 0.3:
        of = f"{came} are freed memory that malloc keeps in {arenas(f)}"
    else:
        held = part_of(f.held("trimmable", "tops"), f.looked_bytes)
        of = f"{held} are freed memory that malloc keeps in {arenas(f)}"
    return joined(f"{pace(f)}: {of}", trim_word(f), objects_word(f))


def _free_for(f: Figures) -> Iterator[str | None]:
    if f.held("trimmable", "tops"):
        share = percent(f.held_share("trimmable", "tops"))
        yield f"{share} of RSS are whole free pages: {size(f.held('trimmable', 'tops'))}"
    if f.held("tops") > f.held("trimmable"):
        yield (
            f"{size(f.held('tops'))} of it are the ends of arenas, which malloc_trim leaves as they"
            " are"
        )
    yield trim_word(f)
    yield tried_word(f)
    if threshold_has_risen(f) and f.last is not None:
        yield (
            f"the threshold for own mappings has risen to "
            f"{size(f.last.mmap_threshold_bytes or 0)}: smaller blocks come from the heap, and stay"
        )


def _free_against(f: Figures) -> Iterator[str | None]:
    yield _no_arenas(f)
    if f.share("trimmable", "tops") < 0.3 and not f.is_foreign:
        yield of_the_rise(f, "trimmable", "tops")
    for done in f.evidence.done:
        if done.action == "trim" and done.returned_bytes < 0.05 * max(1, f.rss_bytes):
            yield tried_word(f)
    yield the_rest(f, "trimmable", "tops")


def _no_arenas(f: Figures) -> str | None:
    if f.is_foreign and f.last is not None:
        return f"malloc is served by {f.last.allocator} here, so that glibc's arenas are not used"
    return None


def threshold_has_risen(f: Figures) -> bool:
    """Whether large blocks come from the heap because the threshold has moved up with them."""
    last = f.last
    if last is None or not f.is_glibc or last.threshold_is_fixed is not False:
        return False
    return (last.mmap_threshold_bytes or 0) >= RISEN_BYTES


def _pools(f: Figures) -> str:
    free, used = f.held("pymalloc_free"), f.last.of("python_objects") if f.last else 0
    came = came_of(f, "pymalloc_free")
    if came is not None and f.share("pymalloc_free") >= 0.25:
        of = f"{came} are free blocks in Python's pools"
    else:
        of = f"{part_of(free, free + used)} in Python's pools are free blocks"
    return f"{pace(f)}: {of}, kept by the objects between them"


def _pools_for(f: Figures) -> Iterator[str | None]:
    free, used = f.held("pymalloc_free"), f.last.of("python_objects") if f.last else 0
    yield f"{size(free)} of Python's pools are free, {size(used)} in use"
    yield of_the_rise(f, "pymalloc_free")


def _pools_against(f: Figures) -> Iterator[str | None]:
    yield the_rest(f, "pymalloc_free")


def _huge(f: Figures) -> str:
    of = came_of(f, "huge_pages") if f.share("huge_pages") >= 0.2 else None
    of = of or part_of(f.held("huge_pages"), f.looked_bytes)
    return f"{pace(f)}: {of} are zeros in huge pages, which it never wrote to"


def _huge_for(f: Figures) -> Iterator[str | None]:
    share = percent(f.held_share("huge_pages"))
    yield f"{size(f.held('huge_pages'))} of RSS ({share}) are zeros inside huge pages"
    yield of_the_rise(f, "huge_pages")


def _huge_against(f: Figures) -> Iterator[str | None]:
    yield the_rest(f, "huge_pages")


def _stacks(f: Figures) -> str:
    now, before = f.evidence.subject.threads, f.evidence.subject.first_threads
    threads = "its threads" if now is None else f"{now:,} threads"
    if now is not None and before is not None and now > before:
        threads = f"{now:,} threads, {now - before:,} of them new"
    came = came_of(f, "stacks")
    of = came if came is not None and f.rises else size(f.held("stacks"))
    return f"{pace(f)}: {of} are stacks of {threads}"


def _stacks_for(f: Figures) -> Iterator[str | None]:
    subject = f.evidence.subject
    if subject.threads is not None and subject.first_threads is not None:
        yield f"threads: {subject.first_threads:,} → {subject.threads:,}"
    if f.holds:
        yield f"stacks hold {size(f.held('stacks'))}"
    yield of_the_rise(f, "stacks")


def _stacks_against(f: Figures) -> Iterator[str | None]:
    yield the_rest(f, "stacks")


SAYINGS: dict[Cause, Saying] = {
    "arena_fragmentation": Saying(
        _trapped, _trapped_for, _trapped_against, "fragmentation of malloc's arenas"
    ),
    "arena_retention": Saying(_free, _free_for, _free_against, "freed pages that malloc keeps"),
    "pymalloc_fragmentation": Saying(_pools, _pools_for, _pools_against),
    "huge_pages": Saying(_huge, _huge_for, _huge_against),
    "thread_stacks": Saying(_stacks, _stacks_for, _stacks_against),
}
