"""Changes as bytes and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.recording.codec import pack, pack_spans, unpack, unpack_spans
from memtop.recording.quantities import rate_digits, rate_of
from memtop.units import rate_mib_min

STEPS = st.none() | st.integers(-(1 << 62), 1 << 62) | st.integers(-200, 200)
COLUMN = st.dictionaries(st.integers(0, (1 << 24) - 1), STEPS, min_size=1, max_size=60)


@given(st.dictionaries(st.integers(0, 255), COLUMN, max_size=6))
def test_what_is_packed_is_unpacked(columns):
    """Any steps of any objects come back, unknown ones too, in the order of the objects."""
    data = pack({quantity: list(column.items()) for quantity, column in columns.items()})
    found = {q: dict(zip(objects, steps, strict=True)) for q, objects, steps in unpack(data)}

    assert found == columns
    assert all(list(one) == sorted(one) for one in found.values())


def test_a_column_may_be_long():
    """More objects than fit into one column become several."""
    pairs = [(number, number) for number in range(70_000)]
    found = [
        (number, s)
        for _, o, steps in unpack(pack({2: pairs}))
        for number, s in zip(o, steps, strict=True)
    ]

    assert found == pairs


def test_small_steps_are_small():
    """A change of one of some hundred processes takes two to four bytes."""
    data = pack({2: [(number, 40 - number % 80) for number in range(300)]})
    assert len(data) < 300 * 2 + 12
    data = pack({2: [(number * 3, 4000 - number) for number in range(300)]})
    assert len(data) < 300 * 3 + 12


@given(st.binary(max_size=200))
def test_noise_is_no_change(data):
    """Bytes that nobody packed are an error, or are taken as what they look like."""
    try:
        for _, objects, steps in unpack(data):
            assert len(list(objects)) == len(steps)
    except ValueError:
        pass


@given(st.integers(1, 40), st.data())
def test_a_cut_moment_is_an_error(count, data):
    """A moment that ends too early is noticed."""
    whole = pack({2: [(number, number) for number in range(count)]})
    size = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(ValueError):
        list(unpack(whole[:size]))


PAIR = st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1)).map(sorted)


@given(st.integers(0, 20), st.lists(PAIR.map(tuple), max_size=20))
def test_ranges_come_back(missing, known):
    """Ranges of buckets, the first of which may be unknown."""
    spans = ([None] * missing + known)[:20]

    assert unpack_spans(pack_spans(spans), 20) == spans + [None] * (20 - len(spans))


@given(st.floats(-1e10, 1e10))
def test_a_rate_is_shown_the_same(rate):
    """A rate that was kept in tenths is written with the same digits."""
    assert rate_mib_min(rate_of(rate_digits(rate))) == rate_mib_min(rate)


def test_an_unknown_rate_stays_unknown():
    """No rate is no rate, and zero is zero."""
    assert rate_of(rate_digits(None)) is None
    assert rate_of(rate_digits(0.0)) == 0.0
