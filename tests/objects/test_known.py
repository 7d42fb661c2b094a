"""Classes of which the numbers are known: what was counted is what there is."""

import pytest
from counting import check_sound, counts, described, one_type

SOME, MANY = 4_000, 40_000
deep = pytest.mark.deep
SIZES = [SOME, pytest.param(MANY, marks=deep)]


def check_counts(found, said):
    wrong = {
        name: (found[name], count)
        for name, count in said.items()
        if abs(found[name] - count) > count * 0.001
    }
    assert not wrong, wrong


@pytest.mark.parametrize("count", SIZES)
def test_known_classes(start, census, python, count):
    """Every kind of class: exact to 0.1 %, although as many others died in the same pools."""
    target = start("target_known.py", count, python=python)
    found = census(target, full=True)
    check_sound(found)
    assert not found.sampled and not found.cut and found.coverage > 0.999
    check_counts(counts(found), target.said["counts"])


@pytest.mark.parametrize("count", SIZES)
def test_built_in_types(start, census, python, count):
    """So many more of each are so many more that are found."""
    target = start("target_known.py", count, python=python)
    before = counts(census(target, full=True))
    more = target.ask("more")
    after = counts(census(target, full=True))
    # What the interpreter keeps of those that it freed is taken first: some hundred at most.
    wrong = {
        name: (after[name] - before[name], number)
        for name, number in more.items()
        if abs(after[name] - before[name] - number) > number // 1000 + 150
    }
    assert not wrong, wrong


def test_bytes_and_buffers(start, census, each_python):
    """Bytes are those of the blocks; what lists, dictionaries, sets own is told beside that."""
    target = start("target_known.py", 2 * SOME, python=each_python)
    found = census(target, full=True)
    for name, size in target.said["sizes"].items():
        one = one_type(found, name)
        assert size <= one.bytes / one.count < size + 16, one
    for name, owned in target.said["buffers"].items():
        one = one_type(found, name)
        assert one.buffer_bytes == pytest.approx(owned, rel=0.06), (one, owned)


def test_modules(start, census, each_python):
    """Classes have the module that they say, those of which little is there may have none."""
    found = census(start("target_known.py", 2 * SOME, python=each_python), full=True)
    assert one_type(found, "Parsed").module == "shop.tracker"
    assert one_type(found, "Plain").module == "__main__"
    assert one_type(found, "Wide").module == "__main__"
    for one in found.types[:12]:
        assert one.module, described(found)
    assert found.python and each_python.split("/")[-3][:3] in (found.python[:3], "usr")


@pytest.mark.parametrize("hooks", ["malloc", "debug", "malloc_debug"])
def test_other_allocators_of_python(start, census, hooks):
    """PYTHONMALLOC: all objects in malloc, or with bytes around each; or it is said what is not."""
    target = start("target_known.py", SOME, env={"PYTHONMALLOC": hooks})
    found = census(target, full=True)
    if "debug" in hooks and not found.types:
        assert found.missing
        return
    check_sound(found)
    check_counts(counts(found), target.said["counts"])


def test_program_without_python(census):
    """Where no Python runs there is an error that says so."""
    import shutil
    import subprocess

    from memtop.errors import MemtopError

    child = subprocess.Popen([shutil.which("sleep"), "60"])
    try:
        with pytest.raises(MemtopError, match="Python"):
            census(child.pid)
    finally:
        child.kill()
        child.wait()
