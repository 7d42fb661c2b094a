"""Keys that act inside processes: they look first, ask, act on a thread, and say what came of it.

One action at a time. Its progress stands in the second line, Esc cancels it, and its results go to
the log.
"""

from __future__ import annotations

from collections.abc import Sequence

from memtop.actions import table
from memtop.actions.result import ActionId, Plan
from memtop.actions.signals import Target
from memtop.actions.table import ACTIONS, Action
from memtop.render.summary import Progress
from memtop.tui.asking import FIRST, FORCE, about_action, allowed
from memtop.tui.job import Job
from memtop.tui.messages import Acted, ActingEnded, Planned, Watched
from memtop.tui.screens.confirm import ConfirmScreen
from memtop.tui.screens.targeting import Targeting
from memtop.tui.telling import DONE, entry_of, sentence_of


class Acting(Targeting):
    """The part of the main screen that acts inside processes."""

    job: Job | None = None

    def show_log(self) -> None:
        """Open the pane on the log; the main screen knows how."""
        raise NotImplementedError

    def show_progress(self) -> None:
        """Draw the line that has the progress; the main screen knows how."""
        raise NotImplementedError

    def action_act(self, action_id: ActionId) -> None:
        """Look at the tagged processes, the one under the cursor or its group; then ask."""
        action = ACTIONS[action_id]
        if self.job is not None:
            what = self.job.action.verb
            self.say(
                f"{what} is running: Esc cancels it, then {action.verb} can begin", warning=True
            )
            return
        if not self.is_live:
            self.say(table.elsewhere(action), warning=True)
            return
        targets = self.targets(members=True)
        if not targets:
            self.say_no_target(members=True)
        elif len(targets) == 1 and targets[0].identity == self._state.own:
            self.say(f"{targets[0].identity.pid} {table.ITSELF}", warning=True)
        elif len(targets) == 1 and targets[0].kernel:
            self.say(f"{targets[0].identity.pid} {table.KERNEL}", warning=True)
        else:
            self._plan(action, targets)

    def _plan(self, action: Action, targets: Sequence[Target]) -> None:
        root = getattr(self.app, "portrait_root", None) or "/proc"
        self.job = Job(action, targets, root, self.is_live, self.post_message)
        self.job.plan()
        self.say("")  # what was said before makes room for the progress

    def on_planned(self, message: Planned) -> None:
        """What was found is asked about, if somebody still waits for it."""
        job = message.job
        if job is not self.job:
            return  # Esc has dropped it
        self.job = None
        self.show_progress()
        if message.error is not None:
            self.say(_own_error(job, message.error), warning=True)
            return
        if not (self.app.screen is self and self.check_action("act", ())):
            # A key that was meant for something else must not answer.
            self.say(f"{job.action.verb} was not asked: another key came first", warning=True)
            return
        self._ask(job, message.plans)

    def _ask(self, job: Job, plans: Sequence[Plan]) -> None:
        def answered(key: str | None) -> None:
            if key == FIRST:
                self._plan(ACTIONS["gc"], job.targets)
            elif key is not None:
                self._act(job, [plan.identity for plan in allowed(plans, key)], key == FORCE)

        self.app.push_screen(ConfirmScreen(about_action(job.action, plans)), answered)

    def _act(self, job: Job, chosen: Sequence[object], force: bool) -> None:
        self.job = job
        job.act([one for one in job.targets if one.identity in chosen], force=force)
        self.say("")

    def on_watched(self, message: Watched) -> None:
        """What is being done at the moment."""
        if not message.job.cancel.is_set():
            message.job.words = message.words
        self.show_progress()

    def on_acted(self, message: Acted) -> None:
        """A result goes to the log and, if something was done, on the chart."""
        result = message.result
        message.job.results.append(result)
        message.job.words = "cancelling" if message.job.cancel.is_set() else ""
        self.keep(entry_of(result))
        if result.outcome in DONE and result.identity is not None:
            self.mark(message.job.action.verb, {result.identity}, at=result.at)
        self.show_progress()

    def on_acting_ended(self, message: ActingEnded) -> None:
        """One sentence, and the log for the rest."""
        job, self.job = message.job, None
        if message.error is not None:
            self.say(_own_error(job, message.error), warning=True)
        else:
            words, warning = sentence_of(job.action, job.results, len(job.targets))
            self.say(words, warning=warning)
        if job.results:
            self.show_log()

    def cancel_job(self) -> bool:
        """Cancel what is under way; False if nothing is."""
        job = self.job
        if job is None:
            return False
        if not job.is_acting:
            job.cancel.set()
            self.job = None
            self.say(f"{job.action.verb}: left before it was asked")
            return True
        job.cancel.set()
        job.words = "cancelling"
        self.show_progress()
        return True

    def progress(self) -> Progress | None:
        """How far an action has come, for the second line."""
        job = self.job
        if job is None:
            return None
        total = len(job.targets)
        if not job.is_acting:
            who = job.targets[0].name if total == 1 else f"{job.words or total} processes"
            return Progress("looking at", who, "", "leaves")
        place = min(len(job.results), total - 1)
        target = job.targets[place]
        count = "" if total == 1 else f" {place + 1} of {total}:"
        who = f"{target.name} {target.identity.pid}"
        return Progress(job.action.doing + count, who, job.words, "cancels")


def _own_error(job: Job, error: Exception) -> str:
    return f"{job.action.verb} stopped by an error of memtop's own: {type(error).__name__}: {error}"
