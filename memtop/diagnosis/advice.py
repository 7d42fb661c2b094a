"""The next step for each cause, exact for this process: what to set, to type or to press.

One table of situations; the first that fits is said, by the texts in `steps`. Nothing is advised
that is in force already, or that the allocator or the version of Python does not have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from memtop.diagnosis import settings, steps
from memtop.diagnosis.figures import Figures
from memtop.diagnosis.finding import Cause
from memtop.diagnosis.owned import collected_bytes
from memtop.diagnosis.phrases import longer, more_tasks


class Step(NamedTuple):
    """What to say of a cause, if `when` holds."""

    cause: Cause
    when: Callable[[Figures], bool]
    text: Callable[[Figures], str]


def next_step(cause: Cause, figures: Figures) -> str:
    """The exact next step."""
    return next(one for one in STEPS if one.cause == cause and one.when(figures)).text(figures)


def _always(_: Figures) -> bool:
    return True


def _is_python(f: Figures) -> bool:
    return f.is_python


def _is_jemalloc(f: Figures) -> bool:
    return f.last is not None and (f.last.allocator or "").startswith("jemalloc")


STEPS: tuple[Step, ...] = (
    # mallopt(3) for the variables of glibc; jemalloc's TUNING.md for its own.
    Step("arena_fragmentation", _always, settings.another_allocator),
    Step("arena_retention", lambda f: not f.is_alive, settings.keep_less),
    Step("arena_retention", settings.trim_helps, settings.trim_and_keep_less),
    Step("arena_retention", _always, settings.keep_less),
    Step("python_objects", lambda f: collected_bytes(f) > 0, steps.break_cycles),
    Step("python_objects", lambda f: more_tasks(f.evidence) is not None, steps.bound_tasks),
    Step("python_objects", lambda f: bool(longer(f.evidence)), steps.bound_container),
    Step("python_objects", _always, steps.find_holder),
    Step("native", _is_python, steps.find_library),
    Step("native", _always, steps.own_tools),
    Step("big_blocks", lambda f: f.is_python and f.types is None, steps.count_owners),
    Step("big_blocks", _is_python, steps.drop_earlier),
    Step("big_blocks", _always, steps.own_tools),
    Step("many_processes", _always, steps.run_fewer),
    Step("capacity", _always, steps.fit_the_limit),
    Step("page_cache", _always, steps.leave_the_cache),
    Step("shared_memory", lambda f: f.is_unnamed, steps.unmap),
    Step("shared_memory", _always, steps.unlink),
    # gc, "gc.freeze": since 3.7.
    Step("copy_on_write", _always, steps.freeze),
    Step("thread_stacks", _always, steps.bound_threads),
    # jemalloc's opt.thp; prctl(2), PR_SET_THP_DISABLE.
    Step("huge_pages", _is_jemalloc, steps.jemalloc_without_huge_pages),
    Step("huge_pages", _always, steps.without_huge_pages),
    Step("pymalloc_fragmentation", _always, steps.another_object_allocator),
    Step("warm_up", _always, steps.wait),
    Step("sawtooth", _is_python, steps.try_collecting),
    Step("sawtooth", _always, steps.mind_the_peaks),
    Step("steady", _always, steps.watch_for_hours),
    Step("unknown", lambda f: f.evidence.subject.ended, steps.watch_the_next),
    Step("unknown", lambda f: f.evidence.subject.stopped, steps.let_it_run),
    Step("unknown", _always, steps.measure),
)
