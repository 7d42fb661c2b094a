"""Keys that keep what is seen: copy the row, copy the report, save picture and report."""

from __future__ import annotations

import re
import time

from textual.screen import Screen

from memtop.errors import MemtopError
from memtop.model.query import Arrangement, View
from memtop.model.state import State
from memtop.paths import create_somewhere
from memtop.render.report import ps_text, report_text
from memtop.tui.clipboard import copy
from memtop.tui.widgets.table import ProcessTable


class Keeping(Screen[None]):
    """The part of the main screen that copies and saves."""

    table: ProcessTable
    _shown: State
    _view: View
    _arrangement: Arrangement

    def say(self, message: str, *, warning: bool = False) -> None:
        """Say something for a few seconds; the main screen knows where."""
        raise NotImplementedError

    def action_copy_row(self) -> None:
        """The row under the cursor as a line of text."""
        line = self.table.cursor_line
        if line is None:
            return
        alone = Arrangement((line._replace(guide="", foldable=False),), 1)
        text = ps_text(self._shown, alone).splitlines()[-1].strip()
        self.say(f"row {copy(text, self.app.copy_to_clipboard)}")

    def action_copy_report(self) -> None:
        """What is on the screen, as text."""
        self.say(f"report {copy(self._report(), self.app.copy_to_clipboard)}")

    def action_save(self) -> None:
        """Picture and report as files; says where they are."""
        name = file_name(self._shown, self._shown.taken_at)
        picture: str = self.app.picture("svg")  # type: ignore[attr-defined]
        try:
            where = create_somewhere(f"{name}.svg", picture.encode("utf-8", "replace"))
            create_somewhere(f"{name}.txt", self._report().encode("utf-8", "replace"))
        except MemtopError as error:
            self.say(error.message, warning=True)
            return
        self.say(f"saved {where} and .txt")

    def _report(self) -> str:
        return report_text(self._shown, self._view, self._arrangement)


def file_name(state: State, at: float) -> str:
    """What a file is called that nobody has named: by the host and a moment; without an ending."""
    taken = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    host = re.sub(r"[^A-Za-z0-9.-]", "_", state.host.name)[:60]
    return f"memtop-{host}-{taken}"
