"""Acting while every other thread allocates at full speed: no failure, no damage."""

import pytest
from injecting import DONE, percentile


def held_ms(results):
    return [result["held_us"] / 1000 for result in results if result["held_us"] is not None]


@pytest.mark.parametrize("times", [2, pytest.param(100, marks=pytest.mark.deep)])
def test_trims_of_a_c_program(start, compiled, act, unharmed, record_property, times):
    """Eight threads of C and malloc's locks: every trim is done, every canary is whole."""
    target = start(compiled("target_malloc.c"))
    before, begun = unharmed(target), target.said["rounds"]
    results = []
    for _ in range(times):
        results.append(act(target))
        assert results[-1]["outcome"] in DONE, results[-1]["reason"]
        said = target.ask()
        assert said["errors"] == 0
        assert said["rounds"] > begun
        begun = said["rounds"]
    record_property("held_ms_p50", percentile(held_ms(results), 0.5))
    before.check()


@pytest.mark.parametrize("times", [2, pytest.param(500, marks=pytest.mark.deep)])
def test_everything_at_full_speed(start, compiled, act, unharmed, record_property, times):
    """Eight threads of C and four of Python: trim and gc in turn, all done, nothing damaged."""
    library = compiled("target_malloc.c", "-DAS_LIBRARY", "-shared", "-fPIC")
    target = start("target_stress.py", library)
    before, last = unharmed(target), target.said
    results = []
    for turn in range(times):
        results.append(act(target, "gc" if turn % 2 else "trim"))
        assert results[-1]["outcome"] in DONE, (turn, results[-1]["reason"])
        said = target.ask()
        assert (said["errors"], said["python_errors"]) == (0, 0)
        assert said["rounds"] > last["rounds"]
        last = said
    held = held_ms(results)
    for share in (0.5, 0.95, 1.0):
        record_property(f"held_ms_p{100 * share:.0f}", percentile(held, share))
    before.check()
    after = target.ask()
    assert after["python_rounds"] > last["python_rounds"] or after["rounds"] > last["rounds"]
