"""Copying text, also over ssh, inside tmux and where there is no clipboard at all.

The first way that can be confirmed is taken: tmux, then a clipboard of this machine, then the
terminal (OSC 52), which never answers, so that it is called sent and not copied.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

from memtop.probe.descriptors import restore_limit

OSC52_BYTES = 74_000  # more is cut off by xterm and by old tmux


def copy(text: str, send_to_terminal: Callable[[str], None]) -> str:
    """Copy `text`; returns what has become of it, for people."""
    if os.environ.get("TMUX") and _to_tmux(text):
        return "copied to tmux and the terminal"
    remote = os.environ.get("SSH_TTY") or os.environ.get("SSH_CONNECTION")
    if not remote and _to_machine(text):
        return "copied"
    if len(text.encode("utf-8", "replace")) > OSC52_BYTES:
        return "too long for the terminal's clipboard: w writes it to a file"
    send_to_terminal(text)
    return "sent to the terminal (OSC 52)"


def _to_tmux(text: str) -> bool:
    """`load-buffer -w` works with every setting of set-clipboard; OSC 52 from here would not."""
    try:
        done = subprocess.run(
            ["tmux", "load-buffer", "-w", "-"],
            input=text.encode("utf-8", "replace"),
            capture_output=True,
            timeout=2,
            preexec_fn=restore_limit,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _to_machine(text: str) -> bool:
    """The clipboard of the machine that memtop runs on, where there is one."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or _is_mac()):
        return False
    import pyperclip  # 20 ms, and of no use on a server

    try:
        if not pyperclip.is_available():
            return False
        pyperclip.copy(text)
    except (pyperclip.PyperclipException, OSError):
        return False
    return True


def _is_mac() -> bool:
    return os.uname().sysname == "Darwin"
