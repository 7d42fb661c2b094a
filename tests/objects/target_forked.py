"""A worker that shares COUNT objects with the parent that forked it; the worker answers.

target_forked.py COUNT
"""

import gc
import os
import sys

from reckoning import obey


class Shared:
    def __init__(self, number):
        self.number, self.text = None, "text %d" % number * 9  # noqa: UP031


held = [Shared(number) for number in range(int(sys.argv[1]))]
gc.freeze()
reading, writing = os.pipe()
parent = os.getpid()
if os.fork():
    os.close(writing)
    os.close(0)
    os.wait()
    os._exit(0)
obey({"pid": os.getpid(), "parent": parent})
