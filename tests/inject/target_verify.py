"""Eight threads that check all the time that what they call gives the right result, in time.

Main waits for lines and answers each with {"rounds": {KIND: count}, "errors": []}. The first wrong
result is printed and ends the process with status 3; CPython 3.6 and later.
"""

import json
import math
import os
import queue
import select
import socket
import struct
import sys
import threading
import time

LATE_S = 3.0  # on a busy machine; too early is what is looked for
CLOCK_S = 0.0005
now = time.monotonic
rounds = {}


def wrong(kind, what):
    print(json.dumps({"rounds": rounds, "errors": [kind + ": " + what]}), flush=True)
    os._exit(3)


def lasted(kind, begun, wanted):
    took = now() - begun
    if not wanted - CLOCK_S <= took <= wanted + LATE_S:
        wrong(kind, f"took {took:.6f} s instead of {wanted:.6f}")


def slept(number):
    begun, wanted = now(), 0.001 + number % 7 * 0.003
    time.sleep(wanted)
    lasted("sleep", begun, wanted)


taken = threading.Lock()
taken.acquire()


def locked(number):
    begun, wanted = now(), 0.002 + number % 5 * 0.004
    if taken.acquire(timeout=wanted):
        wrong("lock", "was given")
    lasted("lock", begun, wanted)


def polled(number):
    begun, wanted = now(), 1 + number % 9
    if select.poll().poll(wanted):
        wrong("poll", "something")
    lasted("poll", begun, wanted / 1000)


FLOATS = [math.sin(n / 7) * math.exp(n / 50) + math.sqrt(n) / (n + 0.3) for n in range(300)]
BITS = struct.pack("300d", *FLOATS)


def calculated(number):
    values = [math.sin(n / 7) * math.exp(n / 50) + math.sqrt(n) / (n + 0.3) for n in range(300)]
    if struct.pack("300d", *values) != BITS:
        wrong("float", repr([n for n in range(300) if values[n] != FLOATS[n]]))
    time.sleep(0.001)


there, back = queue.Queue(), queue.Queue()
ours, theirs = socket.socketpair()


def queued(number):
    there.put((number, now()))
    answer = back.get()
    if answer != (number, -number):
        wrong("queue", repr((number, answer)))


def answered(number):
    asked, _ = there.get()
    time.sleep(0.001)
    back.put((asked, -asked))


def sent(number):
    ours.sendall(struct.pack("q", number))
    answer = struct.unpack("q", ours.recv(8, socket.MSG_WAITALL))[0]
    if answer != ~number:
        wrong("socket", repr((number, answer)))


def received(number):
    asked = struct.unpack("q", theirs.recv(8, socket.MSG_WAITALL))[0]
    if asked != number:
        wrong("socket", repr((number, asked)))
    time.sleep(0.001)
    theirs.sendall(struct.pack("q", ~asked))


def work(kind, one):
    number = 0
    while True:
        try:
            one(number)
        except BaseException as error:  # also an exception that should not be there is wrong
            wrong(kind, repr(error))
        number += 1
        rounds[kind] = number


KINDS = {
    "sleep": slept,
    "lock": locked,
    "poll": polled,
    "float": calculated,
    "queue": queued,
    "queue2": answered,
    "socket": sent,
    "socket2": received,
}
for kind, one in KINDS.items():
    rounds[kind] = 0
    threading.Thread(target=work, args=(kind, one), daemon=True).start()
print(json.dumps({"rounds": rounds, "errors": []}), flush=True)
while sys.stdin.readline():
    print(json.dumps({"rounds": rounds, "errors": []}), flush=True)
