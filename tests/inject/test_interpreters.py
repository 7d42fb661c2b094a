"""All interpreters of this machine, in whatever they do: trim and gc are done, without harm."""

import pytest
from injecting import DONE, act_on_all

KINDS = ("idle", "loop", "stdin", "busy")


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.deep)])
def test_idle_and_busy(start, unharmed, python, times):
    """Asleep, in asyncio, at its input, in a loop: both actions, with no harm."""
    targets = {kind: start("target_limits.py", kind, python=python) for kind in KINDS}
    before = {kind: unharmed(target) for kind, target in targets.items()}
    pids = {target.pid: kind for kind, target in targets.items()}
    for action in ("trim", "gc") * times:
        results, error, code = act_on_all(pids, action)
        outcomes = {kind: results[pid]["outcome"] in DONE for pid, kind in pids.items()}
        assert all(outcomes.values()), (action, outcomes, error)
        assert code == 0
    for kind in KINDS:
        before[kind].check()


def test_many_threads(start, act, unharmed, python):
    """Eight threads that check their results: all are right."""
    target = start("target_verify.py", python=python)
    before = unharmed(target)
    for action in ("gc", "trim", "gc"):
        result = act(target, action)
        assert result["outcome"] in DONE, result["reason"]
    assert target.ask()["errors"] == []
    before.check()


def test_an_interpreter_that_ends(start, act, python):
    """Within its finalization no Python is run in it, and it says so; trim does as ever."""
    target = start("target_interpreters.py", "ending", python=python)

    result = act(target, "gc")

    assert result["outcome"] == "refused"
    assert "ending" in result["reason"] or "not any more" in result["reason"]
    assert act(target)["outcome"] in DONE
    assert target.is_alive


def test_several_interpreters(start, act, python):
    """Only the main one is collected, and the sentence says that there are others."""
    target = start("target_interpreters.py", "several", python=python)

    result = act(target, "gc")

    assert result["outcome"] in DONE
    assert "it has others" in result["meaning"]
