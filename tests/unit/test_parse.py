"""The formats of /proc."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.probe import parse

NAMES = st.binary(max_size=15).filter(lambda name: b"\0" not in name)


def stat_line(name: bytes, ppid: int = 1, state: bytes = b"S") -> bytes:
    fields = [0] * 50
    fields[1 - 1] = ppid
    numbers = [
        ppid,
        1,
        1,
        0,
        -1,
        4194304,
        1,
        2,
        3,
        4,
        250,
        50,
        7,
        8,
        20,
        0,
        3,
        0,
        987654,
        10_000,
        321,
    ]
    rest = b" ".join(str(n).encode() for n in [*numbers, *fields[21:]])
    return b"4711 (" + name + b") " + state + b" " + rest + b"\n"


@given(NAMES, st.integers(0, 2**22))
def test_a_name_may_hold_anything(name, ppid):
    """Parentheses, blanks and newlines in the name do not shift the fields."""
    stat = parse.parse_stat(stat_line(name, ppid))

    assert stat.name.encode("utf-8", "surrogateescape") == name
    assert (stat.ppid, stat.state, stat.cpu_ticks, stat.threads) == (ppid, "S", 300, 3)
    assert (stat.start_ticks, stat.rss_pages, stat.kernel) == (987654, 321, False)


@given(st.binary(max_size=400))
def test_garbage_is_a_value_error(data):
    """Bytes that are no stat, statm or cmdline are refused or read, never anything else."""
    for read in (parse.parse_stat, parse.parse_statm, parse.parse_uid):
        try:
            read(data)
        except ValueError:
            pass
    parse.parse_keyed(data)
    parse.parse_argv(data)
    parse.parse_cgroup(data)


@given(st.integers(0, 200))
def test_a_cut_stat_is_refused(length):
    """A stat that ends early is no stat."""
    whole = stat_line(b"python")
    with pytest.raises(ValueError):
        parse.parse_stat(whole[: min(length, 60)])


def test_own_files_are_read():
    """The files of this very process are understood."""
    with open("/proc/self/stat", "rb") as file:
        stat = parse.parse_stat(file.read())
    with open("/proc/self/statm", "rb") as file:
        statm = parse.parse_statm(file.read())
    with open("/proc/self/status", "rb") as file:
        uid = parse.parse_uid(file.read())

    assert stat.ppid == os.getppid()
    assert statm.rss_pages > 100
    assert uid == os.getuid()


def test_titles_lose_their_padding():
    """A rewritten title is one argument, whatever follows it."""
    assert parse.parse_argv(b"gunicorn: master [app]\0\0\0\0") == ("gunicorn: master [app]",)
    assert parse.parse_argv(b"python\0-c\0\0x\0") == ("python", "-c", "", "x")
    assert parse.parse_argv(b"") == ()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b"0::/kubepods/pod1/abc\n", "/kubepods/pod1/abc"),
        (b"12:cpu,cpuacct:/a\n9:memory:/b\n0::/c\n", "/b"),
        (b"1:name=systemd:/x\n0::/\n", "/"),
        (b"5:memory:/with:colon\n", "/with:colon"),
        (b"garbage\n", None),
    ],
)
def test_the_memory_cgroup_is_found(text, path):
    """The v1 memory line goes before the unified one."""
    assert parse.parse_cgroup(text) == path
