"""The Python code that runs in a process to tell what its collector tracks; a text, not run here.

It has to run on CPython 3.6 and all later ones, in somebody else's program, and so it
- takes the type of an object by type(), its size by C functions only that are known, and attributes
  only where they are plain values of an instance: no property, no __class__, no __sizeof__, no
  __len__ and no __getattr__ of the program is ever called;
- refers to tuples within one single step only, in which no other thread can run. Otherwise
  tuple(generator) of that thread may find that its tuple has one owner too many and raise
  SystemError (Objects/abstract.c: PySequence_Tuple);
- keeps the interpreter to itself: what other threads drop would be finalized here as long as it
  refers to all objects. For that the switch interval is long meanwhile: a thread asks for the GIL
  when it has waited for so long and nobody else has got it since (Python/ceval_gil.c: take_gil).
  So others have it before the interval is set at once; and who began to wait in between has asked
  after a time that is let pass, unless there is no CPU for it;
- collects no garbage meanwhile;
- asks for the referents of plain containers and instances only. Those of a module object may be
  free memory: of _asyncio in 3.12 they are its list of free objects;
- imports nothing that is not part of the interpreter itself, and leaves nothing in sys.modules.

What is not tracked (str, bytes, arrays) is found in what containers refer to. Each of n references
to an object counts for 1/n of it, so that nothing has to be remembered; objects with many count
for nothing. Where there are many containers, one of `stride` is asked, for all of them; of what
a large one refers to, one of `stride`. Loops over objects are left to C functions.
The answer is lines of fields, divided by tabs; texts are as ascii() writes them.
"""

from __future__ import annotations

from memtop.actions.remote.referents_code import REFERENTS

BUDGET_S = 1.0  # for which the interpreter is held, unless that is over before
CHUNK = 2048  # of all objects, looked at at once
FOLLOWED = 60_000  # about so many are asked for what they refer to, if there are more
MOST_TYPES, MOST_CONTAINERS, MOST_TASKS, MOST_THREADS = 1000, 30, 200, 200

_SETTINGS = """\
budget, follows = {budget_s!r}, {follows!r}
most_types, most_containers = {types}, {containers}
most_tasks, most_threads, chunk_size, followed = {tasks}, {threads}, {chunk}, {followed}
"""

_CODE = r"""
def look():
    import sys
    parts = "gc time itertools _operator _collections".split()
    new = [name for name in parts if name not in sys.modules]
    import gc, time, itertools, _operator, _collections
    for name in new:
        sys.modules.pop(name, None)
    clock = time.monotonic
    own = [clock, sys.getsizeof, sys.getrefcount, gc.get_objects, gc.get_referents, gc.is_tracked]
    for function in own + [_operator.sub, _operator.mul]:
        if type(function) is not type(len):
            raise RuntimeError("its clock or its gc is not Python's own")
    tools = itertools, _operator, _collections
    counts, interval, is_enabled = gc.get_count(), sys.getswitchinterval(), gc.isenabled()
    set_interval, pause, long = sys.setswitchinterval, time.sleep, budget + 0.1
    if type(pause) is type(len):
        pause(0.0005)
    set_interval(long)
    began = clock()
    gc.disable()
    try:
        return look_at_all(sys, gc, tools, clock, began, min(interval, 0.02) + 0.001, counts)
    finally:
        if is_enabled:
            gc.enable()
        set_interval(interval + 5e-7)  # it cuts off what is less than a microsecond


def look_at_all(sys, gc, tools, clock, began, wait, counts):
    itertools, _operator, _collections = tools
    small, few, large, most_references = 16, 24, 256, 16
    batch, most_passed, most_listed = 10000, 1000000, 2000000
    count_elements, defaultdict = _collections._count_elements, _collections.defaultdict
    islice, repeat, compress = itertools.islice, itertools.repeat, itertools.compress
    flat, mul, sub, add = itertools.chain.from_iterable, _operator.mul, _operator.sub, _operator.add
    floordiv, or_, is_ = _operator.floordiv, _operator.or_, _operator.is_
    size_of, references_of = sys.getsizeof, sys.getrefcount
    referents_of, is_tracked = gc.get_referents, gc.is_tracked
    lines = []

    # What can be asked of any object without running code of its type.

    mro_of, names_in, name_of, module_of, flags_of, item_size_of = [
        type.__dict__[name].__get__
        for name in ("__mro__", "__dict__", "__name__", "__module__", "__flags__", "__itemsize__")
    ]
    module_type = type(sys)
    names_in_module = module_type.__dict__["__dict__"].__get__

    def text(value, most=200):
        if not issubclass(type(value), str):
            return "?"
        return ascii(str.__getitem__(value, slice(most)))[1:-1]

    def name_of_type(t):
        try:
            module = module_of(t)
        except Exception:
            module = None
        return text(name_of(t)), text(module)

    def value_of(o, name):
        # An attribute of the instance; None if its class has something by that name.
        for c in mro_of(type(o)):
            if name in names_in(c):
                return None
        try:
            return object.__getattribute__(o, name)
        except AttributeError:
            return None

    modules = dict.copy(sys.modules) if issubclass(type(sys.modules), dict) else {}

    def names_of(name):
        # The names of a module that has been imported.
        module = modules.get(name)
        return names_in_module(module) if issubclass(type(module), module_type) else {}

    # Containers at the top of modules.

    lengths = {id(c): (c.__name__, c.__len__) for c in (dict, list, set)}
    collections = names_of("_collections")
    for name in ("deque", "defaultdict", "OrderedDict"):
        c = collections.get(name)
        if type(c) is type:
            lengths[id(c)] = (name, (collections["deque"] if name == "deque" else dict).__len__)
    queues = {}
    for module, name, inner in (
        ("asyncio.queues", "Queue", "_queue"),
        ("asyncio.queues", "PriorityQueue", "_queue"),
        ("asyncio.queues", "LifoQueue", "_queue"),
        ("queue", "Queue", "queue"),
    ):
        c = names_of(module).get(name)
        if type(c) is type:
            queues[id(c)] = (module[:7].rstrip(".") + "." + name, inner)
    found, known = [], set()
    for module, m in dict.items(modules):
        if type(module) is not str or not issubclass(type(m), module_type):
            continue
        names = names_in_module(m)
        if type(names) is not dict:
            continue
        for name, value in list(names.items()):
            k = id(type(value))
            if k in queues:
                kind, inner = queues[k]
                inner = value_of(value, inner)
                length_of = lengths.get(id(type(inner)), (None, None))[1]
            elif k in lengths:
                (kind, length_of), inner = lengths[k], value
            else:
                continue
            if length_of is None or type(name) is not str or name[:2] == "__":
                continue
            if id(value) not in known:  # it may have more names, in other modules
                known.add(id(value))
                found.append((length_of(inner), module + "." + name, kind))
    m = names = name = value = inner = c = None
    found.sort(key=lambda one: -one[0])
    for length, name, kind in found[:most_containers]:
        lines.append(("container", text(name), kind, length))
    found = known = None

    # Threads, and what else the interpreter knows of itself.

    active = names_of("threading").get("_active")
    if type(active) is dict:
        for thread in list(active.values())[:most_threads]:
            lines.append(("thread", text(value_of(thread, "_name"))))
    active = thread = None
    tracing = names_of("_tracemalloc").get("is_tracing")
    if tracing is not None:
        is_tracing = tracing() is True
    else:
        environment = {} if sys.flags.ignore_environment else names_of("posix").get("environ", {})
        is_tracing = "tracemalloc" in sys._xoptions or b"PYTHONTRACEMALLOC" in environment
    garbage = len(gc.garbage) if type(gc.garbage) is list else 0
    frozen = gc.get_freeze_count() if hasattr(gc, "get_freeze_count") else 0
    lines.append(("gc", *counts[:3], *gc.get_threshold()[:3], garbage, frozen, int(is_tracing)))

    # Types: how they are measured, and whether what they refer to may be asked for.

    head = size_of([]) - list.__sizeof__([])
    c_functions = {type(str.join), type(str.__len__), type(dict.__dict__["fromkeys"]), type(len)}
    own_slots = type(type.__dict__["__dict__"])
    measured_by = (
        "builtins collections array _io io _struct struct numpy mmap _pickle itertools "
        "_elementtree xml.etree.ElementTree"
    ).split()
    cell = type((lambda: lines).__closure__[0])
    plain = {id(c): c for c in (object, dict, list, tuple, set, frozenset, type(text), cell)}
    for c in [collections.get(name) for name in ("deque", "defaultdict", "OrderedDict")]:
        plain[id(c)] = c
    plain[id(names_of("_typing").get("Generic"))] = None
    sized = [c for c in (dict, list, tuple, set, frozenset, collections.get("deque")) if c]
    task = names_of("_asyncio").get("Task")
    made_here = {}

    def is_made_here(c):
        # Whether a class was made by a class statement: no C function of its own.
        if id(c) not in made_here:
            made_here[id(c)] = flags_of(c) >> 9 & 1 and not any(
                type(value) in c_functions
                or (type(value) is own_slots and name not in ("__dict__", "__weakref__"))
                for name, value in names_in(c).items()
            )
        return made_here[id(c)]

    def size_with_head_of(o):
        return object.__sizeof__(o) + head

    count, size, referred, drawn, met, *others, example = range(11)
    fixed, measure, base, is_followed, is_task = others

    def meet(o):
        t = type(o)
        bare_size_of = size_with_head_of if flags_of(t) >> 14 & 1 else object.__sizeof__
        entry = [0, 0, 0, 0, 0, None, bare_size_of, None, False, False, t]
        mro = mro_of(t) or ()
        owner = next((c for c in mro if "__sizeof__" in names_in(c)), object)
        try:
            is_c = type(names_in(owner)["__sizeof__"]) is type(str.join)
            if owner is object or (is_c and module_of(owner) in measured_by):
                entry[measure] = size_of
            if (owner is object or not is_c) and not item_size_of(t):
                entry[fixed] = entry[measure](o)
        except Exception:
            entry[measure] = bare_size_of
        entry[is_followed] = follows and all(id(c) in plain or is_made_here(c) for c in mro)
        if entry[is_followed]:
            entry[base] = next((c for c in sized if any(c is one for one in mro)), None)
        entry[is_task] = task is not None and any(c is task for c in mro)
        return entry

    # Tasks of asyncio, by the coroutine that they run.

    tasks = {}
    states = {"PENDING": "pending", "FINISHED": "done", "CANCELLED": "cancelled"}
    later = look_later()
    later.close()  # or it would be complained of that nobody awaits it
    coroutine_types = [type(later), type(look_once())]
    if task is not None:
        coroutine_in, state_of = [names_in(task)[n].__get__ for n in ("_coro", "_state")]

    def count_tasks(group):
        for one in group:
            coroutine, state = coroutine_in(one), state_of(one)
            name = "?"
            for c in coroutine_types:
                if type(coroutine) is c:
                    name = text(names_in(c)["__qualname__"].__get__(coroutine))
            if name == "?":
                name = name_of_type(type(coroutine))[0]
            key = name, states.get(state, "pending") if type(state) is str else "pending"
            if key not in tasks and len(tasks) >= most_tasks:
                key = "\\u2026", key[1]
            tasks[key] = tasks.get(key, 0) + 1

@REFERENTS@
    # All objects but tuples: while those are made by C functions nobody else may refer to them. So
    # they are looked at in one step, with nothing of Python's between, in which they are let go.
    # Each of these is an iterator that makes a call when it is asked for its next item. If there is
    # no time for all objects, it is some chunks, evenly spaced.

    def later(function, *arguments):
        return map(function, *[(one,) for one in arguments])

    everything, totals, part, flags, tuples, objects = [], [], [], bytearray(), [], []
    sizes_of_tuples, in_tuples, never = [], [], object()
    most = int(budget / 3e-7) // chunk_size + 8
    gaps = map(max, repeat(chunk_size), map(floordiv, map(len, everything), repeat(most)))
    starts = itertools.tee(flat(map(range, repeat(0), map(len, everything), gaps)))
    slices = map(slice, starts[0], map(add, starts[1], repeat(chunk_size)))
    negated = map(bytearray.translate, (flags,), (b"\1" + bytes(255),))
    strides = map(or_, map(floordiv, map(len, (tuples,)), repeat(followed)), repeat(1))
    asked = flat(map(islice, (tuples,), (0,), (None,), strides)) if follows else ()
    steps = [
        map(everything.append, iter(gc.get_objects, never)),
        later(part.extend, flat(map(list.__getitem__, flat(map(repeat, everything)), slices))),
        later(totals.extend, map(len, everything)),
        map(list.clear, everything),
        later(flags.extend, map(is_, map(type, part), repeat(tuple))),
        later(tuples.extend, compress(part, flags)),
        later(objects.extend, compress(part, flat(negated))),
        iter(part.clear, never),
        later(sizes_of_tuples.extend, map(size_of, tuples)),
        later(in_tuples.extend, flat(map(referents_of, asked))),
        iter(tuples.clear, never),
    ]

    def at_once():
        list(map(next, steps))

    # A chunk here and a chunk there, so that part of them is a fair sample.

    while clock() - began < wait:
        pass
    held_at = clock()
    at_once()
    deadline = began + budget - (clock() - held_at) / 2  # it takes time to let them go
    (total,), seen, is_whole = totals, 0, True
    most_listed = max(total, most_listed)
    stride = max(1, total // followed) | 1  # as `stride_of` has it
    own_stride = len(sizes_of_tuples) // followed | 1
    taken = len(objects) + len(sizes_of_tuples)
    if sizes_of_tuples:
        entry = entries[id(tuple)] = meet(())
        entry[count], entry[size] = len(sizes_of_tuples), sum(sizes_of_tuples)
        entry[met] = min(entry[count], taken // chunk_size + 1)
        left = max(0.3 * (deadline - clock()), 0.002)
        step = int(len(in_tuples) * 6e-7 / left) + 1
        in_tuples[:], own_stride = in_tuples[::step], own_stride * step
        is_whole = count_referents(in_tuples, own_stride, entry[count] / own_stride, 3)
        in_tuples.clear()
    of_tuples = [(entry, entry[count], entry[size], entry[referred]) for entry in entries.values()]
    chunks = (len(objects) + chunk_size - 1) // chunk_size
    hop = next(n for n in (61, 67, 71) if chunks % n) if chunks > 100 else 1
    for number in range(chunks):
        if number >= 8 and clock() > deadline:  # so many take 5 ms
            break
        at = number * hop % chunks * chunk_size
        chunk = objects[at : at + chunk_size]
        seen += len(chunk)
        groups = by_type(chunk)
        for k, group in groups.items():
            entry = entries.get(k)
            if entry is None:
                entry = entries[k] = meet(group[0])
            entry[count] += len(group)
            entry[met] += 1
            if entry[fixed] is not None:
                entry[size] += len(group) * entry[fixed]
            else:
                sizes = list(map(entry[measure], group))
                entry[size] += sum(sizes)
            if entry[is_followed]:
                c = entry[base]
                if c is not None and entry[fixed] is None and max(sizes) <= 8 * small:
                    c = None  # what takes so little cannot refer to many
                is_whole &= ask(group, c, number * 7, stride, 1, total, 3)
            if entry[is_task]:
                count_tasks(group)
    share = seen / len(objects) if objects else 1
    chunk = groups = group = None
    objects.clear()
    held = clock() - held_at
    for entry, *figures in of_tuples:  # as if only this share of them had been looked at
        for n, figure in zip((count, size, referred), figures):
            entry[n] -= (1 - share) * figure

    # The answer.

    ordered = sorted(entries.values(), key=lambda entry: -entry[size])
    for entry in ordered[:most_types]:
        name, module = name_of_type(entry[example])
        figures = tuple(map(entry.__getitem__, (count, met, referred, drawn, size)))
        lines.append(("type", name, module, "%d\t%d\t%.1f\t%.1f\t%.0f" % figures))
    if ordered[most_types:]:
        wanted, few = (count, referred, size), ordered[most_types:]
        rest = tuple(sum(entry[n] for entry in few) for n in wanted)
        lines.append(("type", "\\u2026", "?", "%d\t1\t%.1f\t0\t%.0f" % rest))
    for (name, state), number in tasks.items():
        lines.append(("task", name, state, number))
    seen, stride = int(taken * share), max(stride, own_stride)
    lines.append(("seen", seen, total, stride, int(is_whole), int(follows)))
    lines.append(("held", "%.6f" % held, "%.6f" % (clock() - began)))
    return "\n".join("\t".join(map(str, line)) for line in lines)


def look_once():
    yield


async def look_later():
    pass


try:
    r = ("ok\n" + look()).encode("ascii")
except BaseException as error:
    r = ("error\n" + type(error).__name__ + ": " + str(error)[:500]).encode("utf-8", "replace")
"""


def stride_of(tracked: int) -> int:
    """Of so many objects, one of how many is asked for what it refers to."""
    return max(1, tracked // FOLLOWED) | 1


def snapshot_code(budget_s: float = BUDGET_S, follows: bool = True) -> bytes:
    """The code, which leaves its answer in `r`.

    `budget_s`: for how long it may hold the interpreter, in seconds. `follows`: whether it asks
    for what containers refer to, too.
    """
    settings = _SETTINGS.format(
        budget_s=float(budget_s),
        follows=bool(follows),
        types=MOST_TYPES,
        containers=MOST_CONTAINERS,
        tasks=MOST_TASKS,
        threads=MOST_THREADS,
        chunk=CHUNK,
        followed=FOLLOWED,
    )
    code = _CODE.replace("@REFERENTS@\n", REFERENTS)
    return (settings + code).encode("ascii")
