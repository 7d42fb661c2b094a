"""Keys that act on processes: they name their targets, ask first, and say what became of it."""

from __future__ import annotations

import os

from textual.screen import Screen

from memtop.actions import signals
from memtop.actions.signals import Outcome, Target
from memtop.model.state import State
from memtop.probe.sample import Identity
from memtop.render.cells import process_name
from memtop.tui.screens.confirm import ConfirmScreen
from memtop.tui.screens.pick import PickScreen
from memtop.tui.widgets.table import ProcessTable

NAMES_SHOWN = 8


class Acting(Screen[None]):
    """The part of the main screen that sends signals."""

    table: ProcessTable
    _state: State

    def say(self, message: str, *, warning: bool = False) -> None:
        """Say something for a few seconds; the main screen knows where."""
        raise NotImplementedError

    def mark(self, text: str, whose: set[Identity]) -> None:
        """Put a mark on the charts of processes; the pane knows how."""
        raise NotImplementedError

    def _targets(self) -> list[Target]:
        """The tagged processes that live, else the one under the cursor; never a group as such."""
        rows = self._state.rows
        tagged = [one for one in self.table.tags if one in rows and rows[one].ended_at is None]
        if not self.table.tags:
            line = self.table.cursor_line
            if line is None or isinstance(line.key, str) or line.key not in rows:
                return []
            tagged = [line.key] if rows[line.key].ended_at is None else []
        own = self._state.own
        return [
            Target(one, process_name(rows[one], own=one == own), rows[one].kernel)
            for one in sorted(tagged, key=lambda one: one.pid)
        ]

    def action_signal(self) -> None:
        """Pick a signal for the tagged processes or the one under the cursor."""
        targets = self._targets()
        if not targets:
            gone = "none of the tagged processes lives; U forgets the tags"
            one = "select a living process, or tag the members of a group"
            self.say(gone if self.table.tags else one, warning=True)
            return
        live = bool(getattr(self.app, "live", False))
        parents = signals.parents_of(os.getpid())
        refused = signals.refusals(targets, self._state.own, live, parents)
        if refused:
            self.say(refused[0].reason, warning=True)
            return
        things = [(str(int(s.number)), s.name, s.help) for s in signals.SIGNALS]

        def picked(number: str | None) -> None:
            if number is not None:
                self._ask(targets, int(number), parents)

        who = f"{targets[0].identity.pid}" if len(targets) == 1 else f"{len(targets)} processes"
        self.app.push_screen(PickScreen(f"Signal to {who}", things, None, "asks"), picked)

    def _ask(self, targets: list[Target], number: int, parents: frozenset[int]) -> None:
        """Name what will get which signal; `y` sends it."""
        name = signals.NAMES[number]
        count = "1 process" if len(targets) == 1 else f"{len(targets)} processes"
        lines = [f"{one.identity.pid:>7}  {one.name[:50]}" for one in targets[:NAMES_SHOWN]]
        if len(targets) > NAMES_SHOWN:
            lines.append(f"         and {len(targets) - NAMES_SHOWN} more")
        help_ = next(one.help for one in signals.SIGNALS if one.number == number)
        lines += ["", help_, "✓ the identity is compared again when it is sent"]
        typed = None
        if len(targets) == 1 and signals.needs_typed_pid(targets[0], parents):
            typed = str(targets[0].identity.pid)
            lines.append("It is PID 1 or a parent of memtop: memtop may end with it.")

        def answered(yes: bool | None) -> None:
            if yes:
                self.run_worker(lambda: self._send(targets, number), thread=True)

        self.app.push_screen(ConfirmScreen(f"Send {name} to {count}?", lines, typed), answered)

    def _send(self, targets: list[Target], number: int) -> None:
        outcomes = list(signals.send_all(targets, number))
        self.app.call_from_thread(self._tell, targets, outcomes, number)

    def _tell(self, targets: list[Target], outcomes: list[Outcome], number: int) -> None:
        """One sentence: of a single target its own, of several what went wrong first."""
        reached = {
            target.identity
            for target, outcome in zip(targets, outcomes, strict=True)
            if outcome.outcome == "done"
        }
        done = len(reached)
        others = [outcome for outcome in outcomes if outcome.outcome != "done"]
        self.mark(signals.NAMES[number], reached)
        if len(outcomes) == 1:
            self.say(outcomes[0].reason, warning=bool(others))
        elif others:
            words = f"{done} of {len(outcomes)} sent; {others[0].reason}"
            self.say(words, warning=True)
        else:
            self.say(f"{signals.NAMES[number]} was sent to {done} processes")
