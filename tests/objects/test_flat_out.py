"""What is constant is counted exactly while everything around it comes and goes."""

import pytest
from counting import check_sound, counts


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.deep)])
def test_constant_instances(start, census, each_python, record_property, times):
    """100,000 instances of two classes, each time, while four threads allocate flat out."""
    target = start("target_flat_out.py", 100_000, python=each_python)
    wrong = []
    for _ in range(times):
        found = census(target, full=True)
        check_sound(found)
        for name in ("Constant", "Static"):
            if counts(found)[name] != target.said[name]:
                wrong.append((name, counts(found)[name]))
    record_property("wrong", f"{len(wrong)} of {2 * times}")
    assert not wrong, wrong
    assert target.is_alive
