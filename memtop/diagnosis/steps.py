"""The texts of the next steps: commands, variables, arguments, with the values of this process.

Keys of the screen come with the command that does the same. Sizes in bytes.
"""

from __future__ import annotations

from memtop.diagnosis.figures import Figures
from memtop.diagnosis.phrases import longer, own_class
from memtop.diagnosis.settings import JEMALLOC, RESTART
from memtop.diagnosis.words import MIB, size
from memtop.diagnosis.workers import fewer, recycling, version_of


def break_cycles(f: Figures) -> str:
    """The collector freed them when it was called."""
    return (
        "Break the reference cycles (weakref, or drop the callbacks when a job is done), or call "
        "gc.collect() after each job"
    )


def bound_tasks(f: Figures) -> str:
    """asyncio tasks pile up."""
    pid, version = _pid(f), version_of(f.evidence.subject.python)
    look = f"S (memtop snapshot {pid}) names their coroutines"
    if version is not None and version >= (3, 14):
        look = f"`python{version[0]}.{version[1]} -m asyncio ps {pid}` shows what they wait for"
    return f"asyncio tasks pile up: {look}; bound them with asyncio.Queue(maxsize=N) and timeouts"


def bound_container(f: Figures) -> str:
    """A container at the top of a module only gets longer."""
    one = longer(f.evidence)[0]
    return (
        f"Look at what adds to {one.name} ({one.before:,} → {one.after:,}) and does not remove: "
        "bound it, or let its entries expire"
    )


def find_holder(f: Figures) -> str:
    """Objects grow, and what holds them is not known yet."""
    pid, version = _pid(f), version_of(f.evidence.subject.python)
    own = own_class(f)
    begin = f"Look for what keeps {own.name}: " if own is not None else ""
    holder = (
        f"S now and later, then D (memtop snapshot {pid} --save FILE, memtop diff) shows which "
        "container gets longer"
    )
    made = [holder]
    if not any(one.action == "gc" for one in f.evidence.done):
        cycles = f"C (memtop gc {pid}) tells whether they hang in reference cycles"
        # A few large objects never make the collector start by itself.
        made = [cycles, holder] if f.big_came > 0.5 * f.came.get("objects", 0) else [holder, cycles]
    made[0] = begin + made[0]
    if version is None or version >= (3, 7):
        made.append(f"`memray attach --aggregate -o out.bin {pid}` tells which line makes them")
    return "; ".join(made)


def find_library(f: Figures) -> str:
    """Native memory in a Python process."""
    bound = recycling(f.evidence)
    version = version_of(f.evidence.subject.python)
    if version is not None and version < (3, 7):
        return f"Find the library: `heaptrack -p {_pid(f)}` shows who mallocs; change its version"
    verb = "mmaps" if f.share("other") > f.share("native") else "mallocs"
    until = f"; until then a new worker now and then bounds it: {bound}" if bound else ""
    return (
        f"Find the library: `memray attach --native --aggregate -o out.bin {_pid(f)}` shows who "
        f"{verb} from now on; change its version and compare{until}"
    )


def own_tools(f: Figures) -> str:
    """Memory of a program that is no Python."""
    return f"It is not Python: `heaptrack -p {_pid(f)}` shows who mallocs; compare its versions"


def count_owners(f: Figures) -> str:
    """Big blocks that nobody has asked for their owners."""
    return f"o (memtop census {_pid(f)}) tells whose the big blocks are"


def drop_earlier(f: Figures) -> str:
    """Big blocks of objects: they are in use."""
    return (
        f"They are in use: S (memtop snapshot {_pid(f)}) names what holds them; drop them earlier, "
        "or load them once and share them"
    )


def run_fewer(f: Figures) -> str:
    """Many processes, none of which leaks."""
    room, crowd = f.evidence.room, f.evidence.crowd
    text = f"It is no leak: bound how many run at once, with {fewer(f.evidence)}"
    if room is None or not room.limit_bytes or crowd is None or crowd.processes < 1:
        return text
    sum_bytes = crowd.pss_bytes if crowd.pss_bytes is not None else crowd.rss_bytes
    fits = int(0.8 * room.limit_bytes * crowd.processes / max(1, sum_bytes))
    return f"{text}; {fits:,} of them take 80 % of the limit of {size(room.limit_bytes)}"


def fit_the_limit(f: Figures) -> str:
    """The worst case of one more child is above the limit."""
    room = f.evidence.room
    if room is None or room.limit_bytes is None or not room.worst_child_bytes:
        return f"Bound how many run at once, with {fewer(f.evidence)}"
    taken, fits = room.taken_bytes or 0, room.fits_total or 0
    made = []
    if fits:
        flag = (
            "uvicorn --limit-concurrency, or " if f.evidence.subject.framework == "uvicorn" else ""
        )
        made.append(
            f"let {fits:,} run at a time ({flag}asyncio.Semaphore({fits}) where they start)"
        )
    each = (room.limit_bytes - taken) // (fits + 1)
    if each >= 16 * MIB:
        verb = "lower" if room.worst_child_from == "RLIMIT_AS" else "set"
        made.append(f"{verb} RLIMIT_AS of a child to {size(each)}, so that {fits + 1:,} fit")
    made.append(f"raise the limit to {size(taken + (fits + 1) * room.worst_child_bytes)}")
    text = ", or ".join(made)
    return text[0].upper() + text[1:]


def leave_the_cache(f: Figures) -> str:
    """The kernel reclaims it."""
    room = f.evidence.room
    when = "before it kills" if room is not None and room.limit_bytes else "under pressure"
    return (
        f"Nothing has to be done: the kernel takes these pages back {when}. Judge by the floor "
        "(anonymous and shared memory), not by usage; rotate logs that only grow"
    )


def unlink(f: Figures) -> str:
    """Segments that nobody removes."""
    return (
        "Unlink what was created: close() in every process that has it, then unlink() once, in "
        f"multiprocessing.shared_memory; `ls -lt /proc/{_pid(f)}/root/dev/shm | head` lists them"
    )


def unmap(f: Figures) -> str:
    """Shared memory without a name: mmap.mmap(-1, …), multiprocessing.Array, memfd_create."""
    return (
        "Close what is mapped, mmap.close() (and os.close() of a memfd), when it is no longer used;"
        f" `grep -cE 'zero|memfd|SYSV' /proc/{_pid(f)}/maps` counts the mappings"
    )


def freeze(f: Figures) -> str:
    """Reference counts and the collector write to pages that were shared."""
    version = version_of(f.evidence.subject.python)
    if version is not None and version < (3, 7):
        return "gc.disable() in the parent before it forks, gc.enable() in the children"
    return (
        "gc.disable() in the parent while it loads, gc.freeze() just before it forks, gc.enable() "
        "in the children; or load in the children what they write to"
    )


def bound_threads(f: Figures) -> str:
    """Threads are started, and do not end."""
    return (
        f"`py-spy dump --pid {_pid(f)}` shows what the threads wait for; bound them with "
        "ThreadPoolExecutor(max_workers=N), and join what is started"
    )


def jemalloc_without_huge_pages(f: Figures) -> str:
    """jemalloc asks for huge pages by itself only where it is told to."""
    return f"Set MALLOC_CONF=thp:never (beside what it has) {RESTART}"


def without_huge_pages(f: Figures) -> str:
    """Huge pages of which only a part is written to."""
    return (
        "prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) before the service starts switches them off for it; "
        "for the node, `echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`"
    )


def another_object_allocator(f: Figures) -> str:
    """Pools of Python that a few objects keep."""
    bound = recycling(f.evidence)
    begin = f"A new worker now and then bounds it: {bound}; or set" if bound else "Set"
    other = "" if f.is_foreign else f" {JEMALLOC}"
    return f"{begin} PYTHONMALLOC=malloc{other} {RESTART}"


def wait(f: Figures) -> str:
    """A warm-up ends by itself."""
    return (
        f"Wait until it is warm, then `memtop diagnose {_pid(f)} --for 5m` tells whether it stays"
    )


def try_collecting(f: Figures) -> str:
    """What rises and falls may be garbage that waits for its collection."""
    return (
        f"C (memtop gc {_pid(f)}) tells whether it is cyclic garbage: then gc.collect() more "
        "often, or a lower gc.set_threshold(), keeps the peaks down"
    )


def mind_the_peaks(f: Figures) -> str:
    """The peaks are what a limit has to hold."""
    return "Nothing has to be done, as long as the peaks stay below the limit"


def watch_for_hours(f: Figures) -> str:
    """A leak may be slower than what was watched."""
    pid = _pid(f)
    return (
        "Nothing has to be done; for a leak that takes hours: memtop record FILE "
        f"--pid {pid} --duration 24h, then memtop diagnose {pid} --record FILE"
    )


def let_it_run(f: Figures) -> str:
    """A stopped process does nothing."""
    return f"`kill -CONT {_pid(f)}` lets it go on, if whoever stopped it agrees; then look again"


def watch_the_next(f: Figures) -> str:
    """Nothing more can be learned about it."""
    return (
        "Ask about its parent, and the next one is watched as soon as it starts; or let memtop "
        "record FILE run until then, and memtop report FILE tells how it went"
    )


def measure(f: Figures) -> str:
    """What would tell the cause."""
    for lack in f.evidence.lacks:
        if lack.command:
            return f"{lack.what}: {lack.command}"
    pid = _pid(f)
    if f.is_python and f.is_foreign and f.share("allocator") > 0.4:
        return (
            f"S now and later, then D (memtop snapshot {pid} --save FILE, memtop diff): the "
            "interpreter itself tells whether its objects grow"
        )
    if f.is_python and f.share("unowned") > 0.3:
        return f"o (memtop census {pid}) tells whose memory it is"
    return f"`memtop diagnose {pid} --for 2m` watches it for longer"


def _pid(f: Figures) -> int:
    return f.evidence.subject.pid
