"""Opening the file of a recording: what it is, whether it can be used, and why not in words.

A file that somebody writes at is read through SQLite's locks. On read-only media, where no lock can
be taken, it is read as it lies there. A file that was cut is read as far as it goes. New files have
mode 0600; no symbolic link is followed, nothing is overwritten unless that was said.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from memtop.errors import MemtopError, UsageError
from memtop.paths import create
from memtop.recording.schema import APPLICATION_ID, VERSION, statements

WAIT_S = 5.0  # for somebody else who writes at the same file
CACHE_KIB = 1024
HEAD = 100  # bytes of the file's header (sqlite.org/fileformat.html)
CLAIMED = 0x60000000  # the byte that a recorder locks; SQLite's own are at 0x40000000


class Damaged(MemtopError):
    """A part of a recording cannot be read; others may."""


class NoRecording(UsageError):
    """The file is none, or none that this version can read."""

    exit_code = 1


@contextmanager
def explained(path: str, doing: str) -> Iterator[None]:
    """What SQLite complains about, as errors for people."""
    try:
        yield
    except sqlite3.Error as error:
        raise reason_of(error, path, doing) from None
    except OSError as error:
        raise MemtopError(f"cannot {doing} {path}: {error.strerror}") from None


def reason_of(error: sqlite3.Error, path: str, doing: str) -> MemtopError:
    """The error of memtop for one of SQLite; `doing` is `read`, `write`."""
    text = str(error)
    if "full" in text:
        return MemtopError(f"cannot {doing} {path}: the disk is full; what it held is still there")
    if "locked" in text or "busy" in text:
        return MemtopError(f"cannot {doing} {path}: another process is writing to it")
    if "readonly" in text and not os.path.lexists(path):
        return MemtopError(f"cannot {doing} {path}: it was removed or moved away")
    if "readonly" in text or "unable to open" in text:
        return MemtopError(f"cannot {doing} {path}: file or folder cannot be written to")
    if "not a database" in text:
        return NoRecording(f"{path} is no recording of memtop")
    if "malformed" in text or "decode" in text or "corrupt" in text:
        return Damaged(f"{path} is damaged: a part of it cannot be read")
    if "UNIQUE" in text:
        return MemtopError(f"another memtop records to {path}; this one stops")
    return MemtopError(f"cannot {doing} {path}: {text}")


def make(path: str, *, force: bool = False) -> sqlite3.Connection:
    """A new recording; MemtopError if the file exists (unless `force`) or cannot be written."""
    _be_absolute(path)
    if force and os.path.lexists(path):
        _look_at(path)  # no link, no folder
        if (descriptor := claim(path)) is not None:  # nobody records to it
            os.close(descriptor)
    elif os.path.lexists(f"{path}-journal"):
        # SQLite would take it for that of the new file.
        raise MemtopError(f"{path}-journal is left of another file; move it away")
    create(path, b"", force=force)
    connection = _connect(path, "rw")
    try:
        with explained(path, "write"):
            _prepare(connection)
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements():
                connection.execute(statement)
            connection.execute("COMMIT")
    except MemtopError:
        connection.close()
        with suppress_os():
            os.unlink(path)  # it is ours and empty
        raise
    return connection


@contextmanager
def suppress_os() -> Iterator[None]:
    """What cannot be tidied up stays."""
    try:
        yield
    except OSError:
        pass


def extend(path: str, *, thorough: bool = False) -> sqlite3.Connection:
    """An existing recording, to write to; MemtopError if it is none, of another version, damaged.

    `thorough` looks at all of it.
    """
    _look_at(path)
    if not _may_write(path):
        raise MemtopError(f"cannot write {path}: file or folder cannot be written to")
    connection = _connect(path, "rw")
    try:
        with explained(path, "write"):
            _prepare(connection)
            _check_version(connection, path)
            # Whether it can be written at all is to be known before anything is sampled.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("ROLLBACK")
            if thorough:
                found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if found != "ok":
                    raise Damaged(
                        f"{path} is damaged, so nothing is added to it; record to another file",
                        command=f"memtop replay {path}",
                    )
    except MemtopError:
        connection.close()
        raise
    return connection


def look(path: str) -> tuple[sqlite3.Connection, bool]:
    """An existing recording, to read; and whether its end is missing."""
    _look_at(path, links=True)
    if not os.access(path, os.R_OK):
        raise MemtopError(f"cannot read {path}: {os.strerror(errno.EACCES)}")
    # A journal that a killed writer left is put back by whoever may write; else it is ignored.
    modes = [mode for mode in ("rw", "ro", "ro&immutable=1") if mode != "rw" or _may_write(path)]
    failure: MemtopError | None = None
    is_cut = False
    while modes:
        connection = _connect(path, modes[0])
        try:
            with explained(path, "read"):
                if is_cut:  # before all else: then SQLite reads what there is
                    connection.execute("PRAGMA writable_schema = ON")
                connection.execute(f"PRAGMA cache_size = -{4 * CACHE_KIB}")
                connection.execute("PRAGMA query_only = ON")
                _check_version(connection, path)
                pages = connection.execute("PRAGMA page_count").fetchone()[0]
                page = connection.execute("PRAGMA page_size").fetchone()[0]
                # SQLite takes no offence at a last page of which a part is missing.
                is_cut = is_cut or os.stat(path).st_size < pages * page
            return connection, is_cut
        except NoRecording:
            connection.close()
            raise
        except MemtopError as error:
            connection.close()
            failure = error
        if isinstance(failure, Damaged) and not is_cut and _is_cut(path):
            is_cut = True
        else:
            del modes[0]
    assert failure is not None
    raise failure


def claim(path: str) -> int | None:
    """Keep other recorders away from a file, until the descriptor is closed; None: not possible.

    It must be closed after the connection: with any descriptor of a file a process gives up all
    the locks that it has there (fcntl(2)), also those of SQLite. For the same reason nothing else
    may open the file while it is written to.
    """
    kind = getattr(fcntl, "F_OFD_SETLK", None)
    if kind is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # struct flock: type, whence, start, length, pid
        fcntl.fcntl(descriptor, kind, struct.pack("hhqqi0q", fcntl.F_WRLCK, 0, CLAIMED, 1, 0))
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise MemtopError(f"another memtop records to {path}") from None
        return None
    return descriptor


def _may_write(path: str) -> bool:
    folder = os.path.dirname(os.path.abspath(path))
    return os.access(path, os.W_OK) and os.access(folder, os.W_OK)


def _be_absolute(path: str) -> None:
    if not path:
        raise UsageError("no file was named")


def _look_at(path: str, *, links: bool = False) -> None:
    """MemtopError unless a regular file is there, reached by no symbolic link if it is written."""
    _be_absolute(path)
    try:
        info = os.stat(path) if links else os.lstat(path)
    except OSError as error:
        raise MemtopError(f"cannot open {path}: {error.strerror}") from None
    if stat.S_ISLNK(info.st_mode):
        raise MemtopError(f"{path} is a symbolic link, which is not followed")
    if not stat.S_ISREG(info.st_mode):
        raise MemtopError(f"{path} is no file")


def _is_cut(path: str) -> bool:
    """Whether the file is shorter than it says."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return False
    page, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
    return len(head) == HEAD and size < pages * (page if page != 1 else 1 << 16)


def _connect(path: str, mode: str) -> sqlite3.Connection:
    # The path of a URI: `?` and `#` have a meaning, and `%` begins a code.
    uri = f"file:{quote(str(Path(path).absolute()))}?mode={mode}"
    try:
        connection = sqlite3.connect(
            uri, uri=True, timeout=WAIT_S, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise reason_of(error, path, "open") from None
    connection.text_factory = _text
    return connection


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _prepare(connection: sqlite3.Connection) -> None:
    """How it is written: a journal that is gone after each transaction, no waiting for the disk.

    Without waiting, the file may be damaged if the whole machine stops at once, not if memtop is
    killed; to wait several times a sample would be felt by all on a busy disk.
    """
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")


def _check_version(connection: sqlite3.Connection, path: str) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise NoRecording(f"{path} is no recording of memtop")
    if version > VERSION:
        raise NoRecording(
            f"{path} has version {version} of the format, this memtop knows up to {VERSION};"
            " use a newer memtop"
        )
    if version < 1:
        raise NoRecording(f"{path} has no version of the format that is known")
