"""Cells with roles on the screen: the one way in which memtop's widgets draw text.

A widget that shows cells keeps what it has drawn, and paints only the pieces that differ: over
`kubectl exec` every byte counts. Text is never markup.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from memtop.render.cells import EDGE, Cell, width_of
from memtop.render.escape import ASCII
from memtop.render.escape import cells as cell_width
from memtop.tui.themes import ROLES

MERGE_CELLS = 12  # two changes nearer than this are cheaper to paint as one
_ON_CURSOR = {"faint": "dim", "rule": "faint"}
_BLACK = Color.from_ansi(0)


class Roles(Widget):
    """A widget whose styles are those of the roles."""

    COMPONENT_CLASSES = {
        f"role--{role}" for role in (*ROLES, "strong", "clear", "heading", "sorted")
    }

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
            lit = head and on_cursor.bgcolor is not None and not on_cursor.bgcolor.is_default
            return style + Style(color=_BLACK, bgcolor=on_cursor.bgcolor) if lit else style
        style = self.get_component_rich_style(f"role--{_ON_CURSOR.get(role, role)}")
        return style + Style(bgcolor=on_cursor.bgcolor)

    def strip(self, pieces: Sequence[Cell], *, cursor: bool = False, head_end: int = 0) -> Strip:
        """Cells as a strip. On the cursor row the pieces before cell `head_end` are its head.

        Neighbours of one style become one segment, and blanks take the style before them: every
        change of style costs the terminal forty bytes.
        """
        segments: list[Segment] = []
        ascii_only = getattr(self.app, "ascii_only", False)
        x = 0
        for text, role in pieces:
            if not text:
                continue
            head = 0 < x < head_end
            x += cell_width(text)
            style = self.role_style(role, cursor, head)
            shown = text.translate(ASCII) if ascii_only else text
            if segments:
                before, style_before, _ = segments[-1]
                assert style_before is not None
                if style is style_before or (
                    text.isspace() and style.bgcolor == style_before.bgcolor
                ):
                    segments[-1] = Segment(before + shown, style_before)
                    continue
            segments.append(Segment(shown, style))
        return Strip(segments, x)


def changed_spans(old: Sequence[Cell], new: Sequence[Cell]) -> list[tuple[int, int]]:
    """Where two lines differ, as (x, width); spans that lie near each other are one."""
    spans: list[tuple[int, int]] = []
    width = max(width_of(old), width_of(new))
    if len(old) != len(new):
        return [(0, width)]
    x = 0
    for before, after in zip(old, new, strict=True):
        wide = cell_width(after[0])
        if before != after:
            if cell_width(before[0]) != wide:
                return [*spans, (x, width - x)]  # all that follows has moved
            if spans and x - (spans[-1][0] + spans[-1][1]) < MERGE_CELLS:
                spans[-1] = (spans[-1][0], x + wide - spans[-1][0])
            else:
                spans.append((x, wide))
        x += wide
    return spans


class Lines(Roles):
    """A few lines of cells with a fixed height; `show` paints what changed.

    A line that begins with the cursor's edge is drawn as the cursor row.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._pieces: list[list[Cell]] = []
        self._strips: dict[int, Strip] = {}

    def show(self, lines: list[list[Cell]]) -> None:
        """Show these lines from now on."""
        old, self._pieces = self._pieces, lines
        if len(old) != len(lines):
            self._strips.clear()
            self.refresh()
            return
        for y, (before, after) in enumerate(zip(old, lines, strict=True)):
            for x, width in changed_spans(before, after):
                self._strips.pop(y, None)
                self.refresh(Region(x, y, width, 1))

    def notify_style_update(self) -> None:
        """Draw everything anew in the new theme."""
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        """One line, as the compositor asks for it."""
        strip = self._strips.get(y)
        if strip is None or strip.cell_length != self.size.width:
            pieces = self._pieces[y] if y < len(self._pieces) else []
            cursor = pieces[:1] == [EDGE]
            strip = self.strip(pieces, cursor=cursor).adjust_cell_length(
                self.size.width, self.role_style("dim", cursor)
            )
            self._strips[y] = strip
        return strip


class Summary(Lines):
    """The two lines at the top."""


class Headings(Lines):
    """The titles of the columns; a click on one sorts by it."""

    class Clicked(Message):
        """A click at cell `x`."""

        def __init__(self, x: int) -> None:
            super().__init__()
            self.x = x

    def on_click(self, event: events.Click) -> None:
        """Which column is there only the table knows."""
        self.post_message(self.Clicked(event.x))


class KeyBar(Lines):
    """The last line: keys, and what memtop costs."""
