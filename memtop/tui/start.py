"""How the screen is started and left: on a terminal, or without one for a picture."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from memtop.config import Config, unknown_keys
from memtop.errors import MemtopError, UsageError
from memtop.model.query import View
from memtop.model.state import State
from memtop.model.tracker import Tracker
from memtop.paths import create, create_somewhere
from memtop.probe.own import is_guest
from memtop.probe.source import Source
from memtop.tui.app import MemtopApp
from memtop.tui.keys import KEYS, PRESETS
from memtop.tui.tape import Ended
from memtop.tui.terminal import as_it_was

if TYPE_CHECKING:
    from memtop.recording.session import Session


def _app(
    source: Source,
    tracker: Tracker,
    state: State,
    view: View,
    options: argparse.Namespace,
    *,
    sampling: bool,
    session: Session | None = None,
) -> MemtopApp:
    return MemtopApp(
        source,
        tracker,
        state,
        view,
        interval_s=options.interval,
        theme=options.theme,
        ascii_only=options.ascii,
        sampling=sampling,
        read_only=options.read_only,
        is_guest=source.live and is_guest(),
        portrait_root=None if options.fake else options.procfs,
        rebind=rebindings(options.settings),
        session=session,
    )


def rebindings(settings: Config) -> dict[str, str]:
    """The keys of the preset, and over them those of the file; an unknown binding is an error."""
    if error := unknown_keys(settings, [key.id for key in KEYS]):
        raise error
    return {**PRESETS[settings.preset], **settings.keys}


def run_screen(
    source: Source,
    tracker: Tracker,
    state: State,
    view: View,
    options: argparse.Namespace,
    session: Session | None = None,
) -> Sequence[Ended]:
    """Run until somebody quits; the terminal is as it was then, whatever happened.

    `session` is a recording that is to be made from the beginning. Returns those that were made.
    """
    app = _app(source, tracker, state, view, options, sampling=True, session=session)
    app.config_file = options.config
    app.mask = options.settings.mask
    return run_app(app, options)


def run_app(app: MemtopApp, options: argparse.Namespace) -> Sequence[Ended]:
    """Run an app on the terminal, as `run_screen` does."""
    try:
        with as_it_was():
            app.run(mouse=not options.no_mouse)
    except Exception as error:
        app.failure = app.failure or error
    finally:
        app.stop()
    if isinstance(app.failure, MemtopError):
        raise app.failure
    if app.failure is not None:
        raise _own_failure(app.failure)
    return app.tape.ended


def _own_failure(error: Exception) -> MemtopError:
    """An error of memtop itself: the traceback goes to a file, one sentence to the person."""
    trace = "".join(traceback.format_exception(error)).encode("utf-8", "replace")
    name = time.strftime("memtop-crash-%Y%m%dT%H%M%SZ.txt", time.gmtime())
    try:
        where = f"please report it with {create_somewhere(name, trace)}"
    except MemtopError:
        where = "the report could not be written anywhere"
    return MemtopError(
        f"stopped by an error of its own ({type(error).__name__}); no other process is harmed",
        command=where,
    )


def run_screenshot(
    source: Source,
    tracker: Tracker,
    state: State,
    view: View,
    options: argparse.Namespace,
    out: str,
) -> int:
    """Write a picture of the screen to `out`; its ending says which kind."""
    size, kind = picture_of(options, out)
    app = _app(source, tracker, state, view, options, sampling=False)
    try:
        picture = asyncio.run(_take(app, size, kind, options))
    finally:
        app.stop()
        source.close()
    write_picture(picture, kind, out, options)
    return 0


def picture_of(options: argparse.Namespace, out: str) -> tuple[tuple[int, int], str]:
    """Width and height of a picture, and its kind; UsageError if they make no sense."""
    try:
        width, _, height = options.size.lower().partition("x")
        size = (int(width), int(height))
        if not (10 <= size[0] <= 500 and 5 <= size[1] <= 300):
            raise ValueError
    except ValueError:
        raise UsageError(f"{options.size!r} is not a size such as 120x40") from None
    kind = out.rpartition(".")[2].lower()
    if kind not in ("svg", "png", "txt"):
        raise UsageError(f"{out} ends neither in .svg nor .png nor .txt")
    return size, kind


def write_picture(picture: str, kind: str, out: str, options: argparse.Namespace) -> None:
    """Write what was taken, and say where it is."""
    from memtop.render.picture import as_bytes

    create(out, as_bytes(picture, kind), force=options.force)
    print(out, file=sys.stderr)


async def press(app: MemtopApp, size: tuple[int, int], kind: str, keys: Sequence[str]) -> str:
    """Run an app without a terminal: press the keys, and take its picture."""
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
            await app.settle()
        await pilot.pause()
        return app.picture(kind)


async def _take(
    app: MemtopApp, size: tuple[int, int], kind: str, options: argparse.Namespace
) -> str:
    """Run the app without a terminal: watch, press the keys, export."""
    keys = [key for key in options.keys.split(",") if key]
    async with app.run_test(size=size) as pilot:
        begin = time.monotonic()
        ticks = max(1, round(options.watch_s / options.interval))
        for tick in range(1, ticks + 1):
            at = begin + tick * options.interval
            if not options.fake:  # a source with its own clock need not be waited for
                await asyncio.sleep(max(0.0, at - time.monotonic()))
            app.feed()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
            await app.settle()
        await pilot.pause()
        app.feed()
        await pilot.pause()
        return app.picture(kind)
