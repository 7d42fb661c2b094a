"""Stacks that are not those of threads: nothing below them is touched."""

import pytest
from injecting import DONE


@pytest.mark.parametrize("arguments", [(), ("thread",)], ids=["main", "thread"])
def test_a_small_stack_of_its_own(start, compiled, act, unharmed, arguments):
    """A thread that waits on a coroutine's stack is left alone, or nothing else is spoilt."""
    target = start(compiled("target_fiber.c"), *arguments)
    before = unharmed(target)
    result = act(target)
    assert result["outcome"] in (*DONE, "refused"), result
    assert target.ask() == {"rounds": 1, "spoilt": 0}
    before.check()
