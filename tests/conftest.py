"""What several kinds of tests need: real child processes that end with the test."""

import contextlib
import subprocess
import sys
import time

import pytest

# What these share takes long: watching for a minute, recordings that are made.
TOGETHER = ("tests/e2e/test_growth.py", "tests/diagnosis/", "tests/inject/")
FILES_TOGETHER = "tests/recording/"
WAITING = ("tests/e2e/", "tests/recording/", "tests/unit/test_cli.py")


def pytest_xdist_make_scheduler(config, log):
    """With --dist loadgroup, whatever shares something stays together on one worker.

    By names of files: the marks for groups of pytest-xdist 3.8 have no effect with pytest 9.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            if nodeid.startswith(FILES_TOGETHER):
                return nodeid.partition("::")[0]
            return next((one for one in TOGETHER if nodeid.startswith(one)), nodeid)

    return Together(config, log)


def pytest_collection_modifyitems(items):
    """What mostly waits comes first, so that others are done meanwhile."""
    items.sort(key=lambda item: not item.nodeid.startswith(WAITING))


class Children:
    """Starts Python children and ends them all."""

    def __init__(self):
        self._running = []

    def python(self, code, *arguments, **options):
        """A Python child that runs `code`; its stdin stays open, so it may wait for its end."""
        child = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        self._running.append(child)
        return child

    def ready(self, code, *arguments, **options):
        """The same, after it has printed a line."""
        child = self.python(code, *arguments, **options)
        assert child.stdout.readline(), "the child ended before it was ready"
        return child

    def end(self):
        for child in self._running:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            child.wait()
            child.stdin.close()
            child.stdout.close()


@pytest.fixture
def children():
    """Real child processes."""
    made = Children()
    yield made
    made.end()


@pytest.fixture
def wait_until():
    """Poll until something is true, or fail after a generous time."""

    def wait(condition, limit_s=15.0, every_s=0.05):
        deadline = time.monotonic() + limit_s
        while True:
            result = condition()
            if result:
                return result
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(every_s)

    return wait
