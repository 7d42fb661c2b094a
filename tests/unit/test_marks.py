"""What changed from mark to mark."""

from __future__ import annotations

import pytest

from memtop.model.marks import Stretch, between

VALUES = {0.0: 100, 10.0: 100, 20.0: 500, 30.0: 450, 40.0: 460}


def test_each_stretch_has_the_change_from_its_mark_to_the_next_one() -> None:
    """The last one reaches to the last moment; what is before the first mark has no name."""
    marks = [(30.0, "level 4"), (10.0, "level 1"), (20.0, "level 2")]
    assert between(marks, 0.0, 40.0, VALUES.get) == [
        Stretch(0.0, 10.0, 0, ""),
        Stretch(10.0, 20.0, 400, "level 1"),
        Stretch(20.0, 30.0, -50, "level 2"),
        Stretch(30.0, 40.0, 10, "level 4"),
    ]


def test_a_mark_before_the_first_moment_names_the_first_stretch() -> None:
    """A process that was born within a level: its growth is of that level, not of one before."""
    marks = [(-5.0, "level 1"), (-1.0, "level 2"), (20.0, "level 4"), (99.0, "later")]
    assert between(marks, 10.0, 40.0, VALUES.get) == [
        Stretch(10.0, 20.0, 400, "level 2"),
        Stretch(20.0, 40.0, -40, "level 4"),
    ]


def test_without_a_mark_there_are_no_stretches() -> None:
    """Nor between moments that are none."""
    assert between([], 0.0, 40.0, VALUES.get) == []
    assert between([(50.0, "later")], 0.0, 40.0, VALUES.get) == []
    assert between([(10.0, "a")], 40.0, 40.0, VALUES.get) == []


def test_what_is_not_known_has_no_change() -> None:
    """The stretches at both sides of it have none, the others do."""
    made = between([(10.0, "a"), (15.0, "b"), (20.0, "c")], 0.0, 40.0, VALUES.get)
    assert [one.change_kib for one in made] == [0, None, None, -40]


def test_marks_of_one_moment_are_one() -> None:
    """Their texts stand side by side, and no stretch has no length."""
    made = between([(10.0, "a"), (10.0, ""), (10.0, "b"), (40.0, "end")], 0.0, 40.0, VALUES.get)
    assert [(one.begin, one.end, one.text) for one in made] == [(0, 10, ""), (10, 40, "a, b")]


@pytest.mark.parametrize("lead_s", [1.5, 0.2, -0.2, -1.5])
def test_a_jump_right_before_a_mark_is_the_marks(lead_s):
    """Scripts mark just before a level begins, or when it has: its memory is its own both ways."""

    def value_at(at):
        return 100_000 + (50_000 if at >= 60 else 0) + (70_000 if at >= 120 else 0)

    marks = [(60 - lead_s, "one"), (120 - lead_s, "two")]
    found = between(marks, 0, 180, value_at)
    assert [one.change_kib for one in found] == [0, 50_000, 70_000]


def test_what_grows_evenly_or_falls_before_a_mark_is_not_the_marks():
    """Only a jump is left to the mark that comes right after it."""
    even = between([(60.0, "one")], 0, 120, lambda at: round(2000 * at))
    assert [one.change_kib for one in even] == [120_000, 120_000]
    fall = between([(60.0, "one")], 0, 120, lambda at: 90_000 if at < 59 else 20_000)
    assert [one.change_kib for one in fall] == [-70_000, 0]
