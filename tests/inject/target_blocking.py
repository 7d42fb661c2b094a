"""One thread that sits in one kind of blocking call, round after round, and checks what it gets.

    target_blocking.py KIND [SECONDS]

Each round prints {"round", "late_ms", "ok", "value"}: by how much the call ended later than it had
to (negative: too early), and whether it gave what it had to. What is waited for comes from a child
process, so that there is no second thread. CPython 3.6 and later.
"""

import asyncio
import contextlib
import json
import os
import queue
import select
import socket
import struct
import sys
import threading
import time

KIND = sys.argv[1]
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 0.3
WORD = struct.Struct("=dq")  # when it was sent, and a number
now = time.monotonic  # the same clock in all processes


def feed(send):
    """Have a child send words at even intervals, until this process has gone."""
    parent = os.getpid()
    if os.fork():
        return
    with contextlib.suppress(OSError):
        number = 0
        while os.getppid() == parent:
            time.sleep(SECONDS)
            send(WORD.pack(now(), number))
            number += 1
    os._exit(0)


def timed(wait, expected):
    """Rounds of a call that has to give `expected` after SECONDS."""

    def one(_):
        begun = now()
        value = wait()
        return now() - begun - SECONDS, value == expected, value

    return one


def fed(take):
    """Rounds of a call that has to give the words of `feed` in order."""

    def one(number):
        sent, value = WORD.unpack(take())
        return now() - sent, value == number, value

    return one


def pair():
    ours, theirs = socket.socketpair()
    feed(theirs.sendall)
    theirs.close()
    return ours


def when_ready(poller, *timeout):
    """Wait with poll or epoll until the socket can be read, then read it."""
    ours = pair()
    poller.register(ours, select.POLLIN)

    def take():
        assert poller.poll(*timeout), "nothing came"
        return ours.recv(WORD.size)

    return take


def selected():
    ours = pair()

    def take():
        assert select.select([ours], [], [])[0], "nothing came"
        return ours.recv(WORD.size)

    return take


def epoll_that_times_out():
    epoll = select.epoll()
    return lambda: epoll.poll(SECONDS)


def recv():
    ours = pair()
    return lambda: ours.recv(WORD.size)


def recv_with_timeout():
    ours = pair()
    ours.settimeout(60)
    return lambda: ours.recv(WORD.size)


def recv_that_times_out():
    ours, held = socket.socketpair()
    ours.settimeout(SECONDS)

    def wait(_held=held):
        try:
            return ours.recv(1)
        except socket.timeout:  # noqa: UP041 (another one before 3.10)
            return "timeout"

    return wait


def read():
    end, other = os.pipe()
    feed(lambda word: os.write(other, word))
    os.close(other)
    return lambda: os.read(end, WORD.size)


def accept():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(8)
    address = server.getsockname()

    def send(word):
        with socket.create_connection(address) as client:
            client.sendall(word)

    feed(send)

    def take():
        client, _ = server.accept()
        with client:
            return client.recv(WORD.size)

    return take


def waitpid(number):
    begun = now()
    child = os.fork()
    if not child:
        time.sleep(SECONDS)
        os._exit(number % 100)
    got, status = os.waitpid(child, 0)
    return now() - begun - SECONDS, got == child and status >> 8 == number % 100, status >> 8


def taken_lock():
    lock = threading.Lock()
    lock.acquire()
    return lambda: lock.acquire(timeout=SECONDS)


def empty_queue():
    empty = queue.Queue()

    def wait():
        try:
            return empty.get(timeout=SECONDS)
        except queue.Empty:
            return "empty"

    return wait


def condition():
    told = threading.Condition()

    def wait():
        with told:
            return told.wait(SECONDS)

    return wait


async def both():
    """Sleeps and a socket in one loop."""
    loop = asyncio.get_event_loop()
    ours = pair()
    ours.setblocking(False)

    async def sleeper():
        number = 0
        while True:
            begun = now()
            await asyncio.sleep(SECONDS / 2)
            # The clock of the loop is a little coarse (asyncio.base_events: _clock_resolution).
            report(number, now() - begun - SECONDS / 2, True, "slept")
            number += 1

    sleeping = asyncio.ensure_future(sleeper())
    number = 0
    while not sleeping.done():
        sent, value = WORD.unpack(await loop.sock_recv(ours, WORD.size))
        report(number, now() - sent, value == number, value)
        number += 1


def report(number, late, ok, value):
    line = {"round": number, "late_ms": round(1000 * late, 3), "ok": ok, "value": value}
    print(json.dumps(line), flush=True)


KINDS = {
    "sleep": lambda: timed(lambda: time.sleep(SECONDS), None),
    "select": lambda: fed(selected()),
    "select_timeout": lambda: timed(lambda: select.select([], [], [], SECONDS), ([], [], [])),
    "poll": lambda: fed(when_ready(select.poll())),
    "poll_timed": lambda: fed(when_ready(select.poll(), 60000)),
    "poll_timeout": lambda: timed(lambda: select.poll().poll(1000 * SECONDS), []),
    "epoll": lambda: fed(when_ready(select.epoll())),
    "epoll_timed": lambda: fed(when_ready(select.epoll(), 60)),
    "epoll_timeout": lambda: timed(epoll_that_times_out(), []),
    "recv": lambda: fed(recv()),
    "recv_timed": lambda: fed(recv_with_timeout()),
    "recv_timeout": lambda: timed(recv_that_times_out(), "timeout"),
    "read": lambda: fed(read()),
    "accept": lambda: fed(accept()),
    "waitpid": lambda: waitpid,
    "lock": lambda: timed(taken_lock(), False),
    "queue": lambda: timed(empty_queue(), "empty"),
    "condition": lambda: timed(condition(), False),
}

if KIND == "kinds":
    print(json.dumps([*KINDS, "asyncio"]))
elif KIND == "asyncio":
    asyncio.new_event_loop().run_until_complete(both())
else:
    one = KINDS[KIND]()
    number = 0
    while True:
        late, ok, value = one(number)
        report(number, late, ok, value)
        number += 1
