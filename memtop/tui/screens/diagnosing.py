"""The key that tells why memory grows, and what to do: of a process, a group, a container.

What is known already is said at once, and at the end of every tab. The key watches for a while and
looks inside, on threads; its answer stays, and says how old it is. Nothing in any process changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from memtop.actions.table import ITSELF
from memtop.model.groups import Group
from memtop.model.query import View
from memtop.model.state import Row, State
from memtop.probe.sample import Identity
from memtop.render.finding import AROUND, Reasons, Verdict
from memtop.render.tabs import WHY
from memtop.render.words import group_words, trend_words
from memtop.tui import verdicts
from memtop.tui.answers import Recent
from memtop.tui.inquest import Inquest
from memtop.tui.messages import Acted, Answered
from memtop.tui.reading import Kind, Reading, why_off
from memtop.tui.screens.counting import Counting
from memtop.tui.screens.dissecting import Dissecting
from memtop.tui.verdicts import Concluded, Seen

if TYPE_CHECKING:
    from memtop.actions.result import Result
    from memtop.evidence.looking import Look

WATCH_S, LEAST_WATCH_S = 30.0, 6.0
KNOWN_FOR_S = 600.0  # a look that is older is not compared with
BEFORE_S = 30.0  # how far an earlier state lies back, up to twice this long
MOST_VERDICTS, MOST_RESULTS = 64, 8
MOST_WATCHED = 200  # processes that are sampled more closely meanwhile
LABELS = {"a": "anatomy", "o": "objects", "S": "snapshot", "C": "gc", "T": "trim", "d": "diagnose"}
SCROLLED = 3  # lines, by one key


class Diagnosing(Dissecting, Counting):
    """The part of the main screen that says why."""

    _view: View
    _line = 0  # the first on show
    _line_of: Identity | None = None
    _before: State | None = None
    _newer: State | None = None  # what becomes `_before`
    is_loading = False  # the rules

    def __init__(self) -> None:
        super().__init__()
        self.concluded: Recent[list[Concluded]] = Recent(list, MOST_VERDICTS)
        self._results: Recent[list[Result]] = Recent(list, MOST_VERDICTS)
        self._made: tuple[tuple[object, ...], Verdict | None] = ((), None)
        self._takes["diagnosis"] = self._take_diagnosis

    # -- keys ------------------------------------------------------------------------------

    def action_diagnose(self) -> None:
        """Find out why; asked again, once more."""
        self.open_inside(WHY)
        row = self._selected()
        asked = None if row is None else self._asked(row, self._selected_group())
        if asked is not None and not self._off(asked):
            self.read("diagnosis", asked)

    def action_window(self, by: int) -> None:
        """In an answer lines up or down."""
        if self.inside_tab == WHY:
            self._scroll(by * SCROLLED)
        else:
            super().action_window(by)

    def move_in_answer(self, by: int) -> bool:
        """Move in an answer that has the whole area; False if none is on show."""
        if not (self._is_whole and self.inside_tab == WHY):
            return False
        self._scroll(by)
        return True

    @property
    def answer_page(self) -> int:
        """How many lines of an answer there is room for."""
        return max(1, self.pane.room - 2)

    def _scroll(self, by: int) -> None:
        from memtop.render.answer import most_at  # not needed for the first frame

        row = self._selected()
        if row is not None:
            reasons = self.reasons_of(row, self._selected_group())
            most = most_at(reasons, max(1, self.pane.size.width), self.pane.room)
            self._line = max(0, min(most, reasons.at + by))
            self._show_pane()

    # -- who is meant ----------------------------------------------------------------------

    def _selected(self) -> Row | None:
        """The process under the cursor; of a container, when it is asked why, the first one."""
        row = super()._selected()
        if row is None or not (self.is_inside and self.pane.tab == WHY):
            return row
        return self._first_of_container(row) or row

    def _first_of_container(self, row: Row) -> Row | None:
        """The oldest process of the container under the cursor; None if there is none."""
        line = self.table.cursor_line
        is_heading = line is not None and isinstance(line.key, str)
        if line is None or not is_heading or self._view.layout != "container":
            return None
        if row.container is None or line.key in self._shown.groups:
            return None
        rows = [self._shown.rows[one] for one in line.members if one in self._shown.rows]
        living = [one for one in rows if one.ended_at is None]
        return min(living, key=lambda one: one.identity, default=None)

    def _asked(self, row: Row, group: Group | None) -> Row:
        """Whose tree is looked at: for a group its parent, as far as that lives."""
        parent = None if group is None else self._shown.rows.get(group.parent)
        return row if parent is None or parent.ended_at is not None else parent

    def _off(self, row: Row) -> str:
        """Why nothing can be found out about a process; empty if it can."""
        if row.identity == self._shown.own:
            return f"{row.pid} {ITSELF.partition(';')[0]}."
        live = bool(getattr(self.app, "live", False))
        return why_off(row, live=live, command="diagnose")

    # -- finding out -----------------------------------------------------------------------

    def reading_of(self, kind: Kind, row: Row, before: Reading | None = None) -> Reading:
        """A look that has not begun; to find out why, one at all below as well."""
        if kind != "diagnosis":
            return super().reading_of(kind, row, before)
        for_s, known = self._plan_watch(row)
        return Inquest(
            row.identity,
            self.title_of(row),
            self.root,
            self.post_message,
            self._state,
            for_s=for_s,
            known=known,
            before=before,
        )

    def _plan_watch(self, row: Row) -> tuple[float, Callable[[], Collection[Look]]]:
        """How long to watch, and what is known of a process that stands alone.

        What was looked at a while ago need not be waited for.
        """
        seen, at = self._seen(row.identity), self._state.taken_at
        anatomy, objects = seen.anatomies[0], seen.objects[0]
        is_alone = not self._state.children.get(row.identity)
        if anatomy is None or not is_alone or at - anatomy.taken_at > KNOWN_FOR_S:
            return WATCH_S, list
        if anatomy.python is not None and objects is None:
            return WATCH_S, list
        latest = max(one.taken_at for one in (anatomy, objects) if one is not None)

        def known() -> Collection[Look]:
            from memtop.evidence.looking import Look

            return [Look(row.identity, anatomy, objects, exe=row.exe, command=row.command)]

        return max(LEAST_WATCH_S, WATCH_S - max(0.0, at - latest)), known

    @property
    def inquest(self) -> Inquest | None:
        """What is being found out."""
        return self.reading if isinstance(self.reading, Inquest) else None

    @property
    def watched_pids(self) -> frozenset[int]:
        """Who is to be sampled closely for what is being found out."""
        inquest = self.inquest
        pids = frozenset() if inquest is None else inquest.pids
        return pids if len(pids) <= MOST_WATCHED else frozenset(sorted(pids)[:MOST_WATCHED])

    def note(self, state: State) -> None:
        """A new state, whether it is shown or not."""
        if self.inquest is not None:
            self.inquest.feed(state)
        newer = self._newer
        if newer is None or state.clock_s - newer.clock_s >= BEFORE_S:
            self._before, self._newer = newer or state, state

    def on_acted(self, message: Acted) -> None:
        """What was done to a process is evidence as well."""
        result = message.result
        if result.identity is not None:
            kept = self._results.of(result.identity)
            kept.append(result)
            del kept[:-MOST_RESULTS]

    def _take_diagnosis(self, message: Answered) -> None:
        """An answer is also about the process whose memory it is."""
        answer, asked = message.answer, message.reading.identity
        if not isinstance(answer, Concluded):
            answer = Concluded(None, failure=message.reading.failure(message.error))
        kept = self.concluded.of(asked)
        if answer.verdict is None and kept:
            answer = Concluded(kept[0].verdict, kept[0].whose, answer.failure)
        kept[:] = [answer]
        if answer.whose not in (None, asked) and answer.verdict is not None:
            self.concluded.of(answer.whose)[:] = [answer]
        self._line = 0

    # -- for the panes ---------------------------------------------------------------------

    def reasons_of(self, row: Row, group: Group | None) -> Reasons:
        """Why a process has so much memory, or a group; on the tab of a cgroup, why that has."""
        asked = self._asked(row, group)
        if self._line_of != asked.identity:
            self._line, self._line_of = 0, asked.identity
        kept = next(iter(self.concluded.known.get(asked.identity, ())), None)
        inquest = self.inquest
        is_asked = inquest is not None and inquest.identity == asked.identity
        verdict = self._best(row, group, None if kept is None else kept.verdict)
        sign, _, role = (
            trend_words(row, self._shown) if group is None else group_words(group, self._shown)
        )
        labels = {key: label for key, one in LABELS.items() if (label := self._label(one))}
        return Reasons(
            pid=asked.pid,
            name=self.title_of(asked),
            now=self._shown.taken_at,
            failure=kept.failure if kept is not None and not is_asked else None,
            off=self._off(asked),
            key=self._label("diagnose"),
            sign=(sign, role) if role in ("leak", "rising", "shrink") else ("", "dim"),
            verdict=verdict,
            course=inquest.course if inquest is not None and is_asked else None,
            at=self._line,
            moves="↑ ↓" if self._is_whole else "[ ]",
            labels=labels,
        )

    def _best(self, row: Row, group: Group | None, asked: Verdict | None) -> Verdict | None:
        """What was found out; else, or if there were later looks, what follows from all else."""
        if self.pane.tab == WHY and asked is not None:
            return asked
        known = self._known(row, group)
        if known is None or asked is None:
            return known or asked
        if self.pane.tab == "cgroup":
            return known if known.first.cause in AROUND else asked
        seen = self._seen(row.identity)
        later = (one for one in (*seen.anatomies, *seen.objects) if one is not None)
        is_later = any(one.taken_at > asked.taken_at for one in later)
        return known if is_later and known.tells else asked

    def _known(self, row: Row, group: Group | None) -> Verdict | None:
        """What follows from all that is known; made again only when something has changed."""
        if not verdicts.is_loaded():
            self._load()
            return None
        state, before = self._shown, self._before
        limit = state.limit_of(row) if self._is_of_limit(row) else None
        seen = self._seen(row.identity)
        looks = (*seen.anatomies, *seen.objects, len(tuple(seen.results)))
        made_of = (state, row.identity, group and group.id, limit is None, *looks)
        if not _same(made_of, self._made[0]):
            try:
                if limit is not None:
                    verdict = verdicts.of_limit(state, limit, before)
                elif group is not None:
                    verdict = verdicts.of_group(state, group, before)
                else:
                    verdict = verdicts.of_process(state, row.identity, seen, before)
            except Exception:  # a rule that breaks must not end the screen; who asks is told
                verdict = None
            self._made = (made_of, verdict)
        return self._made[1]

    def _is_of_limit(self, row: Row) -> bool:
        """Whether the pane is about a cgroup: its tab, or the row of a container."""
        return self.pane.tab == "cgroup" or (
            self.pane.tab == WHY and self._first_of_container(row) is not None
        )

    def _seen(self, identity: Identity) -> Seen:
        """The looks that other keys took into a process, and what was done to it."""
        known, counts = self.answers.known.get(identity), self.tallies.known.get(identity)
        anatomies = (None, None) if known is None else (known.baseline, known.newest)
        objects = (None, None) if counts is None else (counts.shown.first, counts.shown.newest)
        return Seen(anatomies, objects, self._results.known.get(identity, ()))

    def _load(self) -> None:
        """Import the rules on a thread, then draw the pane with them."""
        if self.is_loading:
            return
        self.is_loading = True
        self.run_worker(self._load_rules, thread=True, group="rules")

    def _load_rules(self) -> None:
        verdicts.load()
        self.app.call_from_thread(self._loaded)

    def _loaded(self) -> None:
        self.is_loading = False
        self._show_pane()


def _same(new: tuple[object, ...], old: tuple[object, ...]) -> bool:
    """Whether two answers are made of the same: values that may be large are not compared."""
    return len(new) == len(old) and all(
        one is other or (isinstance(one, (str, int, tuple)) and one == other)
        for one, other in zip(new, old, strict=True)
    )
