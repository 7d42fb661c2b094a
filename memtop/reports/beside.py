"""The sheet and the document of two recordings side by side; the later one is told in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from memtop import units
from memtop.probe.parse import as_unicode
from memtop.reports.blocks import Block, Head, Listed, Picture, Say, Table
from memtop.reports.comparison import Comparison, Pair, lines_of
from memtop.reports.document import final_json, report_json, slope_json
from memtop.reports.report import Report
from memtop.reports.sheet import sheet_of, when
from memtop.reports.subject import Subject
from memtop.reports.words import brief, settling, slope

MOST_PAIRS = 12


def comparison_sheet(comparison: Comparison, pictures: Sequence[Picture] = ()) -> list[Block]:
    """Headline, both recordings by name and time, the pairs; then the report of the later one."""
    before, after = comparison.before, comparison.after
    sheet: list[Block] = [
        Head(f"memtop report: {after.name} compared with {before.name}", 1),
        Say(comparison.headline, True),
        Listed((("before", _named(before)), ("after", _named(after)))),
    ]
    if comparison.is_swapped:
        sheet.append(
            Say(
                "Mind the order: what is called before here was recorded after the other one. "
                f"memtop report {before.name} --compare {after.name} has it the other way round.",
                True,
            )
        )
    sheet += [
        Say(f"Damaged: {one.damage}.", True) for one in (before, after) if one.damage is not None
    ]
    sheet += _pairs(comparison)
    rest = sheet_of(after, pictures)
    return [*sheet, Head("After"), *rest[2:]]


def _named(report: Report) -> str:
    return f"{report.name}: {when(report)}"


def _pairs(comparison: Comparison) -> Iterator[Block]:
    shown = lines_of(comparison, MOST_PAIRS)
    yield Head("Before and after")
    if shown:
        headings = ("process or group", "", "verdict", "begin → end", "slope", "last quarter")
        rows = [row for pair in shown for row in _rows(pair)]
        yield Table(headings, tuple(rows))
    steady = sum(one.outcome == "steady" for one in comparison.pairs)
    hidden = len(comparison.pairs) - steady - len(shown)
    words = []
    if hidden:
        words.append(f"{hidden} more that differ")
    if steady:
        words.append(f"{steady} {'more ' if shown else ''}grow in neither of the two")
    if words:
        yield Say("; ".join(words) + ".")


def _rows(pair: Pair) -> Iterator[tuple[str, ...]]:
    name = f"{brief(pair.name, 32)}{' (group)' if pair.is_group else ''}"
    for which, one in (("before", pair.before), ("after", pair.after)):
        is_first = which == "before"
        cells = (name if is_first else "", which, "" if is_first else pair.outcome)
        yield (*cells, *_figures(one))


def _figures(one: Subject | None) -> tuple[str, str, str]:
    if one is None:
        return "is not there", units.UNKNOWN, units.UNKNOWN
    shown = one.slope
    return (
        f"{units.size(one.first_kib)} → {units.size(one.last_kib)}",
        f"{len(one.steps)} steps" if one.steps else slope(shown) if shown else units.UNKNOWN,
        settling(one),
    )


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The document of the later one, with `compare` in it: the earlier one and the pairs."""
    return {
        **report_json(comparison.after),
        "compare": {
            "headline": as_unicode(comparison.headline),
            "swapped": comparison.is_swapped,
            "before": report_json(comparison.before),
            "pairs": [
                {
                    "name": as_unicode(pair.name),
                    "role": pair.role,
                    "group": pair.is_group,
                    "verdict": pair.outcome,
                    "before": _side(pair.before),
                    "after": _side(pair.after),
                }
                for pair in comparison.pairs
            ],
        },
    }


def _side(one: Subject | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "pid": one.pid,
        "grows": one.grows,
        "slope": slope_json(one.shown),
        "final_quarter": final_json(one.final),
        "highest_rss_bytes": one.highest_kib * 1024,
        "change_bytes": one.change_kib * 1024,
    }
