"""Manifests of trusted documents in files that tests change."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

_STAMPS = itertools.count(1_700_000_000)


def write(path: Path, content: object) -> Path:
    """Write a text, or anything else as JSON, with another time than each file before."""
    text = content if isinstance(content, str) else json.dumps(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    # A file system may count time in steps longer than a test takes.
    stamp = next(_STAMPS)
    os.utime(path, (stamp, stamp))
    return path
