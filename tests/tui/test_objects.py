"""The keys about objects: census, snapshot, differences, and the list of types on the screen.

Where objects have to be really counted they are; elsewhere what counts is a stand-in.
"""

import asyncio
import os
import re
import threading
import time
import types
from dataclasses import replace
from pathlib import Path

import pytest
from test_acting import put_cursor_on
from test_actions import gone, seen
from test_findings import voice
from tests_support import app_over, sizes_and_looks

from memtop.actions.result import Check, Plan, Result
from memtop.anatomy.image import Cancelled
from memtop.anatomy.objects import Container, Objects, TypeCount
from memtop.errors import Denied, MemtopError
from memtop.model.query import View
from memtop.model.tracker import Tracker
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Identity, Wanted
from memtop.render.escape import cells
from memtop.tui.app import MemtopApp
from memtop.tui.tallies import MOST, AllTallies, Tally

MIB = 1 << 20


class Counter:
    """Stands in for memtop.anatomy.census and for what acts; with `gate` closed a census waits.

    Each time there are 2 MiB more of bytes, and 100 more entries in a dict; `at` is the clock.
    """

    def __init__(self):
        self.at = time.time
        self.asked, self.snapped, self.errors = [], [], {}
        self.gate = threading.Event()
        self.gate.set()
        self.cancelled = []
        self.running = self.most_running = 0

    def take_census(self, identity, *, name="", root="/proc", watch=None, cancel=None):
        self.asked.append(identity.pid)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            watch(300 * MIB, 1800 * MIB)
            while not self.gate.wait(0.01):
                if cancel.is_set():
                    self.cancelled.append(identity.pid)
                    raise Cancelled
            if error := self.errors.get(identity.pid):
                raise error
            return self.answer(identity, self.asked.count(identity.pid), "census")
        finally:
            self.running -= 1

    def answer(self, identity, times, source):
        found = [
            TypeCount("bytes", "builtins", 1000 * times, 2 * MIB * times),
            TypeCount("dict", "builtins", 700, 9 * MIB),
            TypeCount("Order", "shop.model", 5000, 4 * MIB),
            *(TypeCount(f"Kind{i:02}", "shop.kinds", 99 - i, MIB // 20) for i in range(50)),
        ]
        containers = (Container("shop.main.pending", "dict", 100 * times),)
        return Objects(
            identity,
            "x",
            self.at(),
            0.2,
            source,
            tuple(found),
            containers=containers if source == "snapshot" else (),
            gil_s=0.1 if source == "snapshot" else None,
        )

    def plan_all(self, action, targets, *, root="/proc", live, watch, cancel):
        checks = (Check("same process", True),)
        return [Plan(action, one.identity, one.name, 90 * MIB, checks) for one in targets]

    def perform(self, action, targets, *, root="/proc", live, force=False, watch=None, cancel=None):
        for one in targets:
            pid = one.identity.pid
            self.snapped.append(pid)
            if error := self.errors.get(pid):
                yield Result(action, pid, one.name, self.at(), "failed", str(error), one.identity)
                continue
            found = self.answer(one.identity, self.snapped.count(pid), "snapshot")
            yield Result(
                action,
                pid,
                one.name,
                self.at(),
                "done",
                "All is well.",
                one.identity,
                objects=found,
            )


@pytest.fixture
def counter(monkeypatch):
    made = Counter()
    census = types.ModuleType("memtop.anatomy.census")
    census.take_census = made.take_census
    perform = types.ModuleType("memtop.actions.perform")
    perform.plan_all, perform.perform = made.plan_all, made.perform
    modules = __import__("sys").modules
    monkeypatch.setitem(modules, "memtop.anatomy.census", census)
    monkeypatch.setitem(modules, "memtop.actions.perform", perform)
    yield made
    made.gate.set()


@pytest.fixture
def live(source, counter):
    """An app over made-up processes that are said to be this machine's."""

    def make(over=None, **options):
        app = app_over(over or source, ticks=options.pop("ticks", 3), **options)
        app.live = True
        counter.at = lambda: app._main._shown.taken_at
        return app

    return make


async def settled(screen):
    """Wait until nothing is read any more."""
    await asyncio.wait_for(screen.app.settle(), 10)
    await screen.pilot.pause()


async def again(screen, *keys):
    """Press keys ten seconds later, and wait for what they read."""
    await screen.tick(10)
    await screen.press(*keys)
    await settled(screen)


def row(screen, name):
    """The line of a type or a container."""
    found = [line for line in screen.lines if line.strip(" ▌>").startswith(name)]
    assert found, screen.text
    return found[0]


def number(line):
    """The count in the line of a type."""
    return int(re.search(r"[\d,]*\d", line.split("__main__")[1])[0].replace(",", ""))


# -- real processes --------------------------------------------------------------------------

GROWING = """
import sys
class Order:
    def __init__(self, number):
        self.number = number
kept = [Order(number) for number in range(20_000)]
print("ready", flush=True)
for line in sys.stdin:
    kept += [Order(number) for number in range(int(line))]
    print("done", flush=True)
"""


@pytest.fixture
def over_this_machine():
    """An app over the real processes from this one down."""
    source = ProcfsSource()
    tracker = Tracker(1.0, source.own)
    state = tracker.feed(source.sample(Wanted()))
    view = View(top_pid=os.getpid())
    app = MemtopApp(source, tracker, state, view, sampling=False, portrait_root="/proc")
    yield app
    source.close()


async def test_a_real_census(over_this_machine, look, children):
    """A real process: how many of its class there are, then how many more; it lives on."""
    child = children.ready(GROWING)
    async with look(over_this_machine) as screen:
        await screen.tick()
        await put_cursor_on(screen, child.pid)
        await screen.press("o")
        await settled(screen)
        assert "census, every pool read" in screen.text
        first = number(row(screen, "Order"))
        assert 20_000 <= first <= 20_020
        assert "__main__" in row(screen, "Order")
        assert "PID PROCESS" not in screen.text  # over the whole area
        print(50_000, file=child.stdin, flush=True)
        assert child.stdout.readline() == "done\n"
        await screen.tick()
        await screen.press("o")
        await settled(screen)
        assert 70_000 <= number(row(screen, "Order")) <= 70_070
        assert re.search(r"\+(49,99\d|50,0\d\d)", row(screen, "Order"))
        assert "Δ since the first" in screen.text
        await screen.press("a")
        await settled(screen)
        said = " ".join(screen.text.split())
        assert re.search(r"Native or unknown: .* Python objects own the rest \(census, ", said)
    child.communicate(timeout=10)
    assert child.returncode == 0


SLEEPING = "import os; print('ready', flush=True); os.execvp('sleep', ['sleep', '60'])"


async def test_a_process_that_runs_no_python(over_this_machine, look, children, wait_until):
    """What has no objects says so, and which key looks at its memory instead."""
    child = children.ready(SLEEPING)
    wait_until(lambda: Path(f"/proc/{child.pid}/comm").read_text() == "sleep\n")
    async with look(over_this_machine) as screen:
        await screen.tick()
        await put_cursor_on(screen, child.pid)
        await screen.press("o")
        await settled(screen)
        assert "CPython" in screen.text
        assert "a reads what its memory is made of" in screen.text


# -- census ----------------------------------------------------------------------------------


async def test_again_says_what_grew(live, look, counter):
    """Changes count from the first census; with D from the last; with r from the newest on."""
    async with look(live()) as screen:
        await screen.press("end", "o")
        await settled(screen)
        assert "o again shows what has grown" in screen.text
        assert "–" in row(screen, "bytes")
        await again(screen, "o")
        await again(screen, "o")
        assert "Δ since the first, " in screen.text
        assert "+2,000" in row(screen, "bytes")
        assert "Python objects grew by 4.0 MiB in 20 s: bytes +4.0." in screen.text
        await again(screen, "D")
        assert "Δ since the last, " in screen.text
        assert "+1,000" in row(screen, "bytes")
        await again(screen, "o")
        assert "+4,000" in row(screen, "bytes")
        await screen.press("r")
        assert "Δ counts from" in screen.text
        assert "+4,000" not in row(screen, "bytes")
        await again(screen, "o")
        assert "Δ since r, " in screen.text
        assert "+1,000" in row(screen, "bytes")
        await screen.press("escape", "r")
        assert "Δ SINCE R counts from now" in screen.text


async def test_progress_and_cancel(live, look, counter):
    """What is read and how far stands in the pane; Esc cancels that, then closes the pane."""
    counter.gate.clear()
    async with look(live()) as screen:
        await screen.press("end", "o")
        await seen(screen, "reading 30 redis-server", "0.3 of 1.8 GiB   Esc cancel")
        await screen.press("o")
        assert "30 is being read already" in screen.text
        await screen.press("escape")
        await seen(screen, "reading 30 was cancelled")
        assert "Nothing was read of 30 yet.   o counts its objects from outside" in screen.text
        deadline = time.monotonic() + 5
        while not counter.cancelled:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        await screen.press("escape")
        assert "PID PROCESS" in screen.text


async def test_the_old_answer_stays_until_the_new_one(live, look, counter):
    """A second census leaves the first one on the screen while it reads."""
    async with look(live()) as screen:
        await screen.press("end", "o")
        await settled(screen)
        counter.gate.clear()
        await screen.press("o")
        await seen(screen, "Esc cancel")
        assert "Order" in screen.text
        counter.gate.set()
        await gone(screen, "Esc cancel")
        assert counter.asked == [30, 30]


async def test_one_thing_is_read_at_a_time(live, look, counter):
    """A census of another process takes the place of the first, and begins when that has ended."""
    counter.gate.clear()
    async with look(live()) as screen:
        await screen.press("end", "o")
        await seen(screen, "reading 30")
        await screen.press("escape", "escape", "home", "o")
        await seen(screen, "reading 1 init")
        counter.gate.set()
        await settled(screen)
        assert counter.asked == [30, 1]
        assert counter.cancelled == [30]
        assert counter.most_running == 1
        assert "Order" in screen.text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            Denied(
                "30 belongs to uid 1001: reading it needs CAP_SYS_PTRACE",
                right="CAP_SYS_PTRACE",
                command="sudo memtop census 30",
            ),
            ("30 belongs to uid 1001: reading it needs CAP_SYS_PTRACE.", "sudo memtop census 30"),
        ),
        (MemtopError("30 runs no CPython"), ("30 runs no CPython.", "a reads what its memory")),
        (ValueError("a cycle"), ("stopped by an error of memtop's own: ValueError: a cycle",)),
    ],
)
async def test_why_it_came_to_nothing(live, look, counter, error, words):
    """An error is a sentence with what helps; the next census may succeed."""
    counter.errors[30] = error
    async with look(live()) as screen:
        await screen.press("end", "o")
        await seen(screen, *words)
        counter.errors.clear()
        await screen.press("o")
        await settled(screen)
        assert "Order" in screen.text
        assert words[0] not in screen.text


async def test_where_processes_are_not_this_machine_s(app, look, counter):
    """A recording, made-up processes, the /proc of another host: why, and nothing is read."""
    async with look(app) as screen:
        await screen.press("end", "o")
        assert "Off: this is a recording or the /proc of another host" in screen.text
        await screen.press("D", "r")
        await screen.tick(2)
        assert counter.asked == []


async def test_ages_tick(live, look, counter):
    """The answer gets older with each sample; after a minute it is as of a moment."""
    async with look(live()) as screen:
        await screen.press("end", "o")
        await settled(screen)
        assert "read in 200 ms, 0 s ago" in screen.text
        await screen.tick(7)
        assert "7 s ago" in screen.text
        await screen.tick(60)
        assert "as of " in screen.text
        assert "o reads again" in screen.text


# -- snapshot --------------------------------------------------------------------------------


async def test_a_snapshot_is_asked_and_shown(live, look, counter):
    """S asks; what comes is shown as objects, with names; a census is never compared to it."""
    async with look(live()) as screen:
        await screen.press("end", "o")
        await settled(screen)
        await screen.press("S")
        await seen(screen, "Esc leave it")
        assert counter.snapped == []
        await screen.press("y")
        await seen(screen, "gc snapshot, GIL held 100 ms", "shop.main.pending")
        assert "S again shows what has grown" in screen.text  # there is one of its kind only
        assert "1 actions since" not in screen.text
        await again(screen, "S")
        await seen(screen, "Esc leave it")
        await screen.press("y")
        await seen(screen, "Δ since the first")
        assert row(screen, "shop.main.pending").split()[1:] == ["dict", "100", "→", "200"]
        assert "shop.main.pending (dict) grew from 100 to 200 in 10 s." in screen.text
        await again(screen, "o")
        assert "census, every pool read" in screen.text
        assert "+1,000" in row(screen, "bytes")  # since the census before


async def test_difference_asks_the_same_source(live, look, counter):
    """D after a snapshot asks for another one, and compares to the last, not to the first."""
    async with look(live()) as screen:
        await screen.press("end")
        for key in ("S", "S", "D"):
            await screen.tick(10)
            await screen.press(key)
            await seen(screen, "Esc leave it")
            await screen.press("y")
            await gone(screen, "Esc leave it")
            await settled(screen)
        assert counter.snapped == [30, 30, 30]
        assert counter.asked == []
        assert "Δ since the last" in screen.text
        assert row(screen, "shop.main.pending").split()[2:] == ["200", "→", "300"]
        await screen.tick(10)
        await screen.press("S")
        await seen(screen, "Esc leave it")
        await screen.press("y")
        await seen(screen, "Δ since the first")


async def test_what_failed_is_in_the_log(live, look, counter):
    """A snapshot that came to nothing shows the log, which says why."""
    counter.errors[30] = "no GIL"
    async with look(live()) as screen:
        await screen.press("end", "S")
        await seen(screen, "Esc leave it")
        await screen.press("y")
        await seen(screen, "no GIL")
        assert "IN BUFFERS" not in screen.text


async def test_a_snapshot_of_several_shows_the_log(live, look, counter):
    """Of several processes the log has all; each has its objects when one looks at it."""
    async with look(live()) as screen:
        await screen.press("end", "space", "home", "space", "S")
        await seen(screen, "Esc leave it")
        await screen.press("y")
        await seen(screen, "All is well.")
        assert sorted(counter.snapped) == [1, 30]
        await screen.press("escape", "home", "enter", "tab", "tab", "tab")
        assert "gc snapshot, GIL held" in screen.text


async def test_read_only(live, look, counter):
    """With --read-only a census works, and no key that asks the interpreter is named."""
    async with look(live(read_only=True)) as screen:
        await screen.press("end", "o")
        await settled(screen)
        await screen.press("S")
        await again(screen, "D")
        assert "Δ since the last" in screen.text
        assert "S snapshot" not in screen.text
        assert "asks the interpreter" not in screen.text
        assert counter.snapped == []


# -- the list --------------------------------------------------------------------------------


async def test_types_are_scrolled(live, look, counter):
    """Keys that move are about types while they have the whole area; the process stays."""
    async with look(live(), (120, 24)) as screen:
        await screen.press("end", "o")
        await settled(screen)
        assert screen.text.count("▌") == 1
        assert row(screen, "dict").startswith("▌")
        await screen.press("down", "j", "k")
        assert row(screen, "Order").startswith("▌")
        assert "Kind40" not in screen.text
        await screen.press(*["pagedown"] * 7)
        assert "Kind40" in screen.text
        await screen.press("home")
        assert row(screen, "dict").startswith("▌")
        await screen.press("end", "up")
        assert "Kind48" in next(line for line in screen.lines if line.startswith("▌"))
        assert "30 redis-server" in screen.text
        await screen.press("escape")
        assert screen.cursor == 30


async def test_types_are_ordered(live, look, counter):
    """s asks what to order types by while they are on show; elsewhere it is about processes."""
    async with look(live()) as screen:
        await screen.press("end", "o")
        await settled(screen)
        await screen.press("s")
        assert "Sort types by" in screen.text
        await screen.press("down", "down", "enter")
        assert "COUNT ▼" in screen.text
        assert row(screen, "Order").startswith("▌")
        await screen.press("escape", "s")
        assert "Sort by" in screen.text
        assert "Sort types by" not in screen.text


async def test_types_are_found(live, look, counter):
    """/ finds types by name, letter by letter; Esc shows all again; processes are not filtered."""
    async with look(live()) as screen:
        await screen.press("end", "o")
        await settled(screen)
        await screen.press("slash", *"SHOP.M=")
        assert "No type has SHOP.M= in its name." in screen.text
        await screen.press("backspace", "enter")
        assert "TYPE  / SHOP.M" in screen.text
        assert "Order" in screen.text
        assert "Kind00" not in screen.text
        await screen.press("escape")
        assert "Kind00" in screen.text
        await screen.press("slash", "z", "escape")
        assert "Kind00" in screen.text
        await screen.press("escape")
        assert len(screen.pids) == 7
        await screen.press("slash", *"redis", "enter")
        assert screen.pids == [1, 30]


async def test_beside_the_table_the_table_moves(live, look, counter):
    """With Enter the pane stands beside the table, and keys that move are about processes."""
    async with look(live()) as screen:
        await screen.press("end", "o")
        await settled(screen)
        await screen.press("escape", "enter")
        assert "Order" in screen.text
        await screen.press("up")
        assert "Nothing was read of " in screen.text
        assert "PID PROCESS" in screen.text


async def test_keys_of_the_pane(live, look, counter):
    """The last line has what can be done here."""
    async with look(live()) as screen:
        await screen.press("end")
        assert "a anatomy  o objects" in screen.lines[-1]
        await screen.press("o")
        await settled(screen)
        assert "o read again  D difference  S snapshot  r new baseline" in screen.lines[-1]


async def test_a_group_means_its_worst_member(live, look, counter):
    """On a group the keys look into one member; S there is about that member alone."""
    over = voice(jobs=40, grow=300)
    async with look(live(over, ticks=40, view=View(fold_many=True))) as screen:
        await screen.press("down", "o")
        await settled(screen)
        assert counter.asked == [103]
        assert "103 job_process" in screen.lines[3]
        await screen.press("S")
        await seen(screen, "Esc leave it")
        await screen.press("y")
        await seen(screen, "gc snapshot, GIL held")
        assert counter.snapped == [103]


SIZES = [(160, 48), (120, 40), (80, 24), (60, 20), (40, 10)]
LOOKS = [{}, {"ascii_only": True, "theme": "ansi"}]


@pytest.mark.parametrize(("size", "options"), sizes_and_looks(SIZES, LOOKS))
async def test_every_size(live, look, counter, size, options):
    """At any size it is drawn, resized and closed; the largest type is there down to 40x10."""
    async with look(live(**options), size) as screen:
        await screen.press("end", "o")
        await settled(screen)
        await again(screen, "o")
        if size[0] >= 40:
            assert "+2.0" in row(screen, "bytes")
        for other in ((5, 3), (2, 2), size):
            await screen.pilot.resize_terminal(*other)
            await screen.pilot.pause()
            assert all(cells(line) <= max(other[0], 3) for line in screen.lines)
            assert len(screen.lines) <= max(1, other[1])
        if options:
            assert screen.text.isascii()
        await screen.press("end", "escape")
        assert not screen.app._main.is_inside


async def test_the_process_may_end(live, source, look, counter):
    """What ended says so, and its answer stays."""
    async with look(live()) as screen:
        await screen.press("end", "o")
        await settled(screen)
        source.end(30)
        await screen.tick(2)
        assert "Ended " in screen.text
        assert "Order" in screen.text
        await screen.press("o", "D")
        assert counter.asked == [30]


# -- what is kept ----------------------------------------------------------------------------


def test_answers_of_two_sources_are_not_compared(counter):
    """Each source has its own first answer."""
    known = AllTallies().of(Identity(1, 30))
    for at, source in ((1, "census"), (2, "snapshot"), (3, "census")):
        counter.at = lambda at=at: float(at)
        known.take(counter.answer(Identity(1, 30), at, source), None)

    assert known.census.growth.since_at == 1
    assert known.snapshot.growth is None


def test_what_was_shorter_once_does_not_only_grow(counter):
    """A container that was shorter in some answer is known as such, until r."""
    tally = Tally()
    for at, length in enumerate((5, 3, 9)):
        answer = counter.answer(Identity(1, 30), 1, "snapshot")
        held = (Container("app.queue", "deque", length), Container("app.log", "list", at))
        tally.take(replace(answer, taken_at=float(at + 1), containers=held), None)

    assert tally.shrunk == {"app.queue"}
    assert [one.name for one in tally.growth.containers] == ["app.queue", "app.log"]
    tally.rebase()
    assert tally.shrunk == frozenset()


def test_answers_are_kept_of_so_many_processes():
    """The process that was looked at least lately is forgotten first."""
    tallies = AllTallies()
    for pid in range(MOST + 3):
        tallies.of(Identity(1, pid))
        tallies.of(Identity(1, 0))

    assert len(tallies.known) == MOST
    assert Identity(1, 0) in tallies.known
    assert Identity(1, 1) not in tallies.known
