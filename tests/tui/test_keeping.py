"""Copying, saving and the palette."""

import re

from memtop.tui import clipboard


async def test_the_row_is_copied(app, look, monkeypatch):
    """y copies the row under the cursor as a line of text, and says where to."""
    copied = []
    monkeypatch.setattr(clipboard, "_to_tmux", lambda text: copied.append(text) or True)
    monkeypatch.setenv("TMUX", "x")
    async with look(app) as screen:
        await screen.press("end", "y")
        assert "row copied to tmux" in screen.text
    assert copied == ["30  app  22 MiB        0.0      0    1  redis-server *:6379"] or (
        copied[0].startswith("30") and copied[0].endswith("redis-server *:6379")
    )


async def test_without_any_clipboard_the_terminal_gets_it(app, look, monkeypatch):
    """Over ssh, or in a pod, text is sent to the terminal, and is not called copied."""
    for name in ("TMUX", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    async with look(app) as screen:
        await screen.press("Y")
        assert "report sent to the terminal (OSC 52)" in screen.text
        assert "redis-server" in app.clipboard
        assert re.search(r"memtop \d.* on fake at 2026-11-21T", app.clipboard)


async def test_too_much_for_the_terminal(monkeypatch):
    """What the terminal would cut off is not sent; the key that helps is named."""
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("SSH_TTY", "x")
    sent = []

    assert "w writes it to a file" in clipboard.copy("x" * 80_000, sent.append)
    assert sent == []


async def test_saving(app, look, tmp_path, monkeypatch):
    """w writes picture and report to the working folder and says where they are."""
    monkeypatch.chdir(tmp_path)
    async with look(app) as screen:
        await screen.press("w")
        assert "saved" in screen.text
    names = sorted(path.suffix for path in tmp_path.iterdir())
    assert names == [".svg", ".txt"]
    picture, report = sorted(tmp_path.iterdir())
    assert re.fullmatch(r"memtop-fake-20261121T\d{6}Z\.svg", picture.name)
    assert "mail-worker" in report.read_text()
    assert picture.stat().st_mode & 0o777 == 0o600


async def test_the_palette_runs_everything(app, look):
    """: finds actions, columns and themes by name."""
    async with look(app) as screen:
        await screen.press("colon")
        await screen.pilot.pause(0.3)
        await screen.press(*"theme light")
        await screen.pilot.pause(0.6)
        await screen.press("enter")
        await screen.pilot.pause(0.3)
        assert app.theme == "memtop-light"


async def test_the_mouse_sorts_and_folds(app, look):
    """A click on a heading sorts by it, again inverts; a click on the tree's strokes folds."""
    async with look(app) as screen:
        x = screen.lines[2].index("RSS")
        await screen.pilot.click("Headings", offset=(x, 0))
        await screen.pilot.pause()
        assert "tree by memory" in screen.lines[1]
        await screen.press("G")
        place = next(i for i, line in enumerate(screen.lines[3:]) if "├▾ mail" in line)
        x = screen.lines[3 + place].index("▾")
        await screen.pilot.click("ProcessTable", offset=(x, place))
        await screen.pilot.pause()
        assert "▸ mail" in screen.text
        assert 21 not in screen.pids


async def test_the_palette_is_closed_once(app, look):
    """A second Enter, Esc or a page key at any size does not break the palette."""
    async with look(app) as screen:
        await screen.press("colon")
        await screen.pilot.pause(0.3)
        await screen.pilot.resize_terminal(4, 3)
        await screen.press("pagedown", "pageup", "pagedown")
        await screen.pilot.resize_terminal(120, 40)
        await screen.press("down")
        await screen.pilot.press("enter", "enter", "escape", "enter")
        await screen.pilot.pause(0.3)
        assert screen.app.is_running
        await screen.press("escape", "escape")
        assert "mail-worker" in screen.text
