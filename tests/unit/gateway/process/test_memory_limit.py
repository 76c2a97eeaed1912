"""``gateway.process.memory_limit``: the limit of a container, by either version of control groups."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.process.memory_limit import memory_limit

V1, V2 = "memory.limit_in_bytes", "memory.max"
SERVICE = "system.slice/d365-graphql.service"
UNLIMITED = "9223372036854771712"
"""The largest number of pages of the first version, in bytes."""


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/", {V2: "536870912"}, 536_870_912),
        # Outside of a container: a service of systemd, whose slice has a limit, too.
        (f"0::/{SERVICE}", {f"{SERVICE}/{V2}": "900", f"system.slice/{V2}": "800"}, 800),
        (f"0::/{SERVICE}", {f"{SERVICE}/{V2}": "max", f"system.slice/{V2}": "800"}, 800),
        ("5:cpu:/\n4:memory:/docker/a1", {f"memory/{V1}": "700"}, 700),
        ("4:memory:/docker/a1", {f"memory/docker/a1/{V1}": "700", f"memory/{V1}": UNLIMITED}, 700),
        ("0::/../../other", {V2: "600"}, 600),
    ],
)
def test_the_least_limit_of_the_groups_counts(
    groups: str, files: Mapping[str, str], limit: int, tmp_path: Path
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{groups}\n")
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    assert memory_limit(tmp_path) == limit


@pytest.mark.parametrize("text", ["max", UNLIMITED, "", "none"])
def test_without_a_limit_it_is_the_memory_of_the_machine(text: str, tmp_path: Path) -> None:
    file = tmp_path / "sys/fs/cgroup" / V2
    file.parent.mkdir(parents=True)
    file.write_text(text)

    assert memory_limit(tmp_path) == memory_limit(tmp_path / "nowhere") > 1 << 28
