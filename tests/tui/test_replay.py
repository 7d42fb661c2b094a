"""The screen over a recording: what was shown then, the time cursor and its keys, what was said."""

import asyncio
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from test_kept import ANATOMY, FINDING, OBJECTS
from test_recording_both_ways import Service

from memtop import cli
from memtop.actions.result import Result
from memtop.anatomy.objects import TypeCount
from memtop.kept import kept_anatomy, kept_census, kept_result, kept_verdict
from memtop.model.query import View
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Wanted
from memtop.recording.appending import add_event, add_mark, write_result
from memtop.recording.recording import Recording
from memtop.recording.session import Session
from memtop.render.escape import cells
from memtop.render.finding import Verdict
from memtop.replaying import readable
from memtop.tui.app import MemtopApp
from memtop.tui.player import Player
from memtop.tui.replay import ReplayApp
from memtop.tui.screens.replaying import Replaying

WANTED = Wanted(all_usage=True, all_cpu=True)
MIB = 1024
BEGIN = 1_795_269_600.0  # of a fake source: 14:00:00


def stairs():
    """A bench whose memory steps up at 100 s and 200 s, and a process that rests."""

    def move(source):
        bench.rss_kib = (50 + 106 * (source.clock_s >= 100) + 212 * (source.clock_s >= 200)) * MIB

    source = FakeSource(before_sample=move)
    bench = source.spawn(20, 0, "bench", 50, age_s=60, command="python bench.py")
    source.spawn(30, 0, "redis-server", 22, age_s=400)
    return source


def record(path, source, ticks, *, step_s=1.0, **options):
    """Record so many samples of a source."""
    session, tracker = Session(str(path), boot_id="b", **options), Tracker(step_s)
    session.resume(tracker, step_s, source.clock_s)
    for _ in range(ticks):
        state = tracker.feed(source.sample(tracker.ask(WANTED)))
        session.take(state)
    session.close()
    return state


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """The stairs, with a mark before each step."""
    path = tmp_path_factory.mktemp("replay") / "bench.memtop"
    record(path, stairs(), 300)
    add_mark(str(path), "2 streams", BEGIN + 98.5)
    add_mark(str(path), "4 streams", BEGIN + 198.5)
    return path


def replayed(path, tick=None, view=None, **options):
    recording = Recording(str(path))
    at = recording.last_tick if tick is None else tick
    return ReplayApp(recording, at, view or View(), playing=False, **options)


def table(screen):
    """Everything but the second line and the keys."""
    return [screen.lines[0], *screen.lines[2:-2]]


# -- what was shown then ---------------------------------------------------------------------


async def test_any_moment_looks_as_it_did(look, tmp_path):
    """The first line, rows, order, groups, trends and sparklines are those of the live screen."""
    path, service = tmp_path / "a.memtop", Service(1.0)
    live, tracker = {}, Tracker(1.0)
    session = Session(str(path), boot_id="b", exact=True)
    session.resume(tracker, 1.0, 0.0)
    states = [tracker.feed(service.source.sample(tracker.ask(WANTED)))]
    session.take(states[0])
    app = MemtopApp(service.source, tracker, states[0], View(fold_many=True), sampling=False)
    async with look(app) as screen:
        for tick in range(1, 420):
            state = tracker.feed(service.source.sample(tracker.ask(WANTED)))
            session.take(state)
            if tick % 67 == 0 or tick in (121, 131):
                app._main._sorted_at = app._main._touched_at = float("-inf")
                app._main.show_state(state)
                await screen.pilot.pause()
                live[tick] = table(screen)
    session.close()
    assert len(live) == 8

    async with look(replayed(path, view=View(fold_many=True))) as screen:
        for tick in sorted(live, key=lambda one: one * 7 % 11):
            screen.app._player.go(tick)
            await screen.pilot.pause()
            assert table(screen) == live[tick], tick


async def test_it_begins_at_the_end_paused(look, bench):
    """The outcome is on show; line 2 says where the cursor is, in which file, of what length."""
    async with look(replayed(bench)) as screen:
        second = screen.lines[1]
        assert second.startswith(" ‖ replay   bench.memtop   recorded by ")
        assert "cursor 14:04:59Z   4 m 59 s of 4 m 59 s   2026-" in second
        assert "bench" in screen.text and "368 MiB" in screen.text
        assert "memtop 2" not in screen.lines[-1]  # nothing of who shows it


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 20), (40, 10)])
@pytest.mark.parametrize("ascii_only", [False, True])
async def test_every_size_has_the_cursor(look, bench, size, ascii_only):
    """At any width the time is in line 2, nothing is wider than the screen; --ascii is ASCII."""
    async with look(replayed(bench, 150, ascii_only=ascii_only), size) as screen:
        await screen.press("enter")
        lines = screen.lines
        second = next(line for line in lines if "replay" in line)
        assert "14:02:30Z" in second
        assert all(cells(line) <= size[0] for line in lines)
        assert screen.text.isascii() == ascii_only
        if size[0] >= 80:
            assert "2 m 30 s of 4 m 59 s" in second


# -- keys ------------------------------------------------------------------------------------


async def test_steps(look, bench):
    """. and , go one sample on and back; steps that come at once add up; the ends hold."""
    async with look(replayed(bench, 150)) as screen:
        await screen.press("full_stop")
        assert "14:02:31Z" in screen.lines[1]
        await screen.press("comma", "comma", "comma")
        assert "14:02:28Z" in screen.lines[1]
        screen.app._player.go(0)
        await screen.press("comma")
        assert "14:00:00Z" in screen.lines[1]
        screen.app._player.go(299)
        await screen.press("full_stop")
        assert "14:04:59Z" in screen.lines[1]


async def test_events(look, bench):
    """} and { go from mark to mark, to the first sample after each; past the last they say so."""
    async with look(replayed(bench, 0)) as screen:
        await screen.press("right_curly_bracket")
        assert screen.app._player.standing.tick == 99
        assert "▼ 2 streams" in screen.lines[1]
        await screen.press("right_curly_bracket")
        assert screen.app._player.standing.tick == 199
        await screen.press("right_curly_bracket")
        assert "nothing happened after this" in screen.lines[1]
        await screen.press("left_curly_bracket")
        assert screen.app._player.standing.tick == 99
        await screen.press("left_curly_bracket")
        assert "nothing happened before this" in screen.lines[1]


async def jump(screen, text):
    named = {" ": "space", ":": "colon", "+": "plus", "-": "minus"}
    await screen.press("colon", *(named.get(one, one) for one in text), "enter")


@pytest.mark.parametrize(
    ("text", "tick"),
    [
        ("14:02", 120),
        ("14:02:03", 123),
        ("+1m", 210),
        ("-90s", 60),
        ("start", 0),
        ("end", 299),
        ("2 STREAMS", 99),
        ("streams", 199),
        ("rise", 200),
        ("highest", 200),
    ],
)
async def test_jumps(look, bench, text, tick):
    """: goes to a time, from here by a duration, to an end, to a mark, to what was most."""
    async with look(replayed(bench, 150)) as screen:
        await jump(screen, text)
        assert screen.app._player.standing.tick == tick
        await screen.pilot.pause()
        assert screen.app._replaying._shown.tick == tick
        assert "p play" in screen.lines[-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("15:00", "15:00 is not within 14:00:00Z to 14:04:59Z"),
        ("25:00", "'25:00' is not a time of the day"),
        ("+x", "'+x' is not a step such as +5m"),
        ("oom", "no OOM kill was seen in this recording"),
        ("nowhere", "no 'nowhere' here: 14:03"),
    ],
)
async def test_a_wrong_jump_says_what_is_possible(look, bench, text, words):
    """It stays where it was, and the line stays open to be put right; Esc leaves it."""
    async with look(replayed(bench, 150), (160, 40)) as screen:
        await jump(screen, text)
        assert words in screen.lines[-1]
        assert screen.app._player.standing.tick == 150
        await screen.press("escape")
        assert "p play" in screen.lines[-1]


async def test_speed(look, bench):
    """> and < double and halve the speed, between 1 and 1024; p says what it does."""
    async with look(replayed(bench, 150)) as screen:
        await screen.press(*["greater_than_sign"] * 3)
        assert "‖ replay ×8" in screen.lines[1]
        await screen.press("less_than_sign")
        assert "×4" in screen.lines[1]
        await screen.press(*["greater_than_sign"] * 12)
        assert "×1024" in screen.lines[1]
        await screen.press(*["less_than_sign"] * 12, "p")
        assert "▶ replay ×1 " in screen.lines[1]
        await screen.press("p")
        assert "‖ replay  " in screen.lines[1]


async def test_a_mark_is_added(look, bench, tmp_path):
    """m asks what to note, and writes it to the file at the time of the cursor."""
    copy = tmp_path / "b.memtop"
    copy.write_bytes(bench.read_bytes())
    async with look(replayed(copy, 150)) as screen:
        await screen.press("enter", "m", *"warm", "enter")
        assert "▼ warm" in screen.text
        assert "┊ 14:02:30Z" in screen.text or "14:02:30Z" in screen.text
    with Recording(str(copy)) as recording:
        found = next(one for one in recording.events() if one.text == "warm")
        assert found.at == pytest.approx(BEGIN + 150, abs=0.01)


async def test_a_file_that_cannot_be_written_takes_no_mark(look, bench, tmp_path, monkeypatch):
    """It says why, and everything else works."""
    copy = tmp_path / "c.memtop"
    copy.write_bytes(bench.read_bytes())
    refused = os.access
    monkeypatch.setattr(
        "memtop.recording.opening.os.access",
        lambda path, mode: mode != os.W_OK and refused(path, mode),
    )
    async with look(replayed(copy, 150)) as screen:
        await screen.press("m", *"warm", "enter")
        assert "cannot write" in screen.lines[1]
        await screen.press("full_stop")
        assert screen.app._player.standing.tick == 151


async def test_what_needs_a_living_process_says_so(look, bench):
    """Keys that act do nothing but say that this is a recording; the keys do not offer them."""
    async with look(replayed(bench)) as screen:
        for key in "TCSK":
            await screen.press(key)
            assert "needs a living process; this is a recording" in screen.lines[1]
        await screen.press("question_mark")
        assert "twice the speed" in screen.text and "gc.collect in a Python" not in screen.text


async def test_the_live_screen_has_no_keys_of_a_replay(app, look):
    """`:` is the palette there, `p` holds the view, `{` does nothing."""
    async with look(app) as screen:
        await screen.press("left_curly_bracket", "p")
        assert "paused" in screen.lines[1]
        await screen.press("colon")
        assert "Palette" in type(app.screen).__name__


async def test_the_palette_is_there(look, bench):
    """ctrl+p opens it, and its commands are those of a replay."""
    async with look(replayed(bench, 150)) as screen:
        await screen.press("ctrl+p")
        await screen.press(*"one", "space", *"sample", "space", *"back")
        await asyncio.sleep(0.3)
        await screen.press("enter")
        await screen.pilot.pause()
        assert screen.app._player.standing.tick == 149


async def test_another_presets_keys_give_way(look, bench):
    """htop's `>` sorts over living processes; in a replay it is the speed, and s still sorts."""
    async with look(replayed(bench, 150, rebind={"sort": "f6,greater_than_sign,s"})) as screen:
        await screen.press("greater_than_sign")
        assert "×2" in screen.lines[1]
        await screen.press("s")
        assert "Sort by" in screen.text


# -- the chart -------------------------------------------------------------------------------


async def test_the_chart_has_all_of_it(look, bench):
    """Past and future, the cursor with its value, named marks, and what each stretch brought."""
    async with look(replayed(bench, 150)) as screen:
        await screen.press("enter")
        text = screen.text
        assert "▼ 2 streams" in text and "▼ 4 streams" in text
        assert "14:01:38Z" in text  # the time of the first mark
        assert "156 MiB" in text
        by_mark = next(line for line in screen.lines if "by mark" in line)
        assert "0.0 MiB" in by_mark and "+106 MiB" in by_mark and "+212 MiB" in by_mark
        assert "14:00:00" in text and "14:04:59" in text
        assert "window whole" in text


async def test_windows(look, tmp_path):
    """[ narrows the window around the cursor, ] widens it to the whole recording again."""
    path = tmp_path / "long.memtop"
    record(path, stairs(), 900, step_s=1.0)
    async with look(replayed(path, 450)) as screen:
        await screen.press("enter")
        assert "window whole" in screen.text and "14:14:59" in screen.text
        await screen.press("left_square_bracket")
        assert "window 10 m" in screen.text
        assert "14:02:30" in screen.text and "14:12:30" in screen.text
        await screen.press("right_square_bracket")
        assert "window whole" in screen.text


async def test_a_group_has_its_chart(look, tmp_path):
    """The sum of a group is drawn like a process."""
    path = tmp_path / "g.memtop"
    record(path, Service(1.0).source, 200)
    async with look(replayed(path, 150, View(fold_many=True))) as screen:
        line = next(place for place, one in enumerate(screen.lines) if " × " in one)
        await screen.press(*["down"] * (line - 3), "enter")
        assert "RSS of all" in screen.text and "window whole" in screen.text
        assert sum(any(0x2801 <= ord(c) < 0x2900 for c in one) for one in screen.lines) >= 2


async def test_who_is_looked_at_comes_back(look, tmp_path):
    """After a jump to before a process began the cursor is on it again as soon as it is there."""
    source = stairs()
    path = tmp_path / "late.memtop"
    session, tracker = Session(str(path), boot_id="b"), Tracker(1.0)
    session.resume(tracker, 1.0, 0.0)
    for tick in range(60):
        if tick == 30:
            source.spawn(50, 0, "late", 40)
        session.take(tracker.feed(source.sample(tracker.ask(WANTED))))
    session.close()
    async with look(replayed(path)) as screen:
        while screen.cursor != 50:
            await screen.press("down")
        await jump(screen, "start")
        assert 50 not in screen.pids
        await jump(screen, "end")
        assert screen.cursor == 50


# -- what was said then ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A recording in which somebody looked, counted twice, asked why, and trimmed."""
    path = tmp_path_factory.mktemp("asked") / "asked.memtop"
    source = stairs()
    state = record(path, source, 300)
    who = next(one for one in state.rows if one.pid == 20)

    def add(kept, at):
        write_result(str(path), kept.kind, kept.identity, kept.document, at=BEGIN + at)

    add(kept_anatomy(replace(ANATOMY, identity=who, taken_at=BEGIN + 50)), 50)
    census = replace(OBJECTS, identity=who, source="census", taken_at=BEGIN + 110)
    more = (TypeCount("Frame", "bench", 900, 64 << 20), *census.types)
    add(kept_census(census), 110)
    add(kept_census(replace(census, types=more, taken_at=BEGIN + 210)), 210)
    finding = replace(FINDING, pid=20, headline="bench.py grows by frames", next_step="drop them")
    verdict = Verdict((finding,), BEGIN + 220, 30.0, 2, 25.0, 1, True)
    add(kept_verdict(verdict, who), 220)
    trim = Result(
        "trim", 20, "bench", BEGIN + 250, "returned", "It gave back 3 MiB.", who,
        rss_before_bytes=368 << 20, rss_after_bytes=365 << 20,
    )  # fmt: skip
    add(kept_result(trim), 250)
    detail = {"pid": 20, "start_ticks": who.start_ticks, "action": "trim", "outcome": "returned"}
    add_event(str(path), "action", "trim 20", detail, at=BEGIN + 250)
    add_event(str(path), "oom", "OOM kill in /pod: python 9", {"cgroup": "/"}, at=BEGIN + 260)
    return path


async def test_answers_are_shown_as_they_were(look, asked):
    """Before it was asked, a pane says that somebody did later; then it has the answer of then."""
    async with look(replayed(asked, 40)) as screen:
        await screen.press("a")
        assert "Nobody had looked into 20 yet; somebody did at 14:00:50Z." in screen.text
        screen.app._player.go(60)
        await screen.pilot.pause()
        assert "freed, trapped" in screen.text and "Nobody" not in screen.text
        assert "again shows" not in screen.text and "reads again" not in screen.text
        await screen.press("tab")
        assert "Nobody had counted the objects of 20 yet; somebody did at 14:01:50Z" in screen.text


async def test_two_counts_have_their_difference(look, asked):
    """The newest count by then, compared to the one before it."""
    async with look(replayed(asked, 150)) as screen:
        await screen.press("o")
        assert "Type0" in screen.text and "Frame" not in screen.text
        screen.app._player.go(215)
        await screen.pilot.pause()
        assert "bench.Frame" in screen.text
        assert "Δ since the last" in screen.text


async def test_verdicts_are_those_of_then(look, asked):
    """The verdict ends the pane and stands in `why` from when it was said; not before."""
    async with look(replayed(asked, 215)) as screen:
        await screen.press("d")
        assert "Nobody had asked why of 20 yet; somebody did at 14:03:40Z." in screen.text
        screen.app._player.go(230)
        await screen.pilot.pause()
        assert "Bench.py grows by frames" in screen.text or "bench.py grows" in screen.text
        await screen.press("escape", "enter", "tab", "tab", "tab")
        screen.app._replaying.pane.tab = "chart"
        screen.app._replaying._show_pane()
        await screen.pilot.pause()
        assert "grows by frames" in screen.text and "rop them" in screen.text
        await jump(screen, "14:03:35")
        assert "grows by frames" not in screen.text


async def test_the_log_is_that_of_then(look, asked):
    """Actions with their figures, OOM kills and marks up to the cursor; an action once."""
    async with look(replayed(asked, 240)) as screen:
        await screen.press("enter", "shift+tab")
        assert "Nothing was done or noted up to here." in screen.text
        screen.app._player.go(299)
        await screen.pilot.pause()
        assert "It gave back 3 MiB." in screen.text and "3.0 MiB" in screen.text
        assert "OOM kill in /pod" in screen.text
        assert sum("trim" in line and "20" in line for line in screen.lines) == 1
        assert "2 entries up to 14:04:59Z" in screen.text


async def test_nobody_looked(look, bench):
    """A process that nobody looked into says so, and offers no key."""
    async with look(replayed(bench)) as screen:
        for key, words in (
            ("a", "Nobody looked into 20 while this was recorded."),
            ("o", "Nobody counted the objects of 20 while this was recorded."),
            ("d", "Nobody asked why of 20 while this was recorded."),
        ):
            await screen.press(key)
            assert words in screen.text
            await screen.press("escape")


# -- files -----------------------------------------------------------------------------------


async def test_a_file_that_grows(look, tmp_path):
    """The end moves on while somebody writes; the cursor stays, and line 2 says so."""
    path, source = tmp_path / "d.memtop", stairs()
    session, tracker = Session(str(path), boot_id="b"), Tracker(1.0)
    session.resume(tracker, 1.0, 0.0)

    def more(count):
        for _ in range(count):
            session.take(tracker.feed(source.sample(tracker.ask(WANTED))))

    more(60)
    async with look(replayed(path)) as screen:
        assert "59 s of 59 s" in screen.lines[1]
        more(60)
        screen.app._player.look_again()
        await screen.pilot.pause()
        assert "59 s of 1 m 59 s" in screen.lines[1]
        screen.app._player.go(50)
        await screen.pilot.pause()
        assert "50 s of 1 m 59 s" in screen.lines[1]
        assert "still written" in screen.lines[1]
        await jump(screen, "end")
        assert "1 m 59 s of 1 m 59 s" in screen.lines[1]
    session.close()


async def test_another_file_in_its_place(look, bench, tmp_path):
    """What was read is still shown; no mark gets into the file that is there now."""
    path, other = tmp_path / "e.memtop", tmp_path / "other.memtop"
    for one in (path, other):
        one.write_bytes(bench.read_bytes())
    async with look(replayed(path, 150)) as screen:
        other.rename(path)
        screen.app._player.look_again()
        await screen.pilot.pause()
        assert "e.memtop was removed or replaced" in screen.lines[1]
        await screen.press("full_stop")
        assert screen.app._player.standing.tick == 151
        await screen.press("m", *"warm", "enter")
        assert "not marked" in screen.lines[1]
    assert path.read_bytes() == bench.read_bytes()


async def test_a_damaged_file_says_what_is_missing(look, bench, tmp_path):
    """Once, in line 2; what is left is shown."""
    path = tmp_path / "cut.memtop"
    data = bench.read_bytes()
    path.write_bytes(data[: len(data) - 5000])
    with Recording(str(path)) as recording:
        tick = readable(recording, recording.last_tick)
    async with look(replayed(path, tick)) as screen:
        assert "was cut off" in screen.lines[1]
        assert "bench" in screen.text
        await screen.press("left_curly_bracket", "comma")
        assert "was cut off" not in screen.lines[1]


def test_a_sample_that_cannot_be_read_is_said(bench, monkeypatch):
    """What stood there before stays, and the words say what is damaged."""
    from memtop.recording.opening import Damaged

    recording, posted, told = Recording(str(bench)), [], []
    player = Player(recording, 10, posted.append, told.append)
    whole = recording.state

    def state(tick):
        if tick == 20:
            raise Damaged("a sample is damaged")
        return whole(tick)

    monkeypatch.setattr(recording, "state", state)
    player.go(20)
    assert told == ["a sample is damaged"] and not posted
    player.go(21)
    assert [one.tick for one in posted] == [21]
    player.stop()


def test_the_newest_order_counts(bench):
    """The thread plays, is paused, and of many orders at once shows the last one."""
    recording, posted = Recording(str(bench)), []
    player = Player(recording, 0, posted.append, pytest.fail)
    player.start()
    for tick in range(1, 200):
        player.go(tick)
    wait_for(lambda: posted and posted[-1].tick == 199)
    assert len(posted) < 199
    player.set_speed(64)
    player.play(True)
    wait_for(lambda: posted[-1].tick == 299)
    wait_for(lambda: not player.standing.is_playing)  # the end of what nobody writes to
    player.play(True)  # begins again
    wait_for(lambda: posted[-1].tick < 200)
    player.step(1)
    assert not player.standing.is_playing
    player.stop()
    assert not player.is_alive()


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_long_pause_is_passed_over(tmp_path):
    """Hours in which nobody recorded do not keep the player waiting."""
    path, source = tmp_path / "p.memtop", stairs()
    session, tracker = Session(str(path), boot_id="b"), Tracker(1.0)
    session.resume(tracker, 1.0, 0.0)
    for tick in range(20):
        if tick == 10:
            source.step(7200)
        session.take(tracker.feed(source.sample(tracker.ask(WANTED))))
    session.close()
    recording, posted = Recording(str(path)), []
    player = Player(recording, 8, posted.append, pytest.fail)
    player.set_speed(64)
    player.start()
    player.play(True)
    wait_for(lambda: posted and posted[-1].tick == 19)
    player.stop()


def test_nothing_to_show(tmp_path, capsys):
    """A recording without a sample, none, and no recording at all: a sentence, and exit code 1."""
    path = tmp_path / "empty.memtop"
    kept = kept_anatomy(ANATOMY)
    write_result(str(path), kept.kind, kept.identity, kept.document)
    out = str(tmp_path / "x.txt")
    assert cli.main(["screenshot", out, "--from", str(path)]) == 1
    assert "holds no sample yet" in capsys.readouterr().err
    assert cli.main(["screenshot", out, "--from", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert cli.main(["screenshot", out, "--from", __file__]) == 1
    assert "no recording of memtop" in capsys.readouterr().err
    assert not os.path.exists(out)


def test_replay_needs_a_terminal(bench, capsys):
    """Without one it says which command makes a picture instead."""
    assert cli.main(["replay", str(bench)]) == 2
    assert f"memtop screenshot OUT.txt --from {bench}" in capsys.readouterr().err


# -- pictures --------------------------------------------------------------------------------


def picture(out, path, *options):
    words = [] if not options or options[0].startswith("-") else [options[0]]
    rest = options[len(words) :]
    assert cli.main(["screenshot", str(out), *words, "--from", str(path), "--force", *rest]) == 0
    return Path(out).read_bytes()


def test_a_picture_is_the_same_everywhere(bench, tmp_path, monkeypatch):
    """The same file and options make the same bytes, whatever the machine's settings, colours
    and clock; only a file of settings that is named counts."""
    keys = ("--at", "2 streams", "--keys", "enter,full_stop")
    first = {kind: picture(tmp_path / f"a.{kind}", bench, *keys) for kind in ("txt", "svg", "png")}
    settings = tmp_path / "memtop" / "memtop.toml"
    settings.parent.mkdir()
    settings.write_text('theme = "light"\nsort = "pid"\nfilter = "redis"\nascii = true\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("MEMTOP_VIEW", "flat")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "33")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    for kind, data in first.items():
        assert picture(tmp_path / f"b.{kind}", bench, *keys) == data, kind
    assert b"14:01:40Z" in first["txt"]
    named = picture(tmp_path / "c.txt", bench, *keys, "--config", str(settings))
    assert named != first["txt"] and named.isascii()


def test_options_of_a_picture(bench, tmp_path, capsys):
    """--at takes a time from the end, --pid and a filter choose; what is wrong is said."""
    assert b"14:03:29Z" in picture(tmp_path / "a.txt", bench, "--at", "-90s")
    assert b"bench" not in picture(tmp_path / "a.txt", bench, "--pid", "30").split(b"\n", 2)[2]
    assert b"filter redis" in picture(tmp_path / "a.txt", bench, "redis")
    out = str(tmp_path / "n.txt")
    assert cli.main(["screenshot", out, "--from", str(bench), "--pid", "77"]) == 4
    assert "there is no process 77" in capsys.readouterr().err
    assert cli.main(["screenshot", out, "--from", str(bench), "--at", "19:00"]) == 2
    assert "19:00 is not within 14:00:00Z to 14:04:59Z" in capsys.readouterr().err
    assert cli.main(["screenshot", out, "--at", "end"]) == 2
    assert "--at is a time of a recording" in capsys.readouterr().err


def test_the_screen_is_the_same_class():
    """A replay is the screen with a cursor, not another one."""
    from memtop.tui.screens.main import MainScreen

    assert issubclass(Replaying, MainScreen)
