"""What was found out while it was recorded, shown as it was said then; nothing is found out anew.

Results after the time cursor do not exist yet. Keys that look into a living process show what was
seen of it, or say that nobody looked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from memtop.actions.result import ActionId
from memtop.anatomy.objects import Objects
from memtop.anatomy.result import Anatomy
from memtop.kept import recalled
from memtop.model.groups import Group
from memtop.model.log import Entry, Log
from memtop.model.state import Row, State
from memtop.probe.sample import Identity
from memtop.recording.recording import Event, Result
from memtop.render.counted import Counted
from memtop.render.finding import Reasons, Verdict
from memtop.render.inside import Inside
from memtop.render.tabs import ANATOMY, OBJECTS, WHY
from memtop.tui.player import Player
from memtop.tui.screens.main import MainScreen
from memtop.tui.telling import entry_of
from memtop.tui.verdicts import Concluded
from memtop.units import clock

if TYPE_CHECKING:
    from memtop.kept import Answer

HERE = "this is a recording"
KINDS = {ANATOMY: ("anatomy",), OBJECTS: ("census", "snapshot"), WHY: ("diagnose",)}
LOOKS = {
    ANATOMY: ("Nobody looked into {}", "Nobody had looked into {}"),
    OBJECTS: ("Nobody counted the objects of {}", "Nobody had counted the objects of {}"),
    WHY: ("Nobody asked why of {}", "Nobody had asked why of {}"),
}
ACTION_S = 5.0  # between the event of an action and its result
MOST_RESULTS = 8  # of one process that are gone through


class Recalling(MainScreen):
    """The part of a replay's screen that knows what was found out, and when."""

    player: Player

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._answers: dict[int, Answer | None] = {}  # by the number of the result
        self._recalled: dict[Identity, tuple[int, ...]] = {}  # which results are on show
        self._logged: tuple[int, int] = (-1, -1)

    # -- keys that need a living process ---------------------------------------------------

    def action_act(self, action_id: ActionId) -> None:
        """Nothing can be done to a process of a recording."""
        self.say(f"{action_id} needs a living process; {HERE}", warning=True)

    def action_signal(self) -> None:
        """Nor can it be sent a signal."""
        self.say(f"a signal needs a living process; {HERE}", warning=True)

    def action_anatomy(self) -> None:
        """What was seen of its memory."""
        self.open_inside(ANATOMY)

    def action_objects(self) -> None:
        """What was counted of its objects."""
        self.open_inside(OBJECTS)

    def action_diagnose(self) -> None:
        """What was said of why."""
        self.open_inside(WHY)

    # -- results up to the cursor ----------------------------------------------------------

    def _results_of(self, tab: str, identity: Identity) -> tuple[list[Result], float | None]:
        """The results of a process for a tab up to the cursor, and when the next one came."""
        at = self._shown.taken_at
        found: list[Result] = []
        for result in self.player.results:
            if result.kind not in KINDS[tab] or not self._is_about(result, identity):
                continue
            if result.at > at:
                return found, result.at
            found.append(result)
        return found, None

    def _is_about(self, result: Result, identity: Identity) -> bool:
        """Whether a result is of a process; a verdict also of that whose memory it is about."""
        if result.identity == identity:
            return True
        if result.kind != "diagnose":
            return False
        answer = self._answer(result)
        return isinstance(answer, Verdict) and answer.first.pid == identity.pid

    def _answer(self, result: Result) -> Answer | None:
        if result.number not in self._answers:
            self._answers[result.number] = recalled(result)
        return self._answers[result.number]

    def _recall(self, identity: Identity) -> None:
        """Let the panes know what was known of a process at the time of the cursor."""
        results: list[Result] = []
        for tab in KINDS:
            results += self._results_of(tab, identity)[0][-MOST_RESULTS:]
        numbers = tuple(one.number for one in results)
        if self._recalled.get(identity) == numbers:
            return
        self._recalled[identity] = numbers
        for kept in (self.answers, self.tallies, self.concluded):
            kept.forget(identity)
        for result in results:
            answer = self._answer(result)
            if isinstance(answer, Anatomy):
                self.answers.of(identity).take(answer)
            elif isinstance(answer, Verdict):
                self.concluded.of(identity)[:] = [Concluded(answer)]
            elif (objects := _objects_of(answer)) is not None:
                rss = self._rss_bytes(identity, result.at)
                self.tallies.of(identity).take(objects, rss, to_last=True)

    def _rss_bytes(self, identity: Identity, at: float) -> int | None:
        """What a process had at a time."""
        raise NotImplementedError

    def _off_words(self, tab: str, row: Row) -> str:
        """That nobody looked, or had not yet."""
        never, not_yet = LOOKS[tab]
        _, later = self._results_of(tab, row.identity)
        if later is None:
            return f"{never.format(row.pid)} while this was recorded."
        return f"{not_yet.format(row.pid)} yet; somebody did at {clock(later)}."

    # -- for the panes ---------------------------------------------------------------------

    def _why_off(self, row: Row) -> str:
        return HERE

    def _off(self, row: Row) -> str:
        return HERE

    def _label(self, key_id: str) -> str:
        """No pane offers a key: nothing can be read."""
        return ""

    def note_happenings(self, state: State) -> None:
        """What happened is in the recording."""

    def rebase(self) -> bool:
        """What was said then stays as it was."""
        return False

    def rebase_objects(self) -> bool:
        """The same."""
        return False

    def inside_of(self, row: Row) -> Inside:
        """What was seen of the memory of a process by then."""
        self._recall(row.identity)
        self._recall_objects(row)
        made = super().inside_of(row)
        return replace(made, off="" if made.answer else self._off_words(ANATOMY, row))

    def _recall_objects(self, row: Row) -> None:
        known = self.tallies.known.get(row.identity)
        if known is not None and known.shown.newest is None:
            self.tallies.forget(row.identity)

    def counted_of(self, row: Row) -> Counted:
        """What was counted of its objects by then."""
        self._recall(row.identity)
        made = super().counted_of(row)
        return replace(made, off="" if made.answer else self._off_words(OBJECTS, row))

    def reasons_of(self, row: Row, group: Group | None) -> Reasons:
        """What was said by then of why; on its own tab also what was said of those above."""
        asked = self._asked(row, group)
        self._recall(asked.identity)
        made = super().reasons_of(row, group)
        if made.verdict is None and self.pane.tab == WHY:
            for above in self._above(asked):
                self._recall(above.identity)
                if above.identity in self.concluded.known:
                    made = super().reasons_of(above, None)
                    break
        off = "" if made.verdict else self._off_words(WHY, asked)
        return replace(made, off=off, labels={})

    def _above(self, row: Row) -> list[Row]:
        """Those above a process, the nearest one first."""
        parents = {
            child: parent for parent, below in self._shown.children.items() for child in below
        }
        made: list[Row] = []
        identity = parents.get(row.identity)
        while identity is not None and len(made) < len(parents):
            if (above := self._shown.rows.get(identity)) is not None:
                made.append(above)
            identity = parents.get(identity)
        return made

    def _known(self, row: Row, group: Group | None) -> Verdict | None:
        """What follows from figures alone was not kept."""
        return None

    # -- the log ---------------------------------------------------------------------------

    def note_log(self) -> None:
        """Let the log hold what was done and what happened up to the cursor."""
        at = self._shown.taken_at
        events = [one for one in self.player.events if one.at <= at]
        results = [
            one for one in self.player.results if one.at <= at and one.kind in ("trim", "gc")
        ]
        results += [one for one in self.player.results if one.at <= at and one.kind == "snapshot"]
        logged = (len(events), len(results))
        if logged == self._logged:
            return
        self._logged = logged
        entries = [
            entry_of(answer)
            for one in results
            if (answer := self._answer(one)) is not None
            and not isinstance(answer, (Anatomy, Objects, Verdict))
        ]
        entries += _entries_of(events, entries)
        log = Log()
        for entry in sorted(entries, key=lambda one: one.at):
            log.add(entry)
        self.pane.logbook, self.pane.skipped = log, 0


def _objects_of(answer: Answer | None) -> Objects | None:
    """The objects of a census, or of the result of a snapshot."""
    if isinstance(answer, Objects):
        return answer
    objects = getattr(answer, "objects", None)
    return objects if isinstance(objects, Objects) else None


def _entries_of(events: Sequence[Event], done: Sequence[Entry]) -> list[Entry]:
    """Events as entries of the log; actions of which the result is there already are left out."""
    made: list[Entry] = []
    for event in events:
        detail = event.detail if isinstance(event.detail, dict) else {}
        pid = detail.get("pid") or 0
        if event.kind == "mark":
            made.append(Entry(event.at, "mark", 0, "", "", event.text))
        elif event.kind == "oom":
            made.append(Entry(event.at, "OOM", 0, "", "killed", event.text, is_warning=True))
        elif event.kind == "leak-like":
            words = f"{event.text}."
            made.append(Entry(event.at, "leak", pid, "", "leak-like", words, is_warning=True))
        elif not any(one.pid == pid and abs(one.at - event.at) < ACTION_S for one in done):
            entry = Entry(
                event.at,
                str(detail.get("action") or event.text),
                pid,
                "",
                str(detail.get("outcome") or ""),
                "" if detail.get("action") else event.text,
                before_bytes=detail.get("rss_before_bytes"),
                after_bytes=detail.get("rss_after_bytes"),
                returned_bytes=detail.get("returned_bytes"),
            )
            made.append(entry)
    return made
