"""What the screen says of groups and limits: one or many, against which limit, how many more."""

import pytest
from tests_support import app_over

from memtop.model.query import View
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Cgroup, Identity, Pod

MIB = 1 << 20
POD = Pod("ab" * 32, "voice", "8d9c5a52-1b1e-4c53-a4a5-0c0ffee00001", "voice-6d4b9c", "media")


def cgroup(path, limit_mib, used_mib, **fields):
    values = dict.fromkeys(
        ("current_bytes", "working_set_bytes", "floor_bytes", "anon_bytes"), used_mib * MIB
    )
    limit = limit_mib * MIB if limit_mib else None
    values |= {"limit_file": "memory.max", "oom_kills": 0, **fields}
    return Cgroup(path, None, values.pop("pod", None), limit, not limit, **values)


def voice(jobs=40, *, grow=0):
    """A service whose jobs are workers of their own, in a pod with a limit."""
    source = FakeSource()
    source.spawn(1, 0, "python", 400, command="python -m voice.main", age_s=9000, cgroup="/voice")
    for pid in range(100, 100 + jobs):
        source.spawn(
            pid, 1, "job_process", 380, command="python -m voice.main", age_s=120, cgroup="/voice"
        )
    source.spawn(900, 0, "redis-server", 20, command="redis-server", age_s=9000, cgroup="/redis")

    def move(source):
        if grow:
            source.processes[103].rss_kib += grow
        used = sum(one.rss_kib for one in source.processes.values()) // 1024
        source.cgroups = [cgroup("/voice", 24_000, used, pod=POD), cgroup("/redis", 0, 25)]

    source._before_sample = move
    return source


async def test_many_processes_begin_folded(look):
    """40 equal workers are one row that says so; line 2 counts the group; → unfolds it."""
    async with look(app_over(voice(), view=View(fold_many=True))) as screen:
        row = next(line for line in screen.lines if "40 ×" in line)
        assert "job_process" in row
        assert "each ≈ 380" in row
        assert "14.8 GiB" in row
        assert "≡  many processes +40" in row
        assert "≡ 1 group of many" in screen.lines[1]
        assert 103 not in screen.pids
        await screen.press("down", "right")
        assert 103 in screen.pids
        await screen.press("left")
        assert 103 not in screen.pids


async def test_the_detail_of_a_group(look):
    """Enter on a group: what its change came from, how large each is, and what to do next."""
    source = voice(8)
    app = app_over(source, view=View(fold_many=True))
    async with look(app) as screen:
        for pid in (300, 301, 302):
            source.spawn(
                pid, 1, "job_process", 380, command="python -m voice.main", cgroup="/voice"
            )
        source.end(100)
        for process in source.processes.values():
            process.pss_kib = process.rss_kib // 2
        await screen.tick(4)
        await screen.press("down", "enter")
        await screen.tick(6)
        text = screen.text
        assert "10 × job_process" in text
        assert "of 1 python -m voice.main" in text
        assert "births          11" in text
        assert "+1.11 GiB" in text
        assert "deaths          1" in text
        assert "members' growth 0 of 10 grow" in text
        assert "8 were born before memtop watched" in text
        assert "380 MiB each" in text
        assert "own memory (PSS) of all" in text
        assert "1.86 GiB" in text
        assert "≡   10 processes below 1 hold 3.71 GiB, each ≈ 380 MiB, and none grows" in text
        assert "→   It is no leak: bound how many run at once" in text


async def test_one_of_many_is_named(look):
    """A group in which one grows is not folded; its worker comes first, and is named."""
    app = app_over(voice(12, grow=800), view=View(fold_many=True), ticks=90)
    async with look(app) as screen:
        row = next(line for line in screen.lines if "12 ×" in line)
        assert "▲▲ one grows" in row
        assert screen.pids[:2] == [1, 103]
        assert "▲▲ 1 leak-like" in screen.lines[1]
        await screen.press("down", "enter")
        assert "One of 12 grows: 103 grows by 46.9 MiB a minute" in screen.text


async def test_line_1_follows_the_selected_process(look):
    """The limit is that of the cgroup of the process under the cursor; without one the host's."""
    async with look(app_over(voice(2)), (140, 40)) as screen:
        assert screen.lines[0].startswith(" media/voice-6d4b9c voice")
        assert "1.2 of 23.4 GiB" in screen.lines[0]
        await screen.press("end")
        assert screen.lines[0].startswith(" host fake")
        assert "cgroup: no limit" in screen.lines[0]


async def test_an_unknown_limit_says_why(look):
    """Where a cgroup cannot be read there is a reason, and never a number."""
    source = voice(2)

    def move(source):
        source.cgroups = [
            Cgroup("/voice", None, POD, None, False, "no right to look into its container")
        ]

    source._before_sample = move
    async with look(app_over(source), (140, 40)) as screen:
        assert "limit not known" in screen.lines[0]
        await screen.press("enter", "tab", "tab", "tab")
        assert "limit not known: no right to look into its container" in screen.text


async def test_when_it_is_full(look):
    """A floor that rises has a time to the limit, with its spread on the cgroup tab."""
    app = app_over(voice(4, grow=20_480), ticks=120)
    async with look(app) as screen:
        assert "full in ≈" in screen.lines[0]
        await screen.press("enter", "tab", "tab", "tab")
        assert "between" in screen.text
        assert "meets the limit in about" in screen.text


@pytest.mark.parametrize(("left_mib", "warned"), [(100, True), (4000, False)])
async def test_a_guest_says_when_there_is_hardly_room_for_it(look, left_mib, warned):
    """In a pod with less than thrice memtop's own RSS left, that is said once at the start."""
    source = voice(1)
    own = source.spawn(640, 0, "memtop", 60, command="memtop", age_s=5, cgroup="/debug")
    source.own = own.identity
    source._before_sample = None
    source.cgroups = [cgroup("/voice", 10_000, 10_000 - left_mib), cgroup("/debug", 0, 60)]
    app = app_over(source, is_guest=True, own=Identity(*own.identity))
    async with look(app) as screen:
        await screen.tick()
        assert ("only 100 MiB left in this pod" in screen.text) is warned
        assert ("memtop takes 60 MiB and is killed first" in screen.text) is warned
