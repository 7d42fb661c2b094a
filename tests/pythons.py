"""The interpreters of this machine, which tests of live processes take as targets."""

import glob
import os
import subprocess
from functools import cache

_PLACES = ("~/.pyenv/versions/3.*/bin/python3", "~/.local/share/uv/python/*/bin/python3")


def interpreters():
    """All CPython 3 that are found: pyenv's, uv's, the system's own (static on Debian)."""
    found = {}
    for pattern in (*_PLACES, "/usr/bin/python3"):
        for path in sorted(glob.glob(os.path.expanduser(pattern))):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def label(path):
    """A short name for a test: `3.11.7`, `usr`."""
    return path.split("/")[-3]


@cache
def trouble(path, imports="ctypes"):
    """Why an interpreter is of no use here, "" if it is: it may lack a module."""
    done = subprocess.run([path, "-c", f"import {imports}"], capture_output=True, text=True)
    return done.stderr.strip().rpartition("\n")[2]
