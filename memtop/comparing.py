"""The command `memtop diff A B`: what grew between two saved censuses, or between two snapshots.

Only the files are read: it works on any machine, also when the processes are long gone. Sizes are
bytes, times seconds.
"""

from __future__ import annotations

import argparse
from typing import Any

from memtop.anatomy.objects import Growth, Objects, compare
from memtop.errors import MemtopError, UsageError
from memtop.units import iso_utc


def run(options: argparse.Namespace) -> int:
    """Compare the two files; returns the exit code."""
    from memtop.anatomy.saved import load

    before, after = load(options.before), load(options.after)
    growth = compare(before, after)
    if growth is None:
        raise _incomparable(options, before, after)
    if options.json:
        import json

        print(json.dumps(_document(before, after, growth, options.top)))
        return 0
    from memtop.listing import print_difference

    print_difference(before, after, growth, top=options.top)
    return 0


def _incomparable(options: argparse.Namespace, before: Objects, after: Objects) -> MemtopError:
    if before.source != after.source:
        return UsageError(
            f"{options.before} is a {before.source}, {options.after} a {after.source}: they do not"
            " count the same; compare two censuses, or two snapshots"
        )
    if before.taken_at == after.taken_at:
        return UsageError(f"{options.before} and {options.after} were taken at the same moment")
    return UsageError(
        f"{options.before} was taken after {options.after}",
        command=f"memtop diff {options.after} {options.before}",
    )


def _document(before: Objects, after: Objects, growth: Growth, top: int | None) -> dict[str, Any]:
    """The later one with what changed since; `before` says which process the earlier one is of."""
    from memtop.anatomy.inventory import objects_json

    earlier = {
        "pid": before.identity.pid,
        "name": before.name,
        "taken_at": iso_utc(before.taken_at),
        "objects": before.count,
        "bytes": before.bytes,
    }
    # When they began cannot be told from a file that may be of another machine.
    return {**objects_json(after, None, growth, top=top), "before": earlier}
