"""gc.collect(), a generation after the other: what each freed, and what RSS says to it."""

from __future__ import annotations

import math
from dataclasses import replace

from memtop import units
from memtop.actions.remote.session import Reply
from memtop.actions.result import Generation, Result, Verdict, as_sentence
from memtop.actions.trim import NOISE_BYTES

NO_GIL = "this Python 3.6 has no GIL yet, because it never started a thread: no code can be lent"


def judge(result: Result, reply: Reply) -> Result:
    """The result of a collection that was tried, whose RSS before and after is known."""
    if reply.payload is None:
        return refuse(result, reply)
    head, _, body = reply.payload.decode("utf-8", "replace").partition("\n")
    try:
        if head != "ok":
            raise ValueError
        lines = [line.split(" ") for line in body.split("\n")]
        generations = tuple(_generation(*words) for _, *words in lines)
        times_collected = int(lines[-1][0])
    except ValueError:
        reason = f"gc.collect raised {body or head}"
        return replace(result, outcome="failed", reason=reason, meaning=f"{reason}.")
    if not times_collected:
        reason = "another thread was collecting already, so gc.collect did nothing"
        return replace(result, outcome="failed", reason=reason, meaning=as_sentence(reason))
    collected = sum(one.collected for one in generations)
    fell = (result.returned_bytes or 0) >= NOISE_BYTES
    outcome: Verdict = "returned" if fell else "done" if collected else "nothing_to_return"
    return replace(
        result,
        outcome=outcome,
        generations=generations,
        meaning=_meaning(result, generations, fell, bool(reply.results.get("another"))),
    )


def _generation(collected: str, uncollectable: str, seconds: str) -> Generation:
    figures = Generation(int(collected), int(uncollectable), float(seconds))
    if not math.isfinite(figures.seconds) or min(figures) < 0:  # its clock and gc are its own
        raise ValueError
    return figures


def refuse(result: Result, reply: Reply) -> Result:
    """The result if no Python was run: the calls before it tell why."""
    done = reply.results
    if done.get("finalizing"):  # then it is not initialized any more, either
        reason = "its Python is ending"
    elif not done.get("initialized"):
        reason = "its Python is not initialized, or not any more"
    elif done.get("has_gil") == 0:
        reason = NO_GIL
    elif "gate" not in done:
        reason = "its Python is ending"
    else:
        reason = "its Python could not run anything"
        return replace(result, outcome="failed", reason=reason, meaning=f"{reason}.")
    meaning = f"Nothing was run: {reason}."
    return replace(result, outcome="refused", reason=reason, meaning=meaning)


def _meaning(
    result: Result, generations: tuple[Generation, ...], fell: bool, has_others: bool
) -> str:
    collected = sum(one.collected for one in generations)
    stuck = sum(one.uncollectable for one in generations)
    took = units.span(sum(one.seconds for one in generations))
    objects = "1 object" if collected == 1 else f"{collected:,} objects"
    if fell:
        rss = f"and {units.size((result.returned_bytes or 0) / 1024)} came back to the system"
    elif collected:
        rss = "RSS as before: no garbage cycles worth memory"
    else:
        rss = "no garbage cycles"
    words = f"{objects} collected in {took}, {rss}."
    if stuck:
        words += f" {stuck:,} cannot be collected (gc.garbage)."
    if has_others:
        words += " Only the main interpreter was asked; it has others."
    return words
