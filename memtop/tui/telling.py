"""What is said afterwards: results and outcomes as entries of the log, and as one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from memtop.actions import signals
from memtop.actions.result import Result
from memtop.actions.signals import Outcome, Target
from memtop.actions.table import ACTIONS, Action
from memtop.anatomy.objects import Objects
from memtop.model.log import Entry
from memtop.render.escape import visible
from memtop.units import size, span

DONE = frozenset({"done", "returned", "nothing_to_return"})


def entry_of(result: Result) -> Entry:
    """A result as an entry of the log; a snapshot returns no memory."""
    is_returning = result.outcome in DONE and result.action != "snapshot"
    return Entry(
        at=result.at,
        action=ACTIONS[result.action].id,
        pid=result.pid,
        name=result.name,
        outcome=result.outcome,
        sentence=result.meaning or result.reason or "",
        identity=result.identity,
        before_bytes=result.rss_before_bytes,
        after_bytes=result.rss_after_bytes,
        returned_bytes=result.returned_bytes if is_returning else None,
        predicted_bytes=result.predicted_bytes,
        held_us=result.held_us,
        command=result.command,
        is_warning=result.outcome in ("refused", "failed"),
    )


def entry_of_signal(target: Target, outcome: Outcome, number: int, at: float) -> Entry:
    """What became of a signal as an entry of the log."""
    is_done = outcome.outcome == "done"
    return Entry(
        at=at,
        action=signals.NAMES[number],
        pid=outcome.pid,
        name=target.name,
        outcome="sent" if is_done else outcome.outcome,
        sentence=outcome.reason,
        identity=target.identity,
        command=outcome.command,
        is_warning=not is_done,
    )


def sentence_of(action: Action, results: Sequence[Result], asked: int) -> tuple[str, bool]:
    """One sentence about all results, and whether it is a warning; the log has the rest.

    `asked`: of how many it was wanted.
    """
    done = [result for result in results if result.outcome in DONE]
    others = [result for result in results if result.outcome not in DONE]
    wrong = [one for one in others if one.outcome in ("refused", "failed", "not_applicable")]
    if asked == 1 and len(results) == 1:
        return _of_one(action, results[0]), bool(wrong)
    words = f"{action.done} {len(done)} of {asked}"
    if done:
        words += f": {_gain(done)}"
    if wrong:
        words += f"; {_reason(wrong[0])}"
    return words, bool(wrong) or not done


def _of_one(action: Action, result: Result) -> str:
    if result.outcome in DONE:
        return f"{action.done} {result.pid}: {_gain([result])}"
    if result.outcome == "cancelled":
        return f"{action.verb} of {result.pid} was cancelled"
    word = "" if result.outcome == "not_applicable" else f" {result.outcome}"
    return f"{action.verb}{word}: {_reason(result)}"


def _gain(done: Sequence[Result]) -> str:
    """What was found or collected, and by how much RSS has fallen in all."""
    if found := [result.objects for result in done if result.objects is not None]:
        return _found(found)
    text = size(sum(result.returned_bytes or 0 for result in done) / 1024)
    words = "0 MiB returned" if text == "0.0 MiB" else f"{text} returned"
    if any(result.generations for result in done):
        collected = sum(one.collected for result in done for one in result.generations)
        words = f"{collected:,} objects collected, {words}"
    return words


def _found(found: Sequence[Objects]) -> str:
    """How many objects, the largest type, and for how long the interpreter was held."""
    about = "≈ " if any(objects.sampled for objects in found) else ""
    words = f"{about}{sum(objects.count for objects in found):,} objects"
    types = [one for objects in found for one in objects.types]
    if types:
        largest = max(types, key=lambda one: one.all_bytes)
        words += f", most in {visible(largest.name)}: {size(largest.all_bytes / 1024)}"
    held = [objects.gil_s for objects in found if objects.gil_s is not None]
    return f"{words}; GIL held {span(max(held))}" if held else words


def _reason(result: Result) -> str:
    """Why it was not done, with the PID."""
    reason = result.reason or result.meaning
    return reason if reason.startswith(f"{result.pid} ") else f"{result.pid}: {reason}"
