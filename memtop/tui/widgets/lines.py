"""Cells with roles on the screen: the one way in which memtop's widgets draw text.

A widget that shows cells keeps what it has drawn, and paints only the pieces that differ: over
`kubectl exec` every byte counts. Text is never markup.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from memtop.render.cells import Cell
from memtop.render.escape import ASCII
from memtop.tui.themes import ROLES

MERGE_CELLS = 12  # two changes nearer than this are cheaper to paint as one
_ON_CURSOR = {"faint": "dim", "rule": "faint"}
_BLACK = Color.from_ansi(0)


class Roles(Widget):
    """A widget whose styles are those of the roles."""

    COMPONENT_CLASSES = {f"role--{role}" for role in (*ROLES, "strong")}

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._styles_of_roles: dict[tuple[str, bool, bool], Style] = {}

    def notify_style_update(self) -> None:
        """The theme changed: nothing that was drawn holds any more."""
        super().notify_style_update()
        self._styles_of_roles = {}

    def role_style(self, role: str, cursor: bool = False, head: bool = False) -> Style:
        """The style of a role, on the cursor row if `cursor`; `head` are its PID and PROCESS."""
        key = (role, cursor, head)
        style = self._styles_of_roles.get(key)
        if style is None:
            style = self._styles_of_roles[key] = self._make_style(role, cursor, head)
        return style

    def _make_style(self, role: str, cursor: bool, head: bool) -> Style:
        style = self.get_component_rich_style(f"role--{role}")
        if not cursor:
            return style
        on_cursor = self.get_component_rich_style("role--cursor")
        if self.app.native_ansi_color:
            # Sixteen colours: a background below the name only, the rest stays readable.
            return style + Style(color=_BLACK, bgcolor=on_cursor.bgcolor) if head else style
        style = self.get_component_rich_style(f"role--{_ON_CURSOR.get(role, role)}")
        return style + Style(bgcolor=on_cursor.bgcolor)

    def strip(self, pieces: Sequence[Cell], *, cursor: bool = False, head_end: int = 0) -> Strip:
        """Cells as a strip. On the cursor row the pieces before cell `head_end` are its head."""
        segments, x = [], 0
        ascii_only = getattr(self.app, "ascii_only", False)
        for text, role in pieces:
            if not text:
                continue
            shown = text.translate(ASCII) if ascii_only else text
            segments.append(Segment(shown, self.role_style(role, cursor, 0 < x < head_end)))
            x += len(text) if text.isascii() else cell_len(text)
        return Strip(segments, x)


def changed_spans(old: Strip, new: Strip) -> list[tuple[int, int]]:
    """Where two strips differ, as (x, width); spans that lie near each other are one."""
    spans: list[tuple[int, int]] = []
    if len(list(old)) != len(list(new)):
        return [(0, max(old.cell_length, new.cell_length))]
    x = 0
    for before, after in zip(old, new, strict=True):
        width = after.cell_length
        if before != after:
            if before.cell_length != width:
                return [(0, max(old.cell_length, new.cell_length))]
            if spans and x - (spans[-1][0] + spans[-1][1]) < MERGE_CELLS:
                spans[-1] = (spans[-1][0], x + width - spans[-1][0])
            else:
                spans.append((x, width))
        x += width
    return spans


class Lines(Roles):
    """A few lines of cells with a fixed height; `show` paints what changed."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._pieces: list[list[Cell]] = []
        self._drawn: list[Strip] = []

    def show(self, lines: list[list[Cell]]) -> None:
        """Show these lines from now on."""
        strips = [self.strip(pieces) for pieces in lines]
        same_height = len(strips) == len(self._drawn)
        old, self._drawn, self._pieces = self._drawn, strips, lines
        if not same_height:
            self.refresh()
            return
        for y, (before, after) in enumerate(zip(old, strips, strict=True)):
            for x, width in changed_spans(before, after):
                self.refresh(Region(x, y, width, 1))

    def notify_style_update(self) -> None:
        """Draw everything anew in the new theme."""
        super().notify_style_update()
        if self._pieces:
            self._drawn = [self.strip(pieces) for pieces in self._pieces]

    def render_line(self, y: int) -> Strip:
        """One line, as the compositor asks for it."""
        blank = Strip.blank(self.size.width, self.role_style("dim"))
        if y >= len(self._drawn):
            return blank
        return self._drawn[y].adjust_cell_length(self.size.width, self.role_style("dim"))


class Summary(Lines):
    """The two lines at the top."""


class Headings(Lines):
    """The titles of the columns."""


class KeyBar(Lines):
    """The last line: keys, and what memtop costs."""
