"""What memtop may do with a process, why not the rest, and what to say about it."""

import ctypes
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from memtop.probe.own import Standing, read_standing
from memtop.probe.permission import remedy, remedy_for_filters, user_name, why_refused
from memtop.target import rights
from memtop.target.rights import ALL, read_rights

sys.path.insert(0, str(Path(__file__).parent.parent))
from users import DAC_OVERRIDE, DAC_READ_SEARCH, NOBODY, SYS_PTRACE, as_user, with_capabilities

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="changes users, so needs root")
WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"
EVERYTHING = (1 << 41) - 1
ADMIN = 1 << 21


@pytest.fixture
def another():
    """A process of another user; nobody may run this very Python, so it is sleep(1)."""
    child = subprocess.Popen(["sleep", "60"], user=NOBODY, group=NOBODY, extra_groups=[])
    yield child
    child.kill()
    child.wait()


def ptrace_is_refused():
    """Install a seccomp filter that answers EPERM to ptrace (101 on x86_64)."""
    program = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (0x20, 0, 0, 0),  # the number of the system call
            (0x15, 0, 1, 101),
            (0x06, 0, 0, 0x00050001),  # SECCOMP_RET_ERRNO | EPERM
            (0x06, 0, 0, 0x7FFF0000),
        )
    )
    kept = ctypes.create_string_buffer(program)
    header = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, header, 0, 0) == 0  # PR_SET_SECCOMP


def test_all_rights_on_a_child(children):
    """Nothing is missing of one's own child, and nothing is left open."""
    child = children.ready(WAIT)
    before = len(os.listdir("/proc/self/fd"))

    found = read_rights(child.pid)

    assert found == rights.Rights(ALL)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_dead_and_the_memoryless_have_none(children):
    """Who has no memory any more is gone, also if it waits for its parent as a zombie."""
    child = children.ready(WAIT)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(ProcessLookupError):
        read_rights(child.pid)
    child.wait()
    with pytest.raises(ProcessLookupError):
        read_rights(child.pid)


@ROOT_ONLY
def test_another_user_has_none(children):
    """Every right is missing with its reason, and the command is the one that was meant."""
    child = children.ready(WAIT)

    standing = Standing(NOBODY, 0)

    found = as_user(
        NOBODY,
        lambda: read_rights(child.pid, call=f"memtop trim {child.pid}", standing=standing),
    )

    assert found.held == ()
    assert dict(found.missing) == dict.fromkeys(ALL, "belongs to root; needs CAP_SYS_PTRACE")
    assert found.command == f"sudo memtop trim {child.pid}"


@ROOT_ONLY
@pytest.mark.parametrize(
    ("capabilities", "held", "why"),
    [
        (SYS_PTRACE | DAC_OVERRIDE, ALL, None),
        (SYS_PTRACE | DAC_READ_SEARCH, ("smaps", "attach"), "that user or CAP_DAC_OVERRIDE"),
        (SYS_PTRACE, ("smaps", "attach"), "that user or CAP_DAC_OVERRIDE"),
        (DAC_OVERRIDE, (), "needs CAP_SYS_PTRACE"),
    ],
)
def test_each_right_takes_its_capability(another, capabilities, held, why):
    """Root in a container may lack any of them; writing memory takes the file's mode, too."""
    found = with_capabilities(capabilities, lambda: read_rights(another.pid))

    assert found.held == held
    assert [right for right, _ in found.missing] == [one for one in ALL if one not in held]
    assert all(why in reason for _, reason in found.missing)


@ROOT_ONLY
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the filter is for x86_64")
def test_a_filter_on_memtop_itself_takes_attach_away(children):
    """Memory can still be opened then, but ptrace is refused whatever the process is."""
    child = children.ready(WAIT)

    def look():
        ptrace_is_refused()
        return read_standing().filtered, read_rights(child.pid)

    filtered, found = as_user(0, look)

    assert filtered
    assert found.held == ("smaps", "memory")
    assert dict(found.missing) == {"attach": "a seccomp filter keeps memtop itself from ptrace"}


@ROOT_ONLY
def test_a_proc_that_is_read_only(children):
    """Nothing can be written into memory through it, and that is what is said."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    child = children.ready(WAIT)
    code = (
        "import sys; from memtop.target.rights import read_rights;"
        "found = read_rights(int(sys.argv[1]));"
        "print(*found.held, '|', *{reason for _, reason in found.missing})"
    )
    shell = 'mount -o remount,ro,bind /proc && exec "$0" "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", shell, sys.executable, "-c", code, str(child.pid)],
        capture_output=True,
        text=True,
    )
    if done.returncode and "python" not in done.stderr.lower():
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")

    assert done.stdout.strip() == "smaps | /proc is mounted read-only"


@pytest.mark.parametrize(
    ("right", "standing", "options", "expected"),
    [
        ("smaps", Standing(1000, 0), {}, "belongs to root; needs CAP_SYS_PTRACE"),
        (
            "smaps",
            Standing(0, SYS_PTRACE),
            {},
            "refused although CAP_SYS_PTRACE is held: security module or user namespace",
        ),
        (
            "attach",
            Standing(0, 0),
            {},
            "has capabilities that memtop has not, or is not dumpable",
        ),
        ("memory", Standing(1000, 0, yama=1), {"may_read": True}, "ptrace_scope is 1"),
        ("memory", Standing(1000, 0, yama=1), {}, "needs CAP_SYS_PTRACE"),
        ("owner", Standing(1000, 0), {}, "needs that user or CAP_DAC_READ_SEARCH"),
        (
            "memory",
            Standing(0, SYS_PTRACE | DAC_OVERRIDE),
            {"may_read": True, "writing": True},
            "refused although CAP_SYS_PTRACE is held",
        ),
    ],
)
def test_the_reason_names_what_is_missing(right, standing, options, expected):
    """The reason follows from who memtop is and what it could read."""
    options = {"uid": 0, "may_read": False, **options}

    assert expected in why_refused(right, standing, **options)


def test_users_without_a_name():
    """A user that only the container knows is a number here; an unknown one is another user."""
    assert user_name(0) == "root"
    assert user_name(3_999_999_999) == "3999999999"
    assert "another user" in why_refused("smaps", Standing(1, 0), uid=None, may_read=False)


def test_the_command_is_the_one_that_was_meant():
    """On a host sudo calls the same command again; in a container a new one is started."""
    assert remedy(["attach"], Standing(1000, 0), "memtop gc 7") == "sudo memtop gc 7"
    assert remedy([], Standing(1000, 0), "memtop gc 7") is None
    pod = Standing(0, 0, container="kubernetes")
    assert "--profile=general" in remedy(["attach"], pod, "memtop gc 7")


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing(0, EVERYTHING), None),
        (Standing(1000, 0), "sudo memtop trim 7"),
        (Standing(0, EVERYTHING, filtered=True), None),  # no command takes a filter off
        (Standing(0, SYS_PTRACE, container="kubernetes"), "--target=CONTAINER --profile=sysadmin"),
        (Standing(0, 0, container="kubernetes", node=True), "node/NODE"),
        (Standing(0, ADMIN, container="docker", filtered=True), "--privileged"),
        (Standing(0, ADMIN, container="docker", nested=True), "--privileged"),
    ],
)
def test_the_command_that_may_read_filters(standing, expected):
    """Filters take CAP_SYS_ADMIN of the host, and no filter on memtop itself."""
    found = remedy_for_filters(standing, "memtop trim 7")

    assert found is None if expected is None else expected in found
    assert standing.may_read_filters == (standing == Standing(0, EVERYTHING))


@ROOT_ONLY
def test_a_user_namespace_is_told():
    """In a user namespace of its own all capabilities are held, and are void outside."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    code = "from memtop.probe.own import read_standing as r; s = r(); print(s.nested, s.has(21))"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", code],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")

    assert done.stdout.split() == ["True", "True"]
    assert not read_standing().nested
