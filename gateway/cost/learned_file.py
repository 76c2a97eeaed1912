"""Keeps what was learned between starts: a small file in the cache folder, written now and then.

It is lost without harm: estimates are then those of a new environment until the first answers. Of several processes
the last one that writes is right enough.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.config.profiles import environment_in
from gateway.config.settings import Settings
from gateway.events import Observer
from gateway.storage.atomic_file import prune, write_atomically
from gateway.storage.private_files import open_own, report_unusable

from .learned import LearnedSeconds

FOLDER = "costs"
WRITTEN_AFTER = 300.0
"""Seconds between two writes."""
MAX_FILES = 1_000
_SUFFIX = ".costs"


class LearnedFile:
    """The file of one environment."""

    def __init__(
        self, path: Path, observe: Observer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._observe = observe
        self._clock = clock
        self._written = clock()

    def load(self, learned: LearnedSeconds) -> None:
        """Take what is in the file, if it is there and sound."""
        with contextlib.suppress(OSError, msgspec.DecodeError), open_own(self._path) as file:
            learned.decode(file.read())

    def is_due(self) -> bool:
        """Return whether the file was not written for long."""
        return self._clock() - self._written >= WRITTEN_AFTER

    def write_aside(self, learned: LearnedSeconds) -> None:
        """Write in a thread, because a disk may be slow."""
        self._written = self._clock()
        if learned.changes:
            text = learned.encode()
            threading.Thread(target=self._write, args=(text,), daemon=True).start()

    def write(self, learned: LearnedSeconds) -> None:
        """Write now."""
        if learned.changes:
            self._write(learned.encode())

    def _write(self, text: bytes) -> None:
        try:
            write_atomically(self._path, [text])
            prune(self._path.parent, [_SUFFIX], count=MAX_FILES)
        except OSError as error:
            report_unusable(self._path.parent, error, self._observe)


def learned_file(settings: Settings, observe: Observer) -> LearnedFile | None:
    """Return the file of the environment of the settings; None without a cache folder, and for a sandbox.

    Environments of one name or one address are told apart, and so are the identities with which requests are sent: what
    one may read takes longer than what another may.
    """
    if settings.cache_dir is None or settings.url is None:
        return None
    identity = (settings.identity, settings.tenant_id, settings.client_id)
    facts = (environment_in(settings), settings.url.rstrip("/"), *(text or "" for text in identity))
    # Each with its length, so that no two lists of them look the same.
    text = "".join(f"{len(fact)}:{fact}" for fact in facts)
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    return LearnedFile(settings.cache_dir / FOLDER / f"{name}{_SUFFIX}", observe)
