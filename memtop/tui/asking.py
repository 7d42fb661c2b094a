"""What is asked before something is done: plans and signals put into the words of a Question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from memtop.actions import signals, table
from memtop.actions.result import Plan
from memtop.actions.signals import Target
from memtop.actions.table import Action
from memtop.probe.sample import Identity
from memtop.render.question import Answer, Listed, Note, Question, Term
from memtop.units import UNKNOWN, size, size_parts

YES, FORCE, FIRST = "y", "f", "C"
REASONS, PIDS_SHOWN = 3, 4


def allowed(plans: Iterable[Plan], answer: str) -> list[Plan]:
    """The plans that an answer sets going; `f` takes those along that may be forced."""
    return [
        plan
        for plan in plans
        if plan.refusal is None or (answer == FORCE and plan.refusal.forceable)
    ]


def about_action(action: Action, plans: Sequence[Plan]) -> Question:
    """Whether to do this to these processes; without an answer nothing can be done."""
    fine, all_ = allowed(plans, YES), allowed(plans, FORCE)
    subject = fine or all_ or list(plans)
    answers: list[Answer] = []
    if fine:
        answers.append(Answer(YES, action.verb))
    if len(all_) > len(fine):
        words = "do it all the same" if not fine else f"do all {len(all_)} all the same"
        answers.append(Answer(FORCE, words, right=bool(fine)))
    elif action.id == "trim" and any(plan.python for plan in fine):
        answers.append(Answer(FIRST, "gc.collect first", right=True))
    alone = len(plans) == 1
    return Question(
        title=_title(action, subject, alone),
        does=action.does,
        rss_kib=_kib(_sum(plan.rss_bytes for plan in subject)),
        terms=_terms(action, subject) if all_ else (),
        targets=() if alone else tuple(map(_listed, subject)),
        checks=_passed(subject),
        harmless=table.HARMLESS if all_ else "",
        notes=(*_warnings(subject), *_refusals(plans)),
        answers=tuple(answers),
    )


def _title(action: Action, subject: Sequence[Plan], alone: bool) -> str:
    if alone:
        return f"{action.question} {subject[0].name} {subject[0].identity.pid}?"
    names = {plan.name for plan in subject}
    who = f"× {names.pop()}" if len(names) == 1 else "processes"
    return f"{action.question} {len(subject)} {who}?"


def _listed(plan: Plan) -> Listed:
    return Listed(plan.identity.pid, plan.name, _kib(plan.rss_bytes))


def _sum(values: Iterable[int | None]) -> int | None:
    """The sum of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _kib(bytes_: int | None) -> float | None:
    return None if bytes_ is None else bytes_ / 1024


def _terms(action: Action, subject: Sequence[Plan]) -> tuple[Term, ...]:
    """What comes back, what is held, who waits, what is copied, what stays."""
    terms = [_returns(action, subject)]
    holds = table.HOLDS if len(subject) == 1 else table.HOLDS_EACH
    terms.append(Term("holds", *_about(table.USUALLY_HELD_S), holds))
    stalls = [plan.stall_s for plan in subject if plan.stall_s is not None]
    if stalls:
        terms.append(Term("waits", *_about(max(stalls)), action.waits))
    if action.python_only:
        terms.append(_unshared(subject))
    if needed := sum(plan.needs_bytes for plan in subject):
        number, unit = size_parts(needed / 1024)
        terms.append(Term("needs", f"≈ {number:>3}", unit, "for a moment, to list all objects"))
    return (*terms, Term("leaves", table.LEAVES.value, "", table.LEAVES.words))


def _returns(action: Action, subject: Sequence[Plan]) -> Term:
    """What comes back: a size where that was predicted, of some of several if not of all."""
    asked = [plan.prediction for plan in subject if plan.prediction is not None]
    known = [one for one in asked if one.returns_bytes is not None]
    if not known:
        reason = next((one.reason for one in asked if one.reason), None)
        because = f"; how much is not known: {reason}" if reason else ""
        return Term("returns", action.returns.value, "", action.returns.words + because)
    number, unit = size_parts(sum(one.returns_bytes or 0 for one in known) / 1024)
    value = (f"≈ {number:>3}", unit) if number != "0.0" else ("nothing", "")
    words = _freed([one.freed_bytes for one in known])
    if len(known) < len(subject):
        words += f"; for {len(known)} of {len(subject)}"
    return Term("returns", *value, words)


def _freed(sizes: Sequence[int | None]) -> str:
    """Of how much free memory that is."""
    if None in sizes:
        return "that malloc keeps; measured before and after"
    freed = size(sum(one or 0 for one in sizes) / 1024)
    if freed == "0.0 MiB":
        return "hardly anything is freed but not returned"
    return f"of {freed} that are freed but not returned"


def _unshared(subject: Sequence[Plan]) -> Term:
    """What looking at every object copies of the memory that is shared with relatives."""
    known = _sum(plan.would_unshare_bytes for plan in subject)
    if known is None or any(plan.would_unshare_bytes is None for plan in subject):
        return Term("un-shares", UNKNOWN, "", "how much is shared with its relatives is not known")
    number, unit = size_parts(known / 1024)
    if number == "0.0":
        return Term("un-shares", "nothing", "", "hardly any memory is shared with others")
    words = "at most, of what is shared; RSS does not show it"
    return Term("un-shares", f"≈ {number:>3}", unit, words)


def _about(seconds: float) -> tuple[str, str]:
    """A short time as an estimate of one digit: `≈ 0.2`, `ms`."""
    if seconds < 0.001:
        return f"≈ {max(seconds * 1000, 0.1):.1f}", "ms"
    if seconds < 0.095:
        return f"≈ {float(f'{seconds * 1000:.1g}'):.0f}", "ms"
    return (f"≈ {seconds:.1f}" if seconds < 9.95 else f"≈ {seconds:.0f}"), "s"


def _passed(subject: Sequence[Plan]) -> tuple[str, ...]:
    """The checks that all of them have passed."""
    passed = [[check.words for check in plan.checks if check.passed] for plan in subject]
    common = set(passed[0]).intersection(*passed[1:]) if passed else set()
    return tuple(words for words in (passed[0] if passed else ()) if words in common)


def _warnings(subject: Sequence[Plan]) -> list[Note]:
    """What could not be checked, or should be known; of several, for how many."""
    counts = Counter(
        check.words for plan in subject for check in plan.checks if check.passed is None
    )
    total = len(subject)
    return [
        Note(words if number == total else f"{number} of {total}: {words}")
        for words, number in counts.items()
    ]


def _refusals(plans: Sequence[Plan]) -> list[Note]:
    """Why nothing will be done to some of them; the same reason once."""
    groups: dict[tuple[str, str | None], list[int]] = {}
    for plan in plans:
        if plan.refusal is not None:
            pid = plan.identity.pid
            reason = plan.refusal.reason if len(plans) == 1 else _without(plan.refusal.reason, pid)
            command = plan.refusal.command
            if plan.refusal.forceable and command and command.endswith("--force"):
                command = None  # a key of the question does that
            groups.setdefault((reason, command), []).append(pid)
    if len(plans) == 1:
        return [Note(reason, command) for reason, command in groups]
    notes = []
    for (reason, command), pids in sorted(groups.items(), key=lambda one: -len(one[1]))[:REASONS]:
        named = ", ".join(map(str, pids[:PIDS_SHOWN])) + (" …" if len(pids) > PIDS_SHOWN else "")
        notes.append(Note(f"not {len(pids)} of {len(plans)} ({named}): {reason}", command))
    if len(groups) > REASONS:
        notes.append(Note(f"and {len(groups) - REASONS} more reasons"))
    return notes


def _without(reason: str, pid: int) -> str:
    """A reason that begins with a PID, without it: several have the same one."""
    return reason.removeprefix(f"{pid} ")


def about_signal(
    targets: Sequence[Target],
    number: int,
    rss_kib: Callable[[Identity], float | None],
    parents: frozenset[int],
) -> Question:
    """Whether to send a signal to these processes."""
    name = signals.NAMES[number]
    alone = targets[0] if len(targets) == 1 else None
    who = f"{alone.name} {alone.identity.pid}" if alone else f"{len(targets)} processes"
    help_ = next(one.help for one in signals.SIGNALS if one.number == number)
    sizes = [kib for one in targets if (kib := rss_kib(one.identity)) is not None]
    notes, typed = [], None
    if alone and signals.needs_typed_pid(alone, parents):
        typed = str(alone.identity.pid)
        notes.append(Note("It is PID 1 or a parent of memtop: memtop may end with it."))
    return Question(
        title=f"Send {name} to {who}?",
        does=f"{name}: {help_}.",
        rss_kib=sum(sizes) if sizes else None,
        targets=()
        if alone
        else tuple(Listed(one.identity.pid, one.name, rss_kib(one.identity)) for one in targets),
        checks=("same process, compared again when it is sent",),
        notes=tuple(notes),
        answers=(Answer(YES, f"send {name}"),),
        typed=typed,
    )
