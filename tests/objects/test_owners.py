"""Big blocks: whose they are."""

import pytest
from counting import check_sound

LABELS = {"native or unknown"}


def owners(found):
    """Count and bytes by type, whatever the details."""
    sums = {}
    for one in found.big_blocks:
        name = one.type if one.type in LABELS else one.type.rpartition(".")[2]
        count, size = sums.get(name, (0, 0))
        sums[name] = count + one.count, size + one.bytes
    return sums


def test_plain_types(start, census, python):
    """Buffers and objects of all built-in types have their owner; three of malloc have none."""
    target = start("target_owners.py", "plain", python=python)
    found = census(target, full=True)
    check_sound(found)
    known, said = owners(found), target.said
    if python.split("/")[-3] != "usr" and "dict" in known and known["dict"][0] == 7:
        said["dict"][0] = 7  # up to 3.11 the strings that are interned are in one, too
    # array.array is told by its own name, or is among what is not known.
    native = said.pop("native or unknown")[0] + said.pop("array")[0] - known.pop("array", (0,))[0]
    wrong = {name: (known.get(name), count) for name, (count, _) in said.items()}
    assert not {name: one for name, one in wrong.items() if (one[0] or (0,))[0] != one[1]}, wrong
    for name, (_, size) in said.items():
        # Each begins with 16 to 56 bytes of its own, and ends with its page.
        assert size is None or size <= known[name][1] <= 1.05 * size, (name, known[name], size)
    assert native <= known["native or unknown"][0] <= native + 3, known
    total = sum(size for _, size in known.values())
    assert found.big_blocks_bytes == pytest.approx(total, rel=0.02)
    python_bytes = total - known["native or unknown"][1]
    assert found.big_blocks_python_bytes == pytest.approx(python_bytes, rel=0.03)


def test_frames(start, census, numpy_python):
    """60 arrays, with dtype and shape; views of them own nothing."""
    target = start("target_owners.py", "frames", python=numpy_python)
    found = census(target, full=True)
    check_sound(found)
    count, size = target.said["ndarray"]
    assert owners(found)["ndarray"][0] == count
    assert size <= owners(found)["ndarray"][1] <= 1.03 * size
    details = {one.detail: one.count for one in found.big_blocks if one.type.endswith("ndarray")}
    assert sorted(details.values()) == [10, 50], details
    frame = next(name for name, number in details.items() if number == 50)
    assert "uint8" in frame and all(side in frame for side in ("480", "640", "3")), frame
    flat = next(name for name, number in details.items() if number == 10)
    assert "float64" in flat and "500" in flat and "100" in flat, flat
    assert sum(one.buffer_bytes for one in found.types if one.type.endswith("ndarray")) >= size


def test_after_a_second_start(start, census):
    """Whatever is counted twice is the same twice."""
    target = start("target_owners.py", "plain")
    first, second = census(target, full=True), census(target, full=True)
    assert first.big_blocks == second.big_blocks
    assert first.types == second.types
