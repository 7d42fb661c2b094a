"""The formats of /proc/PID files, bytes in, values out; ValueError for anything else.

Sources: proc_pid_stat(5), proc_pid_statm(5), fs/proc/array.c, fs/proc/task_mmu.c. A name may
hold blanks, parentheses and newlines: the numbers of `stat` begin after the last `)`.
"""

from __future__ import annotations

from typing import NamedTuple

from memtop.secrets import mask_name

PF_KTHREAD = 0x00200000  # include/linux/sched.h
# More than these only stands in broken files: 100 years of ticks, 4 TiB of RSS.
MOST_TICKS = 100 * 86_400 * 365 * 100
MOST_PAGES = 1 << 30


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that memtop uses; times in clock ticks, RSS in pages."""

    name: str
    state: str
    ppid: int
    kernel: bool
    cpu_ticks: int
    threads: int
    start_ticks: int
    rss_pages: int


def as_unicode(text: str | None) -> str | None:
    """Text that was decoded here, fit for JSON: bytes that are no UTF-8 become U+FFFD."""
    return text and text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def parse_stat(data: bytes) -> Stat:
    """/proc/PID/stat."""
    opening, closing = data.find(b"("), data.rfind(b")")
    if opening < 0 or closing < opening:
        raise ValueError("stat without a name")
    # After the name, field 3 (state) is number 0.
    fields = data[closing + 2 :].split(b" ", 22)
    if len(fields) < 22:
        raise ValueError("stat is cut")
    start_ticks, rss_pages = int(fields[19]), int(fields[21])
    if not (0 <= start_ticks < MOST_TICKS and 0 <= rss_pages < MOST_PAGES):
        raise ValueError("stat holds numbers that cannot be")
    return Stat(
        name=mask_name(data[opening + 1 : closing]),
        state=fields[0].decode("ascii", "replace") or "?",
        ppid=int(fields[1]),
        kernel=bool(int(fields[6]) & PF_KTHREAD),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        threads=int(fields[17]),
        start_ticks=start_ticks,
        rss_pages=rss_pages,
    )


class Statm(NamedTuple):
    """The fields of /proc/PID/statm that memtop uses, in pages."""

    rss_pages: int
    shared_pages: int
    text_pages: int


def parse_statm(data: bytes) -> Statm:
    """/proc/PID/statm; a zombie's and a kernel thread's are all zero."""
    fields = data.split(None, 4)
    if len(fields) < 4:
        raise ValueError("statm is cut")
    statm = Statm(int(fields[1]), int(fields[2]), int(fields[3]))
    if not all(0 <= pages < MOST_PAGES for pages in statm):
        raise ValueError("statm holds numbers that cannot be")
    return statm


def parse_keyed(data: bytes) -> dict[str, str]:
    """`Name: value` lines (status, meminfo, io, smaps_rollup); other lines are left out."""
    pairs = (line.partition(b":") for line in data.splitlines())
    return {
        key.decode("ascii", "replace"): value.strip().decode("utf-8", "surrogateescape")
        for key, colon, value in pairs
        if colon
    }


def parse_uid(data: bytes) -> int:
    """The real user id in /proc/PID/status."""
    begin = data.find(b"\nUid:")
    fields = data[begin + 5 : begin + 64].split(None, 1)
    if begin < 0 or not fields:
        raise ValueError("status without Uid")
    return int(fields[0])


def kib_of(pairs: dict[str, str], key: str) -> int | None:
    """A `… kB` value of a mapping that `parse_keyed` made; None when absent or not a number."""
    value = pairs.get(key, "").removesuffix(" kB").strip()
    return int(value) if value.isascii() and value.isdigit() else None


def parse_address_space(data: bytes) -> int | None:
    """The soft RLIMIT_AS in /proc/PID/limits, in bytes; None if there is none, or no such line."""
    _, _, rest = data.partition(b"Max address space")  # fs/proc/base.c: lnames
    word = rest.split(None, 1)[:1]
    return int(word[0]) if word and word[0].isdigit() else None


def parse_argv(data: bytes) -> tuple[str, ...]:
    """/proc/PID/cmdline: arguments end with NUL; a rewritten title has none or many at its end."""
    stripped = data.rstrip(b"\0 ")
    if not stripped:
        return ()
    return tuple(part.decode("utf-8", "surrogateescape") for part in stripped.split(b"\0"))


def parse_cgroup(data: bytes) -> str | None:
    """/proc/PID/cgroup: the path that limits memory, from the v1 memory line, else the v2 line."""
    found = parse_memory_cgroup(data)
    return found[1] if found else None


def parse_memory_cgroup(data: bytes) -> tuple[int, str] | None:
    """The same with the version of the hierarchy before it: 1 or 2."""
    unified: tuple[int, str] | None = None
    # A name may hold anything but a newline, so that nothing else may end a line.
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon:
            continue
        if "memory" in controllers.split(","):
            return 1, path
        if number == "0" and not controllers:
            unified = 2, path
    return unified
