"""The lists of calls: malloc_trim with malloc's own figures, and what is done in Python.

`Functions` says where the C functions lie; a name that is missing means that the action does not
exist there (`Missing`). Every call that does something is left out once the action is cancelled;
those that give something back are made whenever there is something to give back.
"""

from __future__ import annotations

from collections.abc import Iterable

from memtop.actions.remote.job import (
    Call,
    Cancelled,
    Condition,
    Job,
    Result,
    Room,
    Text,
    Tools,
    Was,
)
from memtop.target.symbols import Symbols

SET_MASK, SET_NAME, FILE_INPUT = 2, 15, 257  # SIG_SETMASK, PR_SET_NAME, Py_file_input
NAME = b"memtop:lent"  # of the thread, in its comm
# All but the three that C libraries use themselves, to reach every thread: setuid waits for that.
_MASK = ((1 << 1024) - 1 & ~(0b111 << 31)).to_bytes(128, "little")
MALLINFO_BYTES = 10 * 8  # struct mallinfo2 of malloc.h
BYTES_AT, BYTES_SIZE, IS_RUN = "bytes", "size", "run"

# Only what has to be there is imported, and nothing of it stays in sys.modules that was not there.
COLLECT = b"""\
try:
    import sys
    new = [name for name in ("gc", "time") if name not in sys.modules]
    import gc, time
    figures = []
    for generation in range(3):
        before, began = gc.get_stats()[generation], time.perf_counter()
        gc.collect(generation)
        seconds, after = time.perf_counter() - began, gc.get_stats()[generation]
        figures.append("%d %d %d %f" % (
            after["collections"] - before["collections"],
            after["collected"] - before["collected"],
            after["uncollectable"] - before["uncollectable"], seconds))
    for name in new:
        sys.modules.pop(name, None)
    r = ("ok\\n" + "\\n".join(figures)).encode("ascii")
except BaseException as error:
    r = ("error\\n" + type(error).__name__ + ": " + str(error)).encode("utf-8", "replace")[:2000]
"""


class Missing(LookupError):
    """The target has no function of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"it has no function {name}")


class Functions:
    """Where functions lie: the first of these modules that exports a name has it."""

    def __init__(self, modules: Iterable[Symbols | None]) -> None:
        self._modules = [symbols for symbols in modules if symbols is not None]

    def find(self, *names: str) -> int | None:
        """The address of the first of these names that exists."""
        for name in names:
            for symbols in self._modules:
                if (found := symbols.find(name)) is not None:
                    return found.address
        return None

    def get(self, *names: str) -> int:
        """The same; Missing if there is none."""
        address = self.find(*names)
        if address is None:
            raise Missing(names[0])
        return address


def trim(functions: Functions) -> Job:
    """malloc_trim(0), then mallinfo2."""
    calls = _begin(functions)
    calls.append(Call("trim", functions.get("malloc_trim"), (0,), unless=Cancelled()))
    if (mallinfo := functions.find("mallinfo2")) is not None:
        room = Room("mallinfo", MALLINFO_BYTES)
        calls.append(Call("mallinfo", mallinfo, (room,), needs=Was("trim")))
    return Job(calls, (), _tools(functions))


def collect(functions: Functions) -> Job:
    """gc.collect of each generation; a job that is done by `python`."""
    return python(functions, COLLECT)


def snapshot(functions: Functions, budget_s: float, follows: bool) -> Job:
    """Ask the interpreter for its objects; a job that is done by `python`."""
    from memtop.actions.remote.snapshot_code import snapshot_code  # of no use to the others

    return python(functions, snapshot_code(budget_s, follows))


def python(functions: Functions, code: bytes) -> Job:
    """Run Python code in a dictionary of its own; the bytes that it calls `r` are the result.

    The GIL is not held while they are read. Nothing runs if there is no interpreter, if it is
    ending, or if it has no GIL yet: Python 3.6 makes that with the first thread.
    """
    get = functions.get
    calls = _begin(functions)
    calls.append(Call("initialized", get("Py_IsInitialized")))
    ready: Condition = Result("initialized")
    if (has_gil := functions.find("PyEval_ThreadsInitialized")) is not None:  # until 3.12
        calls.append(Call("has_gil", has_gil, needs=ready))
        ready = Result("has_gil")
    ending: Condition = functions.find("_Py_Finalizing")  # a variable of 3.6
    if (is_finalizing := functions.find("Py_IsFinalizing", "_Py_IsFinalizing")) is not None:
        calls.append(Call("finalizing", is_finalizing))
        ending = Result("finalizing")
    space = Result("space")
    calls += [
        # Stands for "ready, and not ending"; what it calls does not matter.
        Call("gate", get("pthread_self"), needs=ready, unless=ending),
        Call("gil", get("PyGILState_Ensure"), needs=Was("gate"), unless=Cancelled()),
        Call("space", get("PyDict_New"), needs=Was("gil"), unless=Cancelled()),
        Call("builtins", get("PyEval_GetBuiltins"), needs=space),
        Call(
            "filled",
            get("PyDict_SetItemString"),
            (space, Text(b"__builtins__"), Result("builtins")),
            needs=Result("builtins"),
        ),
        Call(
            IS_RUN,
            get("PyRun_StringFlags"),
            (Text(code), FILE_INPUT, space, space, 0),
            needs=Was("filled"),
            unless=Cancelled(),
        ),
        Call("clear", get("PyErr_Clear"), needs=Was("gil")),
        Call("item", get("PyDict_GetItemString"), (space, Text(b"r")), needs=Result(IS_RUN)),
        Call(BYTES_AT, get("PyBytes_AsString"), (Result("item"),), needs=Result("item")),
        Call(BYTES_SIZE, get("PyBytes_Size"), (Result("item"),), needs=Result("item")),
        Call("interpreter", get("PyInterpreterState_Head"), needs=Was("gil")),
        Call(
            "another",
            get("PyInterpreterState_Next"),
            (Result("interpreter"),),
            needs=Result("interpreter"),
        ),
        Call("give", get("PyGILState_Release"), (Result("gil"),), needs=Was("gil")),
    ]
    after = [
        Call("gil again", get("PyGILState_Ensure"), needs=space),
        Call("drop run", get("Py_DecRef"), (Result(IS_RUN),), needs=Result(IS_RUN)),
        Call("empty", get("PyDict_Clear"), (space,), needs=space),
        Call("drop", get("Py_DecRef"), (space,), needs=space),
        Call("give again", get("PyGILState_Release"), (Result("gil again"),), needs=space),
    ]
    return Job(calls, after, _tools(functions))


def _begin(functions: Functions) -> list[Call]:
    """No signal is handled by this thread, and it has a name."""
    get = functions.get
    return [
        Call("mask", get("pthread_sigmask"), (SET_MASK, Text(_MASK), 0)),
        Call("name", get("prctl"), (SET_NAME, Text(NAME))),
    ]


def _tools(functions: Functions) -> Tools:
    names = ("poll", "munmap", "pthread_self", "pthread_detach")
    return Tools(*(functions.get(name) for name in names))
