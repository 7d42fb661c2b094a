"""Threads and relatives that must be left alone, because others would be harmed by them."""

import time

import pytest


@pytest.mark.parametrize("targets", [1, pytest.param(8, marks=pytest.mark.deep)])
def test_a_thread_in_a_signal_handler(start, compiled, act, targets):
    """A handler has interrupted anything, malloc as well: its thread never stays stuck."""
    for _ in range(targets):
        target = start(compiled("target_handler.c", "-pthread"))
        act(target)
        target.lines()
        rounds = target.read(10.0)["rounds"]
        assert target.read(10.0)["rounds"] > rounds
        target.end()


def test_a_child_of_vfork(start, compiled, act):
    """Until it runs another program it has its parent's memory and locks: refused, both live."""
    target = start(compiled("target_vfork.c"))
    child = target.said["child"]
    deadline = time.monotonic() + 5

    result = act(child)

    assert time.monotonic() < deadline
    assert result["outcome"] == "refused"
    assert "vfork" in result["reason"]
    assert target.ask("") == {"allocates": True}
