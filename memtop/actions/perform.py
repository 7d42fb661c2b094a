"""Acting on one process after the other: what stands against it, the act, and what came of it.

The same for the screen and the command line, so that a check cannot be left out by either. Naming
the process is the confirmation on the command line; the screen has asked before it calls.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from memtop import units
from memtop.actions import collect, trim
from memtop.actions.checks import LITTLE_BYTES, examine, leaves_shared
from memtop.actions.remote.session import Actor, Reply
from memtop.actions.remote.snapshot_code import BUDGET_S
from memtop.actions.result import ActionId, Plan, Refusal, Result, Verdict, as_sentence
from memtop.actions.signals import Target
from memtop.actions.table import ACTIONS, elsewhere
from memtop.target.resident import rss_bytes

if TYPE_CHECKING:
    from memtop.actions.headroom import Headroom

PREDICTION_S = 3.0  # for all targets together
ROOM_TIMES = 3  # so many times what would be copied has to be left in the cgroup
IN_VAIN = {
    "gil": "its GIL was held for {}: nothing was run",
    "begin": "its new thread did not get to run for {}: nothing was done",
}
FORESEEING = "looking at what it keeps free"
ASKED = "cancelled before it had begun: nothing was run"


def plan_all(
    action: ActionId,
    targets: Sequence[Target],
    *,
    root: str = "/proc",
    live: bool = True,
    predict: bool = True,
    budget_s: float | None = None,
    watch: Callable[[int, int], None] | None = None,
    cancel: threading.Event | None = None,
) -> list[Plan]:
    """What the action would meet in each target, and whether the memory that they share forbids
    it, taken together.

    `predict` says of a trim what it would bring back, as far as that is known within PREDICTION_S.
    `budget_s`: for how long a snapshot may hold the interpreter (BUDGET_S). `watch` gets the number
    of the target that is looked at, and how many there are. When `cancel` is set, nothing more is
    looked at.
    """
    if not live:
        refusal = Refusal(elsewhere(ACTIONS[action]))
        return [Plan(action, one.identity, one.name, None, refusal=refusal) for one in targets]
    foresight = _Foresight(root, cancel) if predict and action == "trim" else None
    plans: list[Plan] = []
    for number, target in enumerate(targets, 1):
        if _is_set(cancel):
            refusal = Refusal(ASKED, verdict="cancelled")
            plans.append(Plan(action, target.identity, target.name, None, refusal=refusal))
            continue
        if watch is not None:
            watch(number, len(targets))
        plan = examine(action, target, root=root, budget_s=_budget(budget_s))
        is_possible = plan.refusal is None or plan.refusal.forceable
        plans.append(foresight.ask(plan) if foresight and is_possible else plan)
    return _with_room(plans, root) if ACTIONS[action].python_only else plans


class _Foresight:
    """What trims would bring back; what does not fit into the time for all is left out."""

    def __init__(self, root: str, cancel: threading.Event | None) -> None:
        self._root, self._cancel = root, cancel
        self._left_s = PREDICTION_S

    def ask(self, plan: Plan) -> Plan:
        """The plan with a prediction."""
        from memtop.anatomy.predict import Prediction, predict_trim  # takes long to import

        if self._left_s <= 0:
            unknown = Prediction(reason="left out: it would take too long")
            return replace(plan, prediction=unknown)
        began = time.monotonic()
        prediction = predict_trim(
            plan.identity.pid, root=self._root, cancel=self._cancel, most_s=self._left_s
        )
        self._left_s -= time.monotonic() - began
        return replace(plan, prediction=prediction)


def perform(
    action: ActionId,
    targets: Sequence[Target],
    *,
    root: str = "/proc",
    live: bool = True,
    force: bool = False,
    predict: bool = True,
    budget_s: float | None = None,
    watch: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
    actor: Actor | None = None,
) -> Iterator[Result]:
    """Do it to each target in turn and say what came of it.

    `force` does what can be forced (`Refusal.forceable`). `predict` looks right before a trim at
    what that will bring back. `budget_s`: for how long a snapshot may hold the interpreter
    (BUDGET_S). `watch` gets words on the way. When `cancel` is set, what has not
    begun is left undone. `actor` is the process for the first target if that was started already;
    it is closed here.
    """
    # Started first: it gets ready while it is looked at what stands against the action.
    ready: Actor | None = actor or Actor()
    foresight = _Foresight(root, cancel) if predict and action == "trim" else None
    try:
        for plan in plan_all(
            *(action, targets),
            root=root,
            live=live,
            predict=False,
            budget_s=budget_s,
            cancel=cancel,
        ):
            is_possible = plan.refusal is None or (force and plan.refusal.forceable)
            if foresight is not None and is_possible and not _is_set(cancel):
                if watch is not None:
                    watch(FORESEEING)
                plan = foresight.ask(plan)
            if _is_set(cancel):
                yield _unchanged(plan, "cancelled", ASKED)
            elif plan.refusal is not None and not is_possible:
                yield _refused(plan, plan.refusal)
            else:
                with ready or Actor() as current:
                    ready = None
                    result = _act(current, plan, root, force, _budget(budget_s), watch, cancel)
                yield result
    finally:
        if ready is not None:
            ready.close()


def _budget(budget_s: float | None) -> float:
    return BUDGET_S if budget_s is None else budget_s


def _is_set(cancel: threading.Event | None) -> bool:
    return cancel is not None and cancel.is_set()


def _act(
    actor: Actor,
    plan: Plan,
    root: str,
    force: bool,
    budget_s: float,
    watch: Callable[[str], None] | None,
    cancel: threading.Event | None,
) -> Result:
    pid, began = plan.identity.pid, time.monotonic()
    before = rss_bytes(pid, root)
    at = time.time()
    reply = actor.run(
        *(plan.action, plan.identity),
        root=root,
        force=force,
        watch=watch,
        cancel=cancel,
        budget_s=budget_s,
        follows=not leaves_shared(plan.would_unshare_bytes),
    )
    after = rss_bytes(pid, root)
    result = Result(
        action=plan.action,
        pid=pid,
        name=plan.name,
        at=at,
        outcome=reply.outcome,
        meaning="",
        identity=plan.identity,
        reason=reply.reason,
        held_us=None if reply.held_s is None else reply.held_s * 1e6,
        seconds=time.monotonic() - began,
        rss_before_bytes=before,
        rss_after_bytes=after,
        predicted_bytes=plan.prediction.returns_bytes if plan.prediction else None,
        allocator=plan.allocator,
        would_unshare_bytes=plan.would_unshare_bytes,
        needs_bytes=plan.needs_bytes,
    )
    if reply.outcome == "done" and plan.action == "trim":
        return trim.judge(result, reply, plan.prediction)
    if reply.outcome == "done" and plan.action == "snapshot":
        from memtop.actions import snapshot  # it needs anatomy, which the others do without

        return snapshot.judge(result, reply, plan.python)
    if reply.outcome == "done":
        return collect.judge(result, reply)
    return _undone(result, reply, plan)


def _undone(result: Result, reply: Reply, plan: Plan) -> Result:
    """The result of what was refused, cancelled or failed in the process that acts."""
    reason, command = reply.reason or "no reason is known", None
    if reply.outcome == "cancelled":
        words = IN_VAIN.get(reason, ASKED)
        reason = words.format(units.span(result.seconds or 0.0))
    elif reply.forceable:
        command = _force_command(plan)
    return replace(
        result,
        reason=reason,
        command=command,
        meaning=as_sentence(reason),
        gone=reply.gone,
    )


def _refused(plan: Plan, refusal: Refusal) -> Result:
    result = _unchanged(plan, refusal.verdict, refusal.reason)
    return replace(result, right=refusal.right, command=refusal.command, gone=refusal.gone)


def _unchanged(plan: Plan, outcome: Verdict, reason: str) -> Result:
    """The result of what was not even begun."""
    return Result(
        action=plan.action,
        pid=plan.identity.pid,
        name=plan.name,
        at=time.time(),
        outcome=outcome,
        meaning=as_sentence(reason),
        identity=plan.identity,
        reason=reason,
        rss_before_bytes=plan.rss_bytes,
        rss_after_bytes=plan.rss_bytes,
        allocator=plan.allocator,
        would_unshare_bytes=plan.would_unshare_bytes,
        needs_bytes=plan.needs_bytes,
    )


def _with_room(plans: list[Plan], root: str) -> list[Plan]:
    """Refuse where what they take would not fit well into the cgroup, of all targets together."""
    from memtop.actions.headroom import headroom  # takes long to import, and trim needs none

    taking = [plan for plan in plans if plan.refusal is None and _taken(plan) != 0]
    rooms = {plan.identity: headroom(plan.identity.pid, root=root) for plan in taking}
    sums: dict[str | None, int] = defaultdict(int)
    for plan in taking:
        sums[rooms[plan.identity].path] += _taken(plan) or 0
    made = []
    for plan in plans:
        room = rooms.get(plan.identity)
        if room is not None:
            total = None if _taken(plan) is None else sums[room.path]
            plan = replace(plan, refusal=_objection(plan, total, room))
        made.append(plan)
    return made


def _taken(plan: Plan) -> int | None:
    """How much more memory its cgroup will hold, for a moment or for good."""
    if plan.would_unshare_bytes is None:
        return None
    return plan.would_unshare_bytes + plan.needs_bytes


def _objection(plan: Plan, total: int | None, room: Headroom) -> Refusal | None:
    """Why the memory that would be copied forbids it; None if there is room enough."""
    command, who = _force_command(plan), "gc" if plan.action == "gc" else "a snapshot"
    instead = f"; memtop census {plan.identity.pid} counts its objects from outside, copying none"
    if total is None:
        reason = f"how much of the memory that it shares {who} would copy is not known"
        return Refusal(reason + instead, command=command, forceable=True)
    if total < LITTLE_BYTES or (room.bytes is not None and room.bytes >= ROOM_TIMES * total):
        return None
    if room.bytes is None:
        left = f"what is left in its cgroup is not known ({room.why})"
    else:
        left = f"{units.size(max(0, room.bytes) / 1024)} are left for that"
    size = units.size(total / 1024)
    if plan.action == "gc" or leaves_shared(plan.would_unshare_bytes):
        reason = f"{who} would copy ≈ {size} that it shares with relatives, and {left}"
    else:
        reason = f"{who} takes ≈ {size} for a moment, and {left}"
    return Refusal(reason + instead, command=command, forceable=True)


def _force_command(plan: Plan) -> str:
    return f"memtop {plan.action} {plan.identity.pid} --force"
