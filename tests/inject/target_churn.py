"""Threads that are born and end, and children that are forked, all the time.

Each thread and each child allocates and checks what it calculates. Answers each line with
{"threads", "children", "errors"}; CPython 3.6 and later.
"""

import json
import os
import sys
import threading
import time

counts = {"threads": 0, "children": 0, "errors": []}


def calculate():
    held = [bytes([number % 251]) * (number % 3000) for number in range(300)]
    return sum(map(len, held)) == 300 * 299 // 2 and held[255][:1] == b"\x04"


def born():
    if not calculate():
        counts["errors"].append("thread")
    time.sleep(0.001)


def breed():
    while True:
        threads = [threading.Thread(target=born) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts["threads"] += 4


def fork():
    while True:
        child = os.fork()
        if not child:
            os._exit(0 if calculate() else 1)
        _, status = os.waitpid(child, 0)
        if status:
            counts["errors"].append("child: %d" % status)  # noqa: UP031
        counts["children"] += 1


for work in (breed, fork):
    threading.Thread(target=work, daemon=True).start()
print(json.dumps(counts), flush=True)
while sys.stdin.readline():
    print(json.dumps(counts), flush=True)
