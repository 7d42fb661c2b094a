"""Keys that change the view: folding, sorting, grouping, columns; and the mouse for the same."""

from __future__ import annotations

import os
from dataclasses import replace

from textual.screen import Screen

from memtop.columns import BY_ID, COLUMNS
from memtop.config import VIEWS, save
from memtop.errors import MemtopError
from memtop.model.query import View
from memtop.tui.widgets.lines import Headings
from memtop.tui.widgets.table import ProcessTable

LEAST_DIALOG_WIDTH = 20


class Arranging(Screen[None]):
    """The part of the main screen that decides what is shown in which order."""

    table: ProcessTable
    _view: View

    def say(self, message: str, *, warning: bool = False) -> None:
        """Say something for a few seconds; the main screen knows where."""
        raise NotImplementedError

    def _change(self, view: View, *, sort: bool = True) -> None:
        """Look in another way, at once; the main screen knows how."""
        raise NotImplementedError

    def on_process_table_fold_asked(self) -> None:
        """A click on the tree's strokes."""
        line = self.table.cursor_line
        if line is not None:
            self.action_fold(not line.folded)

    def on_headings_clicked(self, message: Headings.Clicked) -> None:
        """A click on a heading sorts by its column; on that of the order it turns it round."""
        slot = self.table.plan.at(message.x)
        column = {"command": "name"}.get(slot.id, slot.id) if slot else None
        if column in BY_ID:
            self.action_sort(column)

    def action_fold(self, fold: bool) -> None:
        """Fold or unfold the row; on a leaf or a folded row, go up."""
        line = self.table.cursor_line
        if line is None:
            return
        if line.foldable and line.folded != fold:
            one = frozenset({line.key})
            folded, unfolded = self._view.folded - one, self._view.unfolded - one
            folded, unfolded = (folded | one, unfolded) if fold else (folded, unfolded | one)
            self._change(replace(self._view, folded=folded, unfolded=unfolded), sort=False)
        elif fold and line.parent is not None:
            self.table.put_cursor(line.parent)
        elif not fold and line.foldable:
            self.table.move(1)

    def action_sort(self, column: str) -> None:
        """Sort by a column; asked again, turn the order round."""
        inverted = not self._view.inverted if self._view.sort == column else False
        self._change(replace(self._view, sort=column, inverted=inverted))

    def action_invert(self) -> None:
        """Turn the order round."""
        self._change(replace(self._view, inverted=not self._view.inverted))

    def action_choose_sort(self) -> None:
        """Ask for the column to sort by."""
        if self.app.size.width < LEAST_DIALOG_WIDTH:
            self.say("the terminal is too narrow", warning=True)
            return
        from memtop.tui.screens.pick import PickScreen  # not needed for the first frame

        def chosen(column: str | None) -> None:
            if column is not None:
                self._change(replace(self._view, sort=column, inverted=False))

        things = [(one.id, one.id, one.help) for one in COLUMNS if one.id != "command"]
        self.app.push_screen(PickScreen("Sort by", things, self._view.sort, "sorts"), chosen)

    def action_view(self) -> None:
        """The next way of grouping."""
        following = VIEWS[(VIEWS.index(self._view.layout) + 1) % len(VIEWS)]
        self._change(replace(self._view, layout=following))

    def action_toggle_column(self, column: str) -> None:
        """Show or hide a column besides the standard ones."""
        shown = self._view.columns
        changed = (
            tuple(one for one in shown if one != column) if column in shown else (*shown, column)
        )
        self._change(replace(self._view, columns=changed), sort=False)

    def action_save_settings(self) -> None:
        """Write what was changed on the screen to the config file."""
        view, theme = self._view, self.app.theme.removeprefix("memtop-")
        changes: dict[str, object] = {
            "sort": view.sort,
            "filter": view.filter.text,
            "view": view.layout,
            "columns": list(view.columns),
            "theme": theme,
        }
        try:
            where = save(changes, os.environ, getattr(self.app, "config_file", None))
        except MemtopError as error:
            self.say(error.message, warning=True)
            return
        self.say(f"settings saved to {where}")
