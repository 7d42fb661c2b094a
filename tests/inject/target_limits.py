"""Processes in which an action must be refused, must wait, or must do without something.

    target_limits.py KIND [ARGUMENT]

Prints a line of JSON when it is ready, then waits for the end of its input; KIND is one of

    filter PROGRAM   under a seccomp filter, given as hex (add `threads`: installed for a process
                     that has threads already)
    processes        RLIMIT_NPROC reached: no thread can be made (as another user, if this is root)
    mdwe             PR_SET_MDWE: no memory may become executable
    gil SECONDS      a thread holds the GIL for so long in C, again and again with pauses of 0.1 s;
                     answers each line with the number of collections
    forked MB        answers with the PID of a forked child that shares so much with this process
    address          RLIMIT_AS so close that a thread hardly fits
    locked           mlockall: whatever is mapped is resident
    user UID         another user, without any capability
    idle             nothing but a sleeping main thread
    busy             one thread in a loop of Python code
    loop             asyncio, nothing to do
    stdin            reads its input
    holes MB         so much memory of malloc, most of which is free but surrounded by what is used
    garbage COUNT    so many cycles that nobody refers to; answers each line with what there is in
                     the interpreter
"""

import ctypes
import gc
import json
import os
import resource
import signal
import sys
import threading
import time

KIND, ARGUMENTS = sys.argv[1], sys.argv[2:]
libc = ctypes.CDLL(None, use_errno=True)
SECCOMP, SET_MODE_FILTER, TSYNC = 317, 1, 1  # seccomp(2) on x86_64, for all threads
PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, PR_SET_DUMPABLE = 38, 65, 4
PR_SET_PDEATHSIG = 1


def give_up(what):
    print(json.dumps({"trouble": what}), flush=True)
    sys.exit(77)


def prctl(*words):
    if libc.prctl(*(ctypes.c_ulong(word) for word in words + (0,) * (5 - len(words)))):
        give_up(os.strerror(ctypes.get_errno()))


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("at", ctypes.c_void_p)]


def install(raw):
    held = ctypes.create_string_buffer(raw, len(raw))
    program = Program(len(raw) // 8, ctypes.addressof(held))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    if libc.syscall(SECCOMP, SET_MODE_FILTER, TSYNC, ctypes.byref(program)):
        give_up(os.strerror(ctypes.get_errno()))


def become(user):
    if not os.getuid():
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        prctl(PR_SET_DUMPABLE, 1)  # setuid took it


def ready(**facts):
    print(json.dumps(dict(facts, pid=os.getpid())), flush=True)


def until_the_end():
    ready()
    sys.stdin.read()


if KIND == "filter":
    if "threads" in ARGUMENTS:
        threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()
    install(bytes.fromhex(ARGUMENTS[0]))
    until_the_end()
elif KIND == "processes":
    become(54321)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    try:
        threading.Thread(target=str).start()
    except RuntimeError:
        until_the_end()
    else:
        give_up("RLIMIT_NPROC does not hold for this user")
elif KIND == "mdwe":
    prctl(PR_SET_MDWE, 1)
    until_the_end()
elif KIND == "gil":
    # PyDLL keeps the GIL. The other thread waits for it most of the time.
    usleep = ctypes.PyDLL(None).usleep

    def hold():
        while True:
            time.sleep(0.1)
            usleep(ctypes.c_uint(int(1e6 * float(ARGUMENTS[0]))))

    threading.Thread(target=hold, daemon=True).start()
    ready()
    for _line in sys.stdin:
        ready(collections=sum(one["collections"] for one in gc.get_stats()))
elif KIND == "forked":
    # Small objects that the collector knows: touching them is what un-shares.
    held = [[number] for number in range(int(ARGUMENTS[0]) * (1 << 20) // 100)]
    gc.collect()
    child = os.fork()
    if not child:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        while True:
            time.sleep(1e6)
    ready(child=child)
    sys.stdin.read()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
elif KIND == "address":
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (32 << 20),) * 2)
    until_the_end()
elif KIND == "locked":
    if libc.mlockall(3):
        give_up(os.strerror(ctypes.get_errno()))
    until_the_end()
elif KIND == "user":
    become(int(ARGUMENTS[0]))
    until_the_end()
elif KIND == "idle":
    ready()
    while True:
        time.sleep(1e6)
elif KIND == "busy":
    ready()
    total = 0
    while True:
        for number in range(1000):
            total = (total + number) & 0xFFFF
elif KIND == "loop":
    import asyncio

    ready()
    asyncio.new_event_loop().run_forever()
elif KIND == "stdin":
    until_the_end()
elif KIND == "holes":
    # Below malloc's threshold for mappings of their own; one of ten stays.
    held = [bytes(20000) for _ in range(int(ARGUMENTS[0]) * (1 << 20) // 20000)]
    for place in range(len(held)):
        if place % 10:
            held[place] = None
    until_the_end()
elif KIND == "garbage":
    gc.disable()
    for _ in range(int(ARGUMENTS[0])):
        cycle = []
        cycle.append(cycle)
    del cycle
    ready()
    for _line in sys.stdin:
        ready(
            modules=sorted(sys.modules),
            names=sorted(vars(sys.modules["__main__"])),
            threads=threading.active_count(),
        )
else:
    sys.exit(__doc__)
