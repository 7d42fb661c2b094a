"""Objects that are known, in processes that notice if they are touched.

    target_objects.py KIND [COUNT]

KIND is one of

    known    COUNT instances of `Known`, containers at the top of modules, threads with names, and
             classes whose methods must not be called
    tasks    asyncio: queues at the top of the module, COUNT tasks that wait for them, and a clock
    tuples   COUNT threads that make tuples out of generators all the time, and look at them
    heap     COUNT objects of several kinds, and a heart that beats every millisecond
    one      a dict of COUNT numbers that the collector does not track
    beside   COUNT lists, and beside them 500,000 texts in one list, 200,000 numbers in 100 dicts,
             and 10,000 numbers that two containers have
    off      COUNT instances of `Known`, and the collector is disabled
    readv    its only thread waits for lines in readv

Prints a line of JSON when it is ready; answers each line with what it is like, `reset` begins anew.
"""

import collections
import gc
import json
import os
import queue
import sys
import threading
import time

KIND, COUNT = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
CALLED, ERRORS = [], []


class Known:
    def __init__(self, number):
        self.number = 1000.5 + number
        self.data = b"%0100d" % number
        self.both = [number]


def forbidden(name):
    def method(self, *arguments):
        CALLED.append(name)
        raise RuntimeError(name)

    return method


class Meta(type):
    __sizeof__ = __eq__ = forbidden("Meta")
    __hash__ = forbidden("Meta.__hash__")
    __name__ = property(forbidden("Meta.__name__"))
    __mro__ = property(forbidden("Meta.__mro__"))
    __getattribute__ = forbidden("Meta.__getattribute__")


def hostile(bases=(object,), meta=type):
    """A class of which nothing may be asked."""
    names = "sizeof len eq bool getattr iter contains repr str".split()
    body = {f"__{name}__": forbidden(name) for name in names}
    body["__getattribute__"] = forbidden("getattribute")
    body["__hash__"] = forbidden("hash")
    body["__class__"] = body["_name"] = body["__dict__"] = property(forbidden("property"))
    return meta("Hostile", bases, body)


class Text(str):
    __repr__ = __str__ = __len__ = __getitem__ = encode = forbidden("Text")
    __hash__ = str.__hash__
    __eq__ = str.__eq__


class Sized(list):
    __sizeof__ = __len__ = forbidden("Sized")


class Worker(threading.Thread):
    _name = property(forbidden("Worker._name"), lambda self, name: None)


def report(**facts):
    facts.update(
        called=CALLED,
        errors=ERRORS,
        collecting=gc.isenabled(),
        interval=sys.getswitchinterval(),
        modules=len(sys.modules),
        names=sorted(sys.modules["__main__"].__dict__),
        threads=threading.active_count(),
        pid=os.getpid(),
    )
    print(json.dumps(facts), flush=True)


def answer(**more):
    report(**more)
    for line in sys.stdin:
        if line.strip() == "reset":
            beats[:] = [time.perf_counter(), 0.0, 0]
        report(beats=beats[2], worst_s=beats[1], **more)


beats = [time.perf_counter(), 0.0, 0]
BY_NUMBER, IN_A_ROW, DIFFERENT = {}, [], set()
LAST, COUNTED = collections.deque(maxlen=500), collections.defaultdict(int)
ORDERED, WAITING = collections.OrderedDict(), queue.Queue()
__hidden = dict.fromkeys(range(100000)) if KIND == "known" else None

if KIND == "known":
    sys.setswitchinterval(0.00123)
    held = [Known(number) for number in range(COUNT)]
    BY_NUMBER.update((number, None) for number in range(40000))
    IN_A_ROW.extend(range(30000))
    DIFFERENT.update(range(20000))
    LAST.extend(range(1000))
    COUNTED.update((number, 1) for number in range(700))
    ORDERED.update((number, 1) for number in range(600))
    for number in range(800):
        WAITING.put(number)
    shells = [
        hostile(bases, meta)
        for bases in ((object,), (dict,), (list,), (Exception,), (str,))
        for meta in (type, Meta)
    ]
    evil = [type.__call__(shell) for shell in shells for _ in range(3)]
    named = type(Text("Named"), (), {})()
    strange = type("Tab\tline\nquote'\"\\end \u00fc\u4e2d", (), {})()
    finished = iter(())
    generators = [(n for n in ()) for _ in range(3)]
    list(generators[0])
    next(generators[1], None)
    gate = threading.Event()
    for index, kind in enumerate((threading.Thread, Worker)):
        kind(target=gate.wait, name=f"reader --password=hunter2 {index}", daemon=True).start()
    sys.modules["not.a.module"] = evil[0]
    sized = [Sized(range(1000)) for _ in range(5)]
    gc.collect()
    gc.garbage.append(Known(0))
    answer(expected=sys.getsizeof(held[0]))
elif KIND == "tasks":
    import asyncio

    QUEUE, URGENT, results = None, None, []

    async def wait_for_more(queue):
        while True:
            results.append(await queue.get())

    async def tick():
        while True:
            await asyncio.sleep(0.001)
            beats[2] += 1
            async for _ in endless(3):
                pass

    async def endless(count):
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    async def nothing():
        pass

    async def main():
        global QUEUE, URGENT
        QUEUE, URGENT = asyncio.Queue(), asyncio.PriorityQueue()
        for number in range(123):
            URGENT.put_nowait(number)
        spawn = asyncio.get_event_loop().create_task
        tasks = [spawn(wait_for_more(QUEUE)) for _ in range(COUNT)]
        tasks += [spawn(nothing()) for _ in range(5)]
        stopped = spawn(wait_for_more(QUEUE))
        clock = spawn(tick())
        await asyncio.sleep(0.05)
        stopped.cancel()
        await asyncio.sleep(0.05)
        threading.Thread(target=answer, daemon=True).start()
        while clock:
            QUEUE.put_nowait(1)
            await asyncio.sleep(0.001)
            if len(results) % 100 == 0:
                gc.collect()

    asyncio.new_event_loop().run_until_complete(main())
elif KIND == "tuples":

    def make():
        while True:
            try:
                # Of no known length, so that it is made larger and smaller while it grows.
                made = tuple(number for number in range(2000))
                if sum(made) != 1999000:
                    ERRORS.append("wrong")
                beats[2] += 1
            except BaseException as error:
                ERRORS.append(repr(error))

    for _ in range(COUNT):
        threading.Thread(target=make, daemon=True).start()
    answer()
elif KIND == "heap":
    gc.disable()
    held = [Known(number) for number in range(COUNT // 6)]
    held += [{"key": [number]} for number in range(COUNT // 6)]
    held += [[number] for number in range(COUNT // 3)]
    gc.enable()
    gc.collect()

    def beat():
        beats[:] = [time.perf_counter(), 0.0, 0]
        while True:
            time.sleep(0.001)
            now = time.perf_counter()
            beats[1] = max(beats[1], now - beats[0] - 0.001)
            beats[0] = now
            beats[2] += 1

    threading.Thread(target=beat, daemon=True).start()
    answer(tracked=len(gc.get_objects()))
elif KIND == "one":
    threading.Thread(target=str).start()
    BY_NUMBER.update((number, float(number)) for number in range(COUNT))
    answer()
elif KIND == "beside":
    held = [[number] for number in range(COUNT)]
    TEXTS = [f"text {number}" for number in range(500_000)]
    TABLES = [{n: n + number / 128 for n in range(2000)} for number in range(1, 101)]
    SHARED = [1e6 + number for number in range(10_000)]
    TWICE = dict(enumerate(SHARED))
    gc.collect()
    answer()
elif KIND == "off":
    gc.disable()
    held = [Known(number) for number in range(COUNT)]
    print(json.dumps({"pid": os.getpid()}), flush=True)
    for _ in sys.stdin:
        report(collections=[one["collections"] for one in gc.get_stats()])
elif KIND == "readv":
    print(json.dumps({"pid": os.getpid()}), flush=True)
    line = bytearray(100)
    while True:
        count = os.readv(0, [line])
        print(json.dumps({"line": line[:count].decode().strip()}), flush=True)
