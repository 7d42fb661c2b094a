"""Reads sessions, one after the other, in a thread each, and keeps the header of each message.

The queue of messages is bounded. A payload is dropped when its session is over, the header next to
it stays; no hole between two headers has a whole page. Each thread has a malloc arena of its own,
so that no session can use the holes of another.
"""

import os
import threading
import time
from collections import deque

SESSIONS, SESSION_S = 15, 18
MESSAGES = 7_000  # of a session
PAYLOAD, HEADER = 2_400, 616
waiting: deque[bytes] = deque((os.urandom(3_000) for _ in range(40_000)), maxlen=40_000)
headers: dict[int, list[bytes]] = {}


def session(number: int) -> None:
    """One session: its payloads go when it is over, and the thread waits for the next one."""
    payloads, mine = [], headers.setdefault(number, [])
    for _ in range(SESSION_S * 2):
        for _ in range(MESSAGES // SESSION_S // 2):
            payloads.append(bytes(PAYLOAD))
            mine.append(bytes(HEADER))
        time.sleep(0.5)
    payloads.clear()
    while True:
        time.sleep(60)


def main() -> None:
    """Start the sessions."""
    time.sleep(20)
    for number in range(SESSIONS):
        threading.Thread(target=session, args=(number,), daemon=True).start()
        time.sleep(SESSION_S)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
