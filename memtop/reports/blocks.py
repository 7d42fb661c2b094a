"""What a report is laid out of before it is text or Markdown: headings, sentences, tables, lists.

Texts are as they were measured, also where they hold control characters or signs of Markdown:
whoever writes makes them safe.
"""

from __future__ import annotations

from typing import NamedTuple


class Head(NamedTuple):
    """A heading; of level 1 there is one."""

    text: str
    level: int = 2


class Say(NamedTuple):
    """A sentence or several; `strong`: the one that counts."""

    text: str
    strong: bool = False


class Listed(NamedTuple):
    """Sentences, each behind a label; one with an empty label belongs to the one before it."""

    items: tuple[tuple[str, str], ...]


class Table(NamedTuple):
    """Rows below headings; `right`: the columns that are aligned at the right, `flexible` the one
    that is cut where there is no room; the last one may take several lines."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()
    flexible: int = 0


class Picture(NamedTuple):
    """A picture beside the report: its file, and what it shows."""

    file: str
    text: str


Block = Head | Say | Listed | Table | Picture
