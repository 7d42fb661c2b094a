"""Trim and gc from the screen: targets, question, progress, log. What acts is a stand-in."""

import asyncio
import os
import threading
import time
import types

import pytest
from tests_support import app_over, sizes_and_looks

from memtop.actions.result import Check, Generation, Plan, Refusal, Result
from memtop.model.query import View
from memtop.model.tracker import Tracker
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted
from memtop.render.escape import cells
from memtop.tui.app import MemtopApp
from memtop.tui.widgets.detail import DetailPane

MIB = 1 << 20
FORCEABLE = Refusal("its seccomp filter cannot be read", command="sudo memtop", forceable=True)
DENIED = Refusal("it may not be traced", "CAP_SYS_PTRACE", "sudo memtop trim 30")


class Performer:
    """Stands in for memtop.actions.perform; remembers what it was asked.

    `refusals` by PID. With `gate` closed an action waits in `step` until it is opened or cancelled.
    """

    def __init__(self):
        self.planned, self.asked, self.cancels = [], [], []
        self.refusals = {}
        self.outcomes = {}
        self.step = "waiting for the GIL"
        self.gate = threading.Event()
        self.gate.set()
        self.plan_gate = threading.Event()
        self.plan_gate.set()
        self.running = 0

    def plan_all(self, action, targets, *, root="/proc", live, watch, cancel):
        self.planned.append((action, [one.identity.pid for one in targets]))
        self.cancels.append(cancel)
        for _ in range(200):
            watch(1, len(targets))
            if self.plan_gate.wait(0.05):
                break
        return [
            Plan(
                action,
                one.identity,
                one.name,
                300 * MIB,
                (Check("same process", True),),
                self.refusals.get(one.identity.pid),
                0.2,
                python="3.12",
            )
            for one in targets
        ]

    def perform(self, action, targets, *, root="/proc", live, force=False, watch=None, cancel=None):
        self.asked.append((action, [one.identity.pid for one in targets], force))
        self.running += 1
        try:
            for one in targets:
                watch(self.step)
                while not self.gate.wait(0.01) and not cancel.is_set():
                    pass
                if cancel.is_set():
                    yield self._result(action, one, "cancelled", "Cancelled: nothing was run.")
                    continue
                outcome = self.outcomes.get(one.identity.pid, "returned")
                if isinstance(outcome, Exception):
                    raise outcome
                yield self._result(action, one, outcome, f"All is well with {one.identity.pid}.")
        finally:
            self.running -= 1

    def _result(self, action, one, outcome, meaning):
        did = outcome == "returned"
        return Result(
            action,
            one.identity.pid,
            one.name,
            time.time(),
            outcome,
            meaning,
            one.identity,
            reason=None if did else "it has ended",
            command="sudo memtop" if outcome == "refused" else None,
            held_us=190.0 if did else None,
            rss_before_bytes=331 * MIB if did else None,
            rss_after_bytes=300 * MIB if did else None,
            generations=(Generation(1204, 0, 0.038),) if action == "gc" and did else (),
        )


@pytest.fixture
def performer(monkeypatch):
    made = Performer()
    module = types.ModuleType("memtop.actions.perform")
    module.plan_all, module.perform = made.plan_all, made.perform
    monkeypatch.setitem(__import__("sys").modules, "memtop.actions.perform", module)
    yield made
    made.gate.set()
    made.plan_gate.set()


@pytest.fixture
def live(source):
    """An app over made-up processes that are said to be this machine's."""

    def make(**options):
        app = app_over(source, **options)
        app.live = True
        return app

    return make


async def seen(screen, *words, limit_s=8.0):
    """Wait until all words are on the screen."""
    deadline = time.monotonic() + limit_s
    while not all(word in screen.text for word in words):
        assert time.monotonic() < deadline, f"{words} not in\n{screen.text}"
        await asyncio.sleep(0.01)
        await screen.pilot.pause()


async def gone(screen, word, limit_s=8.0):
    """Wait until a word is off the screen."""
    deadline = time.monotonic() + limit_s
    while word in screen.text:
        assert time.monotonic() < deadline, f"{word} still in\n{screen.text}"
        await asyncio.sleep(0.01)
        await screen.pilot.pause()


# -- the question ----------------------------------------------------------------------------


async def test_a_trim_needs_a_yes(live, look, performer):
    """T asks about the process under the cursor; Enter alone never acts, Esc leaves."""
    async with look(live()) as screen:
        await screen.press("down", "down", "T")
        await seen(screen, "Trim mail-worker 21?", "y trim", "Esc leave it")
        await screen.press("enter", "enter")
        assert "Trim mail-worker 21?" in screen.text
        await screen.press("escape")
        assert "Trim mail-worker 21?" not in screen.text
        assert performer.planned == [("trim", [21])]
        assert performer.asked == []


@pytest.mark.parametrize(("key", "action"), [("T", "trim"), ("C", "gc")])
async def test_yes_does_it(live, look, performer, key, action):
    """y does it: one sentence, the log on top of the pane, a mark on that chart and no other."""
    async with look(live()) as screen:
        await screen.press("down", "down", key)
        await seen(screen, "mail-worker 21?")
        await screen.press("y")
        await seen(screen, "1 action since", "All is well with 21.")
        assert performer.asked == [(action, [21], False)]
        assert "331 MiB" in screen.text and "300 MiB" in screen.text and "0.19 ms" in screen.text
        assert "31 MiB returned" in screen.lines[1]
        assert ("1,204 objects collected" in screen.lines[1]) == (action == "gc")
        await screen.press("tab")  # the chart follows the log
        verb = "trim" if action == "trim" else "gc.collect"
        assert f"{verb} ▼" in screen.text
        await screen.press("home")
        assert f"{verb} ▼" not in screen.text


async def test_other_keys_do_not_answer(live, look, performer):
    """Only the keys that are shown answer; `f` is none where nothing has to be forced."""
    async with look(live()) as screen:
        await screen.press("down", "down", "T")
        await seen(screen, "Trim mail-worker 21?")
        await screen.press("f", "space", "x", "Y", "tab")
        assert "Trim mail-worker 21?" in screen.text
        await screen.press("n")
        assert "Trim mail-worker 21?" not in screen.text
        assert performer.asked == []


async def test_what_is_refused_cannot_be_answered(live, look, performer):
    """A refusal has reason and command instead of y, and neither y nor f nor Enter acts."""
    performer.refusals[30] = DENIED
    async with look(live()) as screen:
        await screen.press("end", "T")
        await seen(screen, "it may not be traced", "sudo memtop trim 30")
        assert "y trim" not in screen.text
        await screen.press("y", "f", "enter")
        assert "it may not be traced" in screen.text
        await screen.press("escape")
        assert performer.asked == []


async def test_forcing_is_a_key_of_its_own(live, look, performer):
    """What may be forced is done by f alone; y is not offered and does nothing."""
    performer.refusals[30] = FORCEABLE
    async with look(live()) as screen:
        await screen.press("end", "T")
        await seen(screen, "its seccomp filter cannot be read", "f do it all the same")
        await screen.press("y", "enter")
        assert performer.asked == []
        await screen.press("f")
        await seen(screen, "1 action since")
        assert performer.asked == [("trim", [30], True)]


async def test_gc_first(live, look, performer):
    """C in the question about a trim asks about gc.collect instead."""
    async with look(live()) as screen:
        await screen.press("down", "down", "T")
        await seen(screen, "C gc.collect first")
        await screen.press("C")
        await seen(screen, "gc.collect in mail-worker 21?")
        await screen.press("y")
        await seen(screen, "1 action since")
        assert performer.asked == [("gc", [21], False)]


# -- targets ---------------------------------------------------------------------------------


async def test_tagged_rows_are_meant(live, look, performer):
    """Tags name the targets, wherever the cursor is; y acts on those that are not refused."""
    performer.refusals[12] = DENIED
    async with look(live()) as screen:
        await screen.press("slash", *"shop-worker", "enter", "home", "down", "down", "down")
        await screen.press("space", "space", "home", "T")
        await seen(screen, "not 1 of 2 (12): it may not be traced", "Trim 1 × shop-worker?")
        await screen.press("y")
        await seen(screen, "1 action since")
        assert performer.planned == [("trim", [11, 12])]
        assert performer.asked == [("trim", [11], False)]


@pytest.mark.parametrize("folded", [False, True])
async def test_a_group_stands_for_its_members(source, live, look, performer, folded):
    """On a group's row, folded or not, all living members are meant, counted and named."""
    for pid in range(300, 304):
        source.spawn(pid, 10, "gunicorn: worker", 80, age_s=300)
    source.processes.pop(11)
    source.processes.pop(12)
    async with look(live()) as screen:
        row = next(i for i, line in enumerate(screen.lines[3:]) if "4 ×" in line)
        await screen.press(*["down"] * row, *(["left"] if folded else []))
        assert ("▸" in screen.text) == folded
        await screen.press("T")
        await seen(screen, "Trim 4 × gunicorn: worker?", "300  gunicorn: worker", "1.17 GiB")
        await screen.press("y")
        await seen(screen, "4 actions since", "trimmed 4 of 4: 124 MiB returned")
        assert performer.asked == [("trim", [300, 301, 302, 303], False)]


async def test_a_heading_of_another_view_stands_for_its_members(live, look, performer):
    """By container or user, the heading means all below it."""
    async with look(live(view=View(layout="container"))) as screen:
        await screen.press("home", "C")
        await seen(screen, "gc.collect in 2 processes?", "20  mail", "21  mail-worker")
        assert performer.planned == [("gc", [20, 21])]


async def test_nobody_to_act_on(source, live, look, performer):
    """Ended processes are no targets, and it says so."""
    async with look(live()) as screen:
        await screen.press("end", "space", "end")
        source.end(30)
        await screen.tick(2)
        await screen.press("T")
        assert "none of the tagged processes lives" in screen.lines[1]
        await screen.press("U", "C")
        assert "select a living process or a group" in screen.lines[1]
        assert performer.planned == []


async def test_never_memtop_itself(source, look, performer):
    """The row of memtop itself is no target."""
    own = source.processes[30].identity
    app = app_over(source, own=own)
    app.live = True
    async with look(app) as screen:
        await screen.press("end", "T")
        assert "30 is memtop itself" in screen.lines[1]
        assert performer.planned == []


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_elsewhere_it_is_off(app, look, performer, size):
    """Where the processes are not this machine's it says why nothing is done, also at 80 cells."""
    async with look(app, size) as screen:
        await screen.press("T")
        assert "trim is off: this is a recording or the /proc of another host" in screen.lines[1]
        await screen.press("C")
        assert "gc.collect is off" in screen.lines[1]
        assert performer.planned == []


async def test_read_only_has_no_keys_that_act(source, look, performer):
    """With --read-only neither keys, footer, help nor log offer what changes a process."""
    app = app_over(source, read_only=True)
    app.live = True
    async with look(app) as screen:
        assert "T trim" not in screen.lines[-1] and "C gc" not in screen.lines[-1]
        assert "K signal" not in screen.lines[-1]
        await screen.press("T", "C", "K")
        assert performer.planned == []
        assert "Signal to" not in screen.text
        await screen.press("enter", "shift+tab")
        assert "--read-only" in screen.text
        await screen.press("escape", "question_mark")
        text = screen.text
        for _ in range(30):
            await screen.press("down")
            text += screen.text
        assert "gc.collect" not in text and "trim:" not in text and "send a signal" not in text


# -- while it runs ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (50, 12)])
async def test_progress_and_cancel(live, look, performer, size):
    """The second line says what is done to whom; Esc cancels it and the rest."""
    performer.gate.clear()
    async with look(live(), size) as screen:
        await screen.press("slash", *"shop-worker", "enter", "home", "down", "down", "down")
        await screen.press("space", "space", "T")
        await seen(screen, "Trim 2")
        await screen.press("y")
        await seen(screen, "trimming 1 of 2: shop")
        if size[0] >= 80:
            assert "shop-worker 11   waiting for the GIL   Esc cancels" in screen.lines[1]
        assert all(cells(line) <= size[0] for line in screen.lines)
        await screen.press("C")
        assert "trim is running: Esc cancels it" in screen.text
        await screen.press("escape")
        await seen(screen, "2 actions since" if size[0] >= 80 else "cancelled")
        assert performer.running == 0
        assert "cancelled" in screen.text
        assert "trimmed 0 of 2" in screen.text


async def test_the_screen_lives_meanwhile(live, look, performer):
    """An action that takes its time holds up neither keys nor samples."""
    performer.gate.clear()
    async with look(live()) as screen:
        await screen.press("down", "down", "T")
        await seen(screen, "Trim mail-worker 21?")
        await screen.press("y")
        await seen(screen, "trimming mail-worker 21   waiting for the GIL")
        before = next(line for line in screen.lines if "mail-worker" in line)
        await screen.press("end")
        assert screen.cursor == 30
        await screen.tick(20)
        assert next(line for line in screen.lines[2:] if "mail-worker" in line) != before
        performer.gate.set()
        await seen(screen, "1 action since")


async def test_looking_can_be_left(live, look, performer):
    """While many processes are looked at Esc drops the question, which then never comes."""
    performer.plan_gate.clear()
    async with look(live()) as screen:
        await screen.press("end", "T")
        await seen(screen, "looking at redis-server", "Esc leaves")
        await screen.press("escape")
        assert performer.cancels[0].is_set()
        performer.plan_gate.set()
        await asyncio.sleep(0.1)
        await screen.pilot.pause()
        assert "Trim redis-server" not in screen.text
        await screen.press("T")
        await seen(screen, "Trim redis-server")


async def test_looking_at_many_says_how_far_it_is(live, look, performer):
    """Of several, the number of the one that is looked at; nothing of it is left afterwards."""
    performer.plan_gate.clear()
    performer.gate.clear()
    async with look(live()) as screen:
        await screen.press("slash", *"shop-worker", "enter", "home", "down", "down", "down")
        await screen.press("space", "space", "T")
        await seen(screen, "looking at 1 of 2 processes", "Esc leaves")
        performer.plan_gate.set()
        await seen(screen, "Trim 2")
        performer.step = ""
        await screen.press("y")
        await seen(screen, "trimming 1 of 2: shop-worker 11   Esc cancels")
        await screen.press("escape")


@pytest.mark.parametrize("keys", [["slash", "p"], ["question_mark"], ["s"]])
async def test_a_question_never_takes_a_key_meant_for_something_else(live, look, performer, keys):
    """Whoever has begun to type a filter meanwhile is not asked: its y would be an answer."""
    performer.plan_gate.clear()
    async with look(live()) as screen:
        await screen.press("end", "T", *keys)
        performer.plan_gate.set()
        await asyncio.sleep(0.1)
        await screen.pilot.pause()
        await screen.press("y")
        assert "Trim redis-server" not in screen.text
        assert performer.asked == []
        await screen.press("escape")
        await seen(screen, "was not asked")


async def test_behind_the_question_nothing_moves(live, look, performer):
    """Rows stand still while something is asked, and are up to date afterwards."""
    async with look(live()) as screen:
        await screen.press("end", "T")
        await seen(screen, "Trim redis-server")
        before = screen.text
        await screen.tick(20)
        assert screen.text == before
        await screen.press("escape")
        assert screen.text != before


# -- afterwards ------------------------------------------------------------------------------


async def test_what_ended_meanwhile(live, look, performer):
    """Between question and answer it ended: refused, with the reason in the log and no mark."""
    performer.outcomes[21] = "refused"
    async with look(live()) as screen:
        await screen.press("down", "down", "T")
        await seen(screen, "Trim mail-worker 21?")
        await screen.press("y")
        await seen(screen, "1 action since", "refused", "→  sudo memtop")
        assert "trim refused: 21: it has ended" in screen.lines[1]
        await screen.press("tab")
        assert "trim ▼" not in screen.text


async def test_an_error_of_its_own_is_said(live, look, performer):
    """Whatever breaks, the screen says so, and the next action works."""
    performer.outcomes[21] = RuntimeError("no such stub")
    async with look(live()) as screen:
        await screen.press("down", "down", "T")
        await seen(screen, "Trim mail-worker 21?")
        await screen.press("y")
        await seen(screen, "stopped by an error of memtop's own: RuntimeError: no such stub")
        del performer.outcomes[21]
        await screen.press("T")
        await seen(screen, "Trim mail-worker 21?")


async def test_the_log_tab(live, look, performer):
    """The last tab: empty it names the keys that fill it; ] and [ go through many entries."""
    async with look(live()) as screen:
        await screen.press("end", "enter", "shift+tab")
        assert "log   0 actions since" in screen.text
        assert "Nothing has been done to any process." in screen.text
        assert "T trim" in screen.text
        for _ in range(6):
            await screen.press("T")
            await seen(screen, "Trim redis-server")
            await screen.press("y")
            await gone(screen, "Trim redis-server")
            await gone(screen, "trimming")
        pane = screen.app.screen.query_one(DetailPane)
        assert len(pane.logbook) == 6
        await screen.press("right_square_bracket")
        assert "3 newer" in screen.text
        await screen.press("left_square_bracket", "left_square_bracket")
        assert "newer" not in screen.text
        await screen.press("home")
        assert "6 actions since" in screen.text  # whoever is selected


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


async def test_signals_are_in_the_log(over_this_machine, look, children):
    """What K has sent stands there, too."""
    from test_acting import WAIT, put_cursor_on

    child = children.ready(WAIT)
    async with look(over_this_machine) as screen:
        await screen.tick()
        await put_cursor_on(screen, child.pid)
        await screen.press("K", "enter", "y")
        await screen.app.workers.wait_for_complete()
        await screen.press("enter", "shift+tab")
        assert "1 action since" in screen.text
        assert f"TERM was sent to {child.pid}" in screen.text


HOARDER = """
import sys
junk = [bytes(3000) for _ in range(20_000)]
kept = junk[::100]
del junk
print("ready", flush=True)
sys.stdin.read()
"""


async def test_for_real(over_this_machine, look, children):
    """A real Python process is trimmed and collected, goes on, and the log tells what came back."""
    from test_acting import put_cursor_on

    child = children.ready(HOARDER)
    async with look(over_this_machine) as screen:
        await screen.tick()
        await put_cursor_on(screen, child.pid)
        await screen.press("T")
        await seen(screen, f"{child.pid}?")
        if "y trim" not in screen.text:
            pytest.skip(f"acting is not possible here:\n{screen.text}")
        await screen.press("y")
        await seen(screen, "1 action since", "returned", limit_s=20)
        assert f"trimmed {child.pid}: " in screen.lines[1]
        await screen.press("C")
        await seen(screen, f"{child.pid}?", "y gc.collect")
        await screen.press("y")
        await seen(screen, "2 actions since", "collected in", limit_s=20)
    child.communicate(timeout=10)
    assert child.returncode == 0


# -- sizes, and the way out --------------------------------------------------------------------


SIZES = [(160, 48), (80, 24), (60, 12), (40, 10), (20, 5), (5, 3), (1, 1)]
LOOKS = [{}, {"ascii_only": True, "theme": "ansi"}]


@pytest.mark.parametrize(("size", "options"), sizes_and_looks(SIZES, LOOKS))
async def test_every_size(live, look, performer, size, options):
    """Question, progress and log are drawn at any size, resized, with ASCII and 16 colours."""
    performer.refusals[12] = FORCEABLE
    async with look(live(**options), size) as screen:
        await screen.press("space", "space", "space", "space", "space", "T")
        for _ in range(200):
            if performer.planned and screen.app.screen is not screen.app._main:
                break
            await asyncio.sleep(0.01)
            await screen.pilot.pause()
        for other in (size, (80, 24), (2, 2), size):
            await screen.pilot.resize_terminal(*other)
            await screen.pilot.pause()
            assert all(cells(line) <= max(other[0], 3) for line in screen.lines)
            assert len(screen.lines) <= max(1, other[1])
        if options and size[0] >= 60:
            assert screen.text.isascii()
        await screen.press("f")
        for _ in range(500):
            if screen.app._main.job is None and performer.asked:
                break
            await asyncio.sleep(0.01)
            await screen.pilot.pause()
        assert performer.asked == [("trim", [1, 10, 11, 12, 20, 21], True)]
        await screen.tick(2)
        assert all(cells(line) <= size[0] for line in screen.lines)
        if options and size[0] >= 60:
            assert screen.text.isascii()


async def test_quitting_waits_for_an_action(live, look, performer):
    """q cancels what is under way, says that it waits, and leaves when it has ended."""
    performer.gate.clear()
    app = live()
    async with look(app) as screen:
        await screen.press("end", "T")
        await seen(screen, "Trim redis-server")
        await screen.press("y")
        await seen(screen, "waiting for the GIL")
        begin = time.monotonic()
        await screen.pilot.press("q")
        while not app._exit:
            assert time.monotonic() - begin < 10
            await asyncio.sleep(0.01)
        assert performer.running == 0


async def test_quitting_does_not_wait_for_ever(live, look, performer, monkeypatch):
    """An action that does not end keeps nobody; while it is waited for the screen says so."""
    from memtop.tui import app as module

    monkeypatch.setattr(module, "WAIT_WITHIN_S", 0.5)
    performer.plan_gate.clear()
    app = live()
    async with look(app) as screen:
        await screen.press("end", "T")
        await seen(screen, "looking at redis-server")
        begin = time.monotonic()
        await screen.pilot.press("q")
        await seen(screen, "waiting for the end of trim, then memtop quits")
        assert not app._exit
        while not app._exit:
            assert time.monotonic() - begin < 10
            await asyncio.sleep(0.01)
        assert time.monotonic() - begin > 0.4
