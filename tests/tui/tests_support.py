"""An app over a fake source, with no thread and no terminal; sizes and looks to draw it in."""

import pytest

from memtop.model.query import View
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Wanted
from memtop.tui.app import MemtopApp


def service():
    """A machine with two services and a database; the mail worker grows by 0.3 MiB a second."""
    source = FakeSource()
    source.spawn(1, 0, "init", 8, age_s=90_000, user="root")
    source.spawn(10, 1, "python3", 500, age_s=8000, command="python -m shop.main")
    source.spawn(11, 10, "shop-worker", 90, age_s=700)
    source.spawn(12, 10, "shop-worker", 95, age_s=700)
    source.spawn(20, 1, "mail", 60, age_s=600, container="c0ffee", cgroup="/c0ffee")
    source.spawn(21, 20, "mail-worker", 40, age_s=500, container="c0ffee", cgroup="/c")
    source.spawn(30, 1, "redis-server", 22, age_s=400, command="redis-server *:6379")

    def grow(source):
        if 21 in source.processes:
            source.processes[21].rss_kib += 300

    source._before_sample = grow
    return source


def app_over(source, *, ticks=40, view=None, own=None, **options):
    """An app that has seen `ticks` samples of a source."""
    tracker = Tracker(source._step_s, own)
    for _ in range(ticks):
        state = tracker.feed(source.sample(tracker.ask(Wanted())))
    return MemtopApp(source, tracker, state, view or View(), sampling=False, **options)


def sizes_and_looks(sizes, looks):
    """Parameters `size` and `options`: every size in every look; not `deep` are the largest, 80x24
    and the smallest size in the first look, and 80x24 in the others."""
    usual = {max(sizes), (80, 24), min(sizes)}
    return [
        pytest.param(size, options, marks=() if is_quick else pytest.mark.deep)
        for options in looks
        for size in sizes
        for is_quick in [size == (80, 24) or (options == looks[0] and size in usual)]
    ]
