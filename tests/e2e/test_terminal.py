"""memtop in a real terminal: what a person sees, and how it leaves the terminal.

The fixtures `terminal` (a tmux pane) and `family` (a tree of processes) are in conftest.py. The
test that takes longest stands first, so that it does not begin last when tests run in parallel.
"""

import os
import re
import signal
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

BLOCKS = "▁▂▃▄▅▆▇"
GROWS = """
import select, sys, time
held = []
begin = time.monotonic()
while time.monotonic() < begin + 70 and not select.select([sys.stdin], [], [], 0.1)[0]:
    held.append(b"x" * (1 << 20))
sys.stdin.read()
"""
BREAKS = """
import sys
{patch}
from memtop.cli import main
sys.exit(main(sys.argv[1:]))
"""
SHOWING = """
from memtop.tui.screens.main import MainScreen
def broken(*arguments, **named):
    raise RuntimeError("made to fail")
MainScreen.show_state = broken
"""
SAMPLING = """
from memtop.model.tracker import Tracker
feed, fed = Tracker.feed, []
def broken(self, sample):
    fed.append(sample)
    if len(fed) > 1:
        raise RuntimeError("made to fail")
    return feed(self, sample)
Tracker.feed = broken
"""
PRESSING = """
from memtop.tui.screens.main import MainScreen
def broken(*arguments, **named):
    raise RuntimeError("made to fail")
MainScreen.action_view = broken
"""
HOSTILE = "\x1b]0;owned\x07\x1b[31mred\ntwo\u202eevil\x9b7m[bold]"


def is_clean(terminal):
    """The terminal is as it was before the start."""
    assert terminal.BEFORE in terminal.screen()
    assert "Traceback" not in terminal.screen()
    assert terminal.flag("alternate_on") == "0"
    assert terminal.flag("cursor_flag") == "1"
    for mode in ("standard", "button", "all", "any", "sgr", "utf8"):
        assert terminal.flag(f"mouse_{mode}_flag") == "0", mode
    before = (terminal.folder / "stty.before").read_text()
    assert "echo" in before
    assert (terminal.folder / "stty.after").read_text() == before
    raw = terminal.raw()
    assert raw.count(b"\x1b[?2004h") == raw.count(b"\x1b[?2004l")  # bracketed paste
    assert not re.search(rb"\^\[|\x1b\[\?\d+;\d+\$y", raw.partition(b"EXIT ")[2])  # stray answers


def colour_codes(raw):
    """The parameters of every SGR sequence in the bytes, as one list of lists."""
    found = re.findall(rb"\x1b\[([0-9;:]*)m", raw)
    return [re.split("[;:]", codes.decode()) for codes in found if codes]


def look_around(terminal):
    """Show everything that has colours: the table, help, sort, a wrong filter."""
    terminal.wait("PROCESS", "/ filter")
    terminal.keys("?")
    terminal.wait("keys and signs")
    terminal.keys("Escape")
    terminal.wait("PROCESS")
    terminal.keys("s")
    terminal.wait("Sort by")
    terminal.keys("Escape")
    terminal.wait("/ filter", without="Sort by")
    terminal.keys("/rss>")
    terminal.wait("at 5:")
    escaped = "\n".join(terminal.lines("-e"))
    terminal.keys("Escape")
    terminal.wait("/ filter")
    terminal.keys("q")
    assert terminal.exit_code() == 0
    return escaped


# -- growth ------------------------------------------------------------------------------------


def test_growing_child_has_a_rising_sparkline(terminal, family, tmp_path):
    """A process that allocates all the time has a line that rises and a positive rate."""
    (tmp_path / "grows.py").write_text(GROWS)
    grows = family.bear("grows.py")
    terminal.run("--pid", str(grows), "--interval", "0.5", size=(160, 48))
    terminal.wait("grows.py", "10 MIN")

    def row_of(screen):
        return next((line for line in screen.split("\n") if "grows.py" in line), "")

    def levels(screen):
        return [BLOCKS.index(sign) for sign in row_of(screen) if sign in BLOCKS]

    screen = terminal.wait_until(
        lambda screen: len(set(levels(screen))) >= 2 and "+" in row_of(screen),
        "shows a line of two heights and a rate",
        limit_s=60,
    )
    assert levels(screen) == sorted(levels(screen)), row_of(screen)
    rate = re.search(r"\+([\d,.]+)", row_of(screen))
    assert rate is not None
    assert float(rate[1].replace(",", "")) > 60  # MiB a minute; it takes up to 600
    terminal.wait_until(
        lambda screen: re.search(r"\d (rising|leak-like)", screen), "counts it", limit_s=40
    )


# -- start and size ----------------------------------------------------------------------------


def test_first_screen(terminal):
    """At 80x24 it shows headings, the keys, and its own row."""
    terminal.run("--pid", terminal.SHELL)
    screen = terminal.wait("PID", "PROCESS", "RSS", "memtop (this)", "/ filter")
    lines = screen.split("\n")
    assert len(lines) == 24
    assert "/ filter" in lines[-1] and "q quit" in lines[-1]
    assert re.search(r"^ +PID PROCESS +RSS ", lines[2])
    own = next(line for line in lines if "memtop (this)" in line)
    assert str(terminal.memtop_pid()) in own
    assert re.search(r"\d MiB", own)
    assert terminal.BEFORE not in screen
    assert terminal.flag("alternate_on") == "1"


def test_all_processes_without_arguments(terminal):
    """Without arguments it shows the processes of the whole machine, PID 1 first."""
    terminal.run("--sort", "pid")
    terminal.wait("PROCESS", " processes", "/ filter")
    terminal.wait_until(lambda screen: re.search(r"RSS .*\n. +1 ", screen), "shows PID 1 first")


def test_every_size(terminal, family):
    """From 120x40 down to 20x5 it goes on: columns drop, nothing is wider than the terminal."""
    terminal.run("--pid", str(family.pid), size=(120, 40))
    sizes = (
        ((120, 40), ("ROLE", "10 MIN", "TREND", "Δ MiB/min", "/ filter"), ()),
        ((80, 24), ("10 MIN", "TREND", "Δ/min", "/ filter"), ("ROLE", "MiB/min ")),
        ((40, 10), ("PID", "PROCESS", "RSS", "Δ/min", "/ filter"), ("ROLE", "10 MIN", "TREND")),
        ((20, 5), ("PID", "RSS"), ("ROLE", "10 MIN", "TREND")),
        ((120, 40), ("ROLE", "10 MIN", "TREND", "quarry.py", "/ filter"), ()),
    )
    for (width, height), shown, gone in sizes:
        terminal.resize(width, height)

        def fits(screen, width=width, height=height, shown=shown, gone=gone):
            lines = screen.split("\n")
            # Joined where they were wrapped, there are as many lines: none was too long.
            return (
                all(text in screen for text in shown)
                and not any(text in screen for text in (*gone, "Traceback"))
                and len(lines) == len(terminal.lines("-J")) == height
                and max(map(len, lines)) <= width
                and sum("PID" in line for line in lines) == 1
                and re.search(rf"\b{family.pid}\b", screen)
            )

        terminal.wait_until(fits, f"fits {width}x{height} and shows {shown} without {gone}")
    terminal.keys("q")
    assert terminal.exit_code() == 0
    is_clean(terminal)


def test_starts_on_a_tiny_terminal(terminal, family):
    """It starts on 40x10, where keys work as everywhere, and goes down to 20x5."""
    terminal.run("--pid", str(family.pid), size=(40, 10))
    terminal.wait("PROCESS", "RSS", "/ filter", str(family.small), str(family.quarry))
    terminal.keys("/", "quarry", "Enter")
    terminal.wait("/ filter", str(family.quarry), without=str(family.small))
    terminal.resize(20, 5)
    terminal.wait("PID", "RSS", without=("Δ/min ▼", "Traceback"))
    terminal.keys("q")
    assert terminal.exit_code() == 0


# -- the filter --------------------------------------------------------------------------------


def test_filter_as_you_type(terminal, family):
    """Typing narrows the rows at each key, Enter keeps the filter, Esc clears it."""
    terminal.run("--pid", str(family.pid))
    terminal.wait("small.py", "quarry.py", "/ filter")
    terminal.keys("/")
    terminal.wait("small.py", "quarry.py", without="/ filter")
    terminal.keys("quar")
    terminal.wait("quarry.py", "family.py", without="small.py")
    terminal.keys("ries")
    terminal.wait("No process matches", "quarries", without="family.py")
    terminal.keys("BSpace", "BSpace", "BSpace")
    terminal.wait("quarry.py", without="small.py")
    terminal.keys("Enter")
    screen = terminal.wait("quarry.py", "/ filter", "filter quar", without="small.py")
    assert re.search(r"filter quarr? +1 ", screen)
    terminal.keys("Escape")
    terminal.wait("small.py", "quarry.py", without="filter quar")


def test_escape_while_typing(terminal, family):
    """Esc while a filter is typed leaves it and shows everything."""
    terminal.run("--pid", str(family.pid))
    terminal.wait("small.py", "quarry.py", "/ filter")
    terminal.keys("/", "quarry")
    terminal.wait("quarry.py", without="small.py")
    terminal.keys("Escape")
    terminal.wait("small.py", "quarry.py", "/ filter")


def test_wrong_filter(terminal, family):
    """A filter that cannot be read says where it is wrong, and the one before stays in force."""
    terminal.run("--pid", str(family.pid))
    terminal.wait("small.py", "quarry.py", "/ filter")
    terminal.keys("/", "quarry")
    terminal.wait("quarry.py", without="small.py")
    terminal.keys(" rss>")
    terminal.wait("at 12:", "nothing to compare rss with", "No process matches  quarry rss.")
    terminal.keys("50m")
    terminal.wait("quarry.py", "rss>50m", without=("small.py", "at 12:"))
    terminal.keys("x")
    terminal.wait("quarry.py", "rss>50mx", "at 12:", without="small.py")


def test_keys_that_arrive_together(terminal, family):
    """Keys and text that arrive in one piece act one after the other."""
    terminal.run("--pid", str(family.pid))
    terminal.wait("small.py", "quarry.py", "/ filter")
    terminal.keys("p", "M", "/", "quarry", "Enter")
    terminal.wait("quarry.py", "RSS ▼", "paused", "/ filter", without="small.py")


def test_keys_right_after_the_filter(terminal, family):
    """Keys that arrive in one piece with the Enter of a filter are keys, not text of it."""
    terminal.run("--pid", str(family.pid))
    terminal.wait("small.py", "quarry.py", "/ filter")
    terminal.keys("/", "quarry", "Enter", "M", "p")
    terminal.wait("quarry.py", "RSS ▼", "paused", "/ filter", without="small.py")
    terminal.keys("p", "/", " pq", "Enter")
    terminal.wait("No process matches", "quarry pq", "/ filter", without="paused")


# -- the way out -------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["q", "C-c", "filter C-c", "SIGTERM", "SIGHUP"])
def test_clean_terminal_after(way, terminal):
    """However somebody ends it, the exit code is 0 and the terminal is as it was."""
    terminal.run("--pid", terminal.SHELL)
    terminal.wait("memtop (this)", "/ filter", without=terminal.BEFORE)
    if way.startswith("SIG"):
        os.kill(terminal.memtop_pid(), signal.Signals[way])
    elif way == "filter C-c":
        terminal.keys("/", "quarry", "C-c")
    else:
        terminal.keys(way)
    assert terminal.exit_code() == 0
    is_clean(terminal)
    assert "PROCESS" not in terminal.screen()
    if not way.startswith("SIG"):
        assert terminal.screen().rstrip().endswith("EXIT 0")


@pytest.mark.parametrize(
    ("patch", "key"),
    [(SHOWING, None), (SAMPLING, None), (PRESSING, "v")],
    ids=["showing", "sampling", "pressing"],
)
def test_error_of_its_own(patch, key, terminal, tmp_path):
    """After an error of its own the terminal is clean, and a file holds what one sentence says."""
    terminal.run("--pid", terminal.SHELL, program=("-c", BREAKS.format(patch=patch)))
    if key is not None:
        terminal.wait("memtop (this)", "/ filter")
        terminal.keys(key)
    assert terminal.exit_code() == 1
    is_clean(terminal)
    said = " ".join(terminal.screen().partition("memtop: ")[2].partition("EXIT")[0].split())
    assert said.startswith("stopped by an error of its own (RuntimeError)")
    reports = list(tmp_path.glob("memtop-crash-*.txt"))
    assert len(reports) == 1
    assert reports[0].name in terminal.screen().replace("\n", "")
    written = reports[0].read_text()
    assert "Traceback" in written and "made to fail" in written
    assert reports[0].stat().st_mode & 0o777 == 0o600
    assert b"Traceback" not in terminal.raw()


# -- colours -----------------------------------------------------------------------------------


def test_sixteen_colours(terminal):
    """A terminal that says `xterm` gets its own sixteen colours and no others."""
    terminal.run("--pid", terminal.SHELL, env={"TERM": "xterm"})
    escaped = look_around(terminal)
    codes = colour_codes(terminal.raw())
    assert any(
        code in [str(n) for n in (*range(30, 38), *range(90, 98))] for c in codes for code in c
    )
    assert not any(code in ("38", "48") for c in codes for code in c)
    assert "38;2" not in escaped and "38;5" not in escaped


def test_no_color(terminal):
    """With NO_COLOR not one colour is sent."""
    terminal.run("--pid", terminal.SHELL, env={"NO_COLOR": "1"})
    look_around(terminal)
    # 39 and 49 are the terminal's own colours.
    coloured = {str(n) for n in (*range(30, 39), *range(40, 49), *range(90, 108))}
    sent = {code for codes in colour_codes(terminal.raw()) for code in codes}
    assert not sent & coloured


def test_256_colours(terminal):
    """A terminal that says `xterm-256color` gets 256 colours and no true colour."""
    terminal.run("--pid", terminal.SHELL, env={"TERM": "xterm-256color"})
    escaped = look_around(terminal)
    codes = colour_codes(terminal.raw())
    assert any(c[i : i + 2] == ["38", "5"] for c in codes for i in range(len(c)))
    assert not any(c[i : i + 2] in (["38", "2"], ["48", "2"]) for c in codes for i in range(len(c)))
    assert "38;5" in escaped and "38;2" not in escaped


# -- no screen ---------------------------------------------------------------------------------


def test_dumb_terminal(terminal, family):
    """On TERM=dumb it prints what `ps` prints, and ends."""
    terminal.run("--pid", str(family.pid), env={"TERM": "dumb"})
    assert terminal.exit_code() == 0
    screen = terminal.screen()
    assert re.search(r"^ +PID +USER +RSS .*PROCESS$", screen, re.M)
    assert "family.py" in screen and "small.py" in screen and "quarry.py" in screen
    assert terminal.flag("alternate_on") == "0"
    assert b"\x1b" not in terminal.raw()
    is_clean(terminal)


def printed_by(*arguments):
    """What memtop prints into a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "memtop", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def test_pid_is_its_subtree(family):
    """With --pid there are this process and those below it, and none above it."""
    _, *rows = printed_by("ps", "--pid", str(family.pid)).splitlines()
    pids = {int(row.split()[0]) for row in rows}
    assert pids == {family.pid, family.small, family.quarry}


def test_stdout_is_no_terminal(family):
    """When its output goes into a pipe it prints what `ps` prints, and ends."""
    printed = [printed_by("--pid", str(family.pid)), printed_by("ps", "--pid", str(family.pid))]
    for text in printed:
        heading, *rows = text.splitlines()
        assert heading.split()[:3] == ["PID", "USER", "RSS"]
        assert len(rows) >= 3
        assert str(family.pid) in text
        assert "\x1b" not in text
    pids = [sorted(line.split()[0] for line in text.splitlines()) for text in printed]
    assert pids[0] == pids[1]


# -- keys --------------------------------------------------------------------------------------


def in_order(*names):
    """Whether the rows with these names stand in this order."""
    pattern = re.compile(".*".join(map(re.escape, names)), re.DOTALL)
    return lambda screen: pattern.search(screen)


def test_tagging(terminal, family):
    """Space tags the row and goes down, U forgets all tags."""
    terminal.run("--pid", str(family.pid), "--sort", "pid")
    terminal.wait("small.py", "quarry.py", "2 ×", "/ filter")
    terminal.go_to("family.py")
    terminal.keys("Space", "Down", "Space")
    terminal.wait("2 tagged")
    terminal.wait_until(
        lambda screen: re.search(r"^•.*family\.py.*\n.*2 ×.*\n•.*\.py.*\n▌.*\.py", screen, re.M),
        "marks two rows and has the cursor on the third",
    )
    terminal.keys("U")
    terminal.wait("family.py", without=("tagged", "•"))


def test_sorting(terminal, family):
    """M sorts by memory, and a second M turns the order round; the heading says so."""
    terminal.run("--pid", str(family.pid))
    terminal.wait("small.py", "quarry.py", "Δ/min ▼")
    terminal.keys("M")
    terminal.wait("RSS ▼", "by memory")
    terminal.wait_until(in_order("quarry.py", "small.py"), "shows the rows in order")
    terminal.keys("M")
    terminal.wait("RSS ▲")
    terminal.wait_until(in_order("small.py", "quarry.py"), "shows the rows in order")
    terminal.keys("N")
    terminal.wait("PID ▲", without="RSS ▲")
    terminal.wait_until(in_order("small.py", "quarry.py"), "shows the rows in order")
    terminal.keys("I")
    terminal.wait("PID ▼")
    terminal.wait_until(in_order("quarry.py", "small.py"), "shows the rows in order")


def test_folding(terminal, family):
    """Left folds a tree into its first row, which has the sum; Right shows the rows again."""
    terminal.run("--pid", str(family.pid), "--sort", "pid", size=(120, 24))
    terminal.wait("▾ python", "small.py", "quarry.py")
    terminal.go_to("family.py")
    terminal.keys("Left")
    screen = terminal.wait("▸ ", "family.py", "Σ 3", "MiB", without=("small.py", "quarry.py"))
    folded = re.search(r"family\.py +Σ 3 .* (\d+) MiB", screen)
    assert folded is not None and int(folded[1]) > 80
    terminal.keys("Right")
    terminal.wait("small.py", "quarry.py", without="Σ")


def test_views(terminal, family):
    """Pressing v again and again goes through tree, by container, by user and flat."""
    terminal.run("--pid", str(family.pid))
    terminal.wait("tree by growth", "└─ ", "quarry.py")
    terminal.keys("v")
    terminal.wait("by container, growth", "3 × ", "container", "quarry.py")
    terminal.keys("v")
    terminal.wait("by user, growth", "user ", "quarry.py")
    terminal.keys("v")
    terminal.wait("flat by growth", "quarry.py", without=("└", "├", "3 ×"))
    terminal.keys("v")
    terminal.wait("tree by growth", "└─ ", "quarry.py")


def test_pause(terminal, family):
    """p holds the rows while the clock and the sampling go on, and p again shows what is new."""
    terminal.run("--pid", str(family.pid), "--interval", "0.5")
    terminal.wait("small.py", "quarry.py", "/ filter")
    terminal.keys("p")
    terminal.wait("paused", "sampling goes on")
    family.bear("late.py")

    def later(screen):
        times = re.findall(r"\d\d:\d\d:\d\d", screen.split("\n")[1])
        if len(times) != 2:
            return False
        begin, now = (datetime.strptime(text, "%H:%M:%S") for text in times)
        return (now - begin) % timedelta(days=1) >= timedelta(seconds=3)

    assert "late.py" not in terminal.wait_until(later, "has a clock that goes on")
    terminal.keys("p")
    terminal.wait("late.py", without="paused")


# -- trust -------------------------------------------------------------------------------------


def test_hostile_command_line(terminal, family):
    """Escape sequences, newlines, overrides and markup in a command line are shown, not obeyed."""
    child = family.bear("-c", "import os; os.read(0, 1)", HOSTILE)
    terminal.run("--pid", str(child), size=(240, 24))
    shown = r"\x1b]0;owned\x07\x1b[31mred\ntwo\u202eevil\x9b7m[bold]"
    terminal.wait(str(child), shown, "/ filter")
    terminal.keys("/", "owned", "Enter")
    terminal.wait("filter owned", shown)
    terminal.keys("q")
    assert terminal.exit_code() == 0
    raw = terminal.raw()
    assert "\u202e".encode() not in raw
    assert "\x9b".encode() not in raw
    assert b"\x1b]0;" not in raw and b"\x1b[31m" not in raw
    assert b"owned\x07" not in raw
    assert terminal.flag("pane_title") != "owned"
    is_clean(terminal)
