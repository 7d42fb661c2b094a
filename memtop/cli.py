"""The command line: what is asked for, of which source, and the exit code.

It imports neither Textual nor Rich nor psutil: `ps`, `--help` and `--version` must be quick.
Data goes to stdout, everything else to stderr. Exit codes: see `memtop.errors`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from memtop import __version__
from memtop.columns import BY_ID, COLUMNS
from memtop.config import default_text, find, load, wrong
from memtop.errors import FilterError, MemtopError, NoSuchProcess, UsageError
from memtop.model.filter import parse as parse_filter
from memtop.model.query import VIEWS, View, arrange
from memtop.model.state import State
from memtop.model.tracker import Tracker
from memtop.probe.sample import Wanted
from memtop.probe.source import Source
from memtop.units import parse_duration_s

LEAST_INTERVAL_S = 0.1
SETTLE_S = 2.0  # how long `ps` waits for command lines that a process's own lock holds back
COLOR_SYSTEMS = {"16": "standard", "256": "256", "truecolor": "truecolor"}


def entry() -> NoReturn:
    """The console command: run, and end even if a thread of a library hangs on a dead terminal."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started memtop
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115
    code = main()
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _output_failed(error)
    stuck = [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    for thread in stuck:
        thread.join(timeout=0.3)
    if any(thread.is_alive() for thread in stuck):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run memtop with these arguments; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        options = _parse(arguments)
        _settle(options)
        return int(options.run(options))
    except MemtopError as error:
        return _fail(error, as_json="--json" in arguments)
    except BrokenPipeError:
        # The reader (head, less) has gone: no more can be said to it, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _output_failed(error)
    except KeyboardInterrupt:
        return 130


def _output_failed(error: OSError) -> int:
    """Nothing more can be written to stdout, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _fail(MemtopError(f"cannot write the output: {error.strerror}"), as_json=False)


def _fail(error: MemtopError, *, as_json: bool) -> int:
    if as_json:
        right = getattr(error, "right", None)
        reason = {"reason": error.message, "right": right, "command": error.command}
        print(json.dumps({"memtop": __version__, "error": reason}))
    print(f"memtop: {error.message}", file=sys.stderr)
    if isinstance(error, FilterError):
        print(f"        {error.text}\n        {' ' * error.position}^", file=sys.stderr)
    if error.command:
        print(f"        {error.command}", file=sys.stderr)
    return error.exit_code


# -- arguments ---------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are memtop's."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message, command=f"{self.prog} --help")


def _parse(arguments: list[str]) -> argparse.Namespace:
    commands: dict[str, Callable[[], _Parser]] = {"ps": _ps_parser, "screenshot": _shot_parser}
    if arguments and arguments[0] in commands:
        return commands[arguments[0]]().parse_args(arguments[1:])
    return _screen_parser().parse_args(arguments)


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


def _duration(text: str) -> float:
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _interval(text: str) -> float:
    seconds = _duration(text)
    if seconds < LEAST_INTERVAL_S:
        raise argparse.ArgumentTypeError(f"{text} is less than {LEAST_INTERVAL_S} s")
    return seconds


def _column(text: str) -> str:
    if text not in BY_ID:
        names = " ".join(column.id for column in COLUMNS)
        raise argparse.ArgumentTypeError(f"no column {text!r}; there are {names}")
    return BY_ID[text].id


def _columns(text: str) -> tuple[str, ...]:
    return tuple(_column(name) for name in text.split(","))


def _common(prog: str, description: str) -> _Parser:
    parser = _Parser(prog=prog, description=description, allow_abbrev=False)
    parser.add_argument(
        "filter", nargs="*", metavar="FILTER", help="what to show; see ? in the screen"
    )
    parser.add_argument("--interval", type=_interval, metavar="S", help="between samples (1s)")
    parser.add_argument("--config", metavar="FILE", help="settings; --print-config writes all")
    parser.add_argument(
        "--procfs", default="/proc", metavar="DIR", help="read another tree than /proc"
    )
    parser.add_argument("--pid", type=int, metavar="PID", help="only this process and all below it")
    parser.add_argument("--python", action="store_true", help="only Python processes")
    parser.add_argument(
        "--color",
        choices=("auto", "16", "256", "truecolor", "never"),
        default="auto",
        help="colours to use (auto: what the terminal says)",
    )
    parser.add_argument("--sort", type=_column, metavar="COLUMN", help="order by")
    parser.add_argument(
        "--ascii", action="store_true", default=None, help="nothing but ASCII characters"
    )
    parser.add_argument("--fake", metavar="N[:M]", help=argparse.SUPPRESS)
    parser.set_defaults(all=False, columns=None, json=False, watch_s=0.0, layout=None)
    return parser


def _screen_parser() -> _Parser:
    parser = _common(
        "memtop",
        "Whose memory grows, as a live tree in which every row shows its last ten minutes. "
        "Commands: memtop ps, memtop screenshot (each has --help).",
    )
    parser.add_argument("--version", action="version", version=f"memtop {__version__}")
    parser.add_argument(
        "--print-config", action="store_true", help="write all settings with their defaults"
    )
    _screen_options(parser)
    parser.set_defaults(run=_run_screen)
    return parser


def _screen_options(parser: _Parser) -> None:
    parser.add_argument("--theme", choices=("dark", "light", "ansi"), help="colours of the screen")
    parser.add_argument("--read-only", action="store_true", help="no key acts on a process")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
    parser.add_argument("--view", dest="layout", choices=VIEWS, help="grouping")


def _ps_parser() -> _Parser:
    parser = _common("memtop ps", "Print the processes once, as text or JSON.")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--for",
        dest="watch_s",
        type=_duration,
        default=0.0,
        metavar="TIME",
        help="watch that long first, so that rates exist (20s at least)",
    )
    parser.add_argument(
        "--columns", type=_columns, metavar="A,B", help="columns of the text, comma-separated"
    )
    parser.add_argument("--all", action="store_true", help="kernel threads, too")
    parser.set_defaults(run=_run_ps)
    return parser


def _shot_parser() -> _Parser:
    parser = _common("memtop screenshot", "A picture of the real screen, made without a terminal.")
    _screen_options(parser)
    parser.add_argument("--size", default="120x40", metavar="WxH", help="cells (120x40)")
    parser.add_argument(
        "--keys", default="", metavar="A,B", help='keys pressed first: "down,enter"'
    )
    parser.add_argument(
        "--for",
        dest="watch_s",
        type=_duration,
        default=2.0,
        metavar="TIME",
        help="watch that long first (2s)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    parser.usage = "memtop screenshot OUT.svg|OUT.png|OUT.txt [FILTER] [options]"
    parser.set_defaults(run=_run_screenshot)
    return parser


# -- commands ----------------------------------------------------------------------------------


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
        from memtop.probe.procfs import ProcfsSource

        return ProcfsSource(options.procfs, mask=options.settings.mask)
    from memtop.probe.portable import PortableSource

    return PortableSource(mask=options.settings.mask)


def _view(options: argparse.Namespace) -> View:
    return View(
        filter=parse_filter(" ".join(options.filter)),
        sort=options.sort,
        layout=options.layout,
        kernel=options.all,
        python=options.python,
        top_pid=options.pid,
        columns=options.settings.columns,
    )


def _check_pid(options: argparse.Namespace, state: State) -> None:
    living = {row.pid for row in state.rows.values() if row.ended_at is None}
    if options.pid is not None and options.pid not in living:
        raise NoSuchProcess(f"there is no process {options.pid}", command="memtop ps")


def _run_ps(options: argparse.Namespace) -> int:
    from memtop.render.report import TEXT_COLUMNS, ps_json, ps_text

    view = _view(options)
    source = _open_source(options)
    columns = options.columns or TEXT_COLUMNS
    dear = view.dear | {name for name in columns if BY_ID[name].dear}
    wanted = Wanted(all_usage=options.json or bool(dear), all_cpu=True, pss="pss" in dear)
    try:
        state = _watch(source, Tracker(options.interval, source.own), wanted, options)
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


def _watch(source: Source, tracker: Tracker, wanted: Wanted, options: argparse.Namespace) -> State:
    """Sample for as long as asked; the last state has all facts that could be read."""
    begin = time.monotonic()
    tracker.feed(source.sample(wanted))
    ticks = round(options.watch_s / options.interval + 0.4999)
    for tick in range(1, ticks + 1):
        at = begin + min(tick * options.interval, options.watch_s)
        time.sleep(max(0.0, at - time.monotonic()))
        tracker.feed(source.sample(wanted))
    source.settle(SETTLE_S)
    return tracker.feed(source.sample(wanted))  # with what the slow readers have brought


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
        return _run_ps(options)
    _prepare_screen(options)
    view = _view(options)
    source = _open_source(options)
    tracker = Tracker(options.interval, source.own)
    # Sampled before Textual is imported: the first frame has data, the second one rates.
    state = tracker.feed(source.sample(Wanted()))
    _check_pid(options, state)

    from memtop.tui.start import run_screen

    return run_screen(source, tracker, state, view, options)


def _run_screenshot(options: argparse.Namespace) -> int:
    if not options.filter:
        raise UsageError("no file to write", command="memtop screenshot OUT.svg")
    out, *words = options.filter
    if options.settings.filter == out:
        raise UsageError("no file to write", command="memtop screenshot OUT.svg")
    options.filter = words
    _prepare_screen(options)
    view = _view(options)
    source = _open_source(options)
    tracker = Tracker(options.interval, source.own)
    state = tracker.feed(source.sample(Wanted()))
    _check_pid(options, state)

    from memtop.tui.start import run_screenshot

    return run_screenshot(source, tracker, state, view, options, out)
