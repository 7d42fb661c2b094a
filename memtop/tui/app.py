"""The application: the first screen, the sampling thread, themes, and a clean way out."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from rich.console import RenderableType
from textual import events
from textual.app import App
from textual.binding import Binding
from textual.command import Provider
from textual.filter import Monochrome, NoColor
from textual.screen import Screen

from memtop.model.query import View
from memtop.model.state import State
from memtop.model.tracker import Tracker
from memtop.probe.sample import Identity, Wanted
from memtop.probe.source import Source
from memtop.tui import keys, themes
from memtop.tui.messages import Sampled, SamplingFailed
from memtop.tui.paint import narrowed
from memtop.tui.sampler import Sampler
from memtop.tui.screens.main import MainScreen
from memtop.tui.tape import Tape
from memtop.tui.terminal import TerminalDriver

if TYPE_CHECKING:
    from memtop.recording.session import Session

LEAVE_WITHIN_S = 0.8  # after a signal
WAIT_WITHIN_S, WAIT_EVERY_S = 3.0, 0.02  # for an action, after q
SWITCH_INTERVAL_S = 0.001  # so that a key waits no longer than this for the sampling thread


def _commands() -> type[Provider]:
    """The palette's commands, imported when it is opened."""
    from memtop.tui.palette import MemtopCommands

    return MemtopCommands


def _record_to(interval_s: float, root: str | None, path: str) -> Session:
    """A recording at `path`; what records is imported when somebody wants it."""
    from memtop.recording.session import beside_screen

    return beside_screen(path, interval_s, root)


class Feeder(Protocol):
    """What the states come from: a thread that `wanted` tells what is looked at."""

    wanted: Wanted

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End, and give the source back."""


class MemtopApp(App[None]):
    """memtop on a terminal.

    It gets the state of the first sample, so that the first frame has data, and a `session` if all
    is to be recorded from the beginning. With `sampling` off (tests, pictures) states come through
    `feed`.
    """

    CSS_PATH = "app.tcss"
    TITLE = "memtop"
    AUTO_FOCUS = None
    COMMAND_PALETTE_BINDING = "colon"
    ALLOW_SELECT = False
    COMMANDS = {_commands}
    WHERE: keys.Where = "live"
    BINDINGS = [*keys.quit_binding(), Binding("ctrl+q", "quit", show=False)]

    def __init__(
        self,
        source: Source,
        tracker: Tracker,
        state: State,
        view: View,
        *,
        interval_s: float = 1.0,
        theme: str | None = None,
        ascii_only: bool = False,
        sampling: bool = True,
        read_only: bool = False,
        is_guest: bool = False,
        portrait_root: str | None = None,
        rebind: Mapping[str, str] | None = None,
        session: Session | None = None,
    ) -> None:
        super().__init__(driver_class=TerminalDriver if sampling else None)
        for made in themes.themes():
            self.register_theme(made)
        system = self.console.color_system
        self.theme = f"memtop-{theme or themes.theme_for(system, self.no_color)}"
        # App has chosen its filter for NO_COLOR by the theme that it began with.
        self._filters = [NoColor() if type(f) is Monochrome else f for f in self._filters]
        self.ascii_only = ascii_only
        self.read_only = read_only
        self.live = source.live
        self.portrait_root = portrait_root
        self.config_file: str | None = None
        self.mask: tuple[re.Pattern[str], ...] = ()
        self.key_table = keys.rebound(rebind or {}, read_only=read_only, where=self.WHERE)
        if rebind:
            self.set_keymap(dict(rebind))
        self.failure: Exception | None = None
        self._main = self.first_screen(state, view, is_guest=is_guest)
        self._is_quitting = False
        self._sampling, self._interval_s = sampling, interval_s
        self._tracker = tracker
        self._source = source
        self.tape = Tape(partial(_record_to, interval_s, portrait_root), session)
        self.tape.post = self._main.post_message
        self._sampler = self.feeder()

    def first_screen(self, state: State, view: View, *, is_guest: bool) -> MainScreen:
        """The screen with the table; it begins with a state."""
        return MainScreen(state, view, is_guest=is_guest)

    def feeder(self) -> Feeder:
        """The thread that samples."""
        return Sampler(
            self._source,
            self._tracker,
            self._interval_s,
            post=lambda fresh: self.post_message(Sampled(fresh)),
            failed=lambda error: self.post_message(SamplingFailed(error)),
            tape=self.tape,
        )

    def get_default_screen(self) -> MainScreen:
        """The first screen."""
        return self._main

    async def on_event(self, event: events.Event) -> None:
        """Keys of the filter are typed before the next one is looked at, however fast they come."""
        if not (isinstance(event, events.Key) and self._main.type(event)):
            await super().on_event(event)

    def on_mount(self) -> None:
        """Begin to sample."""
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._leave, number)
        if self._sampling:
            sys.setswitchinterval(SWITCH_INTERVAL_S)
            gc.freeze()  # what start-up made stays for good: collections need not look at it
            self._sampler.start()

    def _leave(self, number: int) -> None:
        """A signal asks memtop to end; Textual may hang on a dead terminal, so not for long."""
        watchdog = threading.Timer(LEAVE_WITHIN_S, os._exit, [128 + number])
        watchdog.daemon = True
        watchdog.start()
        self.exit()

    def _check_terminal(self) -> None:
        """A terminal that went without a signal (nohup, a lost session) ends memtop, too."""
        if self.is_headless or self._sampling is False:
            return
        poll = select.poll()
        poll.register(0, select.POLLIN)
        gone = select.POLLHUP | select.POLLERR | select.POLLNVAL
        if any(event & gone for _, event in poll.poll(0)):
            self._leave(signal.SIGHUP)

    def look(self, wanted: Wanted) -> None:
        """Tell the sampler what is looked at."""
        self._sampler.wanted = wanted
        cursor = self._main.table.cursor
        self.tape.selected = cursor if isinstance(cursor, Identity) else None

    def feed(self) -> None:
        """Take one sample now and show it; for tests and pictures, instead of the thread."""
        wanted = self.tape.wanted(self._tracker.ask(self._main.wanted()))
        state = self._tracker.feed(self._source.sample(wanted))
        self.tape.take(state)
        self._main.show_state(state)

    async def settle(self) -> None:
        """Wait until nothing is done to processes, or read of them, any more; for pictures.

        Who finds out why watches meanwhile, and needs samples for that.
        """
        main, due_s = self._main, time.monotonic()
        while main.job is not None or main.reading is not None or main.is_loading:
            if main.inquest is not None and time.monotonic() >= due_s:
                due_s = time.monotonic() + self._interval_s
                self.feed()
            await asyncio.sleep(WAIT_EVERY_S)

    def on_sampled(self, message: Sampled) -> None:
        """A new state from the thread."""
        self._check_terminal()
        if self.is_running:  # else its widgets are being taken away
            self._main.show_state(message.state)

    def on_sampling_failed(self, message: SamplingFailed) -> None:
        """Nothing more will come: leave, and let the command line say why."""
        self.failure = message.error
        self.exit()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Send as little as possible to the terminal; see paint.py."""
        super()._display(screen, cast("RenderableType", narrowed(renderable)))

    def action_command_palette(self) -> None:
        """Open the palette, unless it is open."""
        from memtop.tui.palette import Palette  # not needed for the first frame

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def panic(self, *renderables: RenderableType) -> None:
        """A thread of Textual's has died: leave without its traceback."""
        self.failure = self.failure or RuntimeError("the terminal could not be read any more")
        self.exit()

    def _fatal_error(self) -> None:
        """An error of memtop's own: leave without a traceback; the command line keeps it."""
        self.failure = self._exception
        self._close_messages_no_wait()

    def picture(self, kind: str) -> str:
        """The screen as it is now: as text for `txt`, else as SVG."""
        from memtop.render.picture import svg

        width, height = self.size
        # Textual has no public way to ask for the lines of a screen.
        update = self.screen._compositor.render_update(
            full=True, screen_stack=self._background_screens, simplify=True
        )
        if kind == "txt":
            strips = self.screen._compositor.render_strips()
            return "\n".join(strip.text.rstrip() for strip in strips) + "\n"
        assert update is not None
        ansi = self.native_ansi_color
        background = "#14171c" if ansi else self.get_css_variables()["role-bg"]
        return svg(update, width, height, background)

    async def action_quit(self) -> None:
        """Leave; an action under way is cancelled first, and waited for."""
        if self._main.job is not None and not self._is_quitting:
            self.run_worker(self._quit_after_job())
        elif not self._is_quitting:
            self.exit()

    async def _quit_after_job(self) -> None:
        """Wait for the end of an action, but not for long: it can end without memtop."""
        self._is_quitting = True
        job = self._main.job
        if job is not None:
            job.cancel.set()
            self._main.say(f"waiting for the end of {job.action.verb}, then memtop quits")
            deadline = time.monotonic() + WAIT_WITHIN_S
            while not job.has_ended and time.monotonic() < deadline:
                await asyncio.sleep(WAIT_EVERY_S)
        self.exit()

    def stop(self) -> None:
        """End the sampling and what is being done; safe to call more than once."""
        job = self._main.job
        if job is not None:
            job.stop(0.0 if self._is_quitting else WAIT_WITHIN_S)  # then it was waited for already
        self._sampler.stop()
