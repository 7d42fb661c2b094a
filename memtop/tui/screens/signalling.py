"""The key that sends signals: it names its targets, asks first, and says what became of them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from memtop.actions import signals
from memtop.actions.signals import Outcome, Target
from memtop.probe.sample import Identity
from memtop.tui.asking import about_signal
from memtop.tui.screens.confirm import ConfirmScreen
from memtop.tui.screens.pick import PickScreen
from memtop.tui.screens.targeting import Targeting
from memtop.tui.telling import entry_of_signal


class Signalling(Targeting):
    """The part of the main screen that sends signals."""

    def action_signal(self) -> None:
        """Pick a signal for the tagged processes or the one under the cursor."""
        targets = self.targets(members=False)
        if not targets:
            self.say_no_target(members=False)
            return
        parents = signals.parents_of(os.getpid())
        refused = signals.refusals(targets, self._state.own, self.is_live, parents)
        if refused:
            self.say(refused[0].reason, warning=True)
            return
        things = [(str(int(s.number)), s.name, s.help) for s in signals.SIGNALS]

        def picked(number: str | None) -> None:
            if number is not None:
                self._ask_signal(targets, int(number), parents)

        who = f"{targets[0].identity.pid}" if len(targets) == 1 else f"{len(targets)} processes"
        self.app.push_screen(PickScreen(f"Signal to {who}", things, None, "asks"), picked)

    def _ask_signal(self, targets: Sequence[Target], number: int, parents: frozenset[int]) -> None:
        """Name what will get which signal; `y` sends it."""

        def answered(key: str | None) -> None:
            if key is not None:
                self.run_worker(lambda: self._send(targets, number), thread=True)

        question = about_signal(targets, number, self._rss_kib, parents)
        self.app.push_screen(ConfirmScreen(question), answered)

    def _rss_kib(self, identity: Identity) -> float | None:
        row = self._state.rows.get(identity)
        return None if row is None else row.rss_kib

    def _send(self, targets: Sequence[Target], number: int) -> None:
        outcomes = list(signals.send_all(targets, number))
        self.app.call_from_thread(self._tell, targets, outcomes, number)

    def _tell(self, targets: Sequence[Target], outcomes: Sequence[Outcome], number: int) -> None:
        """One sentence: of a single target its own, of several what went wrong first."""
        now = time.time()
        for target, outcome in zip(targets, outcomes, strict=True):
            self.keep(entry_of_signal(target, outcome, number, now))
        reached = {
            target.identity
            for target, outcome in zip(targets, outcomes, strict=True)
            if outcome.outcome == "done"
        }
        done = len(reached)
        others = [outcome for outcome in outcomes if outcome.outcome != "done"]
        self.mark(signals.NAMES[number], reached)
        self.note_signal(signals.NAMES[number], reached)
        if len(outcomes) == 1:
            self.say(outcomes[0].reason, warning=bool(others))
        elif others:
            words = f"{done} of {len(outcomes)} sent; {others[0].reason}"
            self.say(words, warning=True)
        else:
            self.say(f"{signals.NAMES[number]} was sent to {done} processes")
