"""Comparing what was counted with what there is. Nothing here is a test or a fixture."""

from collections import Counter


def counts(objects):
    """How many there are of each type, by its name alone."""
    found = Counter()
    for one in objects.types:
        found[one.type.rpartition(".")[2]] += one.count
    return found


def one_type(objects, name):
    """The entry of a type."""
    (found,) = [one for one in objects.types if one.type == name]
    return found


def recall(found, truth):
    """The share of what there is that was found as what it is."""
    return sum(min(found[name], count) for name, count in truth.items()) / sum(truth.values())


def off(found, truth, names):
    """By how much each of these is off, a signed share."""
    return {name: found[name] / truth[name] - 1 for name in names}


def main_types(truth, share=0.01):
    """The names of the types that make up so much of all objects."""
    total = sum(truth.values())
    return [name for name, count in truth.items() if count >= share * total]


def check_sound(objects):
    """The figures fit each other."""
    assert all(one.count > 0 and one.bytes > 0 for one in objects.types), objects.types
    assert all(one.buffer_bytes >= 0 for one in objects.types)
    assert len({(one.type, one.module) for one in objects.types}) == len(objects.types)
    sizes = [one.all_bytes for one in objects.types]
    assert sizes == sorted(sizes, reverse=True)
    assert 0 < objects.coverage <= 1
    assert objects.source == "census"
    assert objects.sampled == (objects.error is not None)
    assert all(objects.sampled == (one.error is not None) for one in objects.types)
    for python, whole in (
        (objects.malloc_in_use_python_bytes, objects.malloc_in_use_bytes),
        (objects.big_blocks_python_bytes, objects.big_blocks_bytes),
    ):
        assert python is None or whole is None or 0 <= python <= whole


def described(objects, most=25):
    """The first types, for a message."""
    return [(one.name, one.count, one.bytes, one.buffer_bytes) for one in objects.types[:most]]
