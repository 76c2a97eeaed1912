"""The digest of all parts of a job, one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from .part_store import PartStore
from .records import Part


def digest_of_whole(store: PartStore, job_id: str, parts: Sequence[Part]) -> str:
    """Return the SHA-256 of all parts, in hexadecimal. Blocks; raises OSError."""
    if len(parts) == 1:
        return parts[0].sha256
    digest = hashlib.sha256()
    for part in parts:
        for piece in store.read(job_id, part.sha256):
            digest.update(piece)
    return digest.hexdigest()
