"""Where memtop keeps and writes files; nothing here reads or follows what others own.

Files are made with mode 0600, never through a symbolic link, never over an existing file
unless the caller forces it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from memtop.errors import MemtopError


def state_dir() -> Path:
    """The XDG state folder of memtop; it need not exist yet."""
    base = os.environ.get("XDG_STATE_HOME")
    root = Path(base) if base and os.path.isabs(base) else Path("~/.local/state").expanduser()
    return root / "memtop"


def create(path: str | os.PathLike[str], data: bytes, *, force: bool = False) -> Path:
    """Write `data` to a new file at `path`, mode 0600.

    An existing file is an error unless `force`; a symbolic link always is. Raises MemtopError.
    """
    target = Path(path)
    # Without waiting: whoever is told to overwrite a FIFO would wait for its reader for ever.
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    flags |= os.O_TRUNC if force else os.O_EXCL
    try:
        fd = os.open(target, flags, 0o600)
    except FileExistsError:
        raise MemtopError(
            f"{target} exists and is left as it is", command="add --force to overwrite it"
        ) from None
    except OSError as error:
        raise MemtopError(f"cannot write {target}: {error.strerror}") from None
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
    except OSError as error:
        if not force:
            _remove(target)  # a part of it is of no use
        raise MemtopError(f"cannot write {target}: {error.strerror}") from None
    return target


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        pass


def create_somewhere(name: str, data: bytes) -> Path:
    """Write a new file called `name` to the first of the folders that takes it."""
    failure: MemtopError | None = None
    for folder in folders():
        try:
            return create(folder / name, data)
        except MemtopError as error:
            failure = error
    raise failure or MemtopError(f"there is no folder for {name}")


def folders() -> Iterator[Path]:
    """Where files go that no place was given for: the working folder, the state folder, /tmp."""
    for folder in (Path.cwd, state_dir, lambda: Path(tempfile.gettempdir())):
        try:
            place = folder()
            if place == state_dir():
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        yield place
