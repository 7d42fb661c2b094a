"""The key that looks into processes: pane, progress, cancel, differences, ages, quick looks.

Where a process has to be really read it is; where timing matters the reader is a stand-in.
"""

import asyncio
import os
import threading
import time
import types

import pytest
from test_acting import put_cursor_on
from test_actions import gone, seen
from test_findings import voice
from tests_support import app_over, sizes_and_looks

from memtop.anatomy.image import Cancelled
from memtop.anatomy.result import Anatomy, Arena, Part, QuickArenas
from memtop.errors import Denied, NoSuchProcess
from memtop.model.query import View
from memtop.model.tracker import Tracker
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Identity, Wanted
from memtop.render.escape import cells
from memtop.tui.answers import MOST, Answers
from memtop.tui.app import MemtopApp
from memtop.tui.screens import dissecting

MIB = 1 << 20


def arena(trapped_mib):
    trapped = trapped_mib * MIB
    return Arena(0, True, 10 * MIB + trapped, 10 * MIB, trapped, 0, trapped, 0, 0)


class Reader:
    """Stands in for memtop.anatomy.anatomy; with `gate` closed a look waits, and can be cancelled.

    `at` is the clock of the screen that looks, `rss_bytes` what it shows of a process. Each look
    finds 2 MiB more that is trapped.
    """

    def __init__(self):
        self.at = time.time
        self.rss_bytes = lambda identity: 22 * MIB
        self.asked, self.errors, self.quick_asked = [], {}, []
        self.quick = [None]
        self.gate = threading.Event()
        self.gate.set()
        self.cancelled = []
        self.running = self.most_running = 0

    def look(self, identity, *, name="", root="/proc", watch=None, cancel=None):
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
            return self.answer(identity, 2 * self.asked.count(identity.pid))
        finally:
            self.running -= 1

    def look_quickly(self, identity, *, root="/proc", cancel=None, most_s=0.5):
        self.quick_asked.append(identity.pid)
        trapped = self.quick.pop(0) if len(self.quick) > 1 else self.quick[0]
        if trapped is None:
            return None
        parts = (Part("malloc_trapped", "malloc trapped", trapped * MIB),)
        return QuickArenas(identity, self.at() + 1, 0.021, (arena(trapped),), parts)

    def answer(self, identity, trapped):
        rss = self.rss_bytes(identity)
        parts = (
            Part("python_objects", "python objects", rss - (trapped + 2) * MIB),
            Part("malloc_trapped", "malloc trapped", trapped * MIB),
            Part("files", "files", 2 * MIB),
        )
        return Anatomy(
            identity,
            "x",
            self.at(),
            0.2,
            rss,
            parts,
            arenas=(arena(trapped),),
            trim_would_return_bytes=0,
        )


@pytest.fixture
def reader(monkeypatch):
    made = Reader()
    module = types.ModuleType("memtop.anatomy.anatomy")
    module.look, module.look_quickly = made.look, made.look_quickly
    monkeypatch.setitem(__import__("sys").modules, "memtop.anatomy.anatomy", module)
    yield made
    made.gate.set()


@pytest.fixture
def live(source, reader):
    """An app over made-up processes that are said to be this machine's."""

    def make(over=None, **options):
        app = app_over(over or source, ticks=options.pop("ticks", 3), **options)
        app.live = True
        reader.at = lambda: app._main._shown.taken_at
        reader.rss_bytes = lambda one: app._main._shown.rows[one].rss_kib * 1024
        return app

    return make


async def answered(screen, limit_s=8.0):
    """Wait until nothing is read any more."""
    deadline = time.monotonic() + limit_s
    while screen.app._main.reading is not None:
        assert time.monotonic() < deadline, screen.text
        await asyncio.sleep(0.01)
        await screen.pilot.pause()


# -- real processes --------------------------------------------------------------------------

GROWING = """
import sys
kept = [bytes(3000) for _ in range(5_000)]
print("ready", flush=True)
for line in sys.stdin:
    kept += [bytes(3000) for _ in range(int(line))]
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


async def test_for_real(over_this_machine, look, children):
    """A real process: what it is made of, then what has grown, then from r on; it lives on."""
    child = children.ready(GROWING)
    async with look(over_this_machine) as screen:
        await screen.tick()
        await put_cursor_on(screen, child.pid)
        await screen.press("a")
        await seen(screen, "explained", "malloc in use", "not heap")
        assert "PID PROCESS" not in screen.text  # over the whole area
        assert f"{child.pid} " in screen.lines[3]
        explained = next(line for line in screen.lines if "explained" in line)
        assert float(explained.split(" %")[0].split()[-1]) > 95
        assert "arena" in screen.text
        print(8_000, file=child.stdin, flush=True)
        assert child.stdout.readline() == "done\n"
        await screen.tick()
        await seen(screen, "RSS has grown by")
        await screen.press("a")
        await seen(screen, "Δ since")
        grown = next(line for line in screen.lines if "malloc in use" in line)
        assert "+2" in grown  # 24 MB are 23 MiB
        assert "▲" in grown
        assert "malloc in use +2" in next(line for line in screen.lines if "Of +2" in line)
        await screen.press("r")
        assert "Δ counts from" in screen.text
        await screen.press("escape", "enter", "shift+tab")
        assert "made of" in screen.text  # beside the chart
        await screen.press("escape")
        assert "PID PROCESS" in screen.text
    child.communicate(timeout=10)
    assert child.returncode == 0


async def test_a_process_that_has_gone(over_this_machine, look, children):
    """A process that ends before it is read is a sentence, no traceback."""
    child = children.ready(GROWING)
    async with look(over_this_machine) as screen:
        await screen.tick()
        await put_cursor_on(screen, child.pid)
        child.kill()
        child.wait()
        await screen.press("a")
        await answered(screen)
        assert str(child.pid) in screen.text
        assert "end" in screen.lines[-4] or "end" in screen.text.lower()
        assert "Error" not in screen.text


# -- reading, cancelling, failing --------------------------------------------------------------


async def test_progress_and_cancel(live, look, reader):
    """What is read and how far stands in the pane; Esc cancels that, and then closes the pane."""
    reader.gate.clear()
    async with look(live()) as screen:
        await screen.press("end", "a")
        await seen(screen, "reading 30 redis-server", "0.3 of 1.8 GiB   Esc cancel")
        assert "━━━━──" in screen.text
        await screen.press("escape")
        await seen(screen, "reading 30 was cancelled")
        assert "Nothing was read of 30 yet.   a reads" in screen.text
        deadline = time.monotonic() + 5
        while not reader.cancelled:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        await screen.press("escape")
        assert "PID PROCESS" in screen.text
        assert reader.running == 0


async def test_the_old_answer_stays_until_the_new_one(live, look, reader):
    """A second look leaves the first one on the screen, dim, while it reads."""
    async with look(live()) as screen:
        await screen.press("end", "a")
        await seen(screen, "python objects")
        reader.gate.clear()
        await screen.press("a")
        await seen(screen, "Esc cancel")
        assert "python objects" in screen.text
        await screen.press("a")
        assert "30 is being read already" in screen.text
        reader.gate.set()
        await gone(screen, "Esc cancel")
        assert reader.asked == [30, 30]


async def test_another_process_takes_its_place(live, look, reader):
    """The key on another process cancels the first; never are two read at a time."""
    reader.gate.clear()
    async with look(live()) as screen:
        await screen.press("end", "a")
        await seen(screen, "reading 30")
        await screen.press("home", "a")
        await seen(screen, "reading 1 init", "reading 30 was left for 1")
        reader.gate.set()
        await answered(screen)
        await seen(screen, "python objects")
        assert reader.cancelled == [30]
        assert reader.most_running == 1
        await screen.press("end")
        assert "Nothing was read of 30 yet." in screen.text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            Denied(
                "30 belongs to uid 1001: reading it needs CAP_SYS_PTRACE",
                right="CAP_SYS_PTRACE",
                command="sudo memtop anatomy 30",
            ),
            ("30 belongs to uid 1001: reading it needs CAP_SYS_PTRACE.", "sudo memtop anatomy 30"),
        ),
        (NoSuchProcess("30 has ended while it was read"), ("30 has ended while it was read.",)),
        (ValueError("a cycle"), ("stopped by an error of memtop's own: ValueError: a cycle",)),
    ],
)
async def test_why_it_came_to_nothing(live, look, reader, error, words):
    """An error is a sentence with the command that helps; the next look may succeed."""
    reader.errors[30] = error
    async with look(live()) as screen:
        await screen.press("end", "a")
        await seen(screen, *words)
        reader.errors.clear()
        await screen.press("a")
        await seen(screen, "python objects")
        assert words[0] not in screen.text


async def test_where_processes_are_not_this_machine_s(app, look, reader):
    """A recording, made-up processes, the /proc of another host: why, and nothing is read."""
    async with look(app) as screen:
        await screen.press("end", "a")
        assert "Off: this is a recording or the /proc of another host" in screen.text
        await screen.tick(2)
        assert reader.asked == []


async def test_a_zombie_is_not_read(live, source, look, reader):
    """It has no memory any more, and the pane says so."""
    source.spawn(40, 1, "gone", 0, state="Z")
    async with look(live()) as screen:
        await put_cursor_on(screen, 40)
        await screen.press("a")
        assert "40 is a zombie: it has no memory any more." in screen.text
        assert reader.asked == []


# -- differences and ages ----------------------------------------------------------------------


async def test_a_second_look_says_what_changed(live, source, look, reader):
    """Changes count from the first look, after r from the newest one."""
    async with look(live()) as screen:
        await screen.press("end", "a")
        await seen(screen, "a again shows what has changed")
        source.processes[30].rss_kib += 2048
        await screen.tick(30)
        await screen.press("a")
        await seen(screen, "Δ since", "Of +2.0 MiB in 30 s: malloc trapped +2.0.")
        assert "+2.0" in next(line for line in screen.lines if "malloc trapped " in line)
        source.processes[30].rss_kib += 2048
        await screen.tick(10)
        await screen.press("r")
        assert "Δ SINCE R" not in screen.text
        await seen(screen, "Δ counts from")
        await screen.press("a")
        await seen(screen, "Of +2.0 MiB in 10 s: malloc trapped +2.0.")
        await screen.press("escape", "r")
        assert "Δ SINCE R counts from now" in screen.text


async def test_r_reads_where_nothing_was_read(live, look, reader):
    """The tab of a process without an answer: r takes the first one."""
    async with look(live()) as screen:
        await screen.press("end", "enter", "tab")
        assert "Nothing was read of 30 yet." in screen.text
        await screen.press("r")
        await seen(screen, "python objects")
        assert reader.asked == [30]


async def test_ages_tick(live, look, reader):
    """The answer gets older with each sample; after a minute it is as of a moment."""
    async with look(live()) as screen:
        await screen.press("end", "a")
        await seen(screen, "read in 200 ms, 0 s ago")
        await screen.tick(7)
        assert "7 s ago" in screen.text
        await screen.tick(60)
        assert "as of " in screen.text
        assert "1 m ago" in screen.text
        assert "a reads again" in screen.text


async def test_answers_are_kept_of_so_many_processes(reader):
    """The process that was looked into least lately is forgotten first."""
    answers = Answers()
    for pid in range(MOST + 5):
        answers.of(Identity(1, pid)).take(reader.answer(Identity(1, pid), 1))
        answers.of(Identity(1, 0))

    assert len(answers.known) == MOST
    assert Identity(1, 0) in answers.known
    assert Identity(1, 1) not in answers.known


# -- quick looks -------------------------------------------------------------------------------


async def test_arenas_are_read_again(live, look, reader, monkeypatch):
    """While the answer is on show its arenas are read again; the age of that is said."""
    monkeypatch.setattr(dissecting, "QUICK_EVERY_S", 0.2)
    reader.quick = [5, 7]
    async with look(live()) as screen:
        await screen.press("end", "a")
        await seen(screen, "python objects")
        await asyncio.sleep(0.2)
        await screen.tick()
        await seen(screen, "arenas read again in 21 ms")
        trapped = next(line for line in screen.lines if "malloc trapped  " in line)
        assert "5.0 MiB" in trapped or "7.0 MiB" in trapped
        objects = next(line for line in screen.lines if "python objects" in line)
        assert "–" in objects  # they were not read again
        await screen.press("a")
        await answered(screen)
        assert reader.asked == [30, 30]


async def test_quick_looks_end_when_they_find_nothing(live, look, reader, monkeypatch):
    """Twice in a row nothing: no third time, until a look in full."""
    monkeypatch.setattr(dissecting, "QUICK_EVERY_S", 0.0)
    async with look(live()) as screen:
        await screen.press("end", "a")
        await seen(screen, "python objects")
        for _ in range(30):
            await screen.tick()
            await asyncio.sleep(0.002)
        assert reader.quick_asked == [30, 30]
        assert "not read again: too many holes" in screen.text
        await screen.press("a")
        await answered(screen)
        for _ in range(30):
            await screen.tick()
            await asyncio.sleep(0.002)
        assert reader.quick_asked == [30] * 4


async def test_quick_looks_only_while_one_looks(live, look, reader, monkeypatch):
    """On another tab, or with the pane closed, nothing is read by itself."""
    monkeypatch.setattr(dissecting, "QUICK_EVERY_S", 3600.0)
    async with look(live()) as screen:
        await screen.press("end", "a")
        await seen(screen, "python objects")
        monkeypatch.setattr(dissecting, "QUICK_EVERY_S", 0.0)
        screen.app._main.answers.of(next(iter(screen.app._main.answers.known))).due_s = 0.0
        await screen.press("tab")
        await screen.tick(3)
        await screen.press("escape")
        await screen.tick(3)
        assert reader.quick_asked == []


# -- the pane ----------------------------------------------------------------------------------


async def test_a_group_means_its_worst_member(live, look, reader):
    """On a group the key looks into one member, and the pane is about that one."""
    over = voice(jobs=40, grow=300)
    async with look(live(over, ticks=40, view=View(fold_many=True))) as screen:
        await screen.press("down")
        assert "40 ×" in next(line for line in screen.lines if line.startswith("▌"))
        await screen.press("a")
        await seen(screen, "python objects")
        assert reader.asked == [103]
        assert "103 job_process" in screen.lines[3]
        await screen.tick(2)
        assert "103 job_process" in screen.lines[3]
        await screen.press("escape", "enter")
        assert "40 × job_process" in screen.text
        assert "anatomy" not in next(
            line for line in screen.lines if "40 × job_process   of" in line
        )


async def test_keys_of_the_pane(live, look, reader):
    """The last line has what can be done here; elsewhere what it had before."""
    async with look(live()) as screen:
        await screen.press("end")
        assert "Enter detail  d why  a anatomy" in screen.lines[-1]
        await screen.press("a")
        await seen(screen, "python objects")
        assert "a read again  r new baseline  o objects  d why  T trim" in screen.lines[-1]
        await screen.press("tab")
        assert "a anatomy" in screen.lines[-1]


async def test_enter_keeps_the_table(live, look, reader):
    """The tab beside the table has the parts as well, after one answer also beside the chart."""
    async with look(live()) as screen:
        await screen.press("end", "enter", "tab", "a")
        await seen(screen, "python objects")
        await screen.press("escape", "enter")
        assert "PID PROCESS" in screen.text
        assert "python objects" in screen.text
        await screen.press("shift+tab")
        assert "made of" in screen.text
        await screen.press("home")
        assert "made of" not in screen.text
        assert "threads" in screen.text


SIZES = [(160, 48), (120, 40), (96, 34), (80, 24), (60, 20), (40, 10)]
LOOKS = [{}, {"ascii_only": True, "theme": "ansi"}]


@pytest.mark.parametrize(("size", "options"), sizes_and_looks(SIZES, LOOKS))
async def test_every_size(live, look, reader, size, options):
    """At any size it is drawn, resized and closed; the largest part is there down to 40x10."""
    async with look(live(**options), size) as screen:
        await screen.press("end", "a")
        await answered(screen)
        await screen.tick()
        if size[0] >= 40:
            assert "18 MiB" in screen.text
        for other in ((5, 3), (2, 2), size):
            await screen.pilot.resize_terminal(*other)
            await screen.pilot.pause()
            assert all(cells(line) <= max(other[0], 3) for line in screen.lines)
            assert len(screen.lines) <= max(1, other[1])
        if options:
            assert screen.text.isascii()
        await screen.press("a")
        await answered(screen)
        await screen.press("escape")
        assert not screen.app._main.is_inside


async def test_the_process_may_end(live, source, look, reader):
    """What ended says so, and its answer stays."""
    async with look(live()) as screen:
        await screen.press("end", "a")
        await seen(screen, "python objects")
        source.end(30)
        await screen.tick(2)
        assert "Ended " in screen.text
        assert "python objects" in screen.text
        await screen.press("a")
        assert reader.asked == [30]


async def test_it_is_there_with_read_only(live, look, reader):
    """Looking changes nothing: the key works, and no key that trims is named."""
    async with look(live(read_only=True)) as screen:
        await screen.press("end", "a")
        await seen(screen, "python objects")
        assert "T trim" not in screen.text
