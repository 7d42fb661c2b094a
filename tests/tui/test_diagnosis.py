"""The key that tells why: on a process, a group, a container; and the end of every tab.

Where a process has to be really looked into it is; elsewhere what looks is a stand-in that waits
for the states of the screen as the real one does.
"""

import asyncio
import os
import threading
import time
import types
from dataclasses import replace

import pytest
from test_acting import put_cursor_on
from test_actions import gone, seen
from test_findings import cgroup, voice
from tests_support import app_over, service, sizes_and_looks

from memtop.diagnosis.finding import CAUSES
from memtop.errors import Denied
from memtop.evidence.evidence import evidence_of
from memtop.model.query import View
from memtop.model.tracker import Tracker
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted
from memtop.render.escape import cells
from memtop.tui import verdicts
from memtop.tui.app import MemtopApp
from memtop.tui.screens import diagnosing


class Gathered(types.SimpleNamespace):
    """What an inquiry gives."""


class Inquiries:
    """Stands in for memtop.evidence.inquiry; with `gate` closed an inquiry waits."""

    def __init__(self):
        self.asked, self.for_s, self.states, self.errors, self.known = [], [], [], {}, []
        self.gate = threading.Event()
        self.gate.set()
        self.cancelled = []
        self.running = self.most_running = 0
        self.denied = None
        self.ended = False
        self.whose = {}

    def make(self, asked, next_state, *, for_s, root, tell, cancel, known):
        self.asked.append(asked.pid)
        self.for_s.append(for_s)
        self.known.append(tuple(known))
        return types.SimpleNamespace(run=lambda: self.run(asked, next_state, tell, cancel))

    def run(self, asked, next_state, tell, cancel):
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            state = next_state([asked.pid])
            tell(f"looks into {asked.pid} x")
            while not self.gate.wait(0.01) and not cancel.is_set():
                pass
            if cancel.is_set():
                self.cancelled.append(asked.pid)
            if error := self.errors.get(asked.pid):
                raise error
            self.states.append(state)
            pid = self.whose.get(asked.pid, asked.pid)
            who = next(one for one in state.rows if one.pid == pid)
            evidences = () if self.ended else (evidence_of(state, who),)
            return Gathered(
                evidences=evidences, state=state, seconds=30.0, ended=self.ended, denied=self.denied
            )
        finally:
            self.running -= 1


@pytest.fixture
def inquiries(monkeypatch):
    made = Inquiries()
    module = types.ModuleType("memtop.evidence.inquiry")
    module.Inquiry = made.make
    monkeypatch.setitem(__import__("sys").modules, "memtop.evidence.inquiry", module)
    yield made
    made.gate.set()


@pytest.fixture
def live(source, inquiries):
    """An app over made-up processes that are said to be this machine's."""

    def make(over=None, **options):
        app = app_over(over or source, **options)
        app.live = True
        return app

    return make


async def settled(screen, limit_s=20.0):
    """Wait until nothing is found out any more."""
    await asyncio.wait_for(screen.app.settle(), limit_s)
    await screen.pilot.pause()


def ending(screen):
    """The last lines of the pane, above the keys."""
    lines = screen.lines[:-1]
    while not lines[-1].strip():
        lines.pop()
    return "\n".join(lines[-6:])


# -- real processes --------------------------------------------------------------------------

GROWING = """
import threading, time
class Order:
    def __init__(self):
        self.lines = [bytes(900)]
kept = []
print("ready", flush=True)
while True:
    kept += [Order() for _ in range(400)]
    time.sleep(0.02)
"""


@pytest.fixture
def over_this_machine(monkeypatch):
    """An app over the real processes from this one down, in whose tests one does not wait long."""
    monkeypatch.setattr(diagnosing, "WATCH_S", 5.0)
    source = ProcfsSource()
    tracker = Tracker(0.25, source.own)
    state = tracker.feed(source.sample(Wanted()))
    view = View(top_pid=os.getpid())
    app = MemtopApp(
        source, tracker, state, view, sampling=False, portrait_root="/proc", interval_s=0.25
    )
    yield app
    source.close()


async def test_why_a_real_process_grows(over_this_machine, look, children):
    """What is known at once, how far it is, then the answer with its reasons; nothing changes."""
    child = children.ready(GROWING)
    async with look(over_this_machine) as screen:
        await screen.tick(2)
        await put_cursor_on(screen, child.pid)
        await screen.press("d")
        await seen(screen, "Esc cancel", "of 5 s")
        assert "PID PROCESS" not in screen.text  # over the whole area
        await settled(screen)
        assert "d asks again" in screen.text
        assert "two looks" in screen.text
        assert f"{child.pid} grows" in screen.text
        assert "Python objects" in screen.text
        assert "Order" in screen.text
        verdict = next(iter(screen.app._main.concluded.known.values()))[0].verdict
        assert verdict.first.cause in CAUSES
        assert verdict.first.pid == child.pid
        await screen.press("escape", "enter", "shift+tab")
        assert verdict.first.headline[-20:] in " ".join(ending(screen).split())
    assert child.poll() is None


async def test_a_real_process_that_ends(over_this_machine, look, children):
    """A process that ends while it is watched: that is said, with what was known of it."""
    child = children.ready(GROWING)
    async with look(over_this_machine) as screen:
        await screen.tick(2)
        await put_cursor_on(screen, child.pid)
        await screen.press("d")
        await seen(screen, "Esc cancel")
        child.kill()
        child.wait()
        await settled(screen)
        assert f"{child.pid} has ended" in screen.text


async def test_a_look_is_not_waited_for_twice(live, look, inquiries):
    """Without children what `a` has read a while ago is the first look: it watches less long."""
    async with look(live()) as screen:
        main = screen.app._main
        await screen.press("end")
        identity = main._selected().identity
        taken_at = main._shown.taken_at
        anatomy = types.SimpleNamespace(taken_at=taken_at, python=None)
        main.answers.of(identity).baseline = anatomy
        assert main._plan_watch(main._selected())[0] == diagnosing.WATCH_S
        await screen.tick(20)
        assert main._plan_watch(main._selected())[0] == pytest.approx(diagnosing.WATCH_S - 20)
        await screen.tick(40)
        for_s, known = main._plan_watch(main._selected())
        assert for_s == diagnosing.LEAST_WATCH_S
        assert [(one.identity, one.anatomy) for one in known()] == [(identity, anatomy)]
        anatomy.python = "3.12"  # its objects were not counted
        assert main._plan_watch(main._selected())[0] == diagnosing.WATCH_S


# -- the key ---------------------------------------------------------------------------------


async def test_at_once_then_the_answer(live, look, inquiries):
    """What the tracker knows is said while it is found out; the screen and its samples go on."""
    inquiries.gate.clear()
    async with look(live()) as screen:
        await put_cursor_on(screen, 21)
        await screen.press("d")
        await seen(screen, "looks into 21 x", "of 30 s   Esc cancel")
        assert "mail-worker 21 grows" in screen.text
        assert "nobody looked" in screen.text
        before = screen.lines[1]
        await screen.tick(3)
        assert screen.lines[1] != before
        assert "looks into 21 x" in screen.text
        inquiries.gate.set()
        await settled(screen)
        assert "d asks again" in screen.text
        assert inquiries.for_s == [30.0]
        assert "d ask again" in screen.lines[-1]


async def test_it_gets_the_states_of_the_screen(live, look, inquiries):
    """Nothing is sampled twice: who finds out waits for the next state, also while paused."""
    got = []

    def run(asked, next_state, tell, cancel):
        got.extend(next_state([asked.pid, 4711]).tick for _ in range(3))
        return inquiries.__class__.run(inquiries, asked, next_state, tell, cancel)

    inquiries.run = run
    async with look(live()) as screen:
        main = screen.app._main
        await put_cursor_on(screen, 21)
        begin = main._state.tick
        await screen.press("d", "p")
        while len(got) < 3:
            assert 4711 in main.wanted().pids or len(got) == 0
            await screen.tick()
            await asyncio.sleep(0.02)
        assert got == sorted(set(got))
        assert got[0] == begin
        await settled(screen)
        assert main.watched_pids == frozenset()


async def test_cancel(live, look, inquiries):
    """Esc cancels at once; the pane stays with what is known, and the key begins anew."""
    inquiries.gate.clear()
    async with look(live()) as screen:
        await put_cursor_on(screen, 21)
        await screen.press("d")
        await seen(screen, "looks into 21 x")
        await screen.press("escape")
        assert "the diagnosis of 21 was cancelled" in screen.text
        assert "Esc cancel" not in screen.text
        assert "d watches and looks inside" in screen.text
        await screen.press("d")
        inquiries.gate.set()
        await seen(screen, "d asks again")
        assert inquiries.most_running == 1
        assert inquiries.asked == [21, 21]
        assert inquiries.cancelled == [21]


async def test_asked_twice(live, look, inquiries):
    """While it is found out the key does nothing; another key leaves it, and says so."""
    inquiries.gate.clear()
    async with look(live()) as screen:
        await put_cursor_on(screen, 21)
        await screen.press("d")
        await seen(screen, "looks into 21 x")
        await screen.press("d")
        assert "21 is being read already" in screen.text
        assert inquiries.asked == [21]
        await screen.press("escape", "escape", "end", "d")
        await seen(screen, "looks into 30 x")
        await screen.press("o")
        assert "the diagnosis of 30 was left" in screen.text


async def test_the_old_answer_stays(live, look, inquiries):
    """Asked again, the old answer is on show until the new one is there; and says how old it is."""
    async with look(live()) as screen:
        await put_cursor_on(screen, 21)
        await screen.press("d")
        await settled(screen)
        await screen.tick(90)
        assert "as of" in screen.text
        assert "d reads again" in screen.text
        inquiries.gate.clear()
        await screen.press("d")
        await seen(screen, "Esc cancel")
        assert "mail-worker 21 grows" in screen.text
        inquiries.errors[21] = RuntimeError("a rule is broken")
        inquiries.gate.set()
        await seen(screen, "error of memtop's own: RuntimeError: a rule is broken")
        assert "mail-worker 21 grows" in screen.text


async def test_without_rights(live, look, inquiries):
    """The right that is missing and the command that has it, with what is known all the same."""
    inquiries.denied = Denied(
        "21 may not be read", right="CAP_SYS_PTRACE", command="sudo memtop anatomy 21"
    )
    async with look(live()) as screen:
        await put_cursor_on(screen, 21)
        await screen.press("d")
        await settled(screen)
        assert "21 may not be read." in screen.text
        assert "sudo memtop diagnose 21" in screen.text
        assert "mail-worker 21 grows" in screen.text


@pytest.mark.parametrize("pid", [21, 30])
async def test_off_where_the_source_is_not_this_machine(app, look, inquiries, pid):
    """In a recording the pane says why, and what is known; nothing is read."""
    async with look(app) as screen:
        await put_cursor_on(screen, pid)
        await screen.press("d")
        assert "Off: this is a recording or the /proc of another host" in screen.text
        assert "memtop diagnose there" in screen.text
        await screen.press("escape", "enter", "shift+tab", "tab")
        assert "tells why" not in screen.text
        assert inquiries.asked == []


async def test_not_on_itself(live, look, inquiries):
    """memtop does not find out about itself."""
    source = service()
    own = source.spawn(640, 1, "memtop", 60, command="memtop", age_s=50)
    source.own = own.identity
    async with look(live(source, own=own.identity)) as screen:
        await put_cursor_on(screen, 640)
        await screen.press("d")
        assert "640 is memtop itself." in screen.text
        assert inquiries.asked == []


async def test_read_only_has_it(live, look, inquiries):
    """It changes nothing: with --read-only the key is there, keys that act are not offered."""
    async with look(live(read_only=True)) as screen:
        await put_cursor_on(screen, 21)
        await screen.press("d")
        await settled(screen)
        assert "d asks again" in screen.text
        assert "T trim" not in screen.text


# -- the end of the tabs ---------------------------------------------------------------------


async def test_what_the_tracker_knows(live, look):
    """Nobody looked inside: the trend in a sentence, and the key that tells why."""
    async with look(live()) as screen:
        await put_cursor_on(screen, 21)
        await screen.press("enter")
        assert "▲   Rising, too young to tell from a leak" in ending(screen)
        assert "→   d tells why" in ending(screen)


async def test_the_answer_ends_the_tabs(live, look, inquiries):
    """What was found out ends the chart and the tab of the command line, also of the culprit."""
    inquiries.whose = {20: 21}
    async with look(live()) as screen:
        await put_cursor_on(screen, 20)
        await screen.press("d")
        await settled(screen)
        await screen.press("escape", "enter")
        await screen.press(*["tab"] * 2)
        assert "window 10 m" in screen.text
        for pid in (20, 21):
            await put_cursor_on(screen, pid)
            assert "mail-worker 21 grows" in ending(screen)
            assert "tells why" not in ending(screen)
        await put_cursor_on(screen, 30)
        assert "30 is 22 MiB" not in ending(screen)
        assert "→   d tells why" in ending(screen)


async def test_rules_come_later(live, look, monkeypatch):
    """Before the rules are there, panes end with what was measured; then they are drawn anew."""
    gate, load = threading.Event(), verdicts.load
    monkeypatch.setattr(verdicts, "_loaded", threading.Event())
    monkeypatch.setattr(verdicts, "load", lambda: (gate.wait(10), load()))
    async with look(live(voice(40), view=View(fold_many=True))) as screen:
        await screen.press("down", "enter")
        assert "Many processes, none grows" in ending(screen)
        gate.set()
        await seen(screen, "40 processes below 1 hold 14.8 GiB")


async def test_a_rule_that_breaks(live, look, monkeypatch):
    """The screen goes on, and the pane ends with what was measured."""

    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(verdicts, "of_process", broken)
    async with look(live()) as screen:
        await put_cursor_on(screen, 21)
        await screen.press("enter")
        await screen.tick()
        assert "Rising, too young to tell from a leak" in ending(screen)


# -- groups, cgroups, containers -------------------------------------------------------------


async def test_a_group(live, look, inquiries):
    """Many processes are said without a look; asked why, it looks at their parent and all below."""
    async with look(live(voice(40), view=View(fold_many=True))) as screen:
        await screen.press("down", "enter")
        assert "≡   40 processes below 1 hold 14.8 GiB" in ending(screen)
        assert "→   It is no leak: bound how many run at once" in ending(screen)
        await screen.press("d")
        await settled(screen)
        assert inquiries.asked == [1]
        assert "40 × job_process" in screen.text
        assert "≡   40 processes below 1 hold 14.8 GiB" in screen.text
        assert "d asks again" in screen.text


async def test_a_group_in_which_one_grows(live, look, inquiries):
    """It is named as before, with the key that tells why; the answer is about that one."""
    inquiries.whose = {1: 103}
    app = live(voice(12, grow=800), view=View(fold_many=True), ticks=90)
    async with look(app) as screen:
        await screen.press("down", "enter")
        assert "One of 12 grows: 103 grows by 46.9 MiB a minute" in ending(screen)
        assert "→   d tells why" in ending(screen)
        await screen.press("d")
        await settled(screen)
        assert "▲▲  Worker 103 grows 46.9 MiB/min" in screen.text
        assert "12 × job_process" in screen.text


async def test_a_member_that_is_looked_into(live, look, inquiries):
    """After `a` on a group its member is on show: `d` is about that one."""
    app = live(voice(12, grow=800), view=View(fold_many=True), ticks=90)
    async with look(app) as screen:
        await screen.press("down", "a")
        await gone(screen, "Esc cancel")
        await screen.press("d")
        await settled(screen)
        assert inquiries.asked == [103]


async def test_no_room_for_one_more(live, look, inquiries):
    """The tab of a cgroup ends with what is too much for its limit, and with OOM kills."""
    source = voice(4)
    before, born = source._before_sample, iter(range(200, 300))

    def move(source):
        before(source)
        jobs = sorted(pid for pid in source.processes if 100 <= pid < 900)
        if source.clock_s % 8 == 3:  # two go, and later two others come
            source.end(jobs[0])
            source.end(jobs[1])
        elif source.clock_s % 8 == 6:
            for pid in (next(born), next(born)):
                source.spawn(pid, 1, "job_process", 380, command="job", cgroup="/voice")
        used = 400 + 4 * 380
        source.cgroups = [cgroup("/voice", 2100, used, oom_kills=2), *source.cgroups[1:]]

    source._before_sample = move
    async with look(live(source)) as screen:
        await put_cursor_on(screen, 1)
        await screen.press("enter", "tab", "tab", "tab")
        assert "▲   4 children of up to 380 MiB fit" in ending(screen)
        assert "an OOM kill" in " ".join(ending(screen).split())
        assert "▲▲  2 OOM kills in it so far." in ending(screen)


async def test_a_container(live, look, inquiries):
    """On the row of a container it is about the container: its oldest process and all below."""
    async with look(live(view=replace(View(), layout="container"))) as screen:
        line = next(i for i, one in enumerate(screen.lines[3:]) if "container c0ffee" in one)
        await screen.press("home", *["down"] * line, "d")
        await settled(screen)
        assert inquiries.asked == [20]


# -- looks -----------------------------------------------------------------------------------


async def test_moving_in_a_long_answer(live, look, inquiries):
    """Arrows move in the answer while it has the whole area, the brackets also beside a table."""
    async with look(live(), (60, 16)) as screen:
        await put_cursor_on(screen, 21)
        await screen.press("d")
        await settled(screen)
        assert "more lines below" in screen.text
        await screen.press("end")
        assert "above" in screen.text
        await screen.press("home")
        assert "more lines below" in screen.text
        await screen.press("right_square_bracket", "down", "pagedown", "pageup")
        assert screen.app._main.table.cursor.pid == 21


SIZES = [(160, 48), (120, 40), (96, 34), (80, 24), (60, 20), (40, 10)]
LOOKS = [{}, {"ascii_only": True, "theme": "ansi"}, {"theme": "light"}]


@pytest.mark.parametrize(("size", "options"), sizes_and_looks(SIZES, LOOKS))
async def test_every_size(live, look, inquiries, size, options):
    """No line is wider than the screen, on no tab; the answer is there on all of them."""
    async with look(live(**options), size) as screen:
        await screen.press("home")
        while screen.app._main.table.cursor.pid != 21:
            await screen.press("down")
        await screen.press("d")
        await settled(screen)
        assert "21 grows" in screen.text or size[1] <= 10
        await screen.press("escape", "enter")
        for _ in range(7):
            await screen.press("tab")
            assert all(cells(line) <= size[0] for line in screen.lines)
            if "ascii_only" in options:
                assert screen.text.isascii()


async def test_keys_of_the_pane(live, look, inquiries):
    """The last line has what can be done with an answer."""
    async with look(live()) as screen:
        await put_cursor_on(screen, 21)
        assert "d why" in screen.lines[-1]
        await screen.press("d")
        await settled(screen)
        assert "d ask again  a anatomy  o objects  T trim" in screen.lines[-1]
        await screen.press("escape")
        assert "d why" in screen.lines[-1]


async def test_the_screen_does_not_wait(live, look, inquiries):
    """A thousand processes below one: drawing its pane takes no longer than a few frames' time."""
    source = service()
    for pid in range(1000, 3000):
        source.spawn(pid, 10, "shop-worker", 20, age_s=600)
    async with look(live(source, ticks=5)) as screen:
        await put_cursor_on(screen, 1)
        main = screen.app._main
        row = main._selected()
        begin = time.thread_time()
        main.reasons_of(row, None)
        assert time.thread_time() - begin < 0.1
