"""Targets that change while they are looked at: an answer, or a refusal that says why."""

import signal
import threading
import time

import pytest
from truth import check_sums, described, explained, identity_of

from memtop.errors import MemtopError, NoSuchProcess

deep = pytest.mark.deep


def check_churn(found):
    check_sums(found)
    assert 0.98 <= explained(found) <= 1.005, described(found)
    assert found.confidence > 0.9


@pytest.mark.parametrize(("times", "megabytes"), [(3, 40), pytest.param(40, 300, marks=deep)])
def test_python_churn(start, look, times, megabytes):
    """Eight threads take and give back flat out: 98 % explained, never more than there is."""
    target = start("target_changing.py", "allocate", megabytes)
    for _ in range(times):
        check_churn(look(target))


@pytest.mark.parametrize(("times", "megabytes"), [(3, 40), pytest.param(40, 100, marks=deep)])
def test_c_churn(start, compiled, look, record_property, times, megabytes):
    """Four threads of C at full speed: in use as malloc says it, to some percent."""
    target = start(compiled("target_heap.c"), "churn", 4, megabytes)
    for _ in range(times):
        before = target.ask("info")["uordblks"]
        found = look(target)
        after = target.ask("info")["uordblks"]
        check_churn(found)
        used = sum(arena.in_use_bytes for arena in found.arenas)
        record_property("in_use", f"{used / ((before + after) / 2) - 1:+.3%}")
        assert 0.95 * min(before, after) <= used <= 1.05 * max(before, after)


@pytest.mark.parametrize("times", [5, pytest.param(100, marks=deep)])
@pytest.mark.parametrize("kind", ["map", "fork"])
def test_mappings_and_children(start, look, kind, times):
    """Mappings come and go, children are forked at any instant."""
    target = start("target_changing.py", kind)
    for _ in range(times):
        found = look(target)
        check_sums(found)
        assert found.explained_bytes <= 1.02 * found.rss_bytes, described(found)
    assert target.ask("info")


@pytest.mark.parametrize("times", [15, pytest.param(500, marks=deep)])
def test_another_program_all_the_time(start, look, times):
    """exec at any instant: the figures of one program, or that it is gone."""
    target = start("target_changing.py", "exec")
    answers = 0
    for _ in range(times):
        try:
            check_sums(look(target))
            answers += 1
        except MemtopError as error:
            assert isinstance(error, NoSuchProcess), error
        assert target.is_alive, target.complaints()
    assert answers or times < 100


@pytest.mark.parametrize("times", [10, pytest.param(300, marks=deep)])
def test_children_that_end(start, times):
    """A process that ends while it is looked at: an answer or NoSuchProcess."""
    from memtop.anatomy.anatomy import look as look_at

    target = start("target_changing.py", "exit", first=False)
    for turn in range(times):
        pid = target.read()["pid"]
        try:
            identity = identity_of(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        time.sleep(turn % 5 * 0.004)
        try:
            check_sums(look_at(identity))
        except NoSuchProcess:
            continue


def test_another_process_with_this_pid(start, look):
    """An identity that is no more, although the PID is in use."""
    from memtop.anatomy.anatomy import look as look_at
    from memtop.anatomy.anatomy import look_quickly

    target = start("target_heap.py", "frames", 1, 2)
    older = identity_of(target.pid)._replace(start_ticks=1)
    for function in (look_at, look_quickly):
        with pytest.raises(NoSuchProcess):
            function(older)
    target.end()
    with pytest.raises(NoSuchProcess):
        look_at(older._replace(start_ticks=2))


def test_zombie(children, look):
    """A child that has ended and nobody has waited for it: there is no memory to tell of."""
    child = children.ready("print('ready', flush=True)")
    child.stdin.close()
    for _ in range(200):
        with open(f"/proc/{child.pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                break
        time.sleep(0.01)
    with pytest.raises(MemtopError):
        look(child.pid)


def test_kernel_thread(look):
    """A process without memory of its own is refused with a reason, or told to be empty."""
    try:
        found = look(2)
    except (MemtopError, FileNotFoundError, ProcessLookupError):
        return
    assert found.rss_bytes == 0


def test_stopped(start, look, record_property):
    """A stopped process is looked at like any other one."""
    import os

    target = start("target_heap.py", "mixed", 4, 10)
    before = look(target)
    os.kill(target.pid, signal.SIGSTOP)
    try:
        assert look(target).arenas == before.arenas
    finally:
        os.kill(target.pid, signal.SIGCONT)


def test_cancelled(start):
    """Nobody waits any more: it ends at once, with the exception that says so."""
    from memtop.anatomy.anatomy import look as look_at
    from memtop.anatomy.image import Cancelled

    target = start("target_heap.py", "mixed", 4, 60)
    cancel = threading.Event()
    seen = []

    def watch(done, total):
        seen.append((done, total))
        cancel.set()

    with pytest.raises(Cancelled):
        look_at(identity_of(target.pid), watch=watch, cancel=cancel)
        cancel.set()
        look_at(identity_of(target.pid), cancel=cancel)
    assert all(total >= done >= 0 for done, total in seen)
