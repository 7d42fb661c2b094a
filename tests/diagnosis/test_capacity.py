"""A service in a cgroup with room for one request: the arithmetic is the cause, not a leak."""

import pytest

from tests.e2e.test_capacity import service

# They run while the programs of `watched` are watched.
pytestmark = pytest.mark.usefixtures("watched")
__all__ = ["service"]  # a fixture: a service in its cgroup, skipped where there can be none


def test_no_more_fit(service, diagnose):
    """While one child runs no other fits; the parent is whose matter it is."""
    service.request(200)
    answer = diagnose(service.process.pid, watch="4s")

    assert answer.code == 0, answer
    assert answer.first["cause"] == "capacity", answer
    assert answer.first["pid"] == service.process.pid
    assert "512 MiB" in answer.first["headline"] + " ".join(answer.first["for"])
    assert "python_objects" not in answer.causes[:2]


def test_one_that_was_killed_is_counted(service, diagnose):
    """Two were too many: the cgroup has counted the kill, and the answer says so."""
    service.request(450)
    service.request(450)
    answer = diagnose(service.process.pid, watch="4s")

    assert answer.first["cause"] == "capacity", answer
    assert "OOM kill" in " ".join(answer.first["for"]), answer
