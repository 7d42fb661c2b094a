"""The command `memtop replay FILE`, and pictures of a recording: the screen over what was recorded.

A picture of a recording is the same on every machine: nothing of this one is read for it, and only
settings that were named count.
"""

from __future__ import annotations

import argparse
import asyncio
import os

from memtop.config import Config
from memtop.errors import MemtopError, NoSuchProcess, UsageError
from memtop.recording.opening import Damaged
from memtop.recording.recording import Recording
from memtop.recording.seeking import seek
from memtop.viewing import view_of


def replay(options: argparse.Namespace) -> int:
    """Show the recording `options.file` until somebody quits; returns the exit code."""
    recording, tick = _open(options.file, options)
    from memtop.tui.replay import ReplayApp
    from memtop.tui.start import rebindings, run_app

    app = ReplayApp(
        recording,
        tick,
        view_of(options, fold_many=True),
        theme=options.theme,
        ascii_only=options.ascii,
        rebind=rebindings(options.settings),
    )
    app.config_file = options.config
    run_app(app, options)
    return 0


def picture(options: argparse.Namespace, out: str) -> int:
    """Write a picture of a recording to `out`; returns the exit code."""
    os.environ.pop("NO_COLOR", None)
    os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    if options.config is None:
        _forget_settings(options)
    from memtop.tui.replay import ReplayApp
    from memtop.tui.start import picture_of, press, rebindings, write_picture

    size, kind = picture_of(options, out)
    recording, tick = _open(options.recording, options)
    app = ReplayApp(
        recording,
        tick,
        view_of(options, fold_many=True),
        theme=options.theme or "dark",
        ascii_only=options.ascii,
        playing=False,
        rebind=rebindings(options.settings),
    )
    keys = [key for key in options.keys.split(",") if key]
    try:
        taken = asyncio.run(press(app, size, kind, keys))
    finally:
        app.stop()
    write_picture(taken, kind, out, options)
    return 0


def _forget_settings(options: argparse.Namespace) -> None:
    """Take back what the settings of this machine have said."""
    settings: Config = options.settings
    usual = Config()
    given = {"sort": "sort", "ascii": "ascii", "layout": "view"}
    for name, field in given.items():
        if getattr(options, name) == getattr(settings, field) and field in settings.origins:
            setattr(options, name, getattr(usual, field))
    if options.theme == settings.theme and "theme" in settings.origins:
        options.theme = None
    if options.filter == [settings.filter]:
        options.filter = []
    options.settings = usual


def _open(path: str, options: argparse.Namespace) -> tuple[Recording, int]:
    """The recording, and the sample to begin with; MemtopError says why that is not possible."""
    recording = Recording(path)
    try:
        if recording.last_tick < recording.first_tick:
            raise MemtopError(
                f"{path} holds no sample yet, so there is nothing to show",
                command=f"memtop record {path}",
            )
        if options.pid is not None:
            known = {one.identity.pid for one in recording.processes()}
            if options.pid not in known:
                raise NoSuchProcess(
                    f"there is no process {options.pid} in {path}",
                    command=f"memtop replay {path}",
                )
        tick = recording.last_tick if options.at is None else seek(recording, options.at).tick
        return recording, readable(recording, tick)
    except UsageError as error:
        recording.close()
        raise UsageError(error.message, command=f"memtop replay {path} --at end") from None
    except MemtopError:
        recording.close()
        raise


def readable(recording: Recording, tick: int) -> int:
    """A sample that can be shown: this one, or the nearest before it, or any; else Damaged."""
    failure: Damaged | None = None
    first = recording.first_tick
    steps = [tick - back for back in (0, 1, 2, 5, 10, 20, 50, 100) if tick - back >= first]
    begins = [one.tick for one in recording.segments]
    before = [one for one in reversed(begins) if one <= tick]
    for one in (*steps, *before, *(one for one in begins if one > tick)):
        try:
            recording.state(one)
        except Damaged as error:
            failure = error
        else:
            return one
    raise failure or Damaged(f"{recording.path} is damaged: no sample can be read")
