"""What the commands print and keep of Python's objects: those of a census, of a snapshot, of both.

A title, then the types as the pane of the screen has them. Files that were asked for are kept
beside that; none is overwritten unless that was said. Sizes are bytes, times seconds.
"""

from __future__ import annotations

import os
import sys

from memtop import units
from memtop.anatomy.objects import Growth, Objects
from memtop.anatomy.saved import save
from memtop.console import say, sheet_width
from memtop.errors import MemtopError
from memtop.render.escape import fit, visible
from memtop.render.objects import objects_text

TOP = 20  # types, unless somebody asks for more


def print_objects(objects: Objects, growth: Growth | None, *, top: int | None) -> None:
    """Which process, and its types, at most `top`; what grew if an earlier answer is known."""
    _say(_title(objects))
    for line in objects_text(objects, growth, sheet_width(sys.stdout), top or TOP):
        _say("".join(text for text, _ in line))
    sys.stdout.flush()


def print_difference(before: Objects, after: Objects, growth: Growth, *, top: int | None) -> None:
    """What grew from one to the other: of one process, or of two that were named so."""
    if before.identity == after.identity:
        later = f"{units.iso_utc(before.taken_at)}, and {units.span(growth.seconds)} later"
        _say(_title(after, later))
    else:
        _say(_title(before))
        _say(_title(after))
        _say("Two processes: Δ is what the second one has more than the first one had.")
    for line in objects_text(after, growth, sheet_width(sys.stdout), top or TOP):
        _say("".join(text for text, _ in line))
    sys.stdout.flush()


def _title(objects: Objects, when: str = "") -> str:
    """Which process it is, how and when it was asked."""
    python = objects.python and f"python {objects.python}"
    known = (python, objects.source, when or units.iso_utc(objects.taken_at))
    words = "   ".join(visible(one) for one in known if one)
    return f"{objects.identity.pid} {visible(objects.name)}   {words}"


def _say(line: str) -> None:
    say(fit(line, sheet_width(sys.stdout)).rstrip(), sys.stdout)


def check_free(path: str, *, force: bool) -> None:
    """MemtopError if the file exists, before anything is done for it in vain."""
    if os.path.lexists(path) and not force:
        raise MemtopError(f"{path} exists; --force overwrites it")


def keep(objects: Objects, path: str, *, force: bool) -> MemtopError | None:
    """Save what was found; the reason if that is not possible."""
    try:
        save(objects, path, force)
    except MemtopError as error:
        return error
    return None
