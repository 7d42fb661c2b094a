"""A look at one process as the JSON of the command line.

The names of the fields are a contract. Bytes are integers, times UTC or seconds; null is not known,
or not before a census has run. An `arena_max` of 0 is not set.
"""

from __future__ import annotations

from typing import Any

from memtop import __version__
from memtop.anatomy.difference import Difference
from memtop.anatomy.inventory import OWNER
from memtop.anatomy.objects import Objects
from memtop.anatomy.result import Anatomy, Settings
from memtop.probe.parse import as_unicode
from memtop.units import iso_utc

PART = ("id", "label", "bytes", "shared_bytes")
ARENA = (
    "index main system_bytes in_use_bytes free_bytes released_bytes trapped_bytes trimmable_bytes "
    "top_bytes"
).split()
HEAPS = ("count", "resident_bytes")
PYMALLOC = ("pools", "used_bytes", "free_bytes")
BIG_BLOCKS = ("count", "bytes", "expected_count")
SIZE_CLASS = ("at_least_bytes", "count", "bytes")
SETTINGS = Settings._fields
MISSING = ("what", "reason", "right", "command")


def anatomy_json(
    anatomy: Anatomy,
    started: str | None,
    difference: Difference | None = None,
    objects: Objects | None = None,
) -> dict[str, Any]:
    """One look; `started` is the moment at which the process began, in UTC.

    `difference` is to an earlier look, `objects` a census of the same process if there was one.
    """
    big_blocks = _fields(anatomy.big_blocks, BIG_BLOCKS)
    if big_blocks is not None and anatomy.big_blocks is not None:
        big_blocks["sizes"] = [_fields(one, SIZE_CLASS) for one in anatomy.big_blocks.sizes]
        owners = None if objects is None else [_fields(one, OWNER) for one in objects.big_blocks]
        big_blocks["by_owner"] = owners
    return {
        "memtop": __version__,
        "taken_at": iso_utc(anatomy.taken_at),
        "pid": anatomy.identity.pid,
        "started": started,
        "name": as_unicode(anatomy.name),
        "rss_bytes": anatomy.rss_bytes,
        "explained_bytes": anatomy.explained_bytes,
        "swapped_bytes": anatomy.swapped_bytes,
        "confidence": round(anatomy.confidence, 6),
        "resyncs": anatomy.resyncs,
        "parts": [_fields(part, PART) for part in anatomy.parts],
        "arenas": [_fields(arena, ARENA) for arena in anatomy.arenas],
        "heaps": _fields(anatomy.heaps, HEAPS),
        "pymalloc": _fields(anatomy.pymalloc, PYMALLOC),
        "big_blocks": big_blocks,
        "malloc_in_use_python_bytes": objects and objects.malloc_in_use_python_bytes,
        "big_blocks_python_bytes": objects and objects.big_blocks_python_bytes,
        "trim_would_return_bytes": anatomy.trim_would_return_bytes,
        "allocator": as_unicode(anatomy.allocator),
        "provider": as_unicode(anatomy.provider),
        "python": as_unicode(anatomy.python),
        "threads": anatomy.threads,
        "settings": _fields(anatomy.settings, SETTINGS),
        "missing": [_fields(missing, MISSING) for missing in anatomy.missing],
        "changes": None if difference is None else difference_json(difference),
        "seconds": round(anatomy.seconds, 4),
    }


def difference_json(difference: Difference) -> dict[str, Any]:
    """What changed since an earlier look, the largest change first."""
    return {
        "since_at": iso_utc(difference.since_at),
        "seconds": round(difference.seconds, 3),
        "rss_bytes": difference.rss_bytes,
        "parts": [
            {
                "id": change.id,
                "label": as_unicode(change.label),
                "bytes": change.bytes,
                "rate_bytes_per_s": round(change.per_minute / 60),
            }
            for change in difference.changes
        ],
    }


def _fields(value: object, names: tuple[str, ...] | list[str]) -> dict[str, Any] | None:
    """These fields of a value, by name; None if there is none."""
    if value is None:
        return None
    found = {name: getattr(value, name) for name in names}
    return {name: as_unicode(one) if isinstance(one, str) else one for name, one in found.items()}
