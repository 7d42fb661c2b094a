"""Regions of a process as smaps counts them, their kinds, and the zeroed data of its files."""

import json
import mmap
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.anatomy.regions import bss_spans, parse_smaps, read_regions
from memtop.target.maps import Mapping, Module, modules, read_maps
from memtop.target.memory import Memory

sys.path.insert(0, str(Path(__file__).parent.parent))
from images import made_up
from pythons import interpreters, label

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

PAGE = mmap.PAGESIZE
WAIT = "print('ready', flush=True); import sys; sys.stdin.read()"
# Maps memory of several kinds, 16 pages each, and touches it; prints the addresses.
KINDS = """
import ctypes, json, mmap, os, sys, tempfile
kept, found = [], {}
def add(name, *arguments, pages=16, **options):
    area = mmap.mmap(*arguments, pages * 4096, **options)
    kept.append(area)
    pointer = ctypes.c_char.from_buffer(area)
    kept.append(pointer)
    found[name] = ctypes.addressof(pointer)
    return area
PRIVATE, SHARED, NONE = mmap.MAP_PRIVATE, mmap.MAP_SHARED, mmap.MAP_ANONYMOUS
add("anonymous", -1, flags=PRIVATE | NONE).write(b"x" * 65536)
add("shared anonymous", -1, flags=SHARED | NONE).write(b"x" * 65536)
memory = os.memfd_create("some")
os.ftruncate(memory, 65536)
add("memfd", memory, flags=SHARED).write(b"x" * 65536)
zero = os.open("/dev/zero", os.O_RDWR)
add("private zero", zero, flags=PRIVATE).write(b"x" * 65536)
add("shared zero", zero, flags=SHARED).write(b"x" * 65536)
with tempfile.NamedTemporaryFile() as file:
    file.write(b"y" * 65536)
    file.flush()
    copied = add("file", file.fileno(), flags=PRIVATE)
    copied.read()
    copied[:8192] = b"x" * 8192
with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
    file.write(b"y" * 65536)
    file.flush()
    add("shm", file.fileno(), flags=SHARED).write(b"x" * 65536)
print(json.dumps(found), flush=True)
sys.stdin.read()
"""
RECORD = b"""\
7f0000000000-7f0000004000 rw-p 00000000 00:00 0 %s
Size:                 16 kB
KernelPageSize:        4 kB
Rss:                  12 kB
Pss:                   9 kB
Shared_Clean:          1 kB
Shared_Dirty:          2 kB
Anonymous:            12 kB
AnonHugePages:         4 kB
Private_Hugetlb:       0 kB
Swap:                  3 kB
SwapPss:               3 kB
VmFlags: rd wr mr mw me ac%s
"""


def resident_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def at(regions, address):
    (region,) = [each for each in regions if each.start <= address < each.end]
    return region


def test_all_regions_are_as_in_maps_and_add_up_to_rss(children, wait_until):
    """A quiet process: the same mappings as in maps, and VmRSS to the byte, the vdso included."""
    child = children.ready(WAIT)

    def look():
        regions = read_regions(child.pid)
        size = sum(region.rss_bytes for region in regions)
        return regions if size == resident_kib(child.pid) << 10 else None

    regions = wait_until(look)  # it may still be on its way to where it waits
    assert [region.mapping for region in regions] == list(read_maps(child.pid))
    (vdso,) = [region for region in regions if region.mapping.path == "[vdso]"]
    assert vdso.kind == "vdso"
    assert all(
        region.anonymous_bytes <= region.rss_bytes >= region.shared_bytes for region in regions
    )


def test_kinds_of_memory(children):
    """Whatever a program can map is of the kind that its memory is."""
    child = children.python(KINDS)
    found = json.loads(child.stdout.readline())
    regions = read_regions(child.pid)
    kinds = {name: at(regions, address).kind for name, address in found.items()}
    assert kinds == {
        "anonymous": "anonymous",
        "shared anonymous": "shared",
        "memfd": "shared",
        "private zero": "anonymous",
        "shared zero": "shared",
        "file": "files",
        "shm": "shared",
    }
    assert at(regions, found["private zero"]).anonymous_bytes == 65536
    file = at(regions, found["file"])
    assert (file.rss_bytes, file.anonymous_bytes) == (65536, 8192)
    assert {r.kind for r in regions if r.mapping.path == "[heap]"} == {"anonymous"}
    assert {r.kind for r in regions if r.mapping.path == "[stack]"} == {"main_stack"}


def test_what_relatives_share_is_counted(children):
    """After a fork the untouched half is shared, what was written to since is not."""
    code = (
        "import mmap, os, sys\n"
        "area = mmap.mmap(-1, 256 * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "area.madvise(mmap.MADV_NOHUGEPAGE)\n"  # a region of its own
        "area.write(b'x' * 256 * 4096)\n"
        "child = os.fork()\n"
        "if not child: sys.stdin.read(); os._exit(0)\n"
        "area[:128 * 4096] = b'y' * 128 * 4096\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    child = children.ready(code)
    (found,) = [region for region in read_regions(child.pid) if "nh" in region.flags]
    assert found.kind == "anonymous"
    assert found.rss_bytes == found.anonymous_bytes == 256 * PAGE
    assert found.shared_bytes == 128 * PAGE


def test_the_fields_of_a_record():
    """Each figure is its own, in bytes; the flags are words."""
    (region,) = parse_smaps(RECORD % (b"", b" gu nh"))
    assert region.mapping == Mapping(
        0x7F0000000000, 0x7F0000004000, "rw-p", 0, "00:00", 0, "", False
    )
    assert (region.rss_bytes, region.shared_bytes) == (12 << 10, 3 << 10)
    assert (region.anonymous_bytes, region.huge_bytes, region.swapped_bytes) == (
        12 << 10,
        4 << 10,
        3 << 10,
    )
    assert {"gu", "nh"} <= region.flags


@pytest.mark.parametrize(
    ("path", "flags", "kind"),
    [
        (b"[anon: glibc: malloc]", b"", "anonymous"),
        (b"[anon_shmem:some]", b"", "shared"),
        (b"[vvar_vclock]", b"", "vdso"),
        (b"[vsyscall]", b"", "vdso"),
        (b"/SYSV00000000 (deleted)", b"", "shared"),
        (b"/anon_hugepage (deleted)", b" ht", "hugetlb"),
        (b"/dev/hugepages/some", b" ht", "hugetlb"),
    ],
)
def test_kinds_by_name(path, flags, kind):
    """What cannot be had on every machine is told by its name or its flags."""
    (region,) = parse_smaps(RECORD % (path, flags))
    assert region.kind == kind


def test_a_record_that_is_cut_or_broken_is_left_out():
    """The others stay."""
    raw = RECORD % (b"", b"")
    assert len(parse_smaps(raw + raw)) == 2
    assert len(parse_smaps(raw + raw[:-1])) == 1
    assert (
        len(
            parse_smaps(raw.replace(b"Rss:                  12", b"Rss:                  1x") + raw)
        )
        == 1
    )
    assert len(parse_smaps(raw.replace(b"rw-p", b"", 1).replace(b" 00:00 0", b"") + raw)) == 1
    assert parse_smaps(b"") == ()


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from((RECORD % (b"", b"")).splitlines(True)))
    )
)
def test_any_text_is_parsed(parts):
    """Garbage gives fewer regions, never an exception."""
    regions = parse_smaps(b"".join(parts))
    assert len(regions) <= b"".join(parts).count(b"VmFlags:")


def test_five_thousand_regions_take_little_time():
    """A process may have many mappings: a tenth of a second of CPU is enough for 5,000."""
    raw = b"".join(
        (RECORD % (b"", b"")).replace(
            b"7f0000000000-7f0000004000", b"%x-%x" % (i << 15, (i << 15) + PAGE)
        )
        for i in range(1, 5001)
    )
    best = min(timed(raw) for _ in range(5))
    assert best < 0.1


def timed(raw):
    begin = time.process_time()
    assert len(parse_smaps(raw)) == 5000
    return time.process_time() - begin


def test_a_process_that_is_gone():
    """It is the kernel's error."""
    done = subprocess.Popen(["true"])
    done.wait()
    with pytest.raises((FileNotFoundError, ProcessLookupError)):
        read_regions(done.pid)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("options", [[], ["-no-pie"], ["-static"], ["-static-pie"]])
def test_zeroed_data_of_a_program(tmp_path, options):
    """A megabyte of .bss is found to the page, wherever and however the program was linked."""
    source = tmp_path / "source.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\nstatic char zeroed[1 << 20];\n"
        'int main(void) { printf("%p %p\\n", (void *)zeroed, (void *)(zeroed + sizeof zeroed));\n'
        "fflush(stdout); char c; return read(0, &c, 1) < 0; }\n"
    )
    program = tmp_path / "made"
    subprocess.run(["gcc", *options, "-o", program, source], check=True, timeout=60)
    child = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        start, end = (int(word, 16) for word in child.stdout.readline().split())
        regions = read_regions(child.pid)
        with Memory(child.pid) as memory:
            spans = bss_spans(memory, modules(read_maps(child.pid)))
        child.kill()
    (span,) = [span for span in spans if span[0] < end and start < span[1]]
    # The first page may belong to the file, and more variables may lie around.
    assert span[0] <= -(-start // PAGE) * PAGE and end <= span[1]
    assert span[1] - span[0] < (1 << 20) + (1 << 18)
    inside = [r for r in regions if r.start < span[1] and span[0] < r.end]
    assert inside and {region.kind for region in inside} == {"anonymous"}


@pytest.mark.parametrize("path", interpreters() or [sys.executable], ids=label)
def test_zeroed_data_lies_behind_the_files(children, path):
    """Every span of a real Python is anonymous memory right behind a module's mappings."""
    child = subprocess.Popen(
        [path, "-c", WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        child.stdout.readline()
        maps = read_maps(child.pid)
        loaded = modules(maps)
        with Memory(child.pid) as memory:
            spans = bss_spans(memory, loaded)
        child.kill()
    assert spans, "neither libc nor Python has any"
    for start, end in spans:
        assert start in {module.end for module in loaded}
        inside = [each for each in maps if each.start < end and start < each.end]
        assert inside and {each.path for each in inside} <= {"", "[heap]"}


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=400), st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255))))
def test_headers_may_hold_anything(tail, changes):
    """Corrupted program headers give some spans, or none, and never an exception."""
    data = bytearray(Path(sys.executable).read_bytes()[:1024].ljust(PAGE, b"\0"))
    data[700 : 700 + len(tail)] = tail
    for place, value in changes:
        data[place] = value
    start = 0x7F0000000000
    mapping = Mapping(start, start + PAGE, "r--p", 0, "08:01", 7, "/some")
    with made_up(bytes(data), start) as image:
        # Something follows that can be read.
        os.ftruncate(image.memory.fd, start + (1 << 20))
        spans = bss_spans(image.memory, [Module("/some", start, start + PAGE, (mapping,))])
    assert all(low < high for low, high in spans)
