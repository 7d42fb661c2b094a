"""The one table of keys: bindings, footer, help screen and the README's list are made from it.

Lower case never acts on a process. An id is what a config file rebinds; it never changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from textual.binding import Binding, BindingType

from memtop.actions.table import ACTIONS

Where = Literal["live", "replay"]


@dataclass(frozen=True, slots=True)
class Key:
    """One thing to do. `label` is how the keys are written; `footer` its word there, if any.

    One that `acts` changes processes: with --read-only it does not exist. `only`: it exists only
    over living processes, or only in a replay; `replay_keys` and `replay_help` are others that it
    has there.
    """

    id: str
    keys: str
    label: str
    action: str
    help: str
    section: str
    footer: str = ""
    stays: bool = False
    acts: bool = False
    only: Where | None = None
    replay_keys: str = ""
    replay_help: str = ""


SECTIONS = ("Move", "Replay", "See", "Keep", "Act")

REPLAY_KEYS: tuple[Key, ...] = (
    Key("play", "p", "p", "play", "play, and pause", "Replay", "play", only="replay"),
    Key("back", "comma", ",", "step(-1)", "one sample back", "Replay", only="replay"),
    Key("step", "full_stop", ".", "step(1)", "one sample on", "Replay", only="replay"),
    Key("slower", "less_than_sign", "<", "speed(-1)", "half the speed", "Replay", only="replay"),
    Key(
        "faster",
        "greater_than_sign",
        ">",
        "speed(1)",
        "twice the speed, up to ×1024",
        "Replay",
        only="replay",
    ),
    Key(
        "previous_event",
        "left_curly_bracket",
        "{",
        "event(-1)",
        "mark, action, OOM kill or leak before",
        "Replay",
        only="replay",
    ),
    Key(
        "next_event",
        "right_curly_bracket",
        "}",
        "event(1)",
        "the next one",
        "Replay",
        only="replay",
    ),
    Key(
        "jump",
        "colon",
        ":",
        "jump",
        "go to a time, a mark, end, oom, rise, …",
        "Replay",
        "go to",
        only="replay",
    ),
)

KEYS: tuple[Key, ...] = (
    Key("up", "up,k", "↑ k", "move(-1)", "one row up", "Move"),
    Key("down", "down,j", "↓ j", "move(1)", "one row down", "Move"),
    Key("page_up", "pageup,ctrl+b", "PgUp", "page(-1)", "one page up", "Move"),
    Key("page_down", "pagedown,ctrl+f", "PgDn", "page(1)", "one page down", "Move"),
    Key("first", "home", "Home", "edge(-1)", "first row", "Move"),
    Key("last", "end", "End", "edge(1)", "last row", "Move"),
    Key("fold", "left,h,minus", "← h", "fold(True)", "fold, or go to the parent", "Move"),
    Key("unfold", "right,l,plus", "→ l", "fold(False)", "unfold", "Move"),
    Key("detail", "enter", "Enter", "detail", "detail of the process", "Move", "detail"),
    Key("next_tab", "tab", "Tab", "tab(1)", "next pane of the detail", "Move"),
    Key("previous_tab", "shift+tab", "S-Tab", "tab(-1)", "previous pane", "Move"),
    Key("escape", "escape", "Esc", "escape", "one level up: action, detail, filter, tags", "Move"),
    *REPLAY_KEYS,
    Key("filter", "slash,f4", "/", "filter", "filter as you type", "See", "filter", stays=True),
    Key("sort", "s,f6", "s", "choose_sort", "sort by …", "See", "sort"),
    Key("invert", "I", "I", "invert", "turn the order round", "See"),
    Key("by_memory", "M", "M", "sort('rss')", "sort by memory", "See"),
    Key("by_growth", "G", "G", "sort('rate')", "sort by growth", "See"),
    Key("by_cpu", "P", "P", "sort('cpu')", "sort by CPU", "See"),
    Key("by_pid", "N", "N", "sort('pid')", "sort by PID", "See"),
    Key("view", "v,f5", "v", "view", "tree, by container, by user, flat", "See", "view"),
    Key(
        "anatomy",
        "a",
        "a",
        "anatomy",
        "what memory is made of; again: what changed",
        "See",
        "anatomy",
        replay_help="what memory was made of, as it was seen then",
    ),
    Key(
        "objects",
        "o",
        "o",
        "objects",
        "objects by type (census); again: what grew",
        "See",
        "objects",
        replay_help="objects by type, as they were counted then",
    ),
    Key(
        "difference",
        "D",
        "D",
        "difference",
        "objects: what grew since the last",
        "See",
        "difference",
        only="live",
    ),
    Key(
        "diagnose",
        "d",
        "d",
        "diagnose",
        "why it grows, and what to do: looks for 30 s",
        "See",
        "why",
        replay_help="why it grew, as it was said then",
    ),
    Key("follow", "F", "F", "follow", "follow this process", "See"),
    Key(
        "pause",
        "p",
        "p",
        "pause",
        "pause the view; sampling goes on",
        "See",
        "pause",
        only="live",
    ),
    Key(
        "longer",
        "right_square_bracket",
        "]",
        "window(1)",
        "longer window of the chart; in the log older",
        "See",
    ),
    Key(
        "shorter",
        "left_square_bracket",
        "[",
        "window(-1)",
        "shorter window; in the log newer",
        "See",
    ),
    Key("tag", "space", "Space", "tag", "tag, and go down", "Keep", "tag"),
    Key("untag", "U", "U", "untag", "untag all", "Keep"),
    Key(
        "baseline",
        "r",
        "r",
        "baseline",
        "column Δ SINCE R; of answers Δ from now on",
        "Keep",
        "since",
    ),
    Key("mark", "m", "m", "mark", "mark this moment on all charts", "Keep", "mark"),
    Key(
        "record", "R", "R", "record", "record to a file; again: end", "Keep", "record", only="live"
    ),
    Key("copy_row", "y", "y", "copy_row", "copy the row", "Keep"),
    Key("copy_report", "Y", "Y", "copy_report", "copy the report", "Keep"),
    Key("save", "w", "w", "save", "save picture and report", "Keep", "save"),
    Key("trim", "T", "T", "act('trim')", ACTIONS["trim"].help, "Act", "trim", acts=True),
    Key("gc", "C", "C", "act('gc')", ACTIONS["gc"].help, "Act", "gc", acts=True),
    Key(
        "snapshot",
        "S",
        "S",
        "act('snapshot')",
        ACTIONS["snapshot"].help,
        "Act",
        "snapshot",
        acts=True,
    ),
    Key("signal", "K,f9", "K", "signal", "send a signal: asks first", "Act", "signal", acts=True),
    Key(
        "palette",
        "colon,ctrl+p",
        ":",
        "palette",
        "every command by name",
        "Keep",
        replay_keys="ctrl+p",
    ),
    Key("help", "question_mark,f1", "?", "help", "this help", "Keep", "help", stays=True),
    Key("quit", "q,ctrl+c,f10", "q", "quit", "quit", "Keep", "quit", stays=True),
)

FOOTER_ORDER = (
    "filter",
    "sort",
    "detail",
    "diagnose",
    "anatomy",
    "objects",
    "trim",
    "gc",
    "tag",
    "view",
    "pause",
    "save",
    "mark",
    "record",
    "signal",
    "baseline",
    "help",
    "quit",
)
# In a replay what moves the time cursor goes first; keys that belong together have one word.
REPLAY_FOOTER = (
    ("play", ""),
    ("back step", "step"),
    ("previous_event next_event", "event to event"),
    ("jump", ""),
    ("detail", ""),
    ("slower faster", "speed"),
    ("shorter longer", "window"),
    ("mark", ""),
    ("filter", ""),
    ("sort", ""),
    ("diagnose", ""),
    ("anatomy", ""),
    ("objects", ""),
    ("save", ""),
    ("help", ""),
    ("quit", ""),
)
# While the inside of a process is on show, by tab: other keys in other words.
INSIDE_FOOTERS = {
    "anatomy": (
        ("anatomy", "read again"),
        ("baseline", "new baseline"),
        ("objects", ""),
        ("diagnose", ""),
        ("trim", ""),
        ("gc", ""),
        ("next_tab", "next pane"),
        ("save", ""),
        ("escape", "back"),
        ("help", ""),
        ("quit", ""),
    ),
    "objects": (
        ("objects", "read again"),
        ("difference", ""),
        ("snapshot", ""),
        ("baseline", "new baseline"),
        ("sort", ""),
        ("filter", ""),
        ("escape", "back"),
        ("anatomy", ""),
        ("diagnose", ""),
        ("gc", ""),
        ("save", ""),
        ("help", ""),
        ("quit", ""),
    ),
    "why": (
        ("diagnose", "ask again"),
        ("anatomy", ""),
        ("objects", ""),
        ("trim", ""),
        ("gc", ""),
        ("escape", "back"),
        ("next_tab", "next pane"),
        ("save", ""),
        ("help", ""),
        ("quit", ""),
    ),
}


# What other programs' users press; a preset changes only these bindings.
PRESETS: dict[str, dict[str, str]] = {
    "": {},
    "vim": {
        "last": "end,ctrl+e",
        "page_down": "pagedown,ctrl+f,ctrl+d",
        "page_up": "pageup,ctrl+b,ctrl+u",
        "unfold": "right,l,o,plus",
    },
    "htop": {
        "filter": "f4,backslash,slash",
        "sort": "f6,greater_than_sign,s",
        "view": "f5,t,v",
        "invert": "I",
        "untag": "U",
        "tag": "space",
        "signal": "f9,K",
        "help": "f1,question_mark",
        "quit": "f10,q",
    },
}
_WRITTEN = {
    "slash": "/",
    "question_mark": "?",
    "colon": ":",
    "space": "Space",
    "enter": "Enter",
    "escape": "Esc",
    "tab": "Tab",
    "backslash": "\\",
    "greater_than_sign": ">",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "home": "Home",
    "end": "End",
    "plus": "+",
    "minus": "-",
}


ACTING = frozenset(key.action.partition("(")[0] for key in KEYS if key.acts)


def table_of(where: Where = "live") -> tuple[Key, ...]:
    """The keys that there are over living processes, or in a replay."""
    made = (key for key in KEYS if key.only in (None, where))
    if where == "live":
        return tuple(made)
    return tuple(_in_replay(key) for key in made)


def _in_replay(key: Key) -> Key:
    if key.replay_keys:
        key = replace(key, keys=key.replay_keys, label=_label(key.replay_keys))
    return replace(key, help=key.replay_help) if key.replay_help else key


def in_replay(changes: Mapping[str, str]) -> dict[str, str]:
    """Keys for some bindings without those that mean something of its own in a replay."""
    taken = {
        one
        for key in REPLAY_KEYS
        for one in changes.get(key.id, key.keys).split(",")
        if key.only == "replay"
    }
    made: dict[str, str] = {}
    for id_, pressed in changes.items():
        is_own = any(key.id == id_ for key in REPLAY_KEYS)
        left = [one for one in pressed.split(",") if is_own or one not in taken]
        if left:
            made[id_] = ",".join(left)
    return made


def rebound(
    changes: Mapping[str, str], *, read_only: bool = False, where: Where = "live"
) -> tuple[Key, ...]:
    """The table with other keys for some bindings, and their labels; read-only none that acts."""
    return tuple(
        replace(key, keys=changes[key.id], label=_label(changes[key.id]))
        if key.id in changes
        else key
        for key in table_of(where)
        if not (key.acts and (read_only or where == "replay"))
    )


def _label(pressed: str) -> str:
    first = pressed.split(",")[0]
    if first in _WRITTEN:
        return _WRITTEN[first]
    return first.upper() if re.fullmatch(r"f\d+", first) else first


def bindings(where: Where = "live") -> list[BindingType]:
    """The table as Textual bindings.

    They have priority, so that keys which arrive together (pasted, or over a slow line) act one
    after the other: `/` opens the filter before what follows is typed into it.
    """
    return [
        Binding(key.keys, key.action, key.help, show=False, id=key.id, priority=True)
        for key in table_of(where)
        if key.id != "quit"
    ]


def quit_binding() -> list[BindingType]:
    """Quit, which works wherever the focus is: ctrl+c always, q except while typing."""
    key = next(key for key in KEYS if key.id == "quit")
    return [
        Binding("ctrl+c", "quit", key.help, show=False, priority=True),
        Binding("q,f10", "quit", key.help, show=False, id=key.id),
    ]


def footer(
    table: Sequence[Key] = KEYS, tab: str = "", where: Where = "live"
) -> list[tuple[str, str, bool]]:
    """Key, word and whether it always stays, in order of use; those for a `tab` on show."""
    by_id = {key.id: key for key in table}
    order = INSIDE_FOOTERS.get(tab) or tuple((id_, "") for id_ in FOOTER_ORDER)
    if where == "replay":
        order = REPLAY_FOOTER
    made = []
    for ids, word in order:
        shown = [by_id[id_] for id_ in ids.split() if id_ in by_id]
        if shown:
            label = " ".join(key.label for key in shown)
            made.append((label, word or shown[0].footer, shown[0].stays))
    return made


def acting(table: Sequence[Key] = KEYS) -> tuple[tuple[str, str], ...]:
    """The keys that act on processes, each with its word."""
    return tuple((key.label, key.footer) for key in table if key.acts)
