"""Targets that live elsewhere: other namespaces, other users, other roots, without rights."""

import os
import shutil
import subprocess

import pytest
from injecting import DONE, settle

UNSHARE, SETPRIV = shutil.which("unshare"), shutil.which("setpriv")
SYSTEM_PYTHON = "/usr/bin/python3"
ROOT = os.geteuid() == 0


def works(prefix):
    """Whether this command can be run here."""
    done = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    return done.returncode == 0


def need(prefix, why):
    if prefix[0] is None or not works(prefix):
        pytest.skip(why)
    return prefix


def both(act, target, unharmed):
    before = unharmed(target)
    for action in ("trim", "gc"):
        result = act(target, action)
        assert result["outcome"] in DONE, result["reason"]
        assert result["exit"] == 0
    before.check()


def test_other_namespaces(start, act, unharmed):
    """A process of other mount and PID namespaces, where its PID is 1."""
    prefix = need(
        [UNSHARE, "--mount", "--pid", "--fork", "--mount-proc"],
        "namespaces cannot be made here (CAP_SYS_ADMIN, unshare)",
    )
    target = start("target_limits.py", "stdin", prefix=prefix)
    assert target.said["pid"] == 1
    with open(f"/proc/{target.pid}/task/{target.pid}/children") as file:
        target.pid = int(file.read())
    both(act, target, unharmed)


def test_another_user(start, act, unharmed):
    """A process of another user, from a memtop with CAP_SYS_PTRACE."""
    if not ROOT:
        pytest.skip("this takes root")
    both(act, start("target_limits.py", "user", 54321), unharmed)


def test_no_capability_at_all(start, act, unharmed):
    """The same user and no capability: what may be traced at all may be acted on."""
    nothing = [SETPRIV, "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    need(nothing, "capabilities cannot be dropped here (setpriv)")
    target = start("target_limits.py", "stdin", prefix=nothing)
    with open(f"/proc/{target.pid}/status") as file:
        assert "CapEff:\t0000000000000000" in file.read()
    before = unharmed(target)
    for action in ("trim", "gc"):
        result = act(target, action, prefix=nothing)
        assert result["outcome"] in DONE, result["reason"]
    before.check()


def test_no_right(start, act):
    """Another user's process without the capability: refused, and the right is named."""
    if not ROOT:
        pytest.skip("this takes root")
    prefix = [SETPRIV, "--bounding-set=-sys_ptrace", "--inh-caps=-all"]
    need(prefix, "capabilities cannot be dropped here (setpriv)")
    target = start("target_limits.py", "user", 54321)
    result = act(target, "trim", prefix=prefix)
    assert (result["outcome"], result["exit"]) == ("refused", 3)
    assert result["right"]
    assert "CAP_SYS_PTRACE" in result["reason"]
    assert target.is_alive


READ_ONLY = 'mount -o remount,bind,ro / && exec "$@"'


def test_a_root_that_is_read_only(start, act, unharmed):
    """Neither the target nor memtop can write a file anywhere."""
    prefix = [UNSHARE, "--mount", "sh", "-c", f"mount -t proc proc /proc; {READ_ONLY}", "sh"]
    need(prefix, "a root cannot be made read-only here (CAP_SYS_ADMIN, unshare)")
    target = start("target_limits.py", "stdin", prefix=prefix)
    before = unharmed(target)
    result = act(target, "gc", prefix=prefix)
    assert result["outcome"] in DONE, result["reason"]
    assert act(target, "trim")["outcome"] in DONE
    before.check()


CHROOT = """
set -e
mount -t tmpfs tmpfs "$1"; mkdir -p "$1"/usr/bin "$1"/usr/lib "$1"/lib64 "$1"/etc "$1"/proc
for library in $(ldd "$2" | grep -o '/[^ ]*'); do cp -L --parents $library "$1"; done
cp -L "$2" "$1"/usr/bin/python; cp "$4" "$1"/target.py
mkdir -p "$1/$3"; mount --bind "$3" "$1/$3"
root=$1; shift 5
exec chroot "$root" /usr/bin/python -S /target.py "$@"
"""


@pytest.mark.parametrize("deleted", [False, True], ids=["there", "deleted"])
def test_another_root(start, act, unharmed, tmp_path, deleted):
    """A chroot with its own libraries, which may have been deleted since (an upgrade)."""
    chroot = shutil.which("chroot")
    prefix = [UNSHARE, "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    if chroot is None or not os.path.exists(SYSTEM_PYTHON):
        pytest.skip("there is no chroot, or no Python of the system")
    need(prefix, "file systems cannot be mounted here (CAP_SYS_ADMIN, unshare)")
    library = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import os; print(os.path.dirname(os.__file__))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    here = os.path.join(os.path.dirname(__file__), "target_verify.py")
    arguments = [tmp_path, SYSTEM_PYTHON, library, here, "--"]
    target = start(UNSHARE, "--mount", "sh", "-c", CHROOT, "sh", *arguments)
    assert settle(lambda: os.readlink(f"/proc/{target.pid}/exe").endswith("python"))
    assert os.readlink(f"/proc/{target.pid}/root") != "/"
    if deleted:
        root = f"/proc/{target.pid}/root"
        for name in ("lib", "lib64", "usr/lib/x86_64-linux-gnu", "usr/bin"):
            for folder, _, files in os.walk(f"{root}/{name}"):
                if "python3" not in folder.removeprefix(root):
                    for file in files:
                        os.unlink(f"{folder}/{file}")
        with open(f"/proc/{target.pid}/maps") as file:
            assert "libc.so.6 (deleted)" in file.read()
    both(act, target, unharmed)
