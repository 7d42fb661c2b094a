"""A sheet as Markdown (CommonMark with the tables of GitHub), safe whatever processes are called.

Signs that Markdown or HTML give a meaning are escaped, control characters made visible: a name can
neither end a table, nor become a link, an image or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from memtop.render.escape import visible
from memtop.reports.blocks import Block, Head, Listed, Picture, Say, Table

_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;"}  # GitHub tells who is @named
# What has a meaning anywhere, what only begins an address, and what only begins a line.
_SIGNS = re.compile(
    r"[\\`*_\[\]<>&|~$@]|(?<=[a-z]):(?=//)|(?<=www)\.|^#|^[-+=](?=\s|[-=]*$)|^\d+[.)]"
)


def escaped(text: str) -> str:
    """The text as Markdown that shows just that."""
    return _SIGNS.sub(_escape, visible(text).strip())


def _escape(match: re.Match[str]) -> str:
    signs = match[0]
    if signs in _ENTITIES:
        return _ENTITIES[signs]
    return f"{signs[:-1]}\\{signs[-1]}"


def write(sheet: Sequence[Block]) -> str:
    """The sheet as Markdown."""
    parts: list[str] = []
    for block in sheet:
        if isinstance(block, Head):
            parts.append(f"{'#' * block.level} {escaped(block.text)}")
        elif isinstance(block, Say):
            text = escaped(block.text)
            parts.append(f"**{text}**" if block.strong else text)
        elif isinstance(block, Listed):
            parts.append("\n".join(_items(block)))
        elif isinstance(block, Table):
            parts.append("\n".join(_table(block)))
        elif isinstance(block, Picture):
            parts.append(f"![{escaped(block.text)}]({_address(block.file)})")
    return "\n\n".join(parts) + "\n"


def _items(block: Listed) -> list[str]:
    lines: list[str] = []
    for label, text in block.items:
        begin = f"**{escaped(label)}** " if label.strip() else ""
        nested = "" if label.strip() or not lines else "  "
        lines.append(f"{nested}- {begin}{escaped(text)}")
    return lines


def _table(block: Table) -> list[str]:
    rule = ["---:" if place in block.right else ":---" for place in range(len(block.headings))]
    rows = [block.headings, *block.rows]
    made = ["| " + " | ".join(escaped(value) or " " for value in row) + " |" for row in rows]
    return [made[0], "|" + "|".join(rule) + "|", *made[1:]]


def _address(file: str) -> str:
    """The name of a file as the address of a link."""
    from urllib.parse import quote

    return quote(file.encode("utf-8", "surrogateescape"))
