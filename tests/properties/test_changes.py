"""A client that follows a list has what it may see: against random writes, deletes, lost rights, clocks, restarts.

The list is in the sandbox. Each row gets the stamp of its server's clock, and is seen when its transaction ends. After
every run the client catches up, and must have exactly the rows that are there; in between it may be behind.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from gateway.identity.caller import Caller
from gateway.operations.global_ids import parse_id
from gateway.runtime.assembly import Gateway
from gateway.runtime.role_views import build_view, row_rules
from gateway.sandbox import SandboxSettings, create_sandbox
from gateway.storage.sealing import Sealer
from schema.policy import RoleView
from tests.support.followed import Follower, followed, set_clock, store_of
from tests.support.soak import bounded
from tests.support.stamped_service import CSDL

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
LATE = 60
SKEW = 20
"""Seconds by which servers' clocks may be wrong, in both directions."""
LONGEST = LATE - 2 * SKEW
"""Seconds of the longest transaction."""
HIDDEN = "Secret"
VISIBLE = {"title": {"ne": HIDDEN}}
NAMES = st.sampled_from("abcde")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, st.integers(-SKEW, SKEW), st.integers(0, LONGEST)),
        st.tuples(st.just("delete"), NAMES, st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from([1, 7, 61, 400]), st.just(0)),
        st.tuples(st.just("ask"), st.just(""), st.just(0), st.just(0)),
        st.tuples(st.just("restart"), st.just(""), st.just(0), st.just(0)),
        st.tuples(st.just("hide"), NAMES, st.just(0), st.just(0)),
    ),
    max_size=bounded(14, 60),
)


class World:
    """The list, its servers and their clocks."""

    def __init__(self, sandbox: Starlette) -> None:
        self.store = store_of(sandbox)
        self.now = 0
        self.clock = [NOON.timestamp()]
        self.version = 0
        self.pending: list[tuple[int, dict[str, Any]]] = []
        self.store.delete("Guides")

    def pass_time(self, seconds: int) -> None:
        """Let transactions end, in their order."""
        self.now += seconds
        self.clock[0] = (NOON + timedelta(seconds=self.now)).timestamp()
        due = sorted((p for p in self.pending if p[0] <= self.now), key=lambda p: p[0])
        self.pending = [p for p in self.pending if p[0] > self.now]
        for _, row in due:
            self.delete(row["GuideId"])
            self.store.insert("Guides", [row])

    def write(self, name: str, skew: int, lasts: int, title: str = "") -> None:
        self.version += 1
        stamp = NOON + timedelta(seconds=self.now + skew)
        row = {
            "GuideId": name,
            "Title": title or f"{name}{self.version}",
            "SysModifiedDateTime": stamp.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        # A row is locked until the transaction that writes it ends.
        self.pending = [p for p in self.pending if p[1]["GuideId"] != name]
        self.pending.append((self.now + lasts, row))
        self.pass_time(0)

    def act(self, kind: str, name: str, number: int, lasts: int) -> None:
        match kind:
            case "write":
                self.write(name, number, lasts)
            case "hide":  # the caller loses the right to see a row
                self.write(name, 0, 0, HIDDEN)
            case "wait":
                self.pass_time(number)
            case "delete":
                self.delete(name)
                self.pending = [p for p in self.pending if p[1]["GuideId"] != name]

    def delete(self, name: str) -> None:
        self.store.delete("Guides", GuideId=name)

    @property
    def rows(self) -> dict[str, str]:
        """What a caller sees."""
        rows = self.store.rows("Guides")
        return {row["GuideId"]: row["Title"] for row in rows if row["Title"] != HIDDEN}

    def exists(self, name: str) -> bool:
        return bool(self.store.rows("Guides", GuideId=name))


async def run(world: World, whole: Gateway, steps: list[Any], *, first: int, swept: bool) -> None:
    assert whole.policy is not None
    view = RoleView(whole.policy, ["reader"])
    gateway = build_view(whole, view, row_rules(whole), Sealer(b"a secret of the tests"))
    set_clock(gateway, world.clock)
    client = Follower(
        gateway,
        set="Guides",
        row="... on Guide { guideId title }",
        companies=None,
        first=first,
        caller=Caller(kind="token", subject="somebody"),
    )

    async def take() -> bool:
        answer = await client.take()
        for gone in answer["deletes"]:
            _, (name,) = parse_id(gone["id"])
            assert not world.exists(str(name)), "a row that exists was told as deleted"
        return bool(answer["hasMore"])

    for kind, name, number, lasts in steps:
        if kind == "ask":
            await take()
        elif kind == "restart":  # what a process knew is gone; the cursor and the store stay
            feeds: Any = gateway.engine.changes
            feeds._book.close()
        elif swept or kind not in ("delete", "hide"):
            world.act(kind, name, number, lasts)
    world.pass_time(LONGEST)
    for _ in range(4):
        while await take():
            pass
        world.pass_time(400)
    while await take():
        pass
    assert {row["guideId"]: row["title"] for row in client.rows.values()} == world.rows


@pytest.fixture(scope="module")
def sandbox_of_guides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Starlette, Path]:
    path = tmp_path_factory.mktemp("guides") / "guides.xml"
    path.write_text(CSDL, "utf-8")
    return create_sandbox(SandboxSettings(metadata=path)), path


@pytest.mark.parametrize("swept", [False, True], ids=["by stamps", "swept, too"])
@pytest.mark.parametrize("first", [2, 50])
def test_a_follower_has_what_the_list_has(
    sandbox_of_guides: tuple[Starlette, Path], tmp_path: Path, swept: bool, first: int
) -> None:
    sandbox, metadata = sandbox_of_guides
    options: dict[str, Any] = {
        "dialect": "finops",
        "metadata": str(metadata),
        "data_dir": tmp_path,
        "roles": {"reader": {"sets": {"Guides": {"subscribe": True, "where": VISIBLE}}}},
        "changes": {"late": LATE, "swept": ["Guides"] if swept else [], "sweep_interval": 300},
    }

    async def opened(steps: list[Any]) -> None:
        async with followed(sandbox, **options) as gateway:
            await run(World(sandbox), gateway, steps, first=first, swept=swept)

    # Written twice within one stamp: only the etag tells that.
    @example([("write", "a", 0, 0), ("ask", "", 0, 0), ("ask", "", 0, 0), ("write", "a", 0, 0)])
    @given(STEPS)
    @settings(max_examples=bounded(4, 300), suppress_health_check=list(HealthCheck), deadline=None)
    def follow(steps: list[Any]) -> None:
        asyncio.run(opened(steps))

    follow()
