"""Blocks its main thread in a call that only a signal ends, and says so each time it does.

Whoever loses a signal's wakeup leaves it blocked: the line for that signal never comes.
"""

import json
import os
import select
import signal
import sys
import threading
import time


class Woken(Exception):
    pass


def wake(*_):
    raise Woken


inlet, outlet = os.pipe()
calls = {
    "read": lambda: os.read(inlet, 1),
    "sleep": lambda: time.sleep(1000),
    "select": lambda: select.select([inlet], [], []),
    "pause": signal.pause,
    "poll": lambda: select.poll().poll(),
    "lock": lambda: threading.Lock().acquire() and threading.Event().wait(),
}
call = calls[sys.argv[1]]
only = {signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, only)  # but while it waits
signal.signal(signal.SIGUSR1, wake)
print(json.dumps({"ready": True}), flush=True)
count = 0
while True:
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, only)
        while True:
            call()
    except Woken:
        signal.pthread_sigmask(signal.SIG_BLOCK, only)
    count += 1
    os.write(1, b'{"count": %d}\n' % count)
