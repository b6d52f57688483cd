"""Files that are replaced atomically and that only their user can read."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield the path of a new file, which replaces `path` at the end of the block. Only the user can read the file.

    Raises:
        OSError: The file could not be written. The new file is removed and the existing file is unchanged.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT, 0o600))
        yield new
        _sync(new)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # only POSIX systems can open a folder
        _sync(path.parent)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
