"""Keys and signs, made from the tables that make the keys work."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.geometry import Size
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip

from memtop import __version__
from memtop.render.cells import Cell
from memtop.render.escape import fit
from memtop.tui import keys
from memtop.tui.widgets.lines import KeyBar, Lines, Roles

LIVE_KEYS = keys.table_of("live")
LEFT, RIGHT = ("Move", "Replay", "Keep"), ("See", "Act", "Filter")  # where there is room for two
FILTER_HELP = (
    ("worker redis", "both words, in name or command"),
    ("python,uvicorn", "either of them"),
    ("!test", "not this one"),
    ("/pool_\\d+$/", "a regular expression"),
    ("rss>500m cpu>=50%", "columns; k m g, %, s m h"),
    ("user=root,www", "a column with alternatives"),
    ("python growing", "a Python process; rising or leak-like"),
    ("role=worker", "role, trend, framework, pod, container, …"),
)
READING = (
    ("▁▂▄▆▇", "rising", "growth above the lowest of 10 minutes;"),
    ("", "dim", "full height: at least 4 % of the size, and 16 MiB"),
    ("▁▁▁▁▁", "rule", "steady: less than that is a hairline"),
    ("+6.1", "rising", "Δ: the floor of RSS rose by 6.1 MiB a minute,"),
    ("", "dim", "over the last 60 s; – before 20 s"),
    ("▲▲", "leak", "leak-like: its floor keeps rising, and RSS is exact"),
    ("▲", "rising", "rising: too young to tell from a leak"),
    ("≡", "rising", "many processes of one parent, none grows"),
    ("~", "text", "warm-up, sawtooth, steps, new: no leak"),
    ("40 ×", "dim", "the workers of one parent: sum and finding"),
    ("Σ 12", "dim", "a folded row: sum of 12, the line of the worst"),
    ("× ended", "dim", "stays for 30 s"),
)


def help_lines(width: int, table: Sequence[keys.Key] = LIVE_KEYS) -> list[list[Cell]]:
    """The help in as many columns as fit."""
    blocks = {section: _key_block(section, table) for section in keys.SECTIONS}
    blocks["Filter"] = [[("Filter", "strong")], *([_pair(k, 19, t) for k, t in FILTER_HELP])]
    reading: list[list[Cell]] = [[("How to read", "strong")]]
    reading += [[(" " + fit(sign, 9), role), (text, "dim")] for sign, role, text in READING]
    if width < 110:
        every = [*blocks.values(), reading]
        return [line for block in every if block for line in [*block, []]]
    left = [line for name in LEFT if blocks[name] for line in [*blocks[name], []]][:-1]
    right = [line for name in RIGHT if blocks[name] for line in [*blocks[name], []]][:-1]
    half = 56
    lines = []
    for index in range(max(len(left), len(right))):
        first = left[index] if index < len(left) else []
        second = right[index] if index < len(right) else []
        used = sum(len(text) for text, _ in first)
        lines.append([*first, (" " * max(1, half - used), "dim"), *second])
    return [*lines, [], *reading]


def _key_block(section: str, table: Sequence[keys.Key]) -> list[list[Cell]]:
    keys_here = [_pair(key.label, 7, key.help) for key in table if key.section == section]
    return [[(section, "strong")], *keys_here] if keys_here else []


def _pair(label: str, width: int, text: str) -> list[Cell]:
    return [(" " + fit(label, width) + " ", "accent"), (text, "dim")]


class HelpText(Roles, ScrollView, can_focus=True):
    """The text, scrolled where it does not fit."""

    def on_resize(self, event: events.Resize) -> None:
        """Lay it out anew."""
        table = getattr(self.app, "key_table", LIVE_KEYS)
        self.text_lines = help_lines(self.size.width, table)
        self.virtual_size = Size(self.size.width, len(self.text_lines))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line."""
        place = y + self.scroll_offset.y
        lines = getattr(self, "text_lines", [])
        pieces = [(" ", "dim"), *lines[place]] if place < len(lines) else []
        return self.strip(pieces).adjust_cell_length(self.size.width, self.role_style("dim"))


class HelpScreen(Screen[None]):
    """Keys and signs."""

    BINDINGS = [
        Binding("escape,question_mark,f1,q", "leave", "back", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def compose(self) -> ComposeResult:
        """Title, text, the way back."""
        yield Title()
        yield HelpText()
        yield KeyBar()

    def on_mount(self) -> None:
        """Focus the text, so that the arrows scroll it."""
        self.query_one(HelpText).focus()

    def on_resize(self, event: events.Resize) -> None:
        """Title and keys fill the width."""
        width = event.size.width
        title = f" memtop {__version__}   keys and signs"
        self.query_one(Title).show(
            [[(title, "strong")], [("─" * width, "rule")]]  # the rule goes from edge to edge
        )
        keys_here: list[Cell] = [(" Esc", "accent"), (" back   ", "dim")]
        self.query_one(KeyBar).show([[*keys_here, ("↑ ↓", "accent"), (" scroll", "dim")]])

    def action_leave(self) -> None:
        """Back to the table."""
        if self.is_current:
            self.dismiss()

    def action_scroll(self, by: int) -> None:
        """Scroll by a line."""
        self.query_one(HelpText).scroll_relative(y=by, animate=False)


class Title(Lines):
    """The heading of the help."""

    DEFAULT_CSS = "Title { height: 2; }"
