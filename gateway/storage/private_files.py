"""Files that this process believes: of its own user, written by nobody else, in a folder of which the same holds.

A cache folder may be shared: a volume whose group may write (``fsGroup`` of Kubernetes), ``/tmp``. Whoever can write
there could plant a model of the metadata or a document. So our own sub-folders are made with mode 0700, files with
0600 (``tempfile.mkstemp``), and a file counts only where it and its folder belong to our user and nobody else may
write to them. The folders above are not looked at: who may replace our folder gets no further than ours being absent.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from gateway.events import CacheUnusable, Observer

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_SEEN: set[tuple[Path, str]] = set()


def open_own(path: Path) -> BinaryIO:
    """Open a file of ours for reading.

    Raises FileNotFoundError where there is none, PermissionError where it or its folder is not ours alone, OSError.
    """
    _check(path.parent, os.stat(path.parent, follow_symlinks=False))
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check(path, os.fstat(handle))
    except BaseException:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def make_own_folder(folder: Path) -> None:
    """Make a folder that only our user may use, where there is none; take the rights of others from one of ours.

    Raises PermissionError where the folder is another user's or a link, OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = os.stat(folder, follow_symlinks=False)
    _check_owner(folder, facts)
    if stat.S_IMODE(facts.st_mode) & 0o077:
        folder.chmod(0o700)


def report_unusable(folder: Path, error: Exception, observe: Observer) -> None:
    """Say that nothing can be kept in, or taken from a folder; once for each folder and kind of error."""
    kind = type(error).__name__
    if (folder, kind) not in _SEEN:
        _SEEN.add((folder, kind))
        observe(CacheUnusable(folder=str(folder), reason=f"{kind}: {error}"))


def _check(path: Path, facts: os.stat_result) -> None:
    _check_owner(path, facts)
    if stat.S_IMODE(facts.st_mode) & _OTHERS_WRITE and os.name == "posix":
        raise PermissionError(f"{path} may be written by others, so it is not used")


def _check_owner(path: Path, facts: os.stat_result) -> None:
    if stat.S_ISLNK(facts.st_mode):
        raise PermissionError(f"{path} is a symbolic link, so it is not used")
    if os.name == "posix" and facts.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to user {facts.st_uid}, so it is not used")
