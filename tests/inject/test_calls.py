"""The table of system calls is complete: a filter that kills at any other call kills nobody.

The target's filter lets through what the table lists, and what the target itself needs to wait. If
an action made any other call in it, the target would die of it.
"""

import signal
import struct
import subprocess
import sys

import pytest
from injecting import DONE

from memtop.actions.remote.seccomp import ALLOW, CALLS, JEQ, KILL_PROCESS, LD_ABS, RET_K, decode

# What the target does by itself: it writes its answer, looks at its input and reads it, sleeps.
# read write fstat lseek ioctl getpid exit_group newfstatat, select clock_nanosleep pselect6
OWN = (0, 1, 5, 8, 16, 39, 231, 262, 23, 230, 270)


def letting_through(numbers, otherwise):
    """A filter that answers all other system calls with `otherwise`."""
    numbers = sorted(numbers)
    program = [(LD_ABS, 0, 0, 0)]
    program += [(JEQ, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    program += [(RET_K, 0, 0, otherwise), (RET_K, 0, 0, ALLOW)]
    raw = b"".join(struct.pack("<HBBI", *one) for one in program)
    assert len(decode(raw)) == len(program)
    return raw


@pytest.mark.parametrize("threads", [False, True], ids=["one thread", "threads"])
def test_nothing_else_is_called(start, act, unharmed, each_python, threads):
    """Trim and gc under a filter that kills at everything that the table does not have."""
    allowed = {call.number for call in CALLS} | set(OWN)
    more = ("threads",) if threads else ()
    target = start(
        "target_limits.py",
        "filter",
        letting_through(allowed, KILL_PROCESS).hex(),
        *more,
        python=each_python,
    )
    before = unharmed(target)
    for action in ("trim", "gc", "trim", "gc"):
        result = act(target, action)
        if "cannot be read" in (result["reason"] or ""):
            pytest.skip("reading seccomp filters takes CAP_SYS_ADMIN, and no filter oneself")
        assert result["outcome"] in DONE, result["reason"]
    before.check()


INSTALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
raw = ctypes.create_string_buffer(bytes.fromhex(sys.argv[1]))
program = (ctypes.c_uint64 * 2)(len(raw) // 8, ctypes.addressof(raw))
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, program, 0, 0):
    os._exit(77)
if sys.argv[2] == "other":
    os.uname()
os._exit(0)
"""


@pytest.mark.parametrize(("call", "end"), [("none", 0), ("other", -signal.SIGSYS)])
def test_the_filter_kills(call, end):
    """The filter of the test above is a real one: a call that is not in the table is death."""
    raw = letting_through({call.number for call in CALLS} | set(OWN), KILL_PROCESS)
    done = subprocess.run([sys.executable, "-c", INSTALL, raw.hex(), call], check=False)
    if done.returncode == 77:
        pytest.skip("this kernel installs no seccomp filter here")
    assert done.returncode == end
