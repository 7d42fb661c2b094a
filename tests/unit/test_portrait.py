"""Portraits of real processes, of processes one may not look into, and of written trees."""

import ctypes
import dataclasses
import glob
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from memtop.probe import elf, parse
from memtop.probe.own import Standing, read_standing
from memtop.probe.portrait import MAX_READ, advice, read_portrait
from memtop.probe.sample import Identity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="changes users, so needs root")
WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"
JEMALLOC = Path("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2")
PYTHONS = [*sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python")))]
PYTHONS += ["/usr/bin/python3"] if os.path.exists("/usr/bin/python3") else []
SECRET = "hunter2-do-not-show"
PTRACE, DAC = 1 << 19, 1 << 2
ALL = (1 << 41) - 1

OPENS = """
import os, select, socket, sys, tempfile
keep = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
keep.append(socket.create_connection(keep[0].getsockname()))
keep.append(keep[0].accept()[0])
keep[1].bind(("127.0.0.1", 0))
keep += socket.socketpair()
keep.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
keep.append(os.dup(keep[0].fileno()))
keep.append(select.epoll())
keep.append(os.eventfd(0))
keep.append(os.pipe())
keep.append(os.memfd_create("shared"))
keep.append(os.open("/dev/null", os.O_RDWR))
kept = open(sys.argv[1] + "/kept", "w")
deleted = open(sys.argv[1] + "/deleted", "w")
os.unlink(sys.argv[1] + "/deleted")
print("ready", flush=True)
sys.stdin.read()
"""

# Writes a title over its arguments and the first names and values of its environment.
RETITLE = """
import ctypes, sys
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
begin, end = int(fields[45]), int(fields[46])
title = b"worker password=x " * 9
title = (title * ((end - begin) // len(title) + 1))[: end - begin + 30] + b"\\0"
ctypes.memmove(begin, title, len(title))
print("ready", flush=True)
sys.stdin.read()
"""

STATUS = """Name:\tpython
State:\tS (sleeping)
Uid:\t65534\t0\t0\t0
NSpid:\t7\t3
VmHWM:\t    3000 kB
VmRSS:\t    2000 kB
RssAnon:\t    1500 kB
RssFile:\t     400 kB
RssShmem:\t     100 kB
VmSwap:\t      50 kB
"""
LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max processes             unlimited            unlimited            processes
Max open files            1024                 4096                 files
Max address space         8589934592           unlimited            bytes
"""
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid to inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0
   1: 0100007F:1F90 0100007F:AAAA 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0
   2: 0100007F:1F90 0100007F:AAAB 08 00000000:00000000 00:00000000 00000000     0        0 13 1 0
"""


def identity_of(pid, root="/proc"):
    return Identity(parse.parse_stat(Path(f"{root}/{pid}/stat").read_bytes()).start_ticks, pid)


def portrait_of(pid, root="/proc", **options):
    portrait = read_portrait(str(root), identity_of(pid, root), **options)
    assert portrait is not None
    return portrait


def rights_missing(portrait):
    return {right for _, right, _ in portrait.missing}


def seen_by(uid, pid, capabilities=None):
    """The portrait that another user's process makes (or root with these capabilities only)."""
    identity = identity_of(pid)
    receiver, sender = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = os.fork()
    if not reader:
        try:
            if uid:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            else:
                low, high = capabilities & 0xFFFFFFFF, capabilities >> 32
                header = struct.pack("=Ii", 0x20080522, 0)
                ctypes.CDLL(None).capset(header, struct.pack("=6I", *(low, low, 0), high, high, 0))
            made = read_portrait("/proc", identity), read_standing()
            os.write(sender, pickle.dumps(made))
        finally:
            os._exit(0)
    os.close(sender)
    with open(receiver, "rb") as file:
        data = file.read()
    os.waitpid(reader, 0)
    return pickle.loads(data)


class Tree:
    """A /proc tree of plain files with one process."""

    def __init__(self, root):
        self.root = root
        (root / "stat").write_text("btime 1000000000\n")
        self.folder = root / "7"
        self.folder.mkdir()
        self.stat()

    def stat(self, start=100, state="S"):
        fields = [1, 7, 7, 0, -1, 0, 0, 0, 0, 0, 5, 5, 0, 0, 20, 0, 3, 0, start, 9000, 500]
        tail = " ".join(map(str, fields)) + " 0" * 28
        (self.folder / "stat").write_text(f"7 (python) {state} {tail}\n")

    def put(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def open(self, *links):
        (self.folder / "fd").mkdir(exist_ok=True)
        for number, link in enumerate(links):
            (self.folder / "fd" / str(number)).symlink_to(link)

    def portrait(self, start=100, **options):
        return read_portrait(str(self.root), Identity(start, 7), **options)


@pytest.fixture
def tree(tmp_path):
    """A written tree."""
    return Tree(tmp_path)


def test_own_process_is_known_in_full():
    """Nothing is missing of memtop's own process, and the figures are those of the kernel."""
    portrait = portrait_of(os.getpid())

    assert portrait.missing == ()
    assert advice(portrait) is None
    assert portrait.identity == identity_of(os.getpid())
    assert abs(portrait.taken_at - time.time()) < 10
    assert portrait.exe == os.readlink("/proc/self/exe")
    assert portrait.cwd == os.getcwd()
    assert portrait.uid == os.getuid()
    assert portrait.state in ("running", "sleeping")
    assert not portrait.kernel
    assert portrait.threads >= 1
    assert portrait.peak_kib >= portrait.rss_kib > 0
    parts = portrait.anon_kib + portrait.file_kib + portrait.shmem_kib
    assert parts == pytest.approx(portrait.rss_kib, abs=512)
    assert portrait.oom_score_adj == int(Path("/proc/self/oom_score_adj").read_text())
    assert portrait.oom_score is not None
    assert set(portrait.environ_names) >= {"PATH"}
    assert portrait.python_version == "{}.{}".format(*sys.version_info[:2])
    assert 0 < time.time() - portrait.started_at < 86_400


def test_no_descriptor_is_left_open(children, tmp_path):
    """Portraits of the living and the dead leave nothing open."""
    identity = identity_of(children.ready(OPENS, str(tmp_path)).pid)
    before = len(os.listdir("/proc/self/fd"))

    for start_ticks in (identity.start_ticks, 1):
        read_portrait("/proc", identity._replace(start_ticks=start_ticks))
    read_portrait("/proc", Identity(1, 1 << 22))

    assert len(os.listdir("/proc/self/fd")) == before


def test_open_files_and_sockets_are_told_apart(children, tmp_path):
    """Each kind is counted; a duplicate is a file more, and no socket more."""
    child = children.ready(OPENS, str(tmp_path), stderr=subprocess.DEVNULL)

    portrait = portrait_of(child.pid)

    assert portrait.open_files == {
        "sockets": 8,
        "pipes": 4,  # stdin, stdout and both ends of its own
        "devices": 2,  # stderr and the one it opened
        "shared memory": 1,
        "eventpoll": 1,
        "eventfd": 1,
        "files": 1,
        "deleted files": 1,
    }
    assert portrait.file_count == sum(portrait.open_files.values())
    assert portrait.sockets == elf.Sockets(1, 2, 0, 1, 2, other=1, is_cut=False)


def test_no_secret_leaves(children):
    """Of the environment only names are in a portrait, and arguments are masked."""
    environ = {"API_KEY": SECRET, "PLAIN": f"a={SECRET}", "n" * 150: SECRET}
    environ |= {"A\nB": SECRET, "PATH": "/bin"}
    arguments = [f"--password={SECRET}", "--token", SECRET, "x" * 9000 + SECRET]
    child = children.ready(WAIT, *arguments, env=environ)

    portrait = portrait_of(child.pid)

    assert SECRET not in repr(portrait)
    assert set(portrait.environ_names) >= {"API_KEY", "PLAIN", "PATH", "n" * 150, "A\nB"}
    assert list(portrait.environ_names) == sorted(portrait.environ_names)
    assert "" not in portrait.environ_names
    assert "--password=*** --token *** xxxx" in portrait.command


def test_an_empty_environment_has_no_names(children):
    """None is for what is not known; no variables is known."""
    portrait = portrait_of(children.ready(WAIT, env={}).pid)

    assert set(portrait.environ_names) <= {"LC_CTYPE"}  # which Python sets by itself
    assert portrait.missing == ()


def test_a_title_over_the_environment_hides_it(children):
    """Rests of values between a title's end and the next name are not taken for names."""
    value = SECRET + "=tail=" * 20
    portrait = portrait_of(children.ready(RETITLE, env={"AAA": value, "BBB": value}).pid)

    assert portrait.environ_names is None
    assert [one[:2] for one in portrait.missing] == [("environment", None)]
    assert advice(portrait) is None
    assert SECRET not in repr(portrait)
    assert portrait.command.startswith("worker password=***")


def test_a_long_argument_is_cut_where_no_secret_is_cut(children):
    """A password that the cut would make unrecognizable is dropped with the end."""
    url = "x" * 4600 + " postgres://shop:" + "p" * 400
    long = "y" * 5000
    command = portrait_of(children.ready(WAIT, url + "q" * 400 + "@db/shop", long).pid).command

    assert "pppp" not in command
    assert command.endswith(" " + "y" * 4096 + "…")
    assert "x" * 4000 + "…" in command or "x" * 4000 + "x" * 96 + "…" in command


def test_a_huge_command_line_is_bounded(children):
    """At most 64 KiB are read and the rest is dropped, in bounded time."""
    child = children.ready(WAIT, *["a=" + "://x:" * 600] * 100)
    begin = time.process_time()

    command = portrait_of(child.pid).command

    assert time.process_time() - begin < 2
    assert len(command) <= MAX_READ
    assert command.endswith("…")


def test_masking_patterns_of_the_user(children):
    """What the user wants hidden is hidden besides."""
    child = children.ready(WAIT, "--customer=4711")

    assert (
        "--customer=***" in portrait_of(child.pid, mask=[re.compile(r"(?<=customer=)\d+")]).command
    )


def test_a_zombie_is_an_ordinary_value(children):
    """A zombie has a state and no memory; nothing is missing of it."""
    code = "import os,sys; print(os.fork() or os._exit(0), flush=True); sys.stdin.read()"
    parent = children.python(code)
    pid = int(parent.stdout.readline())
    deadline = time.monotonic() + 10
    while parse.parse_stat(Path(f"/proc/{pid}/stat").read_bytes()).state != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)

    portrait = portrait_of(pid)

    assert portrait.state == "zombie"
    assert portrait.missing == ()
    assert (portrait.rss_kib, portrait.exe, portrait.open_files) == (None, None, None)
    assert (portrait.environ_names, portrait.command, portrait.allocator) == (None, None, None)


def test_a_kernel_thread_is_an_ordinary_value():
    """A kernel thread is said to be one; nothing is missing of it."""
    if not os.path.exists("/proc/2/comm") or Path("/proc/2/comm").read_text() != "kthreadd\n":
        pytest.skip("kernel threads are not visible here")

    portrait = portrait_of(2)

    assert portrait.kernel
    assert portrait.missing == ()
    assert portrait.rss_kib is None


def test_gone_or_replaced_is_none(children):
    """A process that ended has no portrait, nor has one with another start time."""
    child = children.ready(WAIT)
    identity = identity_of(child.pid)

    assert read_portrait("/proc", identity._replace(start_ticks=identity.start_ticks + 1)) is None
    child.kill()
    child.wait()
    assert read_portrait("/proc", identity) is None


@pytest.mark.parametrize("signal_after_s", [0.0, 0.001, 0.003, 0.006, 0.01])
def test_dying_while_it_is_read(children, signal_after_s):
    """A process that dies meanwhile is read whole, as a zombie, or not at all."""
    child = children.ready(WAIT)
    identity = identity_of(child.pid)
    timer = threading.Timer(signal_after_s, child.kill)
    timer.start()
    for _ in range(20):
        portrait = read_portrait("/proc", identity)
        assert portrait is None or portrait.missing == ()
    timer.join()


@ROOT_ONLY
def test_another_user_sees_the_public_facts(children):
    """Without rights sizes, command and limits are known, and what is missing names its right."""
    child = children.ready(WAIT, env={"PATH": SECRET})

    portrait, standing = seen_by(NOBODY, child.pid)

    assert (standing.uid, standing.capabilities) == (NOBODY, 0)
    assert portrait.rss_kib > portrait.anon_kib > 0
    assert portrait.command
    assert portrait.limits["open_files"]
    assert (portrait.exe, portrait.cwd, portrait.environ_names) == (None, None, None)
    assert (portrait.open_files, portrait.sockets) == (None, None)
    assert (portrait.python_version, portrait.allocator) == (None, None)
    assert {what: right for what, right, _ in portrait.missing} == {
        "exe": "smaps",
        "cwd": "smaps",
        "open files": "smaps",
        "libraries": "smaps",
        "environment": "smaps",
        "memory": "memory",
        "actions": "attach",
    }
    assert all("root" in reason for _, _, reason in portrait.missing)
    assert advice(portrait, Standing(NOBODY, 0)) == f"sudo memtop --pid {child.pid}"
    assert portrait.file_count in (None, 3)  # known to everybody since Linux 6.2


@ROOT_ONLY
def test_another_user_sees_a_zombie():
    """That a zombie is another user's makes nothing of it missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork() or os._exit(0)
    try:
        while parse.parse_stat(Path(f"/proc/{pid}/stat").read_bytes()).state != "Z":
            time.sleep(0.01)
        portrait, _ = seen_by(NOBODY, pid)
    finally:
        os.waitpid(pid, 0)

    assert (portrait.state, portrait.missing) == ("zombie", ())


@ROOT_ONLY
@pytest.mark.parametrize(
    "capabilities, rights",
    [
        (PTRACE | DAC, set()),
        (PTRACE, {"owner", "memory"}),
        (DAC, {"smaps", "memory", "attach"}),
        (0, {"smaps", "memory", "attach"}),
    ],
)
def test_capabilities_that_root_may_lack(capabilities, rights):
    """In containers root lacks capabilities: each has its part of what can be read."""
    sleep = shutil.which("sleep")
    child = subprocess.Popen(
        [sleep, "60"], user=NOBODY, group=NOBODY, extra_groups=[], env={"A": "b"}
    )
    try:
        time.sleep(0.1)
        portrait, standing = seen_by(0, child.pid, capabilities)
    finally:
        child.kill()
        child.wait()

    assert standing.capabilities == capabilities
    assert rights_missing(portrait) == rights
    assert (portrait.environ_names == ("A",)) == (not rights)
    # The allocator and the exe take one right, the environment and fd two.
    assert (portrait.allocator is not None) == bool(capabilities & PTRACE)
    if capabilities & DAC:
        assert portrait.file_count is not None


@pytest.mark.parametrize("python", PYTHONS)
def test_version_and_allocator_of_every_python(python):
    """The version of a Python and that of its glibc are told without asking it."""
    child = subprocess.Popen(
        [
            python,
            "-c",
            WAIT.replace("'ready', flush=True", "'%d.%d' % sys.version_info[:2]").replace(
                "sys.stdin", "sys.stdout.flush(); sys.stdin"
            ),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        version = child.stdout.readline().strip()
        portrait = portrait_of(child.pid)
    finally:
        child.communicate()

    assert version
    assert portrait.python_version == version
    assert portrait.allocator == os.confstr("CS_GNU_LIBC_VERSION")


def test_what_is_no_python_has_no_version(children):
    """A program without Python has an allocator only."""
    child = subprocess.Popen(["sleep", "60"])
    try:
        time.sleep(0.1)
        portrait = portrait_of(child.pid)
    finally:
        child.kill()
        child.wait()

    assert portrait.python_version is None
    assert portrait.allocator == os.confstr("CS_GNU_LIBC_VERSION")


@pytest.mark.skipif(not JEMALLOC.exists(), reason=f"{JEMALLOC} is not installed")
def test_a_preloaded_allocator_wins(children):
    """With jemalloc preloaded, glibc does not serve malloc."""
    child = children.ready(WAIT, env={**os.environ, "LD_PRELOAD": str(JEMALLOC)})

    assert portrait_of(child.pid).allocator == "jemalloc"


@ROOT_ONLY
def test_the_pid_within_its_namespace(children):
    """A process of another PID namespace has the PID that its own program knows."""
    code = (
        "import ctypes, os, sys; ctypes.CDLL(None).unshare(0x20000000) and sys.exit(1);"
        "pid = os.fork(); print(pid, flush=True) if pid else None; sys.stdin.read()"
    )
    parent = children.python(code)
    line = parent.stdout.readline()
    if not line:
        pytest.skip("PID namespaces are not allowed here")

    assert portrait_of(int(line)).ns_pid == 1
    assert portrait_of(os.getpid()).ns_pid is None


def test_a_library_that_was_replaced_is_still_read(tmp_path):
    """The version comes out of the file that is mapped, not out of a newer one in its place."""
    libc = next(
        (
            f
            for f in elf.parse_maps(Path("/proc/self/maps").read_bytes())
            if f.name.startswith("libc.so")
        ),
        None,
    )
    if libc is None:
        pytest.skip("no glibc here")
    shutil.copy(libc.path, tmp_path / "libc.so.6")
    environ = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    child = subprocess.Popen(["sleep", "60"], env=environ)
    try:
        time.sleep(0.2)
        (tmp_path / "new").write_bytes(b"GNU C Library (x) stable release version 9.99.\n")
        os.rename(tmp_path / "new", tmp_path / "libc.so.6")
        allocator = portrait_of(child.pid).allocator
    finally:
        child.kill()
        child.wait()

    assert allocator in ("glibc", os.confstr("CS_GNU_LIBC_VERSION"))
    if os.geteuid() == 0:
        assert allocator == os.confstr("CS_GNU_LIBC_VERSION")


# -- written trees -------------------------------------------------------------------------


def test_a_written_tree(tree):
    """Plain files are read like the kernel's."""
    tree.put("status", STATUS)
    tree.put("limits", LIMITS)
    tree.put("cmdline", b"python\0-m\0app\0")
    tree.put("environ", b"B=1\0A=2\0cut")
    tree.put("cgroup", "0::/kubepods/pod1/" + "ab" * 32 + "\n")
    tree.put("oom_score", "667\n")
    tree.put("oom_score_adj", "-998\n")
    tree.put("net/tcp", TCP)
    tree.put(
        "net/unix",
        "Num RefCount Protocol Flags Type St Inode Path\n"
        "0: 00000002 00000000 00010000 0001 01 14 /a b\n",
    )
    tree.open(
        *(f"socket:[{n}]" for n in (11, 12, 13, 14, 15)),
        "anon_inode:inotify",
        "net:[9]",
        "/dev/shm/x (deleted)",
        "/tmp/x (deleted)",
        "pidfd:[3]",
        "anon_inode:[io_uring]",
    )
    (tree.folder / "exe").symlink_to("/opt/bin/python3.9 (deleted)")
    (tree.folder / "cwd").symlink_to("/srv")
    tree.put("maps", "55-66 r-xp 00000000 fe:00 1    /lib/libc.so.6\n77-88 rw-p 0 00:00 0 [heap]\n")

    portrait = tree.portrait()

    assert portrait.missing == ()
    assert (portrait.rss_kib, portrait.anon_kib, portrait.file_kib) == (2000, 1500, 400)
    assert (portrait.shmem_kib, portrait.peak_kib, portrait.swap_kib) == (100, 3000, 50)
    assert (portrait.oom_score, portrait.oom_score_adj) == (667, -998)
    assert portrait.limits == {
        "address_space": 8589934592,
        "open_files": 1024,
        "processes": "unlimited",
    }
    assert (portrait.command, portrait.cwd, portrait.environ_names) == (
        "python -m app",
        "/srv",
        ("A", "B"),
    )
    assert (portrait.state, portrait.threads, portrait.uid) == ("sleeping", 3, NOBODY)
    assert portrait.started_at == 1000000000 + 100 / os.sysconf("SC_CLK_TCK")
    assert (portrait.python_version, portrait.allocator) == ("3.9", "glibc")
    assert (portrait.container, portrait.ns_pid) == ("ab" * 6, 3)
    assert portrait.open_files == {
        "sockets": 5,
        "inotify": 1,
        "net": 1,
        "shared memory": 1,
        "deleted files": 1,
        "pidfd": 1,
        "io_uring": 1,
    }
    assert portrait.sockets == elf.Sockets(1, 1, 1, 0, 1, other=1, is_cut=False)


def test_a_tree_with_nothing_but_stat(tree):
    """Missing files are unknown values, and no right would help."""
    portrait = tree.portrait()

    assert rights_missing(portrait) == {None}
    assert advice(portrait, Standing(1000, 0)) is None
    assert (portrait.rss_kib, portrait.uid, portrait.command, portrait.state) == (None,) * 3 + (
        "S",
    )
    assert portrait.limits == {"address_space": None, "open_files": None, "processes": None}


@pytest.mark.parametrize("garbage", [b"", b"\0" * 5000, b"\xff\xfe \n:" * 999, b"a" * 200_000])
def test_garbage_is_unknown(tree, garbage):
    """Files that hold anything make no error, and no number."""
    for name in ("status", "limits", "cmdline", "environ", "cgroup", "oom_score", "oom_score_adj"):
        tree.put(name, garbage)
    for name in ("maps", "net/tcp", "net/tcp6", "net/udp", "net/udp6", "net/unix", "fd/x", "mem"):
        tree.put(name, garbage)
    (tree.folder / "exe").symlink_to("nothing")

    portrait = tree.portrait()

    assert (portrait.rss_kib, portrait.oom_score, portrait.python_version) == (None, None, None)
    assert set(portrait.limits.values()) == {None}
    assert not portrait.environ_names


def test_what_is_no_file_does_not_block(tree):
    """A FIFO or a folder in the place of a file is not waited for."""
    for name in ("status", "maps", "mem", "environ"):
        os.mkfifo(tree.folder / name)
    (tree.folder / "cmdline").mkdir()

    assert tree.portrait().rss_kib is None


def test_a_stat_that_is_none(tree):
    """Without a start time there is no portrait."""
    tree.put("stat", b"7 (python) S 1 2 3")

    assert tree.portrait() is None


def test_a_process_that_is_replaced_while_it_is_read(tree, monkeypatch):
    """The start time is compared again at the end."""
    monkeypatch.setattr(elf, "list_open", lambda folder: tree.stat(start=900) or elf.Opened())

    assert tree.portrait() is None


def test_very_many_open_files(tree, monkeypatch):
    """Only so many files and lines of tables are read, and it is said."""
    monkeypatch.setattr(elf, "MAX_FILES", 4)
    tree.put("net/tcp", TCP)
    tree.open(*(f"socket:[{n}]" for n in (11, 12, 13, 14, 15, 16)))

    portrait = tree.portrait()

    assert portrait.open_files == {"sockets": 4}
    assert portrait.sockets.is_cut

    monkeypatch.setattr(elf, "MAX_FILES", 50)
    monkeypatch.setattr(elf, "MAX_LINES", 2)
    portrait = tree.portrait()

    assert portrait.sockets.is_cut
    assert portrait.sockets.tcp_listening == 1
    assert portrait.sockets.other == 5


@pytest.mark.parametrize(
    "exe, names, version",
    [
        ("/usr/bin/python3.11", [], "3.11"),
        ("/usr/bin/python3.13t", [], "3.13"),
        ("/usr/bin/python3.6m", [], "3.6"),
        ("/app/python3.12", ["libpython3.10.so.1.0"], "3.12"),
        ("/app/worker", ["libpython3.12.so.1.0"], "3.12"),
        ("/app/worker", ["libpython3.7m.so.1.0", "libpython3.so"], "3.7"),
        ("/app/python", ["_ssl.cpython-312-x86_64-linux-gnu.so"], "3.12"),
        ("/app/python", ["_ssl.cpython-36m-x86_64-linux-gnu.so"], "3.6"),
        ("/app/python", ["libpython3.so", "_cffi.abi3.so"], None),
        ("/usr/bin/python3-config", [], None),
        ("/usr/bin/ipython3.12x.sh", [], None),
        (None, [], None),
    ],
)
def test_python_by_the_names_of_files(exe, names, version):
    """The name of the program decides, then its libpython, then an extension module."""
    assert (
        elf.python_version(exe, [elf.Mapped(f"/lib/{n}", "1-2", False) for n in names]) == version
    )


@pytest.mark.parametrize(
    "names, allocator",
    [
        (["libjemalloc.so.2", "ld-musl-x86_64.so.1"], "jemalloc"),
        (["libtcmalloc_minimal.so.4.5.9"], "tcmalloc"),
        (["libmimalloc-secure.so.2.1"], "mimalloc"),
        (["libjemalloc-ff80e8cb.so.2", "ld-musl-aarch64.so.1"], "musl"),
        (["libc-2.31.so"], "glibc"),
        (["libcrypt.so.1", "libc.so"], "glibc"),
        (["libcap.so.2"], None),
    ],
)
def test_allocators_by_the_names_of_files(names, allocator, tmp_path):
    """One that is mapped to replace malloc wins; a copy within a wheel does not."""
    folder = os.open(tmp_path, os.O_PATH)
    try:
        mapped = [elf.Mapped(f"/lib/{name}", "1-2", False) for name in names]
        assert elf.allocator(folder, mapped) == allocator
    finally:
        os.close(folder)


@pytest.mark.parametrize(
    "banner, version",
    [
        (b"GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\n", "2.36"),
        (b"GNU C Library (GNU libc) development release version 2.39.9000.\n", "2.39.9000"),
        (b"GNU C Library (EGLIBC) stable release version 2.19, by Roland McGrath\n", "2.19"),
        (b"GNU C Library without a number\n", None),
    ],
)
@pytest.mark.parametrize("before", [0, 5, (1 << 18) - 70, (1 << 18) - 3, (1 << 18) * 2 - 30])
def test_the_banner_of_glibc(tmp_path, banner, version, before):
    """The version is that of the banner, wherever that lies in the file."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "libc.so.6").write_bytes(b"\0" * before + banner + b"\0" * 100)
    folder = os.open(tmp_path, os.O_PATH)
    try:
        allocator = elf.allocator(folder, [elf.Mapped("/libc.so.6", "1-2", False)])
    finally:
        os.close(folder)

    assert allocator == (f"glibc {version}" if version else "glibc")


@pytest.mark.parametrize("place", ["device", "fifo", "link"])
def test_what_lies_in_the_place_of_a_library_is_not_opened(tmp_path, place):
    """A process cannot make memtop open a device, a FIFO or another file for its libc."""
    (tmp_path / "root").mkdir()
    path = tmp_path / "root" / "libc.so.6"
    if place == "device" and os.geteuid() != 0:
        pytest.skip("making a device needs root")
    if place == "device":
        os.mknod(path, 0o020600, os.makedev(1, 5))
    elif place == "fifo":
        os.mkfifo(path)
    else:
        (tmp_path / "other").write_bytes(b"GNU C Library (x) stable release version 9.99.\n")
        path.symlink_to(tmp_path / "other")
    folder = os.open(tmp_path, os.O_PATH)
    try:
        assert elf.allocator(folder, [elf.Mapped("/libc.so.6", "1-2", False)]) == "glibc"
    finally:
        os.close(folder)


def lacking(*rights):
    """A portrait of process 7 that lacks these rights."""
    missing = tuple((right, right, "why") for right in rights)
    portrait = portrait_of(os.getpid())
    return dataclasses.replace(portrait, identity=Identity(1, 7), missing=missing)


GENERAL = "kubectl debug -it POD -n NS --image=IMAGE --target=CONTAINER --profile=general"
AS_ROOT = """ --custom=<(echo '{"securityContext":{"runAsUser":0,"runAsNonRoot":false}}')"""
DOCKER = "docker run --rm -it --pid=container:CONTAINER"
NODE = "kubectl debug node/NODE -it --image=IMAGE --profile=sysadmin -- memtop"


@pytest.mark.parametrize(
    "standing, command",
    [
        (Standing(1000, 0), "sudo memtop --pid 7"),
        (Standing(0, ALL), None),
        (Standing(0, DAC), None),  # sudo has no more than root has
        (Standing(0, DAC, container="kubernetes"), f"{GENERAL} -- memtop"),
        (Standing(1000, 0, container="kubernetes"), f"{GENERAL}{AS_ROOT} -- memtop"),
        (Standing(0, DAC | PTRACE, container="kubernetes"), NODE),
        (Standing(0, DAC, container="kubernetes", node=True), NODE),
        (Standing(NOBODY, 0, container="kubernetes", node=True), NODE),
        (Standing(0, ALL, container="kubernetes", node=True), None),
        (
            Standing(1000, 0, container="docker"),
            f"{DOCKER} --user=0 --cap-add=SYS_PTRACE IMAGE memtop",
        ),
        (
            Standing(0, PTRACE, container="docker"),
            f"{DOCKER} --privileged IMAGE memtop",
        ),
    ],
)
def test_advice_has_the_right_that_is_missing(standing, command):
    """The command depends on who memtop is, what it may, and where it runs."""
    assert advice(lacking("smaps", "memory"), standing) == command


def test_advice_knows_what_yama_takes_away():
    """Scope 1 and 2 leave root; with scope 3 nobody attaches, but the rest can be had."""
    sudo = "sudo memtop --pid 7"

    assert advice(lacking("memory", "attach"), Standing(1000, 0, yama=2)) == sudo
    assert advice(lacking("memory", "attach"), Standing(1000, 0, yama=3)) is None
    assert advice(lacking("smaps", "memory"), Standing(1000, 0, yama=3)) == sudo
    assert advice(lacking(), Standing(1000, 0)) is None
