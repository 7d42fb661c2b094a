"""How a command line wants the processes shown: the view that its options and settings make."""

from __future__ import annotations

import argparse

from memtop.model.filter import parse as parse_filter
from memtop.model.query import View


def view_of(options: argparse.Namespace, *, fold_many: bool = False) -> View:
    """The view; FilterError where the filter is wrong. `fold_many`: large groups begin folded."""
    return View(
        fold_many=fold_many,
        filter=parse_filter(" ".join(options.filter)),
        sort=options.sort,
        layout=options.layout,
        kernel=options.all,
        python=options.python,
        top_pid=options.pid,
        columns=options.settings.columns,
    )
