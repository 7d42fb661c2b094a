"""The three tiers of a history against a list that keeps everything."""

import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.model.history import BUCKET_S, LONG_EVERY, TICKS, History

SAMPLES = st.lists(
    st.tuples(st.sampled_from([0.1, 1.0, 2.0, 7.0, 15.0, 90.0]), st.integers(0, 5000)),
    min_size=1,
    max_size=500,
)


def fed(samples, tick=7, begin_s=1_000_000.0):
    """A history, and the plain list (tick, bucket, value) of what it was fed."""
    history, plain, clock_s = None, [], begin_s
    for step_s, kib in samples:
        clock_s += step_s
        bucket = int(clock_s // BUCKET_S)
        if history is None:
            history = History(tick, bucket, kib)
        elif kib != history.kib:
            history.add(tick, bucket, kib, plain[-1][1])
        plain.append((tick, bucket, kib))
        tick += 1
    return history, plain


@settings(max_examples=150, deadline=None)
@given(SAMPLES, st.data())
def test_ticks_are_exact(samples, data):
    """The last 300 values come back as they were, also those that were never written."""
    history, plain = fed(samples)
    last = plain[-1][0]
    kept = plain[-TICKS:]

    assert history.ticks(last - TICKS + 1, last) == [kib for _, _, kib in kept]

    begin = data.draw(st.integers(0, len(kept) - 1))
    end = data.draw(st.integers(begin, len(kept) - 1))
    expected = min(kib for _, _, kib in kept[begin : end + 1])
    assert history.minimum(kept[begin][0], kept[end][0]) == expected


@settings(max_examples=150, deadline=None)
@given(SAMPLES)
def test_buckets_hold_minimum_and_maximum(samples):
    """A bucket holds what was seen in it; one without a sample what was held meanwhile."""
    history, plain = fed(samples)
    last = plain[-1][1]
    seen = {}
    for _, bucket, kib in plain:
        seen.setdefault(bucket, []).append(kib)

    for bucket, span in zip(
        range(last - 60, last + 1), history.spans(last - 60, last), strict=True
    ):
        if bucket in seen:
            assert span == (min(seen[bucket]), max(seen[bucket]))
        else:
            assert (span is None) == (bucket < plain[0][1])


@settings(max_examples=100, deadline=None)
@given(SAMPLES)
def test_long_buckets_hold_minimum_and_maximum(samples):
    """The same holds for the buckets of five minutes."""
    history, plain = fed(samples)
    last = plain[-1][1] // LONG_EVERY
    seen = {}
    for _, bucket, kib in plain:
        seen.setdefault(bucket // LONG_EVERY, []).append(kib)

    for bucket, span in zip(
        range(last - 30, last + 1), history.long_spans(last - 30, last), strict=True
    ):
        if bucket in seen:
            assert span == (min(seen[bucket]), max(seen[bucket]))


def test_a_day_of_changes_fits_7_5_kb():
    """After a day in which every second brought another value, a process costs 7.5 KB."""
    history = History(0, 0, 0)
    for second in range(1, 86_400):
        history.add(second, second // BUCKET_S, second % 5000 + 1, (second - 1) // BUCKET_S)

    size = sys.getsizeof(history) + sys.getsizeof(history._cells) + 16  # 16: the collector's

    assert size <= 7.5 * 1024
    assert len(history.ticks(86_100, 86_399)) == 300
    assert all(history.spans(86_399 // BUCKET_S - 479, 86_399 // BUCKET_S))
    assert all(history.long_spans(0, 287))


def test_what_rests_costs_nothing():
    """A process that never changes stores no samples at all."""
    history = History(0, 0, 1234)

    assert len(history._cells) == 0
    assert history.minimum(0, 10_000) == 1234
    assert history.spans(100, 101) == [(1234, 1234)] * 2
