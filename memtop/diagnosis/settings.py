"""What to set for malloc, and whether to trim: the variables that still help this process.

Nothing that is in force already, nothing that its allocator does not have. Sizes in bytes.
"""

from __future__ import annotations

from memtop.diagnosis.figures import Figures
from memtop.diagnosis.heap import threshold_has_risen
from memtop.diagnosis.words import MIB, size

JEMALLOC = (
    "LD_PRELOAD=libjemalloc.so.2 "  # a name and no path: right on every architecture
    "MALLOC_CONF=background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:5000"
)
ARENAS = "MALLOC_ARENA_MAX=2"
THRESHOLDS = "MALLOC_MMAP_THRESHOLD_=131072 MALLOC_TRIM_THRESHOLD_=131072"
RESTART = "in the environment that starts it, and restart"
PROOF = (
    "to prove it: memtop record FILE --duration 24h, then memtop report FILE: its last quarter "
    "must be a plateau"
)


def trim_helps(f: Figures) -> bool:
    """Whether malloc_trim would give a good part of what is free back."""
    last = f.last
    if last is None or last.trim_would_return_bytes is None or not f.is_glibc:
        return False
    worth = min(32 * MIB, 0.3 * f.held("trimmable", "tops"))
    return last.trim_would_return_bytes >= max(4 * MIB, worth)


def fewer_arenas_help(f: Figures) -> bool:
    """Whether there are several arenas, and nobody has bounded them to one or two already."""
    return (
        f.last is not None and f.is_glibc and f.last.arenas > 2 and f.last.arena_max not in (1, 2)
    )


def another_allocator(f: Figures) -> str:
    """Holes below a page: only another way to place blocks helps."""
    text = f"Preload jemalloc: {JEMALLOC} {RESTART}"
    if fewer_arenas_help(f):
        text = f"Preload jemalloc ({JEMALLOC}), or set {ARENAS}, {RESTART}"
    last = f.last
    if last is not None and last.trim_would_return_bytes is not None:
        back = last.trim_would_return_bytes
        only = " only" if back < 0.1 * last.rss_bytes else ""
        text += f"; T (malloc_trim) would return {size(back)}{only}"
    return f"{text}; {PROOF}"


def trim_and_keep_less(f: Figures) -> str:
    """Free pages that malloc_trim gives back."""
    back = f.last.trim_would_return_bytes or 0 if f.last is not None else 0
    trim = f"T (memtop trim {f.evidence.subject.pid}) returns {size(back)} now"
    return f"{trim}; to stop it, {_settings(f)}"


def keep_less(f: Figures) -> str:
    """Free pages that stay: how not to have them again."""
    text = _settings(f)
    return text[0].upper() + text[1:]


def _settings(f: Figures) -> str:
    settings = [THRESHOLDS] if threshold_has_risen(f) else []
    settings += [ARENAS] if fewer_arenas_help(f) else []
    if settings:
        return f"set {' '.join(settings)} {RESTART}"
    return f"preload jemalloc: {JEMALLOC} {RESTART}"
