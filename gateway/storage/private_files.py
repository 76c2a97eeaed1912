"""Files that this process trusts: owned by its own user, writable by nobody else, in a folder of the same kind.

A cache folder may be shared: a volume whose group may write (``fsGroup`` of Kubernetes), ``/tmp``. Whoever can write
there could plant a model or a document. So our own sub-folders are made with mode 0700 and files with 0600, and a file
is read only if it and its folder belong to our user and nobody else may write to them. The folders above are not
checked: replacing our folder achieves no more than deleting it.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gateway.events import CacheUnusable, Observer

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS = 0o077
_REPORTED: set[tuple[Path, str]] = set()


class WritableByOthers(PermissionError):
    """A file or folder that others could have written. ``hint`` says what to do."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(f"{message}, so it is not used; chmod go-w takes that from them")
        self.hint = (
            f"Run `chmod go-w {path}`. If its volume gives the right back, keep data_dir on one that stores modes; in"
            " Kubernetes, fsGroup does so at each start unless fsGroupChangePolicy is OnRootMismatch."
        )


def open_own(path: Path) -> BinaryIO:
    """Open one of our files for reading.

    Raises FileNotFoundError, PermissionError if others could have written the file or its folder, OSError.
    """
    _check(path.parent, os.stat(path.parent, follow_symlinks=False))
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    try:
        # of the open file: a path could be exchanged between check and use
        _check(path, os.fstat(handle))
    except BaseException:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def check_own(path: Path) -> None:
    """Check one of our files without opening it. Raises as ``open_own``.

    For files whose locks are POSIX ones: a process that closes any handle of such a file loses all its locks.
    """
    _check(path.parent, os.stat(path.parent, follow_symlinks=False))
    _check(path, os.stat(path, follow_symlinks=False))


def make_own_folder(folder: Path) -> None:
    """Make a folder for our user alone, or take the rights of others from an existing one.

    Raises PermissionError if the folder is a link or belongs to another user, OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = os.stat(folder, follow_symlinks=False)
    _check_owner(folder, facts)
    if stat.S_IMODE(facts.st_mode) & 0o077:
        folder.chmod(0o700)


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the secret in one of our files, which is made at its first use, by whichever process comes first.

    Raises PermissionError if others could have read it, OSError.
    """
    try:
        return read_private(path)
    except FileNotFoundError:
        make_private(path, make())
        return read_private(path)


def read_private(path: Path) -> bytes:
    """Return the secret in one of our files. Raises as ``read_or_make``, and FileNotFoundError."""
    with open_own(path) as file:
        modes = (os.fstat(file.fileno()).st_mode, os.stat(path.parent).st_mode)
        # Windows shows its access lists as mode bits that say nothing about other users.
        if os.name == "posix" and all(mode & _OTHERS for mode in modes):
            raise PermissionError(f"{path} can be read by other users (chmod 600, or remove it)")
        return file.read()


def make_private(path: Path, content: bytes) -> None:
    """Make one of our files, complete from its start, unless something is there. Raises as ``make_own_folder``."""
    make_own_folder(path.parent)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".draft")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: of several processes that start together the first one wins.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink(missing_ok=True)


def report_unusable(folder: Path, error: Exception, observe: Observer) -> None:
    """Emit ``CacheUnusable``, once for each folder and kind of error."""
    kind = type(error).__name__
    if (folder, kind) not in _REPORTED:
        _REPORTED.add((folder, kind))
        observe(CacheUnusable(folder=str(folder), reason=f"{kind}: {error}"))


def _check(path: Path, facts: os.stat_result) -> None:
    _check_owner(path, facts)
    # Windows shows its access lists as mode bits that say nothing about other users.
    if stat.S_IMODE(facts.st_mode) & _OTHERS_WRITE and os.name == "posix":
        mode = stat.S_IMODE(facts.st_mode)
        raise WritableByOthers(f"{path} is writable by other users (mode {mode:o})", path)


def _check_owner(path: Path, facts: os.stat_result) -> None:
    if stat.S_ISLNK(facts.st_mode):
        raise PermissionError(f"{path} is a symbolic link, so it is not used")
    if os.name == "posix" and facts.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to user {facts.st_uid}, so it is not used")
