"""The arguments of the command line: what can be said, and what is wrong with it.

An option that was not given is None, so that the settings can fill it in. Times are in seconds.
Only the command that is asked for imports the tables that its arguments come from.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Literal

from memtop import __version__
from memtop.errors import UsageError
from memtop.units import parse_duration_s

Acting = Literal["trim", "gc", "snapshot"]
Looking = Literal["anatomy", "census"]
ACTING: tuple[Acting, ...] = ("trim", "gc", "snapshot")  # commands that run inside a process
LOOKING: tuple[Looking, ...] = ("anatomy", "census")  # commands that look inside one


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are memtop's."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message, command=f"{self.prog} --help")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of a command line; `command` is `screen`, or the command that it names."""
    commands: dict[str, Callable[[], _Parser]] = {"ps": _ps_parser, "screenshot": _shot_parser}
    commands |= {name: partial(_looking_parser, name) for name in LOOKING}
    commands |= {name: partial(_acting_parser, name) for name in ACTING}
    commands["diff"] = _diff_parser
    commands["diagnose"] = _diagnose_parser
    commands |= {"record": _record_parser, "mark": _mark_parser, "replay": _replay_parser}
    commands["report"] = _report_parser
    if arguments and arguments[0] in commands:
        return commands[arguments[0]]().parse_args(_joined(arguments[1:]))
    return _screen_parser().parse_args(arguments)


def _joined(arguments: list[str]) -> list[str]:
    """With `--at -90s` in one word, which would be taken for an option."""
    made = list(arguments)
    if "--at" in made[:-1]:
        place = made.index("--at")
        made[place : place + 2] = [f"--at={made[place + 1]}"]
    return made


def _duration(text: str) -> float:
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _interval(text: str) -> float:
    from memtop.config import LEAST_INTERVAL_S

    seconds = _duration(text)
    if seconds < LEAST_INTERVAL_S:
        raise argparse.ArgumentTypeError(f"{text} is less than {LEAST_INTERVAL_S} s")
    return seconds


def _column(text: str) -> str:
    from memtop.columns import BY_ID, COLUMNS

    if text not in BY_ID:
        names = " ".join(column.id for column in COLUMNS)
        raise argparse.ArgumentTypeError(f"no column {text!r}; there are {names}")
    return BY_ID[text].id


def _columns(text: str) -> tuple[str, ...]:
    return tuple(_column(name) for name in text.split(","))


def _pid(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:20])):
        raise argparse.ArgumentTypeError(f"{text!r} is not a PID, a positive number")
    return int(text[:20])


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:20])):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text[:20])


def _common(prog: str, description: str, *, samples: bool = True) -> _Parser:
    """Options of all that shows or records processes; `samples`: of this or another /proc."""
    parser = _Parser(prog=prog, description=description, allow_abbrev=False)
    parser.add_argument(
        "filter", nargs="*", metavar="FILTER", help="what to show; see ? in the screen"
    )
    parser.add_argument("--config", metavar="FILE", help="settings; --print-config writes all")
    if samples:
        _sampling_options(parser)
    else:
        parser.set_defaults(interval=None, procfs="/proc", cgroupfs=None, fake=None)
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
    parser.set_defaults(all=False, columns=None, json=False, watch_s=0.0, layout=None)
    return parser


def _sampling_options(parser: _Parser) -> None:
    parser.add_argument("--interval", type=_interval, metavar="S", help="between samples (1s)")
    parser.add_argument(
        "--procfs", default="/proc", metavar="DIR", help="read another tree than /proc"
    )
    parser.add_argument(
        "--cgroupfs", metavar="DIR", help="read memory cgroups below this folder, nowhere else"
    )
    parser.add_argument("--fake", metavar="N[:M]", help=argparse.SUPPRESS)


def _screen_parser() -> _Parser:
    parser = _common(
        "memtop",
        "Whose memory grows, as a live tree in which every row shows its last ten minutes. "
        "Commands: memtop ps, memtop anatomy, memtop census, memtop trim, memtop gc, "
        "memtop snapshot, memtop diff, memtop diagnose, memtop record, memtop mark, "
        "memtop replay, memtop report, memtop screenshot (each has --help).",
    )
    parser.add_argument("--version", action="version", version=f"memtop {__version__}")
    parser.add_argument(
        "--print-config", action="store_true", help="write all settings with their defaults"
    )
    _screen_options(parser)
    parser.add_argument(
        "--record",
        metavar="FILE",
        help="record all that is sampled from the beginning; R ends it. A recording that exists is"
        " gone on with",
    )
    parser.set_defaults(command="screen")
    return parser


def _screen_options(parser: _Parser) -> None:
    from memtop.config import VIEWS

    parser.add_argument("--theme", choices=("dark", "light", "ansi"), help="colours of the screen")
    parser.add_argument("--read-only", action="store_true", help="no key acts on a process")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
    parser.add_argument("--view", dest="layout", choices=VIEWS, help="grouping")


def _ps_parser() -> _Parser:
    parser = _common("memtop ps", "Print the processes once, as text or JSON.")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    _for_option(parser, "watch that long first, so that rates exist (20s at least)")
    parser.add_argument(
        "--columns", type=_columns, metavar="A,B", help="columns of the text, comma-separated"
    )
    parser.add_argument("--all", action="store_true", help="kernel threads, too")
    parser.set_defaults(command="ps")
    return parser


def _shot_parser() -> _Parser:
    parser = _common("memtop screenshot", "A picture of the real screen, made without a terminal.")
    _screen_options(parser)
    parser.add_argument("--size", default="120x40", metavar="WxH", help="cells (120x40)")
    parser.add_argument(
        "--keys", default="", metavar="A,B", help='keys pressed first: "down,enter"'
    )
    _for_option(parser, "watch that long first (2s)", default_s=2.0)
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    parser.add_argument(
        "--from",
        dest="recording",
        metavar="FILE",
        help="of a recording: the same file and options make the same picture anywhere",
    )
    _at_option(parser)
    parser.usage = "memtop screenshot OUT.svg|OUT.png|OUT.txt [FILTER] [options]"
    parser.set_defaults(command="screenshot")
    return parser


def _record_parser() -> _Parser:
    parser = _common(
        "memtop record",
        "Record without a screen, until ctrl+c or for a time. A recording that exists is gone on "
        "with. The file is complete at any time and may be copied while it is written.",
    )
    parser.add_argument(
        "--duration",
        dest="duration_s",
        type=_duration,
        default=0.0,
        metavar="TIME",
        help="for that long (until ctrl+c)",
    )
    parser.add_argument(
        "--exact", action="store_true", help="every change of memory, not only those of 64 KiB"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    parser.usage = "memtop record FILE [FILTER] [options]"
    parser.set_defaults(command="record")
    return parser


def _at_option(parser: _Parser) -> None:
    parser.add_argument(
        "--at",
        metavar="TIME",
        help="of the recording: 14:03, 14:03:22, +5m from its start, -90s from its end, start, "
        "end, oom, leak, rise, highest, or words of a mark (end)",
    )


def _replay_parser() -> _Parser:
    parser = _common(
        "memtop replay",
        "The screen over a recording, with a time cursor: it begins at the end, paused; p plays, "
        ": goes to a time, { and } go from event to event.",
        samples=False,
    )
    _at_option(parser)
    _screen_options(parser)
    parser.usage = "memtop replay FILE [FILTER] [options]"
    parser.set_defaults(command="replay")
    return parser


def _mark_parser() -> _Parser:
    parser = _Parser(
        prog="memtop mark",
        description="Mark this moment in a recording, also while another memtop writes to it.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="a recording")
    parser.add_argument("text", nargs="+", metavar="TEXT", help='such as "level 8"')
    parser.set_defaults(command="mark")
    return parser


def _report_parser() -> _Parser:
    parser = _Parser(
        prog="memtop report",
        description="What a recording says: who grew, how fast and how surely, why, what came with "
        "which mark. A PID is watched first, with all below it.",
        allow_abbrev=False,
    )
    parser.add_argument("what", metavar="FILE|PID", help="a recording, or a process of this host")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--md", dest="markdown", action="store_true", help="as Markdown")
    parser.add_argument(
        "--compare",
        metavar="BEFORE",
        help="the recording from before the fix; FILE is the one from after it",
    )
    parser.add_argument(
        "--save",
        metavar="OUT",
        help="write it to OUT.md, OUT.json or OUT.txt; to Markdown belong pictures, OUT-1.svg …",
    )
    parser.add_argument("--force", action="store_true", help="overwrite files")
    _for_option(parser, "watch a PID that long (30s); the longer, the surer", default_s=30.0)
    parser.add_argument(
        "--interval", type=_interval, metavar="S", help="between samples of a PID (0.5s, long 1s)"
    )
    parser.add_argument(
        "--pid", type=_pid, metavar="PID", help="only this process and all below it"
    )
    parser.add_argument("--python", action="store_true", help="only Python processes")
    parser.set_defaults(command="report")
    return parser


_LOOKS = {
    "anatomy": "What the resident memory of a process is made of. Nothing in it is changed.",
    "census": "Python's objects by type, counted in the memory of a process. Nothing in it is"
    " changed; of large ones a sample is counted.",
}


def _looking_parser(name: Looking) -> _Parser:
    parser = _Parser(prog=f"memtop {name}", description=_LOOKS[name], allow_abbrev=False)
    parser.add_argument("pid", type=_pid, metavar="PID", help="a process of this host")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    _for_option(parser, "look again after that long, and show what has changed", dest="wait_s")
    if name == "census":
        _top_option(parser)
        parser.add_argument("--full", action="store_true", help="all objects, not a sample")
        parser.add_argument(
            "--budget",
            dest="budget_s",
            type=_duration,
            metavar="TIME",
            help="count for that long at most, and say how much was counted",
        )
        _save_option(parser)
        parser.add_argument("--force", action="store_true", help="overwrite the file")
    _record_option(parser)
    parser.set_defaults(command=name)
    return parser


def _for_option(
    parser: _Parser, what: str, *, default_s: float = 0.0, dest: str = "watch_s"
) -> None:
    parser.add_argument(
        "--for", dest=dest, type=_duration, default=default_s, metavar="TIME", help=what
    )


def _record_option(parser: _Parser, more: str = "") -> None:
    what = "add the answer to a recording, also to a new one"
    parser.add_argument("--record", metavar="FILE", help=what + more)


def _top_option(parser: _Parser) -> None:
    parser.add_argument(
        "--top", type=_number, metavar="N", help="so many types (text: 20, JSON: all)"
    )


def _save_option(parser: _Parser) -> None:
    parser.add_argument("--save", metavar="FILE", help="keep it for memtop diff, as JSON")


def _diff_parser() -> _Parser:
    parser = _Parser(
        prog="memtop diff",
        description="What grew between two censuses or two snapshots that --save has kept.",
        allow_abbrev=False,
    )
    parser.add_argument("before", metavar="A", help="the earlier file")
    parser.add_argument("after", metavar="B", help="the later one")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    _top_option(parser)
    parser.set_defaults(command="diff")
    return parser


def _diagnose_parser() -> _Parser:
    parser = _Parser(
        prog="memtop diagnose",
        description="Why memory grows: watch a process and all below it, look into whose memory it "
        "is, and say the likeliest cause with its proof and the next step. Nothing in any process "
        "is changed.",
        allow_abbrev=False,
    )
    parser.add_argument("pid", type=_pid, metavar="PID", help="a process, or the root of a tree")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    _for_option(parser, "watch that long (30s); the longer, the surer", default_s=30.0)
    _record_option(parser, "; what it knows of the process counts as watched")
    parser.set_defaults(command="diagnose")
    return parser


def _acting_parser(name: Acting) -> _Parser:
    from memtop.actions.table import ACTIONS

    prog = f"memtop {name}"
    parser = _Parser(prog=prog, description=ACTIONS[name].does, allow_abbrev=False)
    many = 1 if name == "snapshot" else "+"
    parser.add_argument("pids", nargs=many, type=_pid, metavar="PID", help="a process of this host")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--force",
        action="store_true",
        help="also where a refusal says that this is possible"
        + (", and overwrite the file" if name == "snapshot" else ""),
    )
    if name == "trim":
        parser.add_argument(
            "--no-predict",
            dest="predict",
            action="store_false",
            help="leave out what is expected to come back",
        )
    if name == "snapshot":
        _top_option(parser)
        parser.add_argument(
            "--budget",
            dest="budget_s",
            type=_duration,
            metavar="TIME",
            help="hold the interpreter for that long at most, and say that it was cut",
        )
        _save_option(parser)
    _record_option(parser)
    parser.set_defaults(command=name)
    return parser
