"""The terminal, handled more carefully than Textual's own driver does.

A process that was stopped by SIGSTOP and continued must not start a second time on a terminal
that is raw already; bytes that are no UTF-8 (a Latin-1 paste, a meta key) are no reason to die;
and whatever happens, the terminal's modes are what they were before.
"""

from __future__ import annotations

import codecs
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from textual.drivers import linux_driver


def _forgiving_decoder(encoding: str) -> Any:
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")


class TerminalDriver(linux_driver.LinuxDriver):
    """Textual's driver for POSIX terminals, with its two weaknesses mended."""

    def _sigcont_application(self, *_: object) -> None:
        """After SIGTSTP (ctrl+z) begin anew; after SIGSTOP, which nobody was told of, repaint."""
        if self._must_signal_resume:
            super()._sigcont_application()
        else:
            self._app.call_later(self._app.refresh)

    def run_input_thread(self) -> None:
        """Read keys; what is no UTF-8 becomes U+FFFD."""
        # The name is looked up in the module when the thread begins.
        linux_driver.getincrementaldecoder = _forgiving_decoder  # type: ignore[attr-defined]
        super().run_input_thread()


@contextmanager
def as_it_was() -> Iterator[None]:
    """The modes of the terminal after the block are those before it."""
    stdin = sys.__stdin__
    try:
        before = termios.tcgetattr(stdin.fileno()) if stdin is not None else None
    except (termios.error, OSError, ValueError):
        before = None
    try:
        yield
    finally:
        if before is not None and stdin is not None:
            try:
                termios.tcsetattr(stdin.fileno(), termios.TCSADRAIN, before)
            except (termios.error, OSError):
                pass  # the terminal is gone
