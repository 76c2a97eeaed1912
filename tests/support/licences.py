"""Licences of what the gateway is delivered with, by the locks: packages of Python and of npm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

from msgspec import Struct

SPDX = {
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""Licences as classifiers and authors spell them → SPDX."""
BOTH = {
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "sniffio": "MIT OR Apache-2.0",
    "uvloop": "MIT OR Apache-2.0",
}
"""Packages with several licences, whose metadata do not say that users may choose."""


class Package(Struct, frozen=True, order=True):
    """A package of a lock."""

    name: str
    version: str
    licence: str
    """An SPDX expression, or what the package says if it is none."""


def python_packages(lock: Path) -> Iterator[Package]:
    """Yield the packages of a lock of pip, which must be installed."""
    for name, version in re.findall(
        r"^([a-z0-9._-]+)==([^ ;\\]+)", lock.read_text("utf-8"), re.MULTILINE
    ):
        yield Package(name, version, BOTH.get(name) or _licence(metadata(name)))


def _licence(facts: PackageMetadata) -> str:
    for expression in facts.get_all("License-Expression") or ():
        return str(expression)
    classifiers = facts.get_all("Classifier") or []
    # "License :: OSI Approved :: MIT License"; a further one of them may say "OSI Approved" only.
    named = [
        c.split(" :: ")[-1] for c in classifiers if c.startswith("License :: OSI Approved :: ")
    ]
    free = facts.get_all("License") or ["unknown"]
    texts = named or [str(free[0]).splitlines()[0]]
    return " AND ".join(dict.fromkeys(SPDX.get(text, text) for text in texts))


def npm_packages(lock: Path) -> Iterator[Package]:
    """Yield the packages of a lock of npm, without those that only developers need."""
    for path, facts in json.loads(lock.read_text("utf-8"))["packages"].items():
        if path and not facts.get("dev"):
            name = path.rpartition("node_modules/")[2]
            yield Package(name, facts["version"], facts.get("license", "unknown"))
