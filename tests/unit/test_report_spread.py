"""How sure a slope is, and what has none: made-up series whose true slope is known."""

import math
import random

import pytest

from memtop.reports.slope import final_of, slope_of
from memtop.reports.stairs import steps_of

MIB = 1024


def noise(roll, times, rate):
    """A line under noise that comes and goes."""
    high = roll.choice([0.5, 2, 6]) * MIB
    return [rate * at + roll.uniform(0, high) for at in times]


def bursts(roll, times, rate):
    """A line under load: what is taken stays for a while."""
    keeps, high, off = roll.choice([0.5, 0.9, 0.97]), roll.choice([0.2, 0.7, 2]) * MIB, 0.0
    made = []
    for at in times:
        off = keeps * off + roll.gauss(0, high * math.sqrt(1 - keeps * keeps))
        made.append(rate * at + abs(off))
    return made


def steps(roll, times, rate):
    """A stair whose steps come by chance, 12 to 60 of them."""
    number = roll.uniform(12, 60)
    each, chance, height, made = rate * times[-1] / number, number / len(times), 0.0, []
    for _ in times:
        height += each * (roll.random() < chance)
        made.append(height)
    return made


def sawtooth(roll, times, rate):
    """A line under a sawtooth of 16 to 80 teeth."""
    high, tooth, begin = roll.choice([3, 10, 30]) * MIB, times[-1] / roll.uniform(16, 80), 0.0
    begin = roll.random()
    return [rate * at + high * ((at / tooth + begin) % 1) for at in times]


@pytest.mark.parametrize(("samples", "step_s"), [(240, 1.0), (900, 1.0), (1440, 60.0)])
@pytest.mark.parametrize("kind", [noise, bursts, steps, sawtooth])
def test_the_true_slope_is_within_what_is_said(kind, samples, step_s):
    """The stated interval, of the whole and of the last quarter, holds it nine times of ten."""
    roll, held, held_last, told = random.Random(11), 0, 0, 0
    times = [step_s * n for n in range(samples)]
    for _ in range(200):
        rate = roll.choice([0.5, 2, 8, 40]) * MIB / (60 if step_s < 10 else 1800)
        series = times, [round(200 * MIB + kib) for kib in kind(roll, times, rate)]
        slope, final = slope_of(series), final_of(series)
        held += abs(slope.kib_s - rate) <= slope.spread
        if final.word == "plateau":
            told, held_last = told + 1, held_last + (rate <= final.below)
        elif final.slope is not None:
            off = abs(final.slope.kib_s - rate)
            told, held_last = told + 1, held_last + (off <= final.slope.spread)
    assert held >= 180
    # A quarter of a stair of 12 steps has three of them, or none.
    assert held_last >= (0.85 if kind is steps else 0.9) * told


def test_a_long_time_tells_finely():
    """1 MiB an hour under 3 MiB of noise for a day: within a tenth, and it still grows."""
    roll, rate = random.Random(1), MIB / 3600
    times = [15.0 * n for n in range(5760)]
    series = times, [round(200 * MIB + rate * at + roll.uniform(0, 3 * MIB)) for at in times]
    slope, final = slope_of(series), final_of(series)
    assert slope.kib_s == pytest.approx(rate, rel=0.05) and slope.spread < 0.1 * rate
    assert final.word == "growing" and final.slope.kib_s == pytest.approx(rate, rel=0.1)


# -- steps ---------------------------------------------------------------------------------


def stair(*rises, every=30, noise_kib=0):
    """Level, then so many MiB more each time."""
    roll, level, lows = random.Random(3), 40 * MIB, []
    for rise in (0, *rises):
        level += rise * MIB
        lows += [level + roll.randrange(noise_kib + 1) for _ in range(every)]
    return [float(n) for n in range(len(lows))], lows


@pytest.mark.parametrize("noise_kib", [0, 500])
def test_a_stair_has_steps(noise_kib):
    """Each with the moment at which it is there first, and its size."""
    found = steps_of(stair(14, 28, 56, noise_kib=noise_kib))
    assert [one.at for one in found] == [30.0, 60.0, 90.0]
    assert [one.begin for one in found] == [29.0, 59.0, 89.0]
    assert [one.kib / MIB for one in found] == pytest.approx([14, 28, 56], abs=0.6)


def test_a_step_may_take_some_samples_and_fall_in_the_end():
    """Three samples of allocating are one step; that all is given back later changes nothing."""
    times, lows = stair(20, 40, every=60)
    lows[60:62] = [lows[0] + 5 * MIB, lows[0] + 12 * MIB]
    lows += [lows[0]] * 20
    found = steps_of(([*times, *(180.0 + n for n in range(20))], lows))
    assert [(one.at, one.kib) for one in found] == [(62.0, 20 * MIB), (120.0, 40 * MIB)]


@pytest.mark.parametrize(
    "shape",
    [
        lambda at: at * 200,
        lambda at: 100 * MIB * (1 - math.exp(-at / 40)),
        lambda at: at % 20 * MIB,
        lambda at: at // 10 * MIB,
        lambda at: 0,
    ],
    ids=["line", "warm-up", "sawtooth", "many steps", "level"],
)
def test_what_is_no_stair_has_no_steps(shape):
    """Neither an even climb, also one of many steps, nor what bends over or comes back."""
    times = [float(n) for n in range(200)]
    assert steps_of((times, [50 * MIB + round(shape(at)) for at in times])) == ()
    assert steps_of((times[:5], [1, 2, 30000, 30000, 30000])) == ()
