"""Signals from the screen, to real children."""

import os
import signal

import pytest
from tests_support import app_over

from memtop.actions import signals as signal_module
from memtop.model.query import View
from memtop.model.tracker import Tracker
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted
from memtop.tui.app import MemtopApp

WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def live_app():
    """An app over this machine's /proc, showing this process and all below it."""
    source = ProcfsSource()

    def make(**options):
        tracker = Tracker(1.0, source.own)
        state = tracker.feed(source.sample(Wanted()))
        view = View(top_pid=os.getpid())
        return MemtopApp(source, tracker, state, view, sampling=False, **options)

    yield make
    source.close()


async def put_cursor_on(screen, pid):
    """Move down to the row of a PID."""
    await screen.press("home")
    for _ in range(60):
        if screen.cursor == pid:
            return
        await screen.press("down")
    raise AssertionError(f"{pid} is not on the screen")


async def test_a_signal_needs_a_yes(live_app, look, children):
    """K picks a signal, names the target and asks; Enter alone does nothing, Esc leaves."""
    child = children.ready(WAIT)
    async with look(live_app()) as screen:
        await put_cursor_on(screen, child.pid)
        await screen.press("K")
        assert f"Signal to {child.pid}" in screen.text
        await screen.press("enter")
        assert "Send TERM to " in screen.text
        assert str(child.pid) in screen.text
        await screen.press("enter", "enter")
        assert "Send TERM" in screen.text
        await screen.press("escape")
        assert "Send TERM" not in screen.text
        assert child.poll() is None


async def test_yes_sends_it(live_app, look, children, wait_until):
    """y sends the signal to the child, and the screen says so."""
    child = children.ready(WAIT)
    async with look(live_app()) as screen:
        await put_cursor_on(screen, child.pid)
        await screen.press("K", "enter", "y")
        await screen.app.workers.wait_for_complete()
        await screen.pilot.pause()
        assert f"TERM was sent to {child.pid}" in screen.text
        await screen.press("enter")
        assert "TERM ▼" in screen.text  # a mark on its chart
        await screen.press("home")
        assert "TERM ▼" not in screen.text  # and on no other
    assert child.wait(5) == -signal.SIGTERM


async def test_tagged_processes_get_it_together(live_app, look, children):
    """Tags name the targets, wherever the cursor is; the question counts and names them."""
    kids = [children.ready(WAIT) for _ in range(2)]
    async with look(live_app()) as screen:
        for kid in kids:
            await put_cursor_on(screen, kid.pid)
            await screen.press("space")
        await screen.press("home", "K", "down", "down", "down", "enter")
        assert "Send KILL to 2 processes?" in screen.text
        assert all(str(kid.pid) in screen.text for kid in kids)
        await screen.press("y")
        await screen.app.workers.wait_for_complete()
        await screen.pilot.pause()
        assert "KILL was sent to 2 processes" in screen.text
    assert [kid.wait(5) for kid in kids] == [-signal.SIGKILL] * 2


async def test_a_process_that_ended_meanwhile(live_app, look, children):
    """Between the question and the yes it ended: nothing is sent, and the screen says why."""
    child = children.ready(WAIT)
    async with look(live_app()) as screen:
        await put_cursor_on(screen, child.pid)
        await screen.press("K", "enter")
        child.kill()
        child.wait()
        await screen.press("y")
        await screen.app.workers.wait_for_complete()
        await screen.pilot.pause()
        assert f"{child.pid} has ended" in screen.text


async def test_a_parent_needs_its_pid_typed(live_app, look, children, monkeypatch):
    """For PID 1 and memtop's parents y is a letter: the PID has to be typed, and Enter."""
    child = children.ready(WAIT)
    monkeypatch.setattr(signal_module, "parents_of", lambda pid: frozenset({child.pid}))
    async with look(live_app()) as screen:
        await put_cursor_on(screen, child.pid)
        await screen.press("K", "enter")
        assert "memtop may end with it" in screen.text
        await screen.press("y", "1", "enter")
        assert "Send TERM" not in screen.text
        assert child.poll() is None
        await screen.press("K", "enter", *str(child.pid), "enter")
        await screen.app.workers.wait_for_complete()
        await screen.pilot.pause()
        assert f"TERM was sent to {child.pid}" in screen.text
    assert child.wait(5) == -signal.SIGTERM


async def test_never_memtop_itself(live_app, look):
    """The process that runs the screen gets no signal."""
    async with look(live_app()) as screen:
        await put_cursor_on(screen, os.getpid())
        await screen.press("K")
        assert "is memtop itself" in screen.text
        assert "Signal to" not in screen.text


async def test_read_only_has_no_signals(live_app, look, children):
    """With --read-only the key does nothing at all."""
    child = children.ready(WAIT)
    async with look(live_app(read_only=True)) as screen:
        await put_cursor_on(screen, child.pid)
        await screen.press("K", "f9")
        assert "Signal to" not in screen.text


async def test_other_sources_are_not_acted_on(app, look):
    """Where the processes are not this machine's, signals are off, and the screen says why."""
    async with look(app) as screen:
        await screen.press("K")
        assert "signals are off" in screen.text


async def test_groups_need_tags(source, look):
    """A group as such gets no signal: its members have to be tagged."""
    async with look(app_over(source, view=View(layout="user"))) as screen:
        await screen.press("home", "K")
        assert "tag the members" in screen.text
