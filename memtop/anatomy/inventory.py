"""Python's objects as the JSON of the command line: a census, what a snapshot says, what grew.

The names of the fields are a contract. Bytes are integers, times UTC or seconds; null is not known,
or was not asked for. `error` is left to what went wrong: how far off a sample may be is
`sampling_error`, a share.
"""

from __future__ import annotations

from typing import Any

from memtop import __version__
from memtop.anatomy.objects import Growth, Objects
from memtop.anatomy.result import Missing
from memtop.probe.parse import as_unicode
from memtop.units import iso_utc

_TYPE = ("type", "module", "count", "bytes", "buffer_bytes")
OWNER = ("type", "detail", "count", "bytes")
_CONTAINER = ("name", "kind", "length")
_TASK = ("coroutine", "state", "count")
_LONGER = ("name", "kind", "before", "after")


def objects_json(
    objects: Objects,
    started: str | None,
    growth: Growth | None = None,
    *,
    top: int | None = None,
) -> dict[str, Any]:
    """A census in full; `started` is the moment at which the process began, in UTC.

    `growth` is to an earlier one; of the types there are at most `top`, the largest ones.
    """
    return {
        "memtop": __version__,
        "taken_at": iso_utc(objects.taken_at),
        "pid": objects.identity.pid,
        "started": started,
        "name": as_unicode(objects.name),
        "source": objects.source,
        "python": as_unicode(objects.python),
        "sampled": objects.sampled,
        "coverage": round(objects.coverage, 6),
        "sampling_error": None if objects.error is None else round(objects.error, 6),
        "cut": objects.cut,
        **(types_json if objects.source == "census" else contents_json)(objects, top=top),
        "big_blocks": [_fields(one, OWNER) for one in objects.big_blocks],
        "malloc_in_use_bytes": objects.malloc_in_use_bytes,
        "malloc_in_use_python_bytes": objects.malloc_in_use_python_bytes,
        "big_blocks_bytes": objects.big_blocks_bytes,
        "big_blocks_python_bytes": objects.big_blocks_python_bytes,
        "missing": [_fields(one, Missing._fields) for one in objects.missing],
        "changes": None if growth is None else growth_json(growth, top=top),
        "seconds": round(objects.seconds, 4),
    }


def types_json(objects: Objects, *, top: int | None = None) -> dict[str, Any]:
    """The types, at most `top`; `objects` and `bytes` are of all of them."""
    return {
        "types": [_fields(one, _TYPE) for one in objects.types[:top]],
        "objects": objects.count,
        "bytes": objects.bytes,
    }


def contents_json(objects: Objects, *, top: int | None = None) -> dict[str, Any]:
    """All that a snapshot tells of the interpreter: the types, and what only that knows."""
    return {
        **types_json(objects, top=top),
        "containers": [_fields(one, _CONTAINER) for one in objects.containers],
        "tasks": [_fields(one, _TASK) for one in objects.tasks],
        "threads": [as_unicode(one) for one in objects.threads],
        "gc_counts": list(objects.gc_counts),
        "gc_thresholds": list(objects.gc_thresholds),
        "garbage": objects.garbage,
        "tracemalloc": objects.is_tracing,
    }


def growth_json(growth: Growth, *, top: int | None = None) -> dict[str, Any]:
    """What changed since an earlier one, the largest change first, at most `top` types."""
    return {
        "since_at": iso_utc(growth.since_at),
        "seconds": round(growth.seconds, 3),
        "native_bytes": growth.native_bytes,
        "types": [
            {
                "type": as_unicode(one.type),
                "module": as_unicode(one.module),
                "count": one.count,
                "bytes": one.bytes,
                "rate_bytes_per_s": round(one.per_minute / 60),
                "sampling_error": round(one.error, 6),
            }
            for one in growth.types[:top]
            if one.count or one.bytes
        ],
        "containers": [_fields(one, _LONGER) for one in growth.containers],
        "big_blocks": [_fields(one, OWNER) for one in growth.big_blocks],
    }


def _fields(value: object, names: tuple[str, ...]) -> dict[str, Any]:
    """These fields of a value, by name."""
    found = {name: getattr(value, name) for name in names}
    return {name: as_unicode(one) if isinstance(one, str) else one for name, one in found.items()}
