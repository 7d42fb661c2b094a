"""Adding to a recording from beside it: marks from scripts, results of other commands.

Another process may write to the file at the same time: each addition is one short transaction,
which waits some seconds for its turn.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable

from memtop.errors import MemtopError
from memtop.probe.sample import Identity
from memtop.recording.opening import explained, extend, make
from memtop.recording.said import event, result
from memtop.recording.schema import bindable, check_of, insert

MOST_TEXT = 500


def add_mark(path: str, text: str, at: float | None = None) -> None:
    """Mark a moment (now) in an existing recording; MemtopError if that is not possible."""
    add_event(path, "mark", text[:MOST_TEXT], at=at)


def add_event(
    path: str, kind: str, text: str, detail: object = None, *, at: float | None = None
) -> None:
    """Add an event to an existing recording: `mark`, `action`."""
    moment = time.time() if at is None else at
    connection = extend(path)
    try:
        _add(connection, path, "events", event(moment, kind, text, detail))
    finally:
        connection.close()


def write_result(
    path: str, kind: str, identity: Identity | None, document: object, *, at: float | None = None
) -> None:
    """Add the answer of a command, what it prints with --json, to a recording.

    A file that does not exist is made: whoever records to it goes on with it.
    """
    connection = extend(path) if os.path.lexists(path) else make(path)
    try:
        moment = time.time() if at is None else at
        _add(connection, path, "results", result(moment, kind, identity, document))
    finally:
        connection.close()


def check_takes(path: str) -> None:
    """MemtopError if nothing can be added to a file, before anything is done for it in vain."""
    if os.path.lexists(path):
        extend(path).close()
        return
    folder = os.path.dirname(os.path.abspath(path))
    if not os.access(folder, os.W_OK):
        raise MemtopError(f"cannot write {path}: the folder cannot be written to")


def _add(connection: sqlite3.Connection, path: str, table: str, values: Iterable[object]) -> None:
    bound = [bindable(value) for value in values]
    with explained(path, "write"):
        connection.execute(insert(table), (None, *bound, check_of(bound)))
