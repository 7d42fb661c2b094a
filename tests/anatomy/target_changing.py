"""A process that is never the same for long.

    target_changing.py allocate|map|exec|fork|exit [MB]

allocate    eight threads take and give back objects and buffers of all sizes, flat out
map         mappings come and go, all the time
exec        becomes itself again every few milliseconds
fork        children are born and end, each with what the parent has written
exit        children that live for some ten milliseconds; each line names one of them
"""

import json
import os
import random
import sys
import threading
import time

from answering import libc, map_pages, obey

kind = sys.argv[1]
megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 60
FILL = os.urandom(1 << 16)


def churn(seed):
    rnd = random.Random(seed)
    slots = [b""] * (megabytes << 20 >> 3 >> 11)  # an average of 2 KiB each, of eight threads
    while True:
        dice = rnd.random()
        size = 200_000 if dice < 0.002 else rnd.randrange(6000) if dice < 0.5 else 300
        start = rnd.randrange(256)
        slots[rnd.randrange(len(slots))] = (
            FILL[start : start + size] if size < 60000 else (bytearray(size))
        )
        if dice > 0.9:
            slots[rnd.randrange(len(slots))] = [object() for _ in range(20)]


def map_and_unmap(seed):
    rnd = random.Random(seed)
    while True:
        size = rnd.randrange(1, 1000) << 12
        places = [map_pages(size) for _ in range(10)]
        for place in places:
            libc.memset(place, 7, size)
        for place in places:
            libc.munmap(place, size)


def breed():
    while True:
        child = os.fork()
        if not child:
            held = [FILL[:2000] for _ in range(2000)]
            os._exit(len(held) != 2000)
        os.waitpid(child, 0)


if kind in ("allocate", "map"):
    for seed in range(8 if kind == "allocate" else 2):
        work = churn if kind == "allocate" else map_and_unmap
        threading.Thread(target=work, args=(seed,), daemon=True).start()
    time.sleep(0.5)
    obey({})
elif kind == "fork":
    held = [FILL[: 600 + number % 2000] for number in range(megabytes * 600)]
    threading.Thread(target=breed, daemon=True).start()
    obey({})
elif kind == "exit":
    while True:
        born = os.fork()
        if not born:
            held = [FILL[:3000] for _ in range(3000)]
            os.write(1, json.dumps({"pid": os.getpid()}).encode() + b"\n")
            time.sleep(random.uniform(0, 0.05))
            os._exit(0)
        os.waitpid(born, 0)
else:
    if len(sys.argv) < 4:
        os.write(1, b"{}\n")
    held = [FILL[:3000] for _ in range(3000)]
    time.sleep(random.uniform(0, 0.02))
    os.execv(sys.executable, [sys.executable, "-S", __file__, "exec", "0", "again"])
