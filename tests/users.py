"""What another user sees: functions that are run in a forked child with fewer rights."""

import ctypes
import os
import pickle
import struct
import warnings

NOBODY = 65534
DAC_OVERRIDE, DAC_READ_SEARCH, SYS_PTRACE = 1 << 1, 1 << 2, 1 << 19
_VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3


def as_user(uid, function):
    """What `function` returns as this user without any capability."""

    def become():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)

    return in_child(become, function)


def with_capabilities(capabilities, function):
    """What `function` returns as root with these capabilities only."""

    def become():
        low, high = capabilities & 0xFFFFFFFF, capabilities >> 32
        header = struct.pack("=Ii", _VERSION_3, 0)
        ctypes.CDLL(None).capset(header, struct.pack("=6I", *(low, low, 0), high, high, 0))

    return in_child(become, function)


def in_child(become, function):
    """What `function` returns in a forked child after `become()`; what it raises is raised here."""
    receiver, sender = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parent may have threads
        child = os.fork()
    if not child:
        try:
            become()
            answer = function(), None
        except BaseException as error:
            answer = None, error
        finally:
            os.write(sender, pickle.dumps(answer))
            os._exit(0)
    os.close(sender)
    with open(receiver, "rb") as file:
        data = file.read()
    os.waitpid(child, 0)
    result, error = pickle.loads(data)
    if error is not None:
        raise error
    return result
