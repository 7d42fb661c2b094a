"""The command `memtop report FILE|PID`: what a recording says, as text, Markdown or JSON.

A PID is watched for a while first, into a recording that is removed again. The report goes to
stdout or to a file, with pictures beside it; progress and complaints to stderr. Times in seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from memtop.console import PIPED_WIDTH, fitting, say, sheet_width
from memtop.errors import MemtopError, UsageError
from memtop.paths import create
from memtop.recording.recording import Recording
from memtop.reports import markdown, text
from memtop.reports.beside import comparison_json, comparison_sheet
from memtop.reports.blocks import Block, Picture
from memtop.reports.comparison import Comparison, compare
from memtop.reports.document import report_json
from memtop.reports.report import Report, report_of
from memtop.reports.sheet import sheet_of

if TYPE_CHECKING:
    from memtop.reports.pictures import Shot

SCREEN = 120, 40  # cells of a picture
FARTHEST = 60  # rows from the top; whoever is farther away is shown in a flat list
KINDS = {".md": "md", ".json": "json", ".txt": "text"}


def run(options: argparse.Namespace) -> int:
    """Report on a file or a process; returns the exit code."""
    kind = _kind(options)
    if options.compare is not None and options.pid is not None:
        raise UsageError(
            f"--pid {options.pid} is of one recording, the other one has other PIDs",
            command=f"memtop report {options.what} --compare {options.compare} --python",
        )
    if options.save is not None:
        _check_free(options.save, force=options.force)
    if _is_pid(options.what):
        from memtop.observing import observed

        with observed(int(options.what), options) as (path, name, code):
            report = replace(_read(path, options), path=name)
            _tell(options, kind, report, path)
        return code
    report = _read(options.what, options)
    _tell(options, kind, report, options.what)
    return 0


def _is_pid(what: str) -> bool:
    """Whether a PID is meant; a file that is called by a number is `./4711`."""
    return what.isascii() and what.isdigit() and len(what) < 20


def _kind(options: argparse.Namespace) -> str:
    """In which form it is written: what was said, else what the file's name ends with."""
    said = "json" if options.json else "md" if options.markdown else None
    if options.save is None:
        return said or "text"
    ending = KINDS.get(os.path.splitext(options.save)[1].lower())
    if ending is None and said is None:
        raise UsageError(
            f"{options.save} ends neither in .md nor .json nor .txt",
            command=f"memtop report {options.what} --save {options.save}.md",
        )
    if said is not None and ending is not None and said != ending:
        raise UsageError(f"{options.save} is not a file for --{said}")
    return said or ending or "text"


def _check_free(path: str, *, force: bool) -> None:
    if os.path.lexists(path) and not force:
        raise MemtopError(
            f"{path} exists and is left as it is", command="add --force to overwrite it"
        )


def _open(path: str, options: argparse.Namespace) -> Recording:
    """The recording, or what of it is asked for."""
    if options.pid is None and not options.python:
        return Recording(path)
    from memtop.reports.narrowed import Narrowed

    return Narrowed(path, pid=options.pid, python=options.python)


def _read(path: str, options: argparse.Namespace) -> Report:
    with _open(path, options) as recording:
        return report_of(recording)


def _tell(options: argparse.Namespace, kind: str, report: Report, path: str) -> None:
    """Write it to where it was asked for."""
    comparison = None
    if options.compare is not None:
        comparison = compare(_read(options.compare, options), report)
    pictures: list[Picture] = []
    if options.save is not None and kind == "md" and report.first_at is not None:
        pictures = _pictures(options, path, report)
    if kind == "json":
        document = comparison_json(comparison) if comparison else report_json(report)
        _put(options, json.dumps(document) + "\n")
        return
    sheet = _sheet(report, comparison, pictures)
    if kind == "md":
        _put(options, markdown.write(sheet))
    else:
        width = sheet_width(sys.stdout) if options.save is None else PIPED_WIDTH
        _put(options, text.write(sheet, width))


def _sheet(
    report: Report, comparison: Comparison | None, pictures: Sequence[Picture]
) -> list[Block]:
    return comparison_sheet(comparison, pictures) if comparison else sheet_of(report, pictures)


def _put(options: argparse.Namespace, content: str) -> None:
    if options.save is None:
        sys.stdout.write(fitting(content, sys.stdout))
        sys.stdout.flush()
        return
    create(options.save, content.encode("utf-8", "replace"), force=options.force)
    say(options.save, sys.stderr)


def _pictures(options: argparse.Namespace, path: str, report: Report) -> list[Picture]:
    """Write pictures beside the report: the chart of all of it, the screen at telling moments."""
    from memtop.reports.pictures import chart_of, telling_shots

    with _open(path, options) as recording:
        made = [(chart_of(recording, report), "the memory of those that changed most")]
    made += [(screen(path, shot), shot.text) for shot in telling_shots(report)]
    stem = os.path.splitext(options.save)[0]
    pictures: list[Picture] = []
    for number, (content, words) in enumerate(made, 1):
        file = create(
            f"{stem}-{number}.svg", content.encode("utf-8", "replace"), force=options.force
        )
        pictures.append(Picture(file.name, words))
    return pictures


def screen(path: str, shot: Shot) -> str:
    """The screen over a recording at a moment, as SVG, with the detail of whose it is."""
    import asyncio

    os.environ.pop("NO_COLOR", None)
    os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    from memtop.model.query import View, arrange
    from memtop.tui.replay import ReplayApp
    from memtop.tui.start import press

    recording = Recording(path)
    try:
        tick = recording.tick_at(shot.at)
        view, keys = View(fold_many=True), ["enter"]
        lines = arrange(recording.state(tick), view).lines
        # A member of a group that is folded is shown by it.
        keyed = (n for n, one in enumerate(lines) if shot.whose in (one.key, *one.members[1:]))
        place = min(keyed, default=0, key=lambda n: lines[n].key != shot.whose)
        if place > FARTHEST:
            view, place = View(fold_many=True, layout="flat"), 0
        keys = ["down"] * place + keys
        app = ReplayApp(recording, tick, view, theme="dark", ascii_only=False, playing=False)
    except MemtopError:
        recording.close()
        raise
    try:
        return asyncio.run(press(app, SCREEN, "svg", keys))
    finally:
        app.stop()
