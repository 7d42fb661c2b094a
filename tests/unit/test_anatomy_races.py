"""Processes that become others, grow or end at the worst moment, and kernels that tell less."""

import ctypes
import mmap
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from memtop.anatomy import subject
from memtop.anatomy.anatomy import look, look_quickly
from memtop.anatomy.predict import predict_trim
from memtop.anatomy.regions import read_regions
from memtop.errors import MemtopError, NoSuchProcess
from memtop.probe.parse import parse_stat
from memtop.probe.sample import Identity
from memtop.target.careful import CarefulMemory
from memtop.target.maps import read_maps
from memtop.target.pages import PAGE, read_pages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

GROWING = """
import os, sys, time
FILL, held, taken, begin = os.urandom(4096), [], 0, time.monotonic()
print("ready", flush=True)
while taken < 400e6:
    while taken < (time.monotonic() - begin) * 40e6:
        held.append(FILL[: 600 + taken % 900])
        taken += 1100
    time.sleep(0.002)
time.sleep(60)
"""
BECOMES_ANOTHER = """
import os, sys
print("ready", flush=True)
sys.stdin.readline()
os.execv(sys.executable, [sys.executable, "-c",
    "import sys; print('again', flush=True); held = [b'x' * 700 for _ in range(9)]; input()"])
"""
ONLY_READ = """
import mmap, sys
area = mmap.mmap(-1, int(sys.argv[1]) << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
area.madvise(mmap.MADV_NOHUGEPAGE)
area[0] = 1
seen = sum(area[at] for at in range(0, min(len(area), 32 << 20), 4096))
print("ready", flush=True)
sys.stdin.read()
"""
WITHOUT_ITS_MAIN_THREAD = """
import ctypes, threading
threading.Thread(target=threading.Event().wait).start()
print("ready", flush=True)
ctypes.CDLL(None).syscall(60, 0)
"""


def identity_of(pid):
    return Identity(parse_stat(Path(f"/proc/{pid}/stat").read_bytes()).start_ticks, pid)


@pytest.fixture
def without_scan(monkeypatch):
    """As on a kernel without PAGEMAP_SCAN."""
    monkeypatch.setattr(
        subject, "read_pages", lambda *args, **more: read_pages(*args, **{**more, "scan": False})
    )


@pytest.mark.parametrize("times", [6, pytest.param(24, marks=pytest.mark.deep)])
def test_a_heap_that_grows(children, times):
    """40 MB a second by brk: its arena is found every time, and nearly all is explained."""
    child = children.ready(GROWING)
    identity = identity_of(child.pid)
    time.sleep(0.3)
    for _ in range(times):
        found = look(identity)
        assert len(found.arenas) == 1, found.missing
        assert 0.98 <= found.explained_bytes / found.rss_bytes <= 1.005
        assert found.arenas[0].system_bytes <= found.rss_bytes
        assert found.trim_would_return_bytes is not None
        assert predict_trim(child.pid).reason is None


@pytest.mark.parametrize("function", [look, look_quickly])
def test_an_exec_between_mappings_and_memory(children, monkeypatch, function):
    """What was read of one program is never put together with the memory of the next."""
    child = children.ready(BECOMES_ANOTHER)
    for name in ("read_regions", "read_maps"):
        real = getattr(subject, name)

        def reads(*arguments, real=real):
            found = real(*arguments)
            if child.stdin.writable() and not done:
                done.append(child.stdin.write("\n"))
                child.stdin.flush()
                assert child.stdout.readline() == "again\n"
            return found

        monkeypatch.setattr(subject, name, reads)
    done = []
    identity = identity_of(child.pid)
    with pytest.raises(NoSuchProcess):
        function(identity)
    assert identity_of(child.pid) == identity
    assert look(identity).arenas


def test_an_exec_while_smaps_is_read(children, monkeypatch):
    """It ends as if there were no more regions, which is no answer."""
    child = children.ready(BECOMES_ANOTHER)
    real = os.read

    def reads(fd, size):
        data = real(fd, min(size, 4096))
        if not done:
            done.append(child.stdin.write("\n"))
            child.stdin.flush()
            assert child.stdout.readline() == "again\n"
        return data

    done = []
    monkeypatch.setattr(os, "read", reads)
    with pytest.raises(ProcessLookupError):
        read_regions(child.pid)


def test_pages_that_were_only_read_without_scan(children, without_scan):
    """They are in no RSS, and in no part, although pagemap calls them present."""
    child = children.ready(ONLY_READ, "32")
    found = look(identity_of(child.pid))
    with open(f"/proc/{child.pid}/smaps_rollup") as file:
        rss = next(int(line.split()[1]) << 10 for line in file if line.startswith("Rss:"))
    assert rss < 32 << 20
    assert found.rss_bytes == pytest.approx(rss, rel=0.01)
    assert sum(part.bytes for part in found.parts) == found.rss_bytes


def test_too_much_is_mapped_without_scan(children, without_scan):
    """Then it is what smaps tells, with the reason."""
    child = children.ready(ONLY_READ, str(600 << 10))
    identity = identity_of(child.pid)
    found = look(identity)
    assert found.arenas == () and found.trim_would_return_bytes is None
    assert found.bytes_of("files", "main_stack")
    assert "6.7" in found.missing[0].reason
    assert look_quickly(identity) is None
    assert predict_trim(child.pid).returns_bytes is None


def test_a_process_without_its_main_thread(children, wait_until):
    """Its other threads go on, so it has not ended, and that is said."""
    child = children.ready(WITHOUT_ITS_MAIN_THREAD)
    stat = Path(f"/proc/{child.pid}/stat")
    wait_until(lambda: stat.read_bytes().rpartition(b") ")[2][:1] == b"Z")
    with pytest.raises(MemtopError, match="others go on") as caught:
        look(identity_of(child.pid))
    assert not isinstance(caught.value, NoSuchProcess)


def test_memory_of_a_device_is_not_read():
    """What is mapped from /dev is not asked for, and no page of it is made present."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    fd = os.open("/dev/zero", os.O_RDONLY)
    start = libc.mmap(None, PAGE, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE, fd, 0)
    os.close(fd)
    try:
        with CarefulMemory(os.getpid(), read_maps(os.getpid())) as memory:
            with pytest.raises(OSError):
                memory.read(start, 64)
            with pytest.raises(OSError):
                memory.read(start + PAGE, 1 << 40)
        with open("/proc/self/pagemap", "rb", buffering=0) as file:
            assert not os.pread(file.fileno(), 8, start // PAGE * 8)[7] & 0x80
    finally:
        libc.munmap(start, PAGE)


def test_a_file_whose_place_has_something_else(tmp_path, monkeypatch):
    """Where a pipe or another file lies now, neither is opened, and nothing waits for a writer."""
    path = tmp_path / "data"
    path.write_bytes(os.urandom(PAGE))
    with path.open("rb") as file, mmap.mmap(file.fileno(), PAGE, prot=mmap.PROT_READ):
        maps = [one for one in read_maps(os.getpid()) if one.path == str(path)]
        opened = os.open

        def opens(name, *arguments, **more):
            if "map_files" in str(name):
                raise PermissionError(1, "Operation not permitted")
            return opened(name, *arguments, **more)

        monkeypatch.setattr(os, "open", opens)
        expected = path.read_bytes()
        for replace in (lambda: os.mkfifo(path), lambda: path.write_bytes(b"other" * 1000)):
            path.unlink()
            replace()
            with CarefulMemory(os.getpid(), maps) as memory:
                assert memory.read(maps[0].start, 100) == expected[:100]


def test_nothing_is_left_over(children):
    """Descriptors and threads after many looks at what comes, changes and goes."""
    before = sorted(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(8):
        child = children.ready("print('ready', flush=True); held = [b'x' * 600] * 100; input()")
        identity = identity_of(child.pid)
        killer = threading.Timer(0.004, child.kill)
        killer.start()
        for _ in range(5):
            try:
                look(identity)
                look_quickly(identity)
            except NoSuchProcess:
                pass
            predict_trim(child.pid)
        killer.join()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    assert (sorted(os.listdir("/proc/self/fd")), threading.active_count()) == before
