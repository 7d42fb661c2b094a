"""Everything about one process that a detail pane shows, read when somebody looks at it.

`read_portrait` may wait for locks of the process (see `details`): never on the sampling thread.
It attaches to nothing, and of the environment it keeps the names only. What cannot be read is None
and stands in `missing` with the right it takes; a zombie or a kernel thread has no memory, so that
nothing is missing there. All reads are bounded. Sizes are in KiB, times in seconds since the epoch.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from re import Pattern
from typing import Literal, NamedTuple

from memtop.errors import MemtopError
from memtop.probe import elf, parse
from memtop.probe.handle import READ
from memtop.probe.host import HostReader
from memtop.probe.own import SYS_PTRACE, Standing, read_standing
from memtop.probe.permission import Right, remedy, user_name, why_refused
from memtop.probe.pods import container_of
from memtop.probe.sample import Identity
from memtop.secrets import MASK, mask_argv

MAX_READ = 1 << 16
MAX_LARGE = 1 << 22  # bytes of maps and environ
MAX_ARGUMENT = 4096  # characters of an argument that are kept
UNSURE = 1024  # a secret that is cut may not be recognized: so much before a cut is dropped

Limit = int | Literal["unlimited"] | None  # None: not known
Missing = tuple[str, Right | None, str]
_NUMBER = re.compile(r"-?[0-9]{1,20}")
_LIMITS = {
    "Max address space": "address_space",
    "Max open files": "open_files",
    "Max processes": "processes",
}


@dataclass(frozen=True, slots=True)
class Portrait:
    """One process at `taken_at`. `rss_kib` is of status, `peak_kib` its VmHWM; None is not known.

    `open_files`: number by kind (`files`, `deleted files`, `sockets`, `pipes`, `devices`, `shared
    memory`, `eventpoll`, …), of the first 5,000; `file_count`: of all, also without that right.
    `limits`: soft values of `address_space` (bytes), `open_files`, `processes` (of the user).
    `missing`: what could not be read, the right it takes (None: no right helps), and why.
    """

    identity: Identity
    taken_at: float
    kernel: bool
    state: str
    threads: int
    started_at: float | None
    command: str | None
    exe: str | None
    cwd: str | None
    uid: int | None
    user: str | None
    rss_kib: int | None
    anon_kib: int | None
    file_kib: int | None
    shmem_kib: int | None
    peak_kib: int | None
    swap_kib: int | None
    oom_score: int | None
    oom_score_adj: int | None
    limits: Mapping[str, Limit]
    open_files: Mapping[str, int] | None
    file_count: int | None
    sockets: elf.Sockets | None
    environ_names: tuple[str, ...] | None
    python_version: str | None
    allocator: str | None
    cgroup: str | None
    container: str | None
    ns_pid: int | None
    missing: tuple[Missing, ...]


def read_portrait(
    root: str, identity: Identity, mask: Iterable[Pattern[str]] = ()
) -> Portrait | None:
    """Read the process `identity` of the /proc tree `root`; None if it is gone, or was replaced.

    It may block. What is refused or vanishes meanwhile is None; no OSError leaves.
    """
    try:
        folder = os.open(f"{root}/{identity.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        stat = _read_stat(folder, identity)
        portrait = _Painter(folder, identity, tuple(mask)).paint(root, stat)
        later = _read_stat(folder, identity)
    except (OSError, ValueError):
        return None
    finally:
        os.close(folder)
    if stat.has_memory and not later.has_memory:  # it died meanwhile: what seems missing is gone
        return read_portrait(root, identity, mask)
    return portrait


def advice(portrait: Portrait, standing: Standing | None = None) -> str | None:
    """The command that has the rights which were missing; None if none is, or no command helps."""
    rights = {right for _, right, _ in portrait.missing if right is not None}
    return remedy(rights, standing or read_standing(), f"memtop --pid {portrait.identity.pid}")


class _Stat(NamedTuple):
    """`stat`; without memory is a zombie, a kernel thread, or who is about to end.

    `command_bytes`: of the area of the command line; 0 without the right to know.
    """

    stat: parse.Stat
    has_memory: bool
    command_bytes: int


class _Painter:
    """Reads below one folder /proc/PID, and keeps what could not be read."""

    def __init__(self, folder: int, identity: Identity, mask: tuple[Pattern[str], ...]) -> None:
        self._folder, self._identity, self._mask = folder, identity, mask
        self._standing = read_standing()
        self._missing: list[Missing] = []
        self._uid: int | None = None
        self._exe: str | None = None

    def paint(self, root: str, own: _Stat) -> Portrait:
        """Read everything; the exe link comes first, because it shows which right there is."""
        taken_at, boot_at = time.time(), _boot_at(root)
        status = parse.parse_keyed(self._read("status", "status") or b"")
        self._uid = uid = _number(status.get("Uid", "").partition("\t")[0])
        user = None if uid is None else user_name(uid)
        stat, has_memory = own.stat, own.has_memory
        self._exe = self._link("exe") if has_memory else None
        opened = elf.list_open(self._folder) if has_memory else elf.Opened()
        if opened.error is not None:
            self._lack("open files", opened.error)
        maps = self._read("libraries", "maps", MAX_LARGE) if has_memory else None
        mapped = elf.parse_maps(maps or b"")
        # Before the command line, by whose length a title written over both is recognized.
        environ = self._read("environment", "environ", MAX_LARGE) if has_memory else None
        cmdline = (self._read("command", "cmdline") if has_memory else None) or b""
        cgroup = parse.parse_cgroup(self._read("cgroup", "cgroup") or b"")
        inner_pid = _number(status.get("NSpid", "").rpartition("\t")[2])
        if has_memory:
            self._try_memory()
        return Portrait(
            identity=self._identity,
            taken_at=taken_at,
            kernel=stat.kernel,
            state=status.get("State", stat.state).partition("(")[2].rstrip(")") or stat.state,
            threads=stat.threads,
            started_at=boot_at and boot_at + stat.start_ticks / os.sysconf("SC_CLK_TCK"),
            command=_command(cmdline, self._mask) or None,
            exe=self._exe,
            cwd=self._link("cwd") if has_memory else None,
            uid=uid,
            user=user,
            rss_kib=parse.kib_of(status, "VmRSS"),
            anon_kib=parse.kib_of(status, "RssAnon"),
            file_kib=parse.kib_of(status, "RssFile"),
            shmem_kib=parse.kib_of(status, "RssShmem"),
            peak_kib=parse.kib_of(status, "VmHWM"),
            swap_kib=parse.kib_of(status, "VmSwap"),
            oom_score=_number(self._read("OOM score", "oom_score")),
            oom_score_adj=_number(self._read("OOM score", "oom_score_adj")),
            limits=_limits(self._read("limits", "limits") or b""),
            open_files=opened.kinds,
            file_count=opened.number,
            sockets=elf.count_sockets(self._folder, opened),
            environ_names=self._environ_names(environ, own.command_bytes, len(cmdline)),
            python_version=elf.python_version(self._exe, mapped),
            allocator=elf.allocator(self._folder, mapped),
            cgroup=cgroup,
            container=(container_of(cgroup) or "")[:12] or None,
            ns_pid=None if inner_pid == self._identity.pid else inner_pid,
            missing=tuple(dict.fromkeys(self._missing)),
        )

    def _read(self, what: str, name: str, limit: int = MAX_READ) -> bytes | None:
        """The first `limit` bytes of a file."""
        data = bytearray()
        try:
            fd = os.open(name, READ, dir_fd=self._folder)
            try:
                # Most files of /proc give at most a page for one read (fs/seq_file.c).
                while block := os.read(fd, limit - len(data)):
                    data += block
            finally:
                os.close(fd)
        except OSError as error:
            self._lack(what, error)
            return None
        return bytes(data)

    def _link(self, name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=self._folder)
        except OSError as error:
            self._lack(name, error)
            return None

    def _lack(self, what: str, error: OSError) -> None:
        """Keep what could not be read; who may read the exe link only lacks the mode of a file."""
        if isinstance(error, PermissionError):
            self._refuse(what, "smaps" if self._exe is None else "owner")
        elif not isinstance(error, ProcessLookupError):
            self._missing.append((what, None, error.strerror or "cannot be read"))

    def _refuse(self, what: str, right: Right) -> None:
        may_read = self._exe is not None
        reason = why_refused(right, self._standing, uid=self._uid, may_read=may_read)
        self._missing.append((what, right, reason))

    def _try_memory(self) -> None:
        """Whether mem can be opened, which Yama takes away first; nothing is read or attached to.

        PTRACE_SEIZE makes the same check (kernel/ptrace.c), but does not ask for the file's mode.
        """
        try:
            os.close(os.open("mem", READ, dir_fd=self._folder))
        except PermissionError:
            self._refuse("memory", "memory")
            if self._exe is None or not self._standing.has(SYS_PTRACE):
                self._refuse("actions", "attach")
        except OSError:
            pass

    def _environ_names(
        self, environ: bytes | None, area_bytes: int, command_bytes: int
    ) -> tuple[str, ...] | None:
        """The names in the environment; None if the process has written its title over it.

        What is left then may be pieces of values. The kernel gives a command line of another length
        than its area when a title is not within it (fs/proc/base.c: get_mm_proctitle).
        """
        if environ is None:
            return None
        entries = environ.decode("utf-8", "surrogateescape").split("\0")
        names = {entry.partition("=")[0] for entry in entries if "=" in entry} - {""}
        is_written_over = area_bytes > 0 and command_bytes != min(area_bytes, MAX_READ)
        if is_written_over or (environ and not names):
            self._missing.append(("environment", None, "the process wrote its title over it"))
            return None
        return tuple(sorted(names))


def _read_stat(folder: int, identity: Identity) -> _Stat:
    """`stat` of this very process; ProcessLookupError if it is of another one."""
    fd = os.open("stat", READ, dir_fd=folder)
    try:
        raw = os.read(fd, MAX_READ)
    finally:
        os.close(fd)
    stat = parse.parse_stat(raw)
    if stat.start_ticks != identity.start_ticks:
        raise ProcessLookupError
    # After the name, field 3 is number 0: vsize is field 23, arg_start and arg_end 48 and 49.
    fields = [_number(field) or 0 for field in raw[raw.rfind(b")") + 2 :].split()] + [0] * 50
    return _Stat(stat, has_memory=fields[20] > 0, command_bytes=fields[46] - fields[45])


def _command(raw: bytes, mask: tuple[Pattern[str], ...]) -> str:
    """The arguments, masked; each cut to MAX_ARGUMENT, because masking is slow for long ones."""
    arguments = parse.parse_argv(raw)
    longest = MAX_ARGUMENT + UNSURE
    cut = [len(argument) > longest for argument in arguments]
    if cut and len(raw) == MAX_READ:
        cut[-1] = True
    masked = mask_argv([argument[:longest] for argument in arguments], mask)
    return " ".join(_clip(text, is_cut) for text, is_cut in zip(masked, cut, strict=True))


def _clip(text: str, is_cut: bool) -> str:
    if is_cut and not text.endswith(MASK):
        text = text[:-UNSURE]
    is_long = len(text) > MAX_ARGUMENT
    return text[:MAX_ARGUMENT] + "…" if is_cut or is_long else text


def _limits(data: bytes) -> dict[str, Limit]:
    """The soft values in /proc/PID/limits."""
    limits: dict[str, Limit] = dict.fromkeys(_LIMITS.values())
    for line in data.decode("ascii", "replace").splitlines():
        for title, key in _LIMITS.items():
            if line.startswith(title):
                soft = "".join(line[len(title) :].split(None, 1)[:1])
                limits[key] = "unlimited" if soft == "unlimited" else _number(soft)
    return limits


def _number(text: bytes | str | None) -> int | None:
    """A decimal number of at most 20 digits; None for anything else."""
    word = text.decode("ascii", "replace") if isinstance(text, bytes) else text or ""
    return int(word) if _NUMBER.fullmatch(word := word.strip()) else None


def _boot_at(root: str) -> float | None:
    try:
        return HostReader(root).boot_at
    except MemtopError:
        return None
