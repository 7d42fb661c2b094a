"""m, R and --record: marks on the charts, and what is written beside the screen."""

import asyncio
import os
import re
import subprocess
import sys
import time

import pytest
from tests_support import app_over, service

from memtop.actions.result import Result
from memtop.actions.table import ACTIONS
from memtop.kept import recalled
from memtop.model.query import View
from memtop.model.tracker import Tracker
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted
from memtop.recording.appending import add_event, add_mark
from memtop.recording.quantities import BAND_KIB
from memtop.recording.recording import Recording
from memtop.recording.session import Session, beside_screen
from memtop.tui.app import MemtopApp
from memtop.tui.job import Job
from memtop.tui.messages import Acted, ActingEnded
from memtop.units import rate_mib_min


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, where a recording goes that nobody has named."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def recorded_over(path, source, **options):
    """An app that records to a file from the beginning."""
    return app_over(source, session=beside_screen(str(path), 1.0, None), **options)


async def end(screen):
    """Switch recording off, and let it be told."""
    await screen.press("R")
    await screen.tick()


def is_marked(screen, text, sign="▼"):
    """Whether a text stands above the chart, at either side of its sign."""
    return f"{sign} {text}" in screen.text or f"{text} {sign}" in screen.text


# -- marks -----------------------------------------------------------------------------------


async def test_a_mark_stands_on_every_chart(app, look):
    """m asks for a text; Enter puts it above the charts of all rows and groups."""
    async with look(app) as screen:
        await screen.press("m")
        assert screen.lines[-1].startswith(" mark ")
        await screen.press(*"level", "space", "8")
        assert " mark level 8" in screen.lines[-1]
        await screen.press("enter")
        assert "marked on all charts: level 8" in screen.lines[1]
        await screen.tick(20)
        await screen.press("enter")
        for _ in range(len(screen.pids)):
            assert is_marked(screen, "level 8")
            await screen.press("down")


async def test_letters_are_text_and_esc_leaves(app, look):
    """What acts elsewhere is typed; Esc leaves no mark, and the filter is as it was."""
    async with look(app) as screen:
        await screen.press("slash", *"redis", "enter", "m", *"qTRK", "escape")
        assert screen.app.is_running
        await screen.press("enter")
        assert "▼" not in "".join(screen.lines[3:])
        assert "filter redis 1" in screen.lines[1]
        assert not list(os.scandir("."))


async def test_a_mark_without_words_is_called_by_its_time(app, look):
    """Enter alone marks the moment at which m was pressed."""
    async with look(app) as screen:
        await screen.press("m", "enter")
        assert re.search(r"marked on all charts: \d\d:\d\d:\d\dZ", screen.lines[1])


@pytest.mark.parametrize(("size", "ascii_only"), [((120, 40), False), ((80, 24), True)])
async def test_the_change_from_mark_to_mark(source, look, size, ascii_only):
    """Below the chart stands what changed between marks: 0.3 MiB a second, for a minute each."""
    app = app_over(source, ascii_only=ascii_only)
    async with look(app, size) as screen:
        await screen.press("down", "down")
        for name in ("one", "two"):
            await screen.press("m", *name, "enter")
            for _ in range(200):
                app.feed()
            await screen.tick()
        await screen.press("enter")
        line = next(line for line in screen.lines if "by mark" in line)
        rises = [float(rise) for rise in re.findall(r"\+([\d.]+) MiB", line)]
        assert rises[-2:] == pytest.approx([58.6, 58.6], abs=4.5)  # 15 s
        assert is_marked(screen, "one", "v" if ascii_only else "▼")


async def test_what_was_done_to_a_member_is_on_the_chart_of_its_group(source, look):
    """A mark of one process is not on the charts of others, but on that of its group."""
    for pid in range(13, 16):
        source.spawn(pid, 10, "shop-worker", 90, age_s=700)
    app = app_over(source)
    async with look(app) as screen:
        row = next(row for row in app._main._state.rows.values() if row.pid == 14)
        app._main.mark("TERM", {row.identity})
        await screen.tick(30)
        await screen.press("enter")
        seen = {}
        for _ in range(12):
            title = screen.lines[[i for i, at in enumerate(screen.lines) if "━━" in at][-1] + 1]
            seen[title.split()[0]] = "TERM" in screen.text
            await screen.press("down")
        assert seen["5"]  # 5 × shop-worker
        assert not seen["1"]
        assert not seen["30"]


async def test_a_leak_is_a_mark_by_itself(look):
    """A process that becomes leak-like is marked at that moment, on its own chart."""
    app = app_over(service())
    async with look(app) as screen:
        await screen.press("down", "down")
        for _ in range(1500):
            app.feed()
            if any(row.trend.word == "leak-like" for row in app._main._state.growing):
                break
        for _ in range(200):
            app.feed()
        await screen.press("enter")
        assert is_marked(screen, "21 leak-like")
        await screen.press("up")
        assert not is_marked(screen, "21 leak-like")


# -- R ---------------------------------------------------------------------------------------


async def test_recording_on_and_off(app, look, folder):
    """R records to a new file, named by host and time; again ends that, and both are told."""
    async with look(app) as screen:
        assert "● rec" not in screen.text
        await screen.press("R")
        await screen.tick()
        (path,) = folder.iterdir()
        assert re.fullmatch(r"memtop-fake-\d{8}T\d{6}Z\.memtop", path.name)
        assert f"recording {path.name} in " in screen.lines[1]
        assert path.stat().st_mode & 0o777 == 0o600
        screen.app._main._message = ("", False, 0.0)
        await screen.tick(5)
        assert "● rec" in screen.lines[1]
        await end(screen)
        assert f"6 samples written: memtop replay {path.name}" in screen.lines[1]
        await screen.tick(3)
    with Recording(str(path)) as recording:
        assert (recording.first_tick, recording.last_tick) == (0, 6 - 1)
        assert recording.damage is None


@pytest.mark.parametrize("width", [80, 96, 120, 160])
async def test_that_it_records_is_seen_at_any_width(source, look, width, tmp_path):
    """The sign stays, and so does what grows; the name of the file and the order of rows go."""
    app = recorded_over(tmp_path / "shop.memtop", source, ticks=200)
    async with look(app, (width, 24)) as screen:
        await screen.tick(5)
        await screen.press("slash", *"mail", "enter")
        second = screen.lines[1]
        assert "● rec" in second
        assert "▲" in second
        assert ("tree by growth" in second) == (width in (96, 160))
        assert re.search(r"\d\d:\d\d:\d\dZ", second)


async def test_it_is_recorded_in_ascii_and_read_only_too(source, look, folder):
    """--read-only changes no process, and may record; --ascii has a sign of its own."""
    async with look(app_over(source, ascii_only=True, read_only=True), (80, 24)) as screen:
        await screen.press("R")
        await screen.tick()
        screen.app._main._message = ("", False, 0.0)
        await screen.tick()
        assert "o rec" in screen.lines[1]
        assert len(list(folder.iterdir())) == 1


async def test_marks_and_answers_are_in_the_recording(source, look, tmp_path):
    """A mark, a trim and what it returned, a signal: events and results, at their moments."""
    path = tmp_path / "shop.memtop"
    app = recorded_over(path, source)
    async with look(app) as screen:
        await screen.tick(3)
        await screen.press("m", *"before", "enter")
        main = app._main
        row = next(row for row in main._state.rows.values() if row.pid == 21)
        target = main._living([row.identity])[0]
        job = Job(ACTIONS["trim"], [target], "/proc", True, main.post_message)
        result = Result(
            "trim", 21, "mail-worker", main.moment, "returned", "It went well.", row.identity,
            rss_before_bytes=50 << 20, rss_after_bytes=44 << 20,
        )  # fmt: skip
        main.post_message(Acted(job, result))
        main.post_message(ActingEnded(job))
        await screen.pilot.pause()
        main.note_signal("TERM", {row.identity})
        await screen.tick(3)
        at = main._state.taken_at
    app.stop()
    with Recording(str(path)) as recording:
        mark, trim, signal = recording.events()
        assert (mark.kind, mark.text) == ("mark", "before")
        assert (trim.kind, trim.text) == ("action", "trim 21")
        assert trim.detail["returned_bytes"] == 6 << 20
        assert trim.detail["start_ticks"] == row.identity.start_ticks
        assert (signal.text, signal.detail["outcome"]) == ("TERM 21", "sent")
        assert mark.at <= trim.at <= signal.at <= at
        (kept,) = recording.results()
        assert kept.identity == row.identity
        assert recalled(kept) == result


async def test_marks_of_other_shells_are_shown(source, look, tmp_path):
    """What `memtop mark` and other commands add to the file stands on the charts soon after."""
    path = tmp_path / "shop.memtop"
    app = recorded_over(path, source)
    async with look(app) as screen:
        await screen.tick(2)
        state = app._main._state
        row = next(row for row in state.rows.values() if row.pid == 21)
        add_mark(str(path), "level 4", at=state.taken_at)
        detail = {"pid": 21, "start_ticks": row.identity.start_ticks, "action": "gc"}
        add_event(str(path), "action", "gc 21", detail, at=state.taken_at)
        await screen.tick(60)
        await screen.press("enter")
        assert is_marked(screen, "level 4")
        assert "gc 21" not in screen.text
        await screen.press("down", "down")
        assert is_marked(screen, "level 4, gc 21")


# -- --record --------------------------------------------------------------------------------


async def test_what_is_recorded_is_what_was_shown(source, look, tmp_path):
    """Every state of the screen is in the file: rows, trends and groups; RSS within the band."""
    path = tmp_path / "shop.memtop"
    for pid in range(13, 18):
        source.spawn(pid, 10, "shop-worker", 90, age_s=700)
    app = recorded_over(path, source, ticks=1)
    shown = []
    async with look(app):
        for tick in range(330):
            if tick == 100:
                source.end(30)
            app.feed()
            shown.append(app._main._state)
    app.stop()
    with Recording(str(path)) as recording:
        assert recording.last_tick == 329
        for tick in (0, 1, 19, 99, 100, 140, 299, 329):
            live, then = shown[tick], recording.state(tick)
            assert then.rows.keys() == live.rows.keys()
            for identity, row in live.rows.items():
                copy = then.rows[identity]
                assert copy.trend.word == row.trend.word
                assert (copy.role, copy.group, copy.command) == (row.role, row.group, row.command)
                assert abs((copy.rss_kib or 0) - (row.rss_kib or 0)) < BAND_KIB
                assert rate_mib_min(copy.rate_bytes_s) == rate_mib_min(row.rate_bytes_s)
            assert then.groups.keys() == live.groups.keys()
            for name, group in live.groups.items():
                assert then.groups[name].finding == group.finding
                assert set(then.groups[name].members) == set(group.members)


async def test_recording_may_rest_and_go_on(source, look, tmp_path):
    """R ends a recording that was given, and goes on with it: each process keeps its number."""
    path = tmp_path / "shop.memtop"
    session = Session(str(path), boot_id="this boot")
    app = app_over(source, session=session)
    app.tape._open = lambda path: Session(path, boot_id="this boot")
    async with look(app) as screen:
        await screen.tick(3)
        await end(screen)
        await screen.tick(5)
        assert "● rec" not in screen.lines[1]
        await screen.press("R")
        await screen.tick(4)
        await end(screen)
    with Recording(str(path)) as recording:
        assert recording.last_tick == 3 + 4 - 1
        assert len(recording.runs) == 2
        numbers = [one.identity for one in recording.processes()]
        assert len(numbers) == len(set(numbers)) == 7


async def test_a_file_that_is_none_is_left_alone(source, look, folder, tmp_path):
    """Where nothing can be recorded the second line says why; nothing is written or shown."""
    other = tmp_path / "notes.txt"
    other.write_text("my notes\n" * 99)
    app = app_over(source)
    app.tape._given = str(other)
    async with look(app) as screen:
        await screen.press("R")
        await screen.tick()
        assert f"nothing is recorded: {other}"[:60] in screen.lines[1]
        screen.app._main._message = ("", False, 0.0)
        await screen.tick()
        assert "● rec" not in screen.lines[1]
        app.tape._given = None
        await screen.press("R")
        await screen.tick()
        assert "recording memtop-fake" in screen.lines[1]
    assert other.read_text() == "my notes\n" * 99


async def test_another_recorder_has_the_file(source, look, tmp_path):
    """Two that record to one file would spoil it: the second one says so."""
    path = tmp_path / "shop.memtop"
    first = Session(str(path))
    app = app_over(source)
    app.tape._given = str(path)
    async with look(app) as screen:
        await screen.press("R")
        await screen.tick()
        assert "nothing is recorded: another memtop records to" in screen.lines[1]
    first.close()


async def test_a_folder_that_cannot_be_written_to(source, look, folder, tmp_path):
    """Then the recording goes to the state folder, as other files do, and its place is said."""
    if os.geteuid():
        folder.chmod(0o500)
    else:
        gone = tmp_path / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
    async with look(app_over(source), (200, 40)) as screen:
        await screen.press("R")
        await screen.tick()
        place = tmp_path / "state" / "memtop"
        assert str(place) in screen.lines[1]
        assert [path.suffix for path in place.iterdir()] == [".memtop"]
    folder.chmod(0o700)


FULL = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from tests_support import app_over, service
from memtop.recording.session import beside_screen

async def main():
    source = service()
    for pid in range(100, 400):
        source.spawn(pid, 1, f"filler-{pid}", 5, age_s=300)
    app = app_over(source, session=beside_screen(sys.argv[1], 1.0, None))
    async with app.run_test(size=(160, 40)) as pilot:
        for tick in range(1500):
            for pid in range(100, 400):
                source.processes[pid].rss_kib += 100 * (1 if tick % 2 else -1)
            app.feed()
            if tick % 50 == 0:
                await pilot.pause()
                if "full" in app.picture("txt"):
                    break
        await pilot.pause()
        app.feed()
        await pilot.pause()
        print(app.picture("txt").splitlines()[1])
        print(tick)
        assert app.is_running
    app.stop()
asyncio.run(main())
"""


@pytest.mark.deep
def test_a_full_disk_ends_the_recording_and_not_the_screen(tmp_path):
    """The second line says why, the screen goes on, and what was written can be read."""
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs root to mount a small disk")
    disk, support = tmp_path / "disk", os.path.dirname(__file__)
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=200k tmpfs {disk} && "
        f'{sys.executable} -c "$0" {disk}/a.memtop {support} && cp {disk}/a.memtop {tmp_path}/'
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, FULL], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert "recording has ended: cannot write" in done.stdout
    assert "the disk is full" in done.stdout
    assert "● rec" not in done.stdout
    with Recording(str(tmp_path / "a.memtop")) as recording:
        assert recording.damage is None
        assert recording.last_tick >= 3


def test_nothing_is_loaded_for_a_recording_that_nobody_makes():
    """The first frame does not wait for SQLite, nor for what records."""
    code = (
        "import sys, memtop.tui.start;"
        "print(sorted({'sqlite3', 'memtop.recording.session'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


async def test_who_is_not_on_show_is_sampled_in_turn(source, look, tmp_path):
    """While it records figures of all are read within 15 s, of those on show at each sample."""
    app = recorded_over(tmp_path / "a.memtop", source)
    asked = []
    async with look(app) as screen:
        await screen.tick()
        for _ in range(15):
            asked.append(frozenset(app.tape.wanted(Wanted(pids=frozenset({11}))).pids))
            await screen.tick()
        assert frozenset.union(*asked) >= set(source.processes)
        assert frozenset.intersection(*asked) == {11}
        await end(screen)
        assert app.tape.wanted(Wanted(pids=frozenset({11}))).pids == {11}


async def test_the_thread_that_samples_records(children, wait_until, tmp_path):
    """On real processes: samples, the ring between them, a mark in time; all closed in the end."""
    child = children.ready("held = b'x' * (40 << 20); print('ready', flush=True); input()")
    path = tmp_path / "live.memtop"
    source = ProcfsSource("/proc")
    tracker = Tracker(0.5, source.own)
    state = tracker.feed(source.sample(Wanted()))
    app = MemtopApp(
        source, tracker, state, View(), interval_s=0.5, portrait_root="/proc",
        session=beside_screen(str(path), 0.5, "/proc"),
    )  # fmt: skip
    app._driver_class = None
    begin = time.time()
    async with app.run_test(size=(120, 40)) as pilot:
        ring = app.tape._session.ring
        app.tape.add_event(begin, "mark", "early")
        for _ in range(100):
            await asyncio.sleep(0.1)
            session = app.tape._session
            if session is not None and session.samples >= 4 and ring._points:
                break
        await pilot.press("m", "x", "enter")
        await pilot.press("R")
        for _ in range(50):
            await asyncio.sleep(0.1)
            if app._main.recording_path is None:
                break
        assert "samples written: memtop replay live.memtop" in app.picture("txt")
    app.stop()
    assert ring.chosen
    assert ring._points
    with Recording(str(path)) as recording:
        assert [one.text for one in recording.events() if one.kind == "mark"] == ["early", "x"]
        assert recording.last_tick >= 3
        assert child.pid in {row.pid for row in recording.state(recording.last_tick).rows.values()}
        assert recording.runs[0].settings["beside"] == "screen"
    assert not os.path.exists(f"{path}-journal")
