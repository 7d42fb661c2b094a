"""The view into one live process: its maps, memory and symbols, its Python and its allocator."""

import ctypes
import errno
import json
import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.target.allocator import find_allocator
from memtop.target.maps import Module, modules, parse_maps, read_maps
from memtop.target.memory import Memory
from memtop.target.python import find_python, has_tkinter
from memtop.target.symbols import MACHINE_AARCH64, MACHINE_X86_64, Symbols

sys.path.insert(0, str(Path(__file__).parent.parent))
from pythons import interpreters, label, trouble

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

PYTHONS = interpreters() or [sys.executable]
PAGE = mmap.PAGESIZE
WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"
LIBC_NAMES = (
    "mmap mprotect munmap poll pthread_create pthread_self pthread_detach malloc_trim malloc_info "
    "open_memstream fclose free malloc pthread_sigmask prctl "
    # Of several versions, of which one is the default.
    "fmemopen posix_spawn pthread_cond_wait realpath regexec timer_create"
).split()
PYTHON_NAMES = (
    "PyGILState_Ensure PyGILState_Release PyDict_New PyEval_GetBuiltins PyDict_SetItemString "
    "PyRun_StringFlags PyDict_GetItemString PyBytes_AsString PyBytes_Size PyErr_Clear Py_DecRef "
    "PyDict_Clear _PyEval_EvalFrameDefault PyEval_ThreadsInitialized PyGC_Collect _Py_NoneStruct"
).split()
# Prints where the target's own dynamic linker finds the names, then waits.
REPORTS = """
import ctypes, json, sys
def where(library, names):
    found = {}
    for name in names:
        try:
            found[name] = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        except AttributeError:
            found[name] = None
    return found
libc, python = json.loads(sys.argv[1])
answer = {"version": sys.version.split()[0], "debug": hasattr(sys, "gettotalrefcount")}
answer["libc"] = where(ctypes.CDLL("libc.so.6"), libc)
answer["python"] = where(ctypes.pythonapi, python)
print(json.dumps(answer), flush=True)
sys.stdin.read()
"""
REPLACEMENT = """
#include <stddef.h>
void *__libc_malloc(size_t); void __libc_free(void *);
void *malloc(size_t size) { return __libc_malloc(size); }
void free(void *block) { __libc_free(block); }
#ifdef MARK
int MARK(void) { return 0; }
#endif
"""
NEEDS_GCC = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture
def start():
    """Starts a program that prints a line when it is ready; all end with the test."""
    running = []

    def start(*command, **options):
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
        )
        running.append(child)
        child.line = child.stdout.readline()
        assert child.line, "the child ended before it was ready"
        return child

    yield start
    for child in running:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


@pytest.fixture
def own():
    """This process's own memory."""
    with Memory(os.getpid()) as memory:
        yield memory


@pytest.fixture
def look():
    """Finds Python and allocator of a process; its memory stays open for the test."""
    opened = []

    def look(pid):
        memory = Memory(pid)
        opened.append(memory)
        loaded = modules(read_maps(pid))
        return find_python(memory, loaded), find_allocator(memory, loaded)

    yield look
    for memory in opened:
        memory.close()


def compile_c(folder, source, *options, name="made"):
    (folder / "source.c").write_text(source)
    out = folder / name
    command = ["gcc", "-w", *options, "-o", str(out), str(folder / "source.c")]
    subprocess.run(command, check=True, timeout=60)
    return out


def place(size):
    """Zeroed memory of this process with nothing mapped behind it; it stays until the end."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    size = -(-size // PAGE) * PAGE
    at = libc.mmap(None, size + PAGE, 3, 0x22, -1, 0)
    assert libc.munmap(at + size, PAGE) == 0
    return at


# --- maps


def test_a_mapping_has_all_that_its_line_says():
    """Addresses, rights, place in the file, and the path with whatever it contains."""
    raw = (
        b"55d0c0a00000-55d0c0a01000 r--p 00001000 fd:01 77                  /opt/my app\\012x\xff\n"
        b"7f00-7f01 rw-s 00000000 00:01 5 /memfd:x (deleted)\n"
        b"7ffe0000-7ffe1000 rw-p 00000000 00:00 0                          [stack]\n"
        b"ffff-10000 ---p 00000000 00:00 0 \n"
    )
    file, memfd, stack, anonymous = parse_maps(raw)

    assert file[:2] == (0x55D0C0A00000, 0x55D0C0A01000)
    assert file[2:6] == ("r--p", 0x1000, "fd:01", 77)
    assert file.path == "/opt/my app\\012x\udcff" and not file.deleted
    assert memfd.path == "/memfd:x" and memfd.deleted
    assert stack.path == "[stack]"
    assert anonymous.path == "" and anonymous.inode == 0


@given(st.one_of(st.binary(), st.text("0123456789abcdef-rwxp: /\n", max_size=200)))
def test_maps_may_hold_anything(raw):
    """What is no line of maps is left out, whatever it is."""
    text = raw if isinstance(raw, bytes) else raw.encode()
    assert len(modules(parse_maps(text))) <= len(parse_maps(text)) <= text.count(b"\n")


def test_a_cut_last_line_is_left_out():
    """A path that was cut would name another file."""
    assert len(parse_maps(b"1000-2000 r--p 0 0:0 0 /a\n2000-3000 r--p 0 0:0 0 /b")) == 1


def test_modules_are_loaded_files_only():
    """Data files, and a library that is also mapped as data, make no module; two loads make two."""
    lines = [
        "1000-2000 r--p 00000000 08:01 1 /bin/app",
        "2000-3000 r-xp 00001000 08:01 1 /bin/app",
        "3000-4000 rw-p 00002000 08:01 1 /bin/app",
        "4000-5000 rw-p 00000000 00:00 0 [heap]",
        "10000-14000 r--p 00000000 08:01 2 /lib/libc.so.6",  # read as data
        "20000-21000 r--p 00000000 08:01 2 /lib/libc.so.6",
        "21000-22000 r-xp 00001000 08:01 2 /lib/libc.so.6",
        "30000-31000 r--p 00000000 08:01 2 /lib/libc.so.6",  # dlmopen
        "31000-32000 r-xp 00001000 08:01 2 /lib/libc.so.6",
        "40000-50000 r--p 00000000 08:01 3 /usr/lib/locale/locale-archive",
        "60000-61000 r-xp 00000000 00:00 0 [vdso]",
        "70000-71000 r-xp 00001000 08:01 4 /lib/headless.so",
        "80000-81000 r-xp 00000000 08:01 5 /lib/old.so (deleted)",
        "90000-91000 r--p 00000000 08:01 6 /bin/huge",  # its code was copied to huge pages
        "91000-92000 r-xp 00000000 00:00 0 ",
        "92000-93000 rw-p 00002000 08:01 6 /bin/huge",
    ]
    found = modules(parse_maps("\n".join(lines).encode() + b"\n"))

    assert [(module.path, module.base, module.end) for module in found] == [
        ("/bin/app", 0x1000, 0x4000),
        ("/lib/libc.so.6", 0x20000, 0x22000),
        ("/lib/libc.so.6", 0x30000, 0x32000),
        ("/lib/old.so", 0x80000, 0x81000),
        ("/bin/huge", 0x90000, 0x93000),
    ]
    assert found[0].name == "app" and len(found[0].mappings) == 3


def test_maps_of_a_process_that_is_gone(start):
    """The kernel's own error comes through."""
    child = start(sys.executable, "-c", WAIT)
    child.kill()
    child.wait()

    with pytest.raises((FileNotFoundError, ProcessLookupError)):
        read_maps(child.pid)


# --- memory


def test_memory_is_read_and_written_exactly(own):
    """All of it or an error: a part is never taken for the whole."""
    at = place(2 * PAGE)
    end = at + 2 * PAGE
    with Memory(os.getpid(), writable=True) as writable:
        writable.write(end - 8, b"12345678")
        with pytest.raises(OSError) as half:
            writable.write(end - 4, b"12345678")
    assert half.value.errno == errno.EIO

    assert own.read(end - 8, 8) == b"12341234"
    assert own.words(end - 8, 1) == struct.unpack("<Q", b"12341234")
    with pytest.raises(OSError) as beyond:
        own.read(end - 4, 8)
    assert beyond.value.errno == errno.EIO
    with pytest.raises(OSError):
        own.write(at, b"x")  # opened to read


def test_a_string_ends_at_its_nul_or_the_limit(own):
    """What lies behind the NUL need not be mapped; without a NUL the limit holds."""
    at = place(2 * PAGE)
    text = b"a" * (PAGE + 300)
    ctypes.memmove(at + 2 * PAGE - len(text) - 1, text, len(text))

    assert own.string(at + 2 * PAGE - len(text) - 1, 2 * PAGE) == text
    assert own.string(at + 2 * PAGE - 1) == b""
    assert own.string(at + 2 * PAGE - 100, 10) == b"a" * 10
    ctypes.memset(at + 2 * PAGE - 1, ord("a"), 1)
    with pytest.raises(OSError):
        own.string(at + 2 * PAGE - 5)


@pytest.mark.parametrize(
    ("address", "size"), [(-1, 4), (1 << 63, 4), ((1 << 63) - 2, 4), (1 << 70, 4), (0, 1 << 40)]
)
def test_impossible_addresses_are_an_ordinary_error(own, address, size):
    """Pointers and sizes come out of memory that may hold anything."""
    with pytest.raises(OSError) as bad:
        own.read(address, size)

    assert bad.value.errno == errno.EFAULT


def test_memory_of_an_ended_process_says_so(start):
    """It is no mapping that is missing, and never the memory of whoever has the PID next."""
    child = start(sys.executable, "-c", WAIT)
    base = modules(read_maps(child.pid))[0].base
    with Memory(child.pid) as memory:
        assert memory.read(base, 4) == b"\x7fELF"
        child.kill()
        child.wait()

        with pytest.raises(ProcessLookupError):
            memory.read(base, 4)
    memory.close()  # once more is fine


# --- symbols


@pytest.mark.parametrize("python", PYTHONS, ids=label)
def test_addresses_are_those_of_the_target_itself(start, python, look):
    """Whatever is looked up has the address that the target's own dynamic linker gives."""
    if reason := trouble(python):
        pytest.skip(f"{python}: {reason}")
    child = start(python, "-c", REPORTS, json.dumps([LIBC_NAMES, PYTHON_NAMES]))
    told = json.loads(child.line)

    found, allocator = look(child.pid)

    for symbols, names in ((allocator.symbols, told["libc"]), (found.symbols, told["python"])):
        assert sum(address is not None for address in names.values()) > len(names) / 2
        for name, address in names.items():
            symbol = symbols.find(name)
            assert (symbol and symbol.address) == address, name
    assert allocator.thread_symbols.find("pthread_create").address == told["libc"]["pthread_create"]
    assert found.symbols.find("_PyEval_EvalFrameDefault").size > 1000
    assert found.symbols.is_64
    assert found.symbols.machine in (MACHINE_X86_64, MACHINE_AARCH64)


@pytest.mark.parametrize("python", PYTHONS, ids=label)
def test_the_interpreter_and_its_build_are_told(start, python, look):
    """Version, build, and whether it is part of the program are as the interpreter says itself."""
    if reason := trouble(python):
        pytest.skip(f"{python}: {reason}")
    child = start(python, "-c", REPORTS, json.dumps([[], ["_Py_MergeZeroLocalRefcount"]]))
    told = json.loads(child.line)

    found, allocator = look(child.pid)

    release = re.match(r"(\d+)\.(\d+)", told["version"])
    assert found.version == (int(release[1]), int(release[2]))
    exact = found.version >= (3, 11)
    assert found.text == (told["version"] if exact else release[0])
    assert found.is_debug == told["debug"]
    assert found.is_free_threaded == (told["python"]["_Py_MergeZeroLocalRefcount"] is not None)
    assert found.is_static == ("libpython" not in Path(f"/proc/{child.pid}/maps").read_text())
    assert allocator.name == "glibc"
    assert allocator.version == os.confstr("CS_GNU_LIBC_VERSION").split()[1]


def test_a_look_is_quick(start, look):
    """Some thirty symbols of libc and libpython, from the maps on; the best of a few runs."""
    child = start(sys.executable, "-c", WAIT)

    def once():
        begin = time.perf_counter()
        found, allocator = look(child.pid)
        for name in PYTHON_NAMES:
            found.symbols.find(name)
        for name in LIBC_NAMES:
            allocator.symbols.find(name)
        return time.perf_counter() - begin

    assert min(once() for _ in range(10)) < 0.01


def test_undefined_indirect_and_thread_local_symbols_are_none(own):
    """Their values are no addresses that could be called or read."""
    libc = next(m for m in modules(read_maps(os.getpid())) if m.name.startswith("libc."))
    symbols = Symbols(own, libc.base)

    assert symbols.find("errno") is None  # thread-local
    assert symbols.find("memcpy") is None  # indirect, though an old version of it is not
    assert symbols.find("__tls_get_addr") is None  # ld.so's
    assert symbols.find("no_such_function") is None
    assert symbols.find("") is None
    assert symbols.find("größe") is None


def test_the_vdso_is_read(own):
    """Its dynamic section has addresses that nobody has relocated."""
    vdso = next((m for m in read_maps(os.getpid()) if m.path == "[vdso]"), None)
    if vdso is None:
        pytest.skip("no vdso")
    symbols = Symbols(own, vdso.start)
    found = symbols.find("__vdso_clock_gettime") or symbols.find("__kernel_clock_gettime")

    assert found is not None and vdso.start < found.address < vdso.end


@NEEDS_GCC
@pytest.mark.parametrize("style", ["sysv", "gnu", "both"])
def test_both_hash_tables_are_read(tmp_path, own, style):
    """A file that has the old table only gives the same answers."""
    source = """
    int first(void) { return 1; }
    int second = 2;
    extern int absent(void) __attribute__((weak));
    int third(void) { return absent ? absent() : 0; }
    """
    path = compile_c(tmp_path, source, "-shared", "-fPIC", f"-Wl,--hash-style={style}")
    library = ctypes.CDLL(str(path), mode=os.RTLD_LAZY)
    base = next(m.base for m in modules(read_maps(os.getpid())) if m.path == str(path))
    symbols = Symbols(own, base)

    address = ctypes.cast(library.first, ctypes.c_void_p).value
    assert symbols.find("first").address == address
    assert symbols.find("second").address == ctypes.addressof(
        ctypes.c_int.in_dll(library, "second")
    )
    assert symbols.find("second").size == 4
    assert symbols.find("absent") is None
    assert symbols.find("fourth") is None


@NEEDS_GCC
@pytest.mark.parametrize("options", [("-no-pie",), ("-pie", "-fPIE"), ("-static",)], ids=str)
def test_programs_at_fixed_addresses_and_static_ones(tmp_path, start, options):
    """A fixed address is taken as it is; a static program has no table, which is no error."""
    source = """
    #include <stdio.h>
    int visible(void) { return 1; }
    int main(void) { printf("%p\\n", (void *)visible); fflush(stdout); getchar(); }
    """
    try:
        path = compile_c(tmp_path, source, "-rdynamic", *options)
    except subprocess.CalledProcessError:
        pytest.skip("cannot be linked here")
    child = start(str(path))
    with Memory(child.pid) as memory:
        loaded = modules(read_maps(child.pid))
        symbols = Symbols(memory, loaded[0].base)
        found = symbols.find("visible")
        allocator = find_allocator(memory, loaded)
        assert find_python(memory, loaded) is None

    if "-static" in options:
        assert found is None
        assert allocator == (None, None, None, None, None)
    else:
        assert found.address == int(child.line, 16)
        assert allocator.name == "glibc"


def test_what_is_no_elf_file_is_refused(own):
    """A header of something else is a ValueError, no memory at all an OSError."""
    at = place(PAGE)
    with pytest.raises(ValueError):
        Symbols(own, at)
    with pytest.raises(OSError):
        Symbols(own, at + PAGE)


def test_a_32_bit_file_has_no_symbols(own):
    """It is told as what it is; nothing is looked up in it."""
    at = place(PAGE)
    header = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHI", 3, 3, 1) + b"\xff" * 40
    ctypes.memmove(at, header, len(header))
    symbols = Symbols(own, at)

    assert (symbols.is_64, symbols.machine) == (False, 3)
    assert symbols.find("malloc") is None


def laid_out(path):
    """An ELF file as the kernel maps it, before any relocation: (bytes, offsets of interest)."""
    raw = Path(path).read_bytes()
    offset, count = struct.unpack_from("<Q", raw, 32)[0], struct.unpack_from("<H", raw, 56)[0]
    headers = [struct.unpack_from("<IIQQQQQQ", raw, offset + 56 * i) for i in range(count)]
    image = bytearray(max(h[3] + h[6] for h in headers if h[0] == 1))
    for kind, _, start, address, _, size, *_ in headers:
        if kind == 1:
            image[address : address + size] = raw[start : start + size]
    (dynamic,) = (h[3] for h in headers if h[0] == 2)
    tables = []
    for at in range(dynamic, len(image) - 16, 16):
        tag, value = struct.unpack_from("<qQ", image, at)
        if tag == 0:
            break
        if tag in (4, 5, 6, 0x6FFFFEF5, 0x6FFFFFF0):
            tables.append(value)
    # Where damage matters: the headers, the dynamic section, the beginnings of the tables.
    spots = [*range(16, 64), *range(offset, offset + 56 * count), *range(dynamic, dynamic + 400)]
    return bytes(image), spots + [t + i for t in tables for i in range(2000)]


@pytest.fixture(scope="module")
def image():
    """A small library of this process, in memory of its own: (address, bytes, spots)."""
    import _struct

    if not getattr(_struct, "__file__", None):
        pytest.skip("_struct is built in")
    data, spots = laid_out(_struct.__file__)
    at = place(len(data))
    ctypes.memmove(at, data, len(data))
    return at, data, [spot for spot in spots if spot < len(data)]


def test_a_file_that_nobody_relocated_is_read(own, image):
    """Addresses that are relative to the file are found, too."""
    at, data, _ = image
    found = Symbols(own, at).find("PyInit__struct")

    assert at < found.address < at + len(data)


@settings(max_examples=150, deadline=2000)
@given(data=st.data())
def test_damaged_tables_never_hang_or_crash(image, data):
    """Whatever the memory holds: an answer within the file, none, or an ordinary error."""
    at, whole, spots = image
    ctypes.memmove(at, whole, len(whole))
    for _ in range(data.draw(st.integers(1, 12))):
        spot = data.draw(st.sampled_from(spots))
        junk = data.draw(
            st.one_of(st.binary(min_size=1, max_size=16), st.sampled_from([b"\xff" * 8, bytes(8)]))
        )[: len(whole) - spot]
        ctypes.memmove(at + spot, junk, len(junk))
    with Memory(os.getpid()) as memory:
        for name in ("PyInit__struct", "PyLong_FromLong", "x"):
            try:
                symbols = Symbols(memory, at)
                found = symbols.find(name)
            except (OSError, ValueError):
                continue
            assert found is None or symbols.low <= found.address < symbols.high
            assert found is None or found.address + found.size <= symbols.high


def test_endless_chains_come_to_an_end(own):
    """A chain that never says that it ends, and one that points to itself."""
    at = place(1 << 20)
    tables, names, entries = at + 0x1000, at + 0x2000, at + 0x3000
    ctypes.memmove(names + 1, b"name\0", 5)
    for kind, table in (
        (0x6FFFFEF5, struct.pack("<4IQI", 1, 0, 1, 0, (1 << 64) - 1, 1)),
        (4, struct.pack("<2I", 1, 0xFFFFFFFF) + struct.pack("<I", 1) * 8),
    ):
        header = b"\x7fELF\x02\x01\x01" + bytes(9)
        header += struct.pack("<HHIQQQIHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2)
        loads = struct.pack("<IIQQQQQQ", 1, 7, 0, 0, 0, 1 << 20, 1 << 20, 4096)
        loads += struct.pack("<IIQQQQQQ", 2, 7, 0x800, 0x800, 0, 128, 128, 8)
        dynamic = struct.pack("<8q", kind, tables, 5, names, 6, entries, 0, 0)
        for address, data in ((at, header), (at + 64, loads), (at + 0x800, dynamic)):
            ctypes.memmove(address, data, len(data))
        ctypes.memset(tables, 0, 0x1000)
        ctypes.memmove(tables, table, len(table))
        begin = time.monotonic()

        assert Symbols(own, at).find("name") is None
        assert time.monotonic() - begin < 5


def test_the_quick_modules_import_next_to_nothing():
    """A process that must start quickly imports them."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "import memtop.target.maps, memtop.target.memory, memtop.target.symbols\n"
        "print(sorted({'dataclasses', 'inspect', 'pathlib', 'random'} & set(sys.modules)),"
        " sorted(m for m in sys.modules if m.startswith('memtop.')))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("[] ['memtop.target', 'memtop.target.maps', 'memtop.target.mem")


# --- python


def renamed(folder, python, name):
    """A copy of an interpreter under another name, and the environment that it needs."""
    copy = folder / name
    shutil.copy(os.path.realpath(python), copy)
    code = "import sys; print(sys.base_prefix)"
    home = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return copy, {**os.environ, "PYTHONHOME": home.stdout.strip()}


@pytest.mark.parametrize("python", [PYTHONS[0], PYTHONS[-1]], ids=label)
def test_a_program_of_any_name_that_embeds_python(tmp_path, start, python, look):
    """What counts is the interpreter that it has, as its own part or as a library."""
    copy, environment = renamed(tmp_path, python, "server")
    child = start(str(copy), "-c", "import sys\n" + WAIT, env=environment)
    reference = start(python, "-c", WAIT)

    found, _ = look(child.pid)
    expected, _ = look(reference.pid)

    assert found.is_static == expected.is_static
    assert found.path == (str(copy) if found.is_static else expected.path)
    assert found.version == expected.version


@pytest.mark.parametrize("python", PYTHONS, ids=label)
def test_deleted_files_do_not_matter(tmp_path, start, python, look):
    """An interpreter whose files are gone, as after an upgrade, is found as before."""
    reference = start(python, "-c", WAIT)
    expected, _ = look(reference.pid)
    copy, environment = renamed(tmp_path, python, os.path.basename(os.path.realpath(python)))
    if not expected.is_static:
        shutil.copy(expected.path, tmp_path)
        environment["LD_LIBRARY_PATH"] = str(tmp_path)
    child = start(str(copy), "-c", WAIT, env=environment)
    if not any(m.path.startswith(str(tmp_path)) for m in modules(read_maps(child.pid))[1:]):
        assert expected.is_static or pytest.skip("its libpython cannot be replaced")
    for file in tmp_path.iterdir():
        file.unlink()

    found, allocator = look(child.pid)

    assert Path(found.path).parent == tmp_path
    assert found._replace(path="", symbols=None) == expected._replace(path="", symbols=None)
    for name in ("PyGILState_Ensure", "PyRun_StringFlags", "PyBytes_AsString"):
        there, here = expected.symbols.find(name), found.symbols.find(name)
        assert there.address - expected.symbols.base == here.address - found.symbols.base
    assert allocator.name == "glibc"


def test_a_program_without_python(start, look):
    """It has none, and no error either."""
    child = start("sh", "-c", "echo ready; read line")
    found, allocator = look(child.pid)

    assert found is None
    assert allocator.symbols.find("malloc") is not None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["_tkinter.cpython-311-x86_64-linux-gnu.so"], True),
        (["libtk8.6.so"], True),
        (["libtcl9.0.so"], True),
        (["libtcl9tk9.0.so"], True),
        (["libtclap.so", "libtkrzw.so.1", "tkinter.py"], False),
        ([], False),
    ],
)
def test_tcl_is_noticed(names, expected):
    """Objects of Tcl must not be freed by a foreign thread."""
    assert has_tkinter([Module(f"/usr/lib/{name}", 0, 1, ()) for name in names]) is expected


@pytest.mark.parametrize("python", PYTHONS, ids=label)
def test_a_program_that_uses_tcl(start, python):
    """An interpreter that has imported it, beside one that has not."""
    if reason := trouble(python, "_tkinter"):
        pytest.skip(f"{python}: {reason}")
    child = start(python, "-c", f"import _tkinter; {WAIT}")

    assert has_tkinter(modules(read_maps(child.pid)))
    assert not has_tkinter(modules(read_maps(os.getpid())))


# --- allocator


@NEEDS_GCC
@pytest.mark.parametrize(
    ("file", "mark", "name"),
    [
        ("libown.so", None, None),
        ("libown.so", "mallctl", "jemalloc"),
        ("libown.so", "mi_malloc", "mimalloc"),
        ("libown.so", "tc_malloc", "tcmalloc"),
        ("libtcmalloc_minimal.so.4", None, "tcmalloc"),
    ],
)
def test_a_preloaded_replacement_is_found(tmp_path, start, file, mark, name, look):
    """By what only that allocator exports or by its name, else as unknown; libc is there still."""
    marks = [f"-DMARK={mark}"] if mark else []
    path = compile_c(tmp_path, REPLACEMENT, "-shared", "-fPIC", *marks, name=file)
    child = start(sys.executable, "-c", WAIT, env={**os.environ, "LD_PRELOAD": str(path)})
    _, allocator = look(child.pid)

    assert (allocator.name, allocator.version, allocator.provider) == (name, None, file)
    assert allocator.symbols.find("malloc_trim") is not None
    assert allocator.thread_symbols.find("pthread_create") is not None


@NEEDS_GCC
def test_an_allocator_that_came_later_serves_nobody_else(tmp_path, start, look):
    """A library that is loaded by an extension module does not take the place of libc's malloc."""
    path = compile_c(tmp_path, REPLACEMENT, "-shared", "-fPIC", name="libjemalloc.so.2")
    child = start(sys.executable, "-c", f"import ctypes; ctypes.CDLL({str(path)!r}); {WAIT}")
    assert str(path) in Path(f"/proc/{child.pid}/maps").read_text()
    _, allocator = look(child.pid)

    assert allocator.name == "glibc" and allocator.provider.startswith("libc")


@NEEDS_GCC
def test_an_allocator_within_the_program(tmp_path, start, look):
    """A program that exports malloc itself serves its libraries with it."""
    main = '#include <stdio.h>\nint main(void) { puts("ready"); fflush(stdout); getchar(); }'
    path = compile_c(tmp_path, main + REPLACEMENT, "-rdynamic", name="server")
    child = start(str(path))
    _, allocator = look(child.pid)

    assert (allocator.name, allocator.provider) == (None, "server")


@NEEDS_GCC
def test_musl_is_told_from_glibc(tmp_path, start, look):
    """Its C library and dynamic linker are one file; stood in for by one of that name."""
    path = compile_c(tmp_path, REPLACEMENT, "-shared", "-fPIC", name="ld-musl-x86_64.so.1")
    child = start(sys.executable, "-c", WAIT, env={**os.environ, "LD_PRELOAD": str(path)})
    _, allocator = look(child.pid)

    assert (allocator.name, allocator.version) == ("musl", None)
    assert allocator.symbols.find("malloc_trim") is None


@NEEDS_GCC
def test_a_glibc_of_two_files(tmp_path, start, look):
    """Before 2.34 threads were a library apart, and the version was in the name of the file."""
    mark = "-DMARK=gnu_get_libc_version"
    libc = compile_c(tmp_path, REPLACEMENT, "-shared", "-fPIC", mark, name="libc-2.31.so")
    source = "int pthread_create(void) { return 0; }"
    threads = compile_c(tmp_path, source, "-shared", "-fPIC", name="libpthread-2.31.so")
    program = '#include <stdio.h>\nint main(void) { puts("ready"); fflush(stdout); getchar(); }'
    child = start(
        str(compile_c(tmp_path, program)),
        env={**os.environ, "LD_PRELOAD": f"{libc} {threads}"},
    )
    _, allocator = look(child.pid)

    assert (allocator.name, allocator.version) == ("glibc", "2.31")
    assert allocator.symbols.find("pthread_create") is None
    assert allocator.thread_symbols.find("pthread_create") is not None


JEMALLOC = Path("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2")


@pytest.mark.skipif(not JEMALLOC.exists(), reason="libjemalloc2 is not installed")
def test_the_real_jemalloc(start, look):
    """As it is usually preloaded."""
    child = start(sys.executable, "-c", WAIT, env={**os.environ, "LD_PRELOAD": str(JEMALLOC)})
    _, allocator = look(child.pid)

    assert (allocator.name, allocator.provider) == ("jemalloc", "libjemalloc.so.2")


def test_an_ended_process_is_told_from_an_unknown_one(start):
    """Nothing is said about a process that ended while it was looked at."""
    child = start(sys.executable, "-c", WAIT)
    loaded = modules(read_maps(child.pid))
    with Memory(child.pid) as memory:
        child.kill()
        child.wait()
        with pytest.raises(ProcessLookupError):
            find_python(memory, loaded)
        with pytest.raises(ProcessLookupError):
            find_allocator(memory, loaded)
