"""What is true of a target: what it says itself, what its kernel counts. Bytes are integers.

Nothing here is a test or a fixture.
"""

import os
import re
from pathlib import Path

HERE = Path(__file__).parent
MB = 1_000_000
# 3.6 and later: `# bytes in allocated blocks        =            1,234`.
_STATISTIC = re.compile(
    r"^(# bytes in (?:allocated|available) blocks|[\d,]+ unused pools \* \d+ bytes) += +([\d,]+)$",
    re.M,
)


def identity_of(pid):
    """The identity of a process by /proc."""
    from memtop.probe.parse import parse_stat
    from memtop.probe.sample import Identity

    return Identity(parse_stat(Path(f"/proc/{pid}/stat").read_bytes()).start_ticks, pid)


def keyed(pid, file="status"):
    """A file of /proc with lines of `name: number kB` as bytes."""
    found = {}
    with open(f"/proc/{pid}/{file}") as lines:
        for line in lines:
            fields = line.split()
            if len(fields) == 3 and fields[2] == "kB":
                found[fields[0][:-1]] = int(fields[1]) << 10
    return found


def resident(pid, key="Rss"):
    """Resident bytes, counted page by page; `Anonymous` without what is in the page cache."""
    return keyed(pid, "smaps_rollup")[key]


def statistics(target):
    """(allocated, free) bytes of blocks of pymalloc by sys._debugmallocstats, None without it.

    Free are blocks of pools that are in use, and the pools that are not, touched or not.
    """
    before = len(target.complaints())
    target.ask("stats")
    text = target.complaints()
    assert len(text) > before or len(text) >= 8000, "nothing was written"
    found = [int(value.replace(",", "")) for _, value in _STATISTIC.findall(text)[-3:]]
    return (found[0], found[1] + found[2]) if found else None


def in_use(anatomy):
    """The sum over the arenas."""
    return sum(arena.in_use_bytes for arena in anatomy.arenas)


def explained(anatomy):
    """The explained share of RSS."""
    return anatomy.explained_bytes / anatomy.rss_bytes


def shared_with_relatives(pid):
    """Bytes of private anonymous memory that a parent or a child has, too."""
    total, is_ours = 0, False
    with open(f"/proc/{pid}/smaps") as lines:
        for line in lines:
            fields = line.split()
            if not fields[0].endswith(":"):
                path = fields[5] if len(fields) > 5 else ""
                is_ours = fields[1].endswith("p") and path[:1] != "/"
            elif is_ours and fields[0] in ("Shared_Dirty:", "Shared_Clean:"):
                total += int(fields[1]) << 10
    return total


def residence(pid, start, size):
    """Which pages are present or in swap, by pagemap."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as file:
        raw = os.pread(file.fileno(), size // 4096 * 8, start // 4096 * 8)
    return bytes(value & 0xC0 for value in raw[7::8])


def check_quiet(anatomy, pid):
    """A target that rests: its RSS is right, and nearly all of it is explained, never more."""
    rss = resident(pid)
    assert abs(anatomy.rss_bytes - rss) <= max(64 << 10, rss // 1000), (anatomy.rss_bytes, rss)
    assert 0.99 <= explained(anatomy) <= 1.005, described(anatomy)
    check_sums(anatomy)


def check_sums(anatomy):
    """The figures fit each other, whatever the target did meanwhile."""
    assert all(part.bytes >= 0 for part in anatomy.parts)
    assert all((part.shared_bytes or 0) <= part.bytes for part in anatomy.parts), anatomy.parts
    assert len({part.id for part in anatomy.parts}) == len(anatomy.parts)
    assert 0 <= anatomy.confidence <= 1
    for arena in anatomy.arenas:
        free = arena.released_bytes + arena.trapped_bytes + arena.trimmable_bytes + arena.top_bytes
        assert min(free, arena.in_use_bytes, arena.top_bytes, arena.trapped_bytes) >= 0, arena
        assert arena.free_bytes == free, arena
        assert arena.in_use_bytes + free <= arena.system_bytes, arena
    assert [arena.main for arena in anatomy.arenas] == [
        index == 0 for index in range(len(anatomy.arenas))
    ]


def described(anatomy):
    """The parts in kB, for a message."""
    return {part.id: part.bytes >> 10 for part in anatomy.parts} | {
        "rss": anatomy.rss_bytes >> 10,
        "missing": anatomy.missing,
    }


def check_heap(target, look, record, within=0.001):
    """The arenas are what malloc says, and it returns what was predicted; the anatomy of before."""
    before = target.ask("info")
    found = look(target)
    after = target.ask("info")
    check_quiet(found, target.pid)
    for name, value, least, most in (
        ("in_use", in_use(found), before["uordblks"], after["uordblks"]),
        ("free", sum(a.free_bytes for a in found.arenas), before["fordblks"], after["fordblks"]),
        ("system", sum(a.system_bytes for a in found.arenas), before["arena"], after["arena"]),
    ):
        least, most = min(least, most), max(least, most)
        off = max(least - value, value - most, 0)
        record(f"{name}_off", f"{off / max(most, 1):.4%}")
        assert off <= within * most, (name, value, least, most)
    check_trim(target, found, record)
    return found


def check_trim(target, found, record):
    """What malloc_trim really gives back is what was predicted."""
    before = resident(target.pid, "Anonymous")
    target.ask("trim")
    real = before - resident(target.pid, "Anonymous")
    told = found.trim_would_return_bytes
    record("trim", f"{told / MB if told is not None else -1:.2f}/{real / MB:.2f} MB")
    assert told is not None, found.missing
    assert abs(told - real) <= max(0.3 * MB, 0.01 * real), (told, real)
    assert told == sum(arena.trimmable_bytes for arena in found.arenas)
