"""A heap of everything that a service has, against what the interpreter itself can reach."""

import pytest
from counting import check_sound, counts, main_types, off, recall

deep = pytest.mark.deep
SIZES = [150_000, pytest.param(650_000, marks=deep)]


def compared(target, found, record):
    """Recall and how far main types are off; `found` was taken before the target is asked."""
    truth = target.ask("truth")["counts"]
    names = main_types(truth)
    wrong = off(found, truth, names)
    worst = max(wrong, key=lambda name: abs(wrong[name]))
    record("recall", f"{recall(found, truth):.4f} of {sum(truth.values()):,}")
    record("worst", f"{worst} {wrong[worst]:+.2%}")
    return recall(found, truth), wrong


@pytest.mark.parametrize("count", SIZES)
def test_against_the_interpreter(start, census, record_property, python, count):
    """99.5 % of all objects are found as what they are, each main type to 1 %."""
    target = start("target_mixed.py", count, python=python)
    found = census(target, full=True)
    check_sound(found)
    share, wrong = compared(target, counts(found), record_property)
    assert share >= 0.995
    assert not {name: one for name, one in wrong.items() if abs(one) > 0.01}, wrong


def test_without_pymalloc(start, census, record_property):
    """The same if all objects are in malloc."""
    target = start("target_mixed.py", SIZES[0], env={"PYTHONMALLOC": "malloc"})
    found = census(target, full=True)
    check_sound(found)
    share, wrong = compared(target, counts(found), record_property)
    assert share >= 0.995
    assert not {name: one for name, one in wrong.items() if abs(one) > 0.01}, wrong


@pytest.fixture(params=[0, *(pytest.param(each, marks=deep) for each in (1_200_000, 5_000_000))])
def large(request, start, children):
    """A process with more than 4,096 pools: the mixed heap, or quickly of few types."""
    if request.param:
        return start("target_mixed.py", request.param)
    return children.ready(
        "import sys\n"
        "kept = [(number + 0.5, bytes(number % 400)) for number in range(300_000)]\n"
        "print('ready', flush=True); sys.stdin.read()"
    )


def test_sampled(large, census, record_property):
    """A part of the pools tells the same as all of them: main types to 2 %."""
    full, part = counts(whole := census(large, full=True)), census(large)
    check_sound(part)
    assert part.sampled and part.coverage < 1 and not whole.sampled
    wrong = off(counts(part), full, main_types(full, 0.05))
    worst = max(wrong, key=lambda name: abs(wrong[name]))
    record_property("worst", f"{worst} {wrong[worst]:+.2%} of {part.coverage:.1%}")
    assert not {name: one for name, one in wrong.items() if abs(one) > 0.02}, wrong
    assert part.bytes == pytest.approx(whole.bytes, rel=0.02)


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"budget_s": 0.05}, marks=deep),
        pytest.param({"full": True, "budget_s": 0.5}, marks=deep),
    ],
    ids=str,
)
def test_how_far_off_it_is_said_to_be(large, census, record_property, options):
    """True of 19 in 20 types that are a hundredth of all objects: sampled, at a glance, cut."""
    whole = census(large, full=True)
    full, right, said = counts(whole), [], []
    for _ in range(6):
        part = census(large, **options)
        check_sound(part)
        if not part.sampled:  # there was time for everything
            continue
        said.append(part.error)
        right += [
            abs(one) <= part.error for one in off(counts(part), full, main_types(full)).values()
        ]
    record_property("said", " ".join(f"{one:.1%}" for one in said))
    wrong, mean = len(right) - sum(right), len(right) / 20
    assert wrong <= mean + 3 * mean**0.5 + 1, said  # by chance once in some hundred runs
    assert all(one < 0.5 for one in said)


def test_budget(start, census):
    """No longer than it was told to; what was not looked at is said."""
    target = start("target_mixed.py", SIZES[0])
    whole = census(target, full=True)
    part = census(target, full=True, budget_s=whole.seconds / 2)
    assert part.cut or part.sampled or part.seconds <= whole.seconds
    assert part.seconds < whole.seconds + 0.5
