"""How much memory the process may have: the least limit of its control groups, else that of the machine.

A container's processes share its limit, and the kernel ends one of them when they exceed it. Both versions of control
groups are read: https://docs.kernel.org/admin-guide/cgroup-v2.html.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_V1 = "memory.limit_in_bytes"
_V2 = "memory.max"


def memory_limit(root: Path = Path("/")) -> float:
    """Return the limit in bytes; 0 if the system tells none."""
    return min(_limits(root), default=_physical())


def _limits(root: Path) -> Iterator[float]:
    groups = root / "sys/fs/cgroup"
    for folder, name in ((groups, _V2), (groups / "memory", _V1)):
        for group in _groups(root, is_second=name == _V2):
            try:
                text = (folder / group / name).read_text("ascii").strip()
            except (OSError, ValueError):  # not this version, or hidden from the container
                continue
            # Without a limit the second version says ``max``, the first one a number of the size of an address.
            if text.isdecimal() and int(text) < 1 << 60:
                yield float(text)


def _groups(root: Path, *, is_second: bool) -> Iterator[str]:
    """Yield the paths of the group of this process and of those above it, as far as its container can see them."""
    yield "."
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if (controllers == "") if is_second else ("memory" in controllers.split(",")):
            own = PurePosixPath(path.lstrip("/"))
            yield from (str(each) for each in (own, *own.parents) if ".." not in each.parts)


def _physical() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return 0.0
