"""Everything that a thread has in its registers and settings is the same afterwards."""

import pytest
from injecting import DONE


@pytest.mark.parametrize("times", [12, pytest.param(400, marks=pytest.mark.deep)])
def test_nothing_of_a_thread_is_changed(start, compiled, act, unharmed, times):
    """Registers, flags, red zone, MXCSR, x87, vectors, mask, sigaltstack: no difference."""
    target = start(compiled("target_registers.c"))
    before = unharmed(target)
    for number in range(1, times + 1):
        result = act(target)
        assert result["outcome"] in DONE, result["reason"]
        if number % 2 == 0:  # so that one wait is interrupted twice
            target.process.stdin.write(b".")
            target.process.stdin.flush()
            said = target.read()
            assert (said["rounds"], said["differences"]) == (number // 2, 0), said["which"]
    before.check()


def test_the_target_sees_differences(start, compiled):
    """Without any action nothing differs; of each kind of value one wrong bit is found."""
    for arguments, found in (((), 0), (("spoil",), 1)):
        target = start(compiled("target_registers.c"), *arguments)
        for number in range(1, 19):
            target.process.stdin.write(b".")
            target.process.stdin.flush()
            said = target.read()
            assert (said["rounds"], said["differences"]) == (number, found * number), said["which"]
