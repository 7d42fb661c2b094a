"""The tables of a recording: an SQLite database that any tool can read.

Nothing that was written is changed or removed, and every table grows at its end only, in the order
of its integer key; there is no other index. So a copy made while somebody writes, a file that was
cut, and one whose writer was killed still hold all but the last moments. Times ending in `_ms` are
milliseconds: `at_ms` since the epoch, `clock_ms` by a clock that never jumps; sizes ending in
`_kib` KiB. `check` is a CRC-32 of the other columns, because SQLite itself notices no changed bit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

APPLICATION_ID = 0x6D746F70  # "mtop"
VERSION = 1

BUCKETS = 20  # of 15 s in a segment, which begins with everything that is known
MINUTE = 4  # of 15 s in a minute
KEY_BITS = 24  # a key is a tick, minute or segment, and in its lowest bits the number of an object
OBJECTS = (1 << KEY_BITS) - 1

# A table's columns besides its key and its check.
TABLES: dict[str, tuple[str, str]] = {
    "runs": (
        "run",
        "first_tick INTEGER, at_ms INTEGER, memtop TEXT, host TEXT, boot_id TEXT, "
        "interval_ms INTEGER, exact INTEGER, first_clock_ms INTEGER, own INTEGER, settings TEXT",
    ),
    "objects": ("object", "kind TEXT, name TEXT, first_tick INTEGER"),
    "processes": (
        "object",
        "pid INTEGER, start_ticks INTEGER, run INTEGER, started_at REAL, first_tick INTEGER",
    ),
    "ends": ("number", "object INTEGER, tick INTEGER, ended_ms INTEGER"),
    "facts": (
        "number",
        "tick INTEGER, object INTEGER, ppid INTEGER, parent INTEGER, name TEXT, command TEXT, "
        "user TEXT, uid INTEGER, exe TEXT, cgroup TEXT, pod TEXT, rights TEXT, "
        "address_space_bytes INTEGER, python INTEGER, role TEXT, framework TEXT, team TEXT, "
        "title TEXT",
    ),
    "words": ("number", "tick INTEGER, object INTEGER, json TEXT"),
    "trends": (
        "number",
        "tick INTEGER, object INTEGER, word TEXT, since_clock_ms INTEGER, slope_bytes_s REAL, "
        "low_bytes_s REAL, high_bytes_s REAL, grown_bytes REAL, sure REAL",
    ),
    "ticks": (
        "tick",
        "at_ms INTEGER, clock_ms INTEGER, bucket INTEGER, late_ms INTEGER, births INTEGER, "
        "deaths INTEGER, processes INTEGER, rss_kib INTEGER, is_whole INTEGER, changes BLOB",
    ),
    "segments": ("tick", "at_ms INTEGER, bucket INTEGER, run INTEGER"),
    "gaps": ("number", "tick INTEGER, first_bucket INTEGER, last_bucket INTEGER"),
    "minutes": ("key", "low_kib INTEGER, high_kib INTEGER, swap_kib INTEGER"),
    "spans": ("key", "low_high BLOB"),
    "fine": ("number", "at_ms INTEGER, object INTEGER, rss_kib INTEGER"),
    "events": ("number", "at_ms INTEGER, kind TEXT, text TEXT, detail TEXT"),
    "results": (
        "number",
        "at_ms INTEGER, kind TEXT, pid INTEGER, start_ticks INTEGER, json TEXT",
    ),
}

VIEWS = {
    "rss_by_minute": (
        f"SELECT (m.key >> {KEY_BITS}) * 60 AS minute_at, p.pid, p.start_ticks, m.low_kib, "
        "m.high_kib, m.swap_kib FROM minutes m "
        f"JOIN processes p ON p.object = m.key & {OBJECTS}"
    ),
}


def statements() -> list[str]:
    """The SQL that makes an empty recording."""
    made = [
        f'CREATE TABLE {name} ({key} INTEGER PRIMARY KEY, {columns}, "check" INTEGER)'
        for name, (key, columns) in TABLES.items()
    ]
    made += [f"CREATE VIEW {name} AS {query}" for name, query in VIEWS.items()]
    return [*made, f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {VERSION}"]


def width(table: str) -> int:
    """How many columns a table has, key and check included."""
    return TABLES[table][1].count(",") + 3


def insert(table: str) -> str:
    """The statement that adds a row.

    Minutes and segments come again if the clock of the machine was put back.
    """
    verb = "INSERT OR REPLACE" if table in ("minutes", "spans") else "INSERT"
    return f"{verb} INTO {table} VALUES ({','.join('?' * width(table))})"


def bindable(value: object) -> object:
    """A value as SQLite takes it: text of bytes that are no UTF-8 as those bytes."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogateescape")
    return value


def check_of(values: Iterable[object]) -> int:
    """The check of a row: what `repr` writes of its values, as a tuple, without the check."""
    return zlib.crc32(repr(tuple(values)).encode("utf-8", "surrogatepass"))
