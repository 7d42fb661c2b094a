"""Detail, signals, config, copying and dialogs in a real terminal.

The fixtures `terminal` and `family` are in conftest.py.
"""

import os
import signal
import time


def start_over(terminal, family, *arguments, **options):
    """memtop over the test's own processes, past its first frame."""
    terminal.run("--pid", str(family.pid), *arguments, **options)
    terminal.wait("family.py", "2 ×", "small.py", "quarry.py")


def test_detail_of_a_real_process(terminal, family):
    """Enter shows chart and facts of a real process, its files, its Python; Esc closes."""
    child = family.quarry
    start_over(terminal, family, size=(120, 40))
    terminal.keys("Down", "Down")  # past the line of the group
    terminal.keys("Enter")
    text = terminal.wait(f"{child} quarry.py", "open files", "glibc", "peak", "threads", "[ ]")
    assert "python 3." in text
    terminal.keys("Tab", "Tab", "Tab", "Tab")
    terminal.wait("command", "environment,", "names", "PATH")
    terminal.keys("Escape")
    terminal.wait("PID", without="environment,")


def test_a_signal_to_a_real_child(terminal, family):
    """K, Enter and y end the child under the cursor; the row says that it has ended."""
    child = family.quarry
    start_over(terminal, family)
    terminal.keys("Down", "Down")  # past the line of the group
    terminal.keys("K")
    terminal.wait(f"Signal to {child}")
    terminal.keys("Enter")
    terminal.wait("Send TERM to ", "quarry")
    terminal.keys("Enter")
    terminal.wait("Send TERM")
    os.kill(child, 0)
    terminal.keys("y")
    terminal.wait(f"TERM was sent to {child}")


def test_a_dialog_survives_resizing(terminal, family):
    """A question stays, and stays whole, while the terminal changes its size."""
    start_over(terminal, family)
    terminal.keys("Down", "Down")  # past the line of the group
    terminal.keys("K")
    terminal.wait("Signal to")
    terminal.keys("Enter")
    for width, height in ((120, 40), (60, 16), (80, 24)):
        terminal.resize(width, height)
        terminal.wait("Send TERM to ", "y send TERM")
    terminal.keys("Escape")
    terminal.wait("PID", without="Send TERM")


def test_copying_reaches_the_tmux_buffer(terminal, family):
    """y inside tmux puts the row into the buffer of that tmux, without OSC 52 being allowed."""
    child = family.quarry
    start_over(terminal, family)
    terminal.keys("Down", "Down")  # past the line of the group
    terminal.keys("y")
    terminal.wait("copied to tmux")
    row = terminal.tmux("show-buffer")
    assert row.startswith(str(child))
    assert "quarry" in row
    terminal.keys("Y")
    terminal.wait("report copied")
    assert terminal.tmux("show-buffer").startswith("memtop ")


def test_saving_says_where(terminal, family, tmp_path):
    """w writes picture and report and says where; the files are there, and private."""
    start_over(terminal, family, size=(160, 40))
    terminal.keys("w")
    terminal.wait("saved ")
    saved = sorted(tmp_path.glob("memtop-*.svg")) + sorted(tmp_path.glob("memtop-*.txt"))
    assert len(saved) == 2
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in saved)


def test_keys_of_the_config_file(terminal, family, tmp_path):
    """A config file rebinds keys, chooses columns and order; footer and help tell the new keys."""
    config = tmp_path / "memtop.toml"
    config.write_text('sort = "rss"\ncolumns = ["threads"]\n[keys]\nfilter = "f3"\nquit = "x"\n')
    start_over(terminal, family, "--config", str(config), size=(120, 24))
    terminal.wait("F3 filter", "x quit", "THR", "tree by memory")
    terminal.keys("F3")
    terminal.keys("abc")
    terminal.wait("/ abc")
    terminal.keys("Escape")
    terminal.wait("F3 filter")
    terminal.keys("q")  # no longer bound
    terminal.keys("x")
    terminal.wait("EXIT 0")


def test_a_wrong_config_file(terminal, tmp_path):
    """It is named with line and key, and nothing starts."""
    config = tmp_path / "memtop.toml"
    config.write_text('interval = 1\n\n[keys]\nqit = "x"\n')
    terminal.run("--config", str(config))
    text = terminal.wait("EXIT 2")
    assert "memtop.toml, line 4: keys.qit" in text.replace("\n", "")
    assert "Traceback" not in text


def test_presets(terminal, family, tmp_path):
    """The preset htop has htop's keys where memtop has others."""
    config = tmp_path / "memtop.toml"
    config.write_text('preset = "htop"\n')
    start_over(terminal, family, "--config", str(config))
    terminal.wait("F4 filter")
    terminal.keys("t")
    terminal.wait("by container")


def test_the_palette(terminal, family):
    """: finds a theme and a column by name."""
    start_over(terminal, family, size=(120, 30))
    terminal.keys(":")
    terminal.wait("Search for commands")
    terminal.keys("column threads")
    terminal.wait("column threads: show or hide")
    time.sleep(0.5)  # the palette takes Enter only after its search has settled
    terminal.keys("Enter")
    terminal.wait("THR")


def test_a_terminal_that_is_killed(terminal, family):
    """When its terminal goes, memtop ends within a second or two."""
    start_over(terminal, family)
    pid = terminal.memtop_pid()
    os.kill(pid, 0)
    terminal.tmux("kill-session")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("memtop outlived its terminal by ten seconds")
