"""Ten threads, 250 MB, and a heart that beats every millisecond: how long was it silent?

    target_heartbeat.py threads|asyncio [MB]

Lines of input: "reset" begins anew, "report" answers {"worst_ms", "beats", "seconds"}.
"""

import asyncio
import json
import queue
import sys
import threading
import time

BEAT_S = 0.001
now = time.perf_counter


class Heart:
    def __init__(self):
        self.reset()

    def reset(self):
        self.begun = self.last = now()
        self.worst, self.beats = 0.0, 0

    def beat(self):
        moment = now()
        self.worst = max(self.worst, moment - self.last)
        self.last = moment
        self.beats += 1

    def report(self):
        # The silence that lasts is one, too.
        worst = max(self.worst, now() - self.last)
        return {
            "worst_ms": round(1000 * (worst - BEAT_S), 3),
            "beats": self.beats,
            "seconds": round(now() - self.begun, 3),
        }


heart = Heart()


def listen():
    print(json.dumps(heart.report()), flush=True)
    for line in sys.stdin:
        if line.strip() == "reset":
            heart.reset()
        print(json.dumps(heart.report()), flush=True)


def beat():
    while True:
        time.sleep(BEAT_S)
        heart.beat()


async def beat_in_loop():
    while True:
        await asyncio.sleep(BEAT_S)
        heart.beat()


def idle():
    time.sleep(1e6)


megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 250
# Half in large blocks, half in the small ones that malloc keeps in its arenas.
held = [bytearray(1 << 20) for _ in range(megabytes // 2)]
small = [bytearray(2000) for _ in range(megabytes * 500 // 2)]
del small[::2]

waiting = queue.Queue()
for number in range(8):
    threading.Thread(target=idle if number % 2 else waiting.get, daemon=True).start()
if sys.argv[1] == "threads":
    threading.Thread(target=beat, daemon=True).start()
    listen()
else:
    threading.Thread(target=listen, daemon=True).start()
    asyncio.new_event_loop().run_until_complete(beat_in_loop())
