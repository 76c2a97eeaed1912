"""Files of a cache folder: written whole or not at all, and removed when there are too many.

    pieces ──▶ .x7f3.draft (fsync) ──▶ rename over the target

A reader sees the old file or the new one. Nobody changes a file in place, so what a process has mapped into memory
stays valid while another one replaces it. Files and folders are private (see ``private_files``).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from .private_files import make_own_folder

_DRAFT = ".draft"
_ABANDONED = 3_600.0
"""Age in seconds from which a draft is the remains of a killed writer."""
_BUFFER = 1 << 20


def write_atomically(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file with mode 0600, replacing the one of that name; makes its folder if need be.

    Raises OSError, and what iterating over ``pieces`` raises; the old file is then left as it was.
    """
    make_own_folder(path.parent)
    # mkstemp opens with O_EXCL and mode 0600, so nobody else can have made or can read the draft.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=_DRAFT)
    try:
        with os.fdopen(handle, "wb", buffering=_BUFFER) as file:
            file.writelines(pieces)
            file.flush()
            # Without it, a file system may rename first and lose the content in a power failure.
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def mark_used(path: Path) -> None:
    """Set the time by which ``prune`` judges a file. In a read-only folder nothing happens."""
    with contextlib.suppress(OSError):
        os.utime(path)


def prune(folder: Path, suffixes: Collection[str], *, count: int, size: int | None = None) -> None:
    """Remove the files with these suffixes that were not used for longest, and abandoned drafts.

    At most ``count`` files stay, of at most ``size`` bytes together; the last used one stays in any case.
    """
    used: list[tuple[float, int, Path]] = []
    for path in folder.iterdir():
        # Another process may remove or replace any of the files meanwhile.
        with contextlib.suppress(OSError):
            facts = path.stat()
            if path.suffix in suffixes:
                used.append((facts.st_mtime, facts.st_size, path))
            elif path.suffix == _DRAFT and facts.st_mtime < time.time() - _ABANDONED:
                path.unlink()
    total = 0
    for number, (_, bytes_, path) in enumerate(sorted(used, reverse=True)):
        total += bytes_
        if number and (number >= count or (size is not None and total > size)):
            with contextlib.suppress(OSError):
                path.unlink()
