"""The commands that look: the screen, `ps`, `record`, `replay`, and pictures of the screen.

They lay the command line over the settings, choose the source and take the samples. Neither
Textual nor Rich nor psutil is imported before it is needed. Data goes to stdout.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from typing import TYPE_CHECKING

from memtop.columns import BY_ID
from memtop.config import default_text, find, load, wrong
from memtop.errors import FilterError, MemtopError, NoSuchProcess, UsageError
from memtop.model.filter import parse as parse_filter
from memtop.model.query import View, arrange
from memtop.model.state import State
from memtop.model.tracker import Tracker
from memtop.model.trends import statm_error_kib
from memtop.probe.sample import Wanted
from memtop.probe.source import Source
from memtop.viewing import view_of

if TYPE_CHECKING:
    from memtop.recording.session import Session

SETTLE_S = 2.0  # how long `ps` waits for command lines that a process's own lock holds back
COLOR_SYSTEMS = {"16": "standard", "256": "256", "truecolor": "truecolor"}


def run(options: argparse.Namespace) -> int:
    """Run `screen`, `ps`, `record`, `replay` or `screenshot`; returns the exit code."""
    _settle(options)
    return _COMMANDS[options.command](options)


def _settle(options: argparse.Namespace) -> None:
    """Lay the command line over the settings of environment and file; errors name their place."""
    if getattr(options, "print_config", False):
        return
    config = load(find(os.environ, options.config), os.environ)
    options.settings = config
    try:
        parse_filter(config.filter)
    except FilterError as error:
        what = f"{error.message} (at {error.position + 1})"
        raise wrong(config, "filter", what) from None
    if not options.filter and config.filter:
        options.filter = [config.filter]
    for name, value in (
        ("interval", config.interval_s),
        ("sort", config.sort),
        ("ascii", config.ascii),
        ("layout", config.view),
        ("theme", None if config.theme == "auto" else config.theme),
    ):
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    if hasattr(options, "no_mouse"):
        options.no_mouse = options.no_mouse or not config.mouse


def _open_source(options: argparse.Namespace) -> Source:
    if options.fake:
        from memtop.probe.fake import crowd

        count, _, changing = options.fake.partition(":")
        if not (count.isdecimal() and (changing or "0").isdecimal()):
            raise UsageError("--fake takes two numbers such as 100:5")
        return crowd(int(count), changing=int(changing or 0), step_s=options.interval)
    if not options.procfs:
        raise UsageError("--procfs needs a folder", command="memtop --procfs /proc")
    if sys.platform == "linux" or options.procfs != "/proc":
        from memtop.probe.own import give_way, is_guest
        from memtop.probe.procfs import ProcfsSource

        if options.procfs == "/proc" and is_guest():
            give_way()
        return ProcfsSource(options.procfs, cgroupfs=options.cgroupfs, mask=options.settings.mask)
    from memtop.probe.portable import PortableSource

    return PortableSource(mask=options.settings.mask)


def _check_pid(options: argparse.Namespace, state: State) -> None:
    living = {row.pid for row in state.rows.values() if row.ended_at is None}
    if options.pid is not None and options.pid not in living:
        raise NoSuchProcess(f"there is no process {options.pid}", command="memtop ps")


def _run_ps(options: argparse.Namespace) -> int:
    from memtop.render.report import TEXT_COLUMNS, ps_json, ps_text

    view = view_of(options)
    source = _open_source(options)
    columns = options.columns or TEXT_COLUMNS
    dear = view.dear | {name for name in columns if BY_ID[name].dear}
    wanted = Wanted(all_usage=options.json or bool(dear), all_cpu=True, pss="pss" in dear)
    try:
        state = _watch(source, _tracker(source, options), wanted, options)
    finally:
        source.close()
    _check_pid(options, state)
    made = arrange(state, view)
    if options.json:
        print(json.dumps(ps_json(state, made)))
    else:
        width = _terminal_width() if sys.stdout.isatty() else None
        text = ps_text(state, made, columns=columns, width=width, ascii_only=options.ascii)
        if sys.stdout.encoding.lower().replace("-", "") not in ("utf8", "utf8mb4"):
            text = text.encode("ascii", "backslashreplace").decode()
        print(text)
    return 0


def _tracker(source: Source, options: argparse.Namespace) -> Tracker:
    """A tracker for this source; how far statm may be off goes with the machine's CPUs."""
    error_kib = statm_error_kib(os.cpu_count() or 1) if source.live else 0
    return Tracker(options.interval, source.own, statm_error_kib=error_kib, top_pid=options.pid)


def _watch(source: Source, tracker: Tracker, wanted: Wanted, options: argparse.Namespace) -> State:
    """Sample for as long as asked; the last state has all facts that could be read."""
    begin = time.monotonic()
    tracker.feed(source.sample(tracker.ask(wanted)))
    ticks = round(options.watch_s / options.interval + 0.4999)
    for tick in range(1, ticks + 1):
        at = begin + min(tick * options.interval, options.watch_s)
        time.sleep(max(0.0, at - time.monotonic()))
        tracker.feed(source.sample(tracker.ask(wanted)))
    source.settle(SETTLE_S)
    # With what the slow readers have brought.
    return tracker.feed(source.sample(tracker.ask(wanted)))


def _terminal_width() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except OSError:
        return 80


def _prepare_screen(options: argparse.Namespace) -> None:
    """What Textual reads from the environment while it is imported."""
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    for stale in ("COLUMNS", "LINES"):  # exported by some shells; the terminal itself knows better
        os.environ.pop(stale, None)
    if options.color in COLOR_SYSTEMS:
        os.environ["TEXTUAL_COLOR_SYSTEM"] = COLOR_SYSTEMS[options.color]
    elif options.color == "never":
        os.environ["NO_COLOR"] = "1"
    for stream in (sys.__stderr__, sys.__stdout__):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def _is_terminal() -> bool:
    """Whether a screen can be drawn: Textual reads stdin and draws on stderr."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    on_terminal = all(stream is not None and stream.isatty() for stream in streams)
    return on_terminal and os.environ.get("TERM", "dumb") not in ("dumb", "")


def _run_screen(options: argparse.Namespace) -> int:
    if options.print_config:
        print(default_text(), end="")
        return 0
    if not _is_terminal():
        if options.record is not None:
            command = f"memtop record {options.record}"
            raise UsageError("there is no terminal for a screen to record beside", command=command)
        return _run_ps(options)
    session = _open_session(options)
    try:
        started = _start_screen(options, session)
    except MemtopError:
        if session is not None:
            session.close()
            if session.is_new:
                os.unlink(session.path)  # it is ours and empty
        raise

    from memtop.tui.start import run_screen

    made = run_screen(*started, options, session)
    if made:
        from memtop.noting import say_end

        for path, samples in made:
            say_end(path, samples)
    return 0


def _open_session(options: argparse.Namespace) -> Session | None:
    """The recording that is to be made beside the screen, if one is."""
    if options.record is None:
        return None
    from memtop.recording.session import beside_screen

    root = None if options.fake else options.procfs
    return beside_screen(options.record, options.interval, root)


def _start_screen(
    options: argparse.Namespace, session: Session | None = None
) -> tuple[Source, Tracker, State, View]:
    """What a screen begins with, sampled before Textual is imported: so the first frame has data,
    and the second one rates. A recording that is gone on with knows how processes grew before."""
    _prepare_screen(options)
    view = view_of(options, fold_many=True)
    source = _open_source(options)
    tracker = _tracker(source, options)
    if session is not None and not session.is_new:
        from memtop.noting import going_on

        source, _ = going_on(session, source, tracker, options.interval)
    state = tracker.feed(source.sample(Wanted()))
    _check_pid(options, state)
    return source, tracker, state, view


def _run_screenshot(options: argparse.Namespace) -> int:
    if not options.filter:
        raise UsageError("no file to write", command="memtop screenshot OUT.svg")
    out, *words = options.filter
    if options.settings.filter == out:
        raise UsageError("no file to write", command="memtop screenshot OUT.svg")
    options.filter = words
    if options.recording is not None:
        from memtop.replaying import picture

        return picture(options, out)
    if options.at is not None:
        raise UsageError("--at is a time of a recording", command="add --from FILE")
    started = _start_screen(options)

    from memtop.tui.start import run_screenshot

    return run_screenshot(*started, options, out)


def _run_record(options: argparse.Namespace) -> int:
    from memtop.noting import record

    if not options.filter or options.settings.filter == options.filter[0]:
        raise UsageError("no file to write", command="memtop record FILE.memtop")
    options.file, *options.filter = options.filter
    view = view_of(options)
    source = _open_source(options)
    return record(source, _tracker(source, options), view.filter, options)


def _run_replay(options: argparse.Namespace) -> int:
    from memtop.replaying import replay

    if not options.filter or options.settings.filter == options.filter[0]:
        raise UsageError("no recording to show", command="memtop replay FILE.memtop")
    options.file, *options.filter = options.filter
    if not _is_terminal():
        raise UsageError(
            "replay needs a terminal", command=f"memtop screenshot OUT.txt --from {options.file}"
        )
    _prepare_screen(options)
    return replay(options)


_COMMANDS = {
    "screen": _run_screen,
    "ps": _run_ps,
    "screenshot": _run_screenshot,
    "record": _run_record,
    "replay": _run_replay,
}
