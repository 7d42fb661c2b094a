"""Censuses and snapshots in files, so that they can be compared later: JSON, with a version.

Files are written as memtop writes them: mode 0600, no link is followed, nothing is overwritten
unless that was said. What is read may be anybody's file: every value is checked, and what is wrong
with it is said. Bytes, seconds.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from memtop import __version__
from memtop.anatomy.objects import Objects
from memtop.errors import MemtopError
from memtop.paths import create
from memtop.plain import as_plain, from_plain

FORMAT, VERSION = "memtop objects", 1
MOST_BYTES = 64 << 20


def save(objects: Objects, path: str | os.PathLike[str], force: bool = False) -> Path:
    """Write it to a new file; MemtopError if that exists (unless `force`) or cannot be written."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "memtop": __version__,
        "objects": as_plain(objects),
    }
    text = json.dumps(document, ensure_ascii=True, indent=1)
    return create(path, text.encode() + b"\n", force=force)


def load(path: str | os.PathLike[str]) -> Objects:
    """Read what `save` has written; MemtopError with the reason if it cannot be read."""
    name = os.fspath(path)
    try:
        # Without waiting: a pipe that nobody writes to is no file, either.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _bad(name, "it is no file")
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise MemtopError(f"cannot read {name}: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise _bad(name, f"it is larger than {MOST_BYTES >> 20} MiB")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise _bad(name, "it is no JSON") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _bad(name, "memtop census --save and memtop snapshot --save write such files")
    if document.get("version") != VERSION:
        of = document.get("memtop")
        by = f" (memtop {of})" if isinstance(of, str) and len(of) < 40 else ""
        raise _bad(name, f"another version has written it{by}")
    try:
        made = from_plain(Objects, document.get("objects"), "objects")
    except ValueError as error:
        raise _bad(name, str(error)) from None
    assert isinstance(made, Objects)
    return made


def _bad(name: str, reason: str) -> MemtopError:
    return MemtopError(f"{name} holds no census or snapshot: {reason}")
