"""Files that memtop writes."""

import os

import pytest

from memtop.errors import MemtopError
from memtop.paths import create, create_somewhere, state_dir


def test_new_files_are_private(tmp_path):
    """A file gets mode 0600."""
    path = create(tmp_path / "a", b"x")

    assert path.read_bytes() == b"x"
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_overwritten(tmp_path):
    """An existing file stays unless forced."""
    (tmp_path / "a").write_text("mine")

    with pytest.raises(MemtopError, match="exists"):
        create(tmp_path / "a", b"x")
    create(tmp_path / "a", b"x", force=True)

    assert (tmp_path / "a").read_bytes() == b"x"


def test_links_are_never_followed(tmp_path):
    """A symbolic link is refused, forced or not."""
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "victim")

    for force in (False, True):
        with pytest.raises(MemtopError):
            create(tmp_path / "link", b"x", force=force)
    assert (tmp_path / "victim").read_text() == "mine"


def test_another_place_is_found(tmp_path, monkeypatch):
    """Where the working folder cannot be written, the state folder is used."""
    if os.geteuid() == 0:
        work = "/proc"  # not even root writes here
    else:
        (tmp_path / "work").mkdir(mode=0o500)
        work = tmp_path / "work"
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    path = create_somewhere("a", b"x")

    assert path == state_dir() / "a"
    assert path.read_bytes() == b"x"
