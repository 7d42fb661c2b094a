"""How many descriptors memtop may keep open, and what its children get.

The soft RLIMIT_NOFILE is raised to the hard one, because two descriptors a process are the
cheapest way to sample; children get the soft limit back that memtop was started with.
"""

from __future__ import annotations

import resource

RESERVED = 96  # for the screen, the recording, libraries

_original: tuple[int, int] | None = None


def raise_limit() -> int:
    """Raise the soft limit to the hard one; how many descriptors a source may keep open."""
    global _original
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _original is None:
        _original = (soft, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    except (OSError, ValueError):
        pass  # some sandboxes forbid it; the soft limit does
    if soft == resource.RLIM_INFINITY:
        soft = 1 << 20
    return max(0, soft - RESERVED)


def restore_limit() -> None:
    """Put the limit back; for a child, between fork and exec (`preexec_fn`)."""
    if _original is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, _original)
