"""Words and signs for how a process or group goes: its trend, or what has become of it.

Sign, word and role of style always come together; the words are those of the contract.
"""

from __future__ import annotations

from memtop import units
from memtop.model.groups import Group
from memtop.model.state import Row, State
from memtop.render.escape import cells as cell_width

NEW_S = 60.0  # who is older than this is not new, only new to memtop
WARM = frozenset({"leak", "rising"})
SIGNS = {  # trend word: sign and role
    "leak-like": ("▲▲", "leak"),
    "rising": ("▲", "rising"),
    "steps": ("~", "text"),
    "warm-up": ("~", "text"),
    "sawtooth": ("~", "text"),
    "steady": ("=", "faint"),
    "shrinking": ("▼", "shrink"),
}
STATES = {
    "T": "stopped",
    "t": "traced",
    "D": "disk wait",
    "Z": "zombie",
    "X": "dead",
    "I": "idle",
}


def tone(word: str | None) -> str:
    """The role of what a trend colours: what grows is warm, what shrinks green, calm recedes."""
    return _TONES.get(word or "", "ink")


_TONES = {
    "leak-like": "leak",
    "rising": "rising",
    "shrinking": "shrink",
    "steady": "rule",
    "one-grows": "leak",
    "many-grow": "leak",
    "many-processes": "rising",
}


def state_words(row: Row, state: State) -> tuple[str, str, str]:
    """Sign, words and role of what is to be said about the life of a process; empty if nothing."""
    if row.ended_at is not None:
        return "×", f"ended {units.duration(state.taken_at - row.ended_at)}", "dim"
    if row.state in "ZXTt":
        return "–", STATES[row.state], "dim"
    if state.late_s > max(1.0, 2 * state.interval_s):
        return "–", f"late {units.duration(state.late_s)}", "dim"
    if row.state == "D":
        return "–", STATES["D"], "dim"
    return "", "", "faint"


def is_newborn(row: Row, state: State) -> bool:
    """Whether it is so young that nothing is known, and was born while memtop watched."""
    if row.trend.word != "new" or row.started_at is None:
        return False
    return 0 <= state.taken_at - row.started_at < min(NEW_S, state.watched_s)


def trend_words(row: Row, state: State, room: int = 40) -> tuple[str, str, str]:
    """Sign, words and role of a row's trend, in `room` cells; of its life where that says more."""
    sign, words, role = state_words(row, state)
    trend = row.trend
    waits = row.ended_at is None and row.state not in "ZXTt"  # late, or for the disk
    if sign and not (trend.is_growing and waits):
        return sign, words, role
    if trend.word == "new":
        if is_newborn(row, state):
            age_s = state.taken_at - (row.started_at or state.taken_at)
            return "~", f"new {units.duration(age_s)}", "text"
        return units.UNKNOWN, "", "faint"
    sign, role = SIGNS[trend.word]
    words = trend.word
    if trend.is_growing and trend.since_s is not None:
        words += " " + units.duration(state.clock_s - trend.since_s)
        while cell_width(words) > room and words.count(" ") > 1:
            words = words.rsplit(" ", 2)[0]
    return sign, words, role


def group_words(group: Group, state: State, room: int = 40) -> tuple[str, str, str]:
    """Sign, words and role of what was found about a group."""
    worst = state.rows.get(group.worst) if group.worst else None
    is_leak = worst is not None and worst.trend.word == "leak-like"
    if group.finding == "one-grows" and worst is not None:
        return ("▲▲", "one grows", "leak") if is_leak else trend_words(worst, state, room)
    if group.finding == "many-grow":
        return (
            ("▲▲", "many grow", "leak") if is_leak else ("▲", f"{group.growing} rising", "rising")
        )
    if group.finding == "many-processes":
        # Of the time before memtop came births are known, deaths are not.
        seen_all = group.watched_births == group.births or not group.deaths
        more = group.births - group.deaths if seen_all else 0
        words = "many processes" + (f" {units.signed(more, 0)}" if more else "")
        return "≡", words if len(words) <= room else "many processes", "rising"
    if not group.members:
        return "–", "none alive", "faint"
    if worst is not None:
        return trend_words(worst, state, room)
    if group.trend.word == "new":
        return units.UNKNOWN, "", "faint"
    sign, role = SIGNS["steady"]
    return sign, "steady", role
