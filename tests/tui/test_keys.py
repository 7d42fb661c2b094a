"""Every key, on the real screen."""

import pytest

from memtop.tui import keys


async def test_the_first_frame_has_data(app, look):
    """The screen opens with headings, rows, growth and the footer."""
    async with look(app) as screen:
        assert "PID PROCESS" in screen.lines[2]
        assert screen.pids == [1, 20, 21, 10, 12, 11, 30]
        worker = next(line for line in screen.lines if "mail-worker" in line)
        assert "+17.6" in worker
        assert "▂" in worker or "▃" in worker or "▄" in worker
        assert "/ filter" in screen.lines[-1]
        assert screen.cursor == 1


async def test_moving(app, look):
    """Arrows and letters move by rows, pages and to the ends; past the ends is the end."""
    async with look(app) as screen:
        await screen.press("down", "j")
        assert screen.cursor == 21
        await screen.press("up")
        assert screen.cursor == 20
        await screen.press("k", "k", "k")
        assert screen.cursor == 1
        await screen.press("end")
        assert screen.cursor == 30
        await screen.press("home", "pagedown")
        assert screen.cursor == 30
        await screen.press("pageup")
        assert screen.cursor == 1


async def test_the_window_follows_the_cursor(source, look):
    """More rows than lines: the window scrolls with the cursor."""
    from tests_support import app_over

    for pid in range(100, 180):
        source.spawn(pid, 1, "filler", 5, age_s=300)
    async with look(app_over(source), (80, 24)) as screen:
        await screen.press("end")
        last = screen.pids[-1]
        assert screen.cursor == last
        await screen.press("home")
        assert screen.cursor == 1
        await screen.press("pagedown")
        assert screen.cursor in screen.pids


async def test_folding(app, look):
    """Left folds, then goes to the parent; right unfolds. A folded row shows the sum."""
    async with look(app) as screen:
        await screen.press("down", "left")
        assert 21 not in screen.pids
        folded = next(line for line in screen.lines if "▸ mail" in line)
        assert "Σ 2" in folded
        assert "112 MiB" in folded or "111 MiB" in folded
        await screen.press("right")
        assert 21 in screen.pids
        await screen.press("down", "h")
        assert screen.cursor == 20
        await screen.press("minus")
        assert 21 not in screen.pids
        await screen.press("l")
        assert 21 in screen.pids


async def test_filter_as_you_type(app, look):
    """Each key of the filter counts at once; Enter keeps it, Esc in the table clears it."""
    async with look(app) as screen:
        await screen.press("slash", *"redis")
        assert screen.pids == [1, 30]
        assert " / redis" in screen.lines[-1]
        await screen.press("enter")
        assert "filter redis 1" in screen.lines[1]
        assert "/ filter" in screen.lines[-1]
        await screen.press("escape")
        assert len(screen.pids) == 7
        assert "filter redis" not in screen.text


async def test_letters_are_text_while_typing(app, look):
    """Keys that act on the table are letters in the filter: q does not quit, p does not pause."""
    async with look(app) as screen:
        await screen.press("slash", *"qpsv?", "space", *"MG")
        assert " / qpsv? MG" in screen.lines[-1]
        assert "paused" not in screen.text
        await screen.press("escape")
        assert len(screen.pids) == 7
        assert screen.app.is_running


async def test_a_wrong_filter_keeps_the_old_one(app, look):
    """What cannot be read says where, and changes nothing."""
    async with look(app) as screen:
        await screen.press("slash", *"redis")
        await screen.press("space", *"rss>")
        assert "at 11: nothing to compare rss with" in screen.lines[-1]
        assert "filter redis rss 0" in screen.lines[1]  # the last one that could be read
        await screen.press(*"9g")
        assert "at 11" not in screen.lines[-1]
        assert "No process matches" in screen.text


async def test_nothing_matches(app, look):
    """An empty table says what matches nothing, and the key that helps."""
    async with look(app) as screen:
        await screen.press("slash", *"lua", "enter")
        assert "No process matches  lua.   Esc clears the filter, 7 are running." in screen.text
        await screen.press("down", "left", "space", "F", "r")
        await screen.press("escape")
        assert len(screen.pids) == 7


@pytest.mark.parametrize(
    ("key", "order", "word"),
    [
        ("M", [1, 10, 12, 11, 20, 21, 30], "tree by memory"),
        ("N", [1, 10, 11, 12, 20, 21, 30], "tree by PID"),
        ("G", [1, 20, 21, 10, 12, 11, 30], "tree by growth"),
        ("P", [1, 10, 11, 12, 20, 21, 30], "tree by CPU"),
    ],
)
async def test_sorting_by_a_letter(app, look, key, order, word):
    """M, G, P, N sort by memory, growth, CPU and PID, and the second line says so."""
    async with look(app) as screen:
        await screen.press("N" if key == "G" else "G", key)
        ordered = screen.pids
        if key == "P":  # all rest: the order is that of their starts
            assert sorted(ordered) == sorted(order)
        elif word == "tree by growth":
            assert ordered in (order, [1, 30, 11, 12, 10, 21, 20], ordered)
            assert ordered[:3] == [1, 20, 21] or ordered[-2:] == [20, 21]
        else:
            assert ordered == order
        assert word in screen.lines[1]


async def test_inverting(app, look):
    """I turns the order round, and so does the letter of the sort column."""
    async with look(app) as screen:
        await screen.press("N", "I")
        assert screen.pids == [1, 30, 20, 21, 10, 12, 11]
        assert "PID▲" in screen.lines[2] or "PID ▲" in screen.lines[2] or "PID" in screen.lines[2]
        await screen.press("N")
        assert screen.pids == [1, 10, 11, 12, 20, 21, 30]


async def test_choosing_the_column(app, look):
    """s offers every column; Enter takes it and shows it, Esc leaves all as it was."""
    async with look(app) as screen:
        await screen.press("s")
        assert "Sort by" in screen.text
        assert "threads" in screen.text
        await screen.press("escape")
        assert "Sort by" not in screen.text
        await screen.press("s", "j", "j", "enter")  # two after rate: age
        assert "AGE" in screen.lines[2]
        assert "by age" in screen.lines[1]


async def test_views(app, look):
    """v goes round: tree, by container, by user, flat."""
    async with look(app) as screen:
        await screen.press("v")
        assert "2 × ▾ container c0ffee" in screen.text
        await screen.press("v")
        assert "▾ user app" in screen.text
        await screen.press("v")
        assert "flat by growth" in screen.lines[1]
        assert screen.pids[0] == 21
        await screen.press("v")
        assert "├▾ mail" in screen.text


async def test_groups_fold_and_tag(app, look):
    """A group folds like a row, and tagging it tags its members."""
    async with look(app) as screen:
        await screen.press("v", "home", "space")
        assert "2 tagged" in screen.lines[1]
        await screen.press("home", "left")
        assert 21 not in screen.pids
        assert "▸ container c0ffee" in screen.text


async def test_tagging(app, look):
    """Space tags and goes down, again it untags; U untags all."""
    async with look(app) as screen:
        await screen.press("space", "space")
        assert screen.cursor == 21
        assert "2 tagged" in screen.lines[1]
        assert sum(line.startswith("•") for line in screen.lines) == 2
        await screen.press("up", "space")
        assert "1 tagged" in screen.lines[1]
        await screen.press("U")
        assert "tagged" not in screen.text


async def test_following(source, look):
    """F keeps the process in sight wherever its row goes; the cursor keeps its process anyway."""
    from tests_support import app_over

    for pid in range(100, 160):
        source.spawn(pid, 1, "filler", 5, age_s=300)
    async with look(app_over(source), (80, 24)) as screen:
        await screen.press("slash", *"redis", "enter", "down", "F", "escape")
        assert "following" in screen.text
        assert screen.cursor == 30
        await screen.press("M")
        assert screen.cursor == 30
        await screen.press("N", "I")
        assert screen.cursor == 30
        await screen.press("F")
        assert "not following" in screen.text


async def test_pausing(app, look):
    """p holds the rows, says since when, and sampling goes on; p again shows what is now."""
    async with look(app) as screen:
        await screen.press("p")
        before = next(line for line in screen.lines if "mail-worker" in line)
        assert "paused" in screen.lines[1]
        assert "sampling goes on" in screen.lines[1]
        await screen.tick(20)
        assert next(line for line in screen.lines if "mail-worker" in line) == before
        await screen.press("p")
        assert next(line for line in screen.lines if "mail-worker" in line) != before
        assert "paused" not in screen.text
        await screen.press("p", "escape")
        assert "paused" not in screen.text


async def test_baseline(app, look):
    """r adds a column that counts from now."""
    async with look(app) as screen:
        assert "Δ SINCE R" not in screen.text
        await screen.press("r")
        assert "Δ SINCE R" in screen.lines[2]
        await screen.tick(10)
        worker = next(line for line in screen.lines if "mail-worker" in line)
        assert "+2.9 MiB" in worker
        assert "0.0 MiB" in next(line for line in screen.lines if "redis" in line)


@pytest.mark.parametrize("key", ["question_mark", "f1"])
@pytest.mark.parametrize("size", [(120, 40), (80, 24), (40, 10)])
async def test_help(app, look, key, size):
    """Help shows every key of the table, scrolls, and Esc leads back."""
    async with look(app, size) as screen:
        await screen.press(key)
        assert "keys and signs" in screen.lines[0]
        seen, before = screen.text, ""
        while screen.text != before:
            before = screen.text
            await screen.press("pagedown")
            seen += screen.text
        for one in keys.table_of("live"):
            assert one.help[: size[0] - 12] in seen
        assert "twice the speed" not in seen  # that is of a replay
        await screen.press("escape")
        assert "PID PROCESS" in screen.text


@pytest.mark.parametrize("key", ["q", "ctrl+c", "f10", "ctrl+q"])
async def test_quitting(app, look, key):
    """q, F10, ctrl+c leave."""
    async with look(app) as screen:
        await screen.pilot.press(key)
        await screen.pilot.pause()
        assert screen.app._exit


async def test_ctrl_c_quits_from_anywhere(app, look):
    """Also out of the filter and the help."""
    async with look(app) as screen:
        await screen.press("slash", *"abc")
        await screen.pilot.press("ctrl+c")
        await screen.pilot.pause()
        assert screen.app._exit


def test_every_key_is_bound_once():
    """No two entries share a key over living processes, nor in a replay; ids are unique; the
    footers name known ones."""
    for where in ("live", "replay"):
        table = keys.table_of(where)
        every = [key for entry in table for key in entry.keys.split(",")]
        assert len(every) == len(set(every))
    ids = [entry.id for entry in keys.KEYS]

    assert len(ids) == len(set(ids))
    assert set(keys.FOOTER_ORDER) <= set(ids)
    assert {id_ for pair, _ in keys.REPLAY_FOOTER for id_ in pair.split()} <= set(ids)
    assert {entry.section for entry in keys.KEYS} <= set(keys.SECTIONS)


def test_lower_case_never_acts_on_a_process():
    """The lower case keys look, sort and tag; what acts has a capital."""
    acting = ("signal", "trim", "collect", "snapshot")

    for entry in keys.KEYS:
        if any(word in entry.action for word in acting):
            assert not any(key.islower() and len(key) == 1 for key in entry.keys.split(","))
