"""Random environments, callers and operations: no byte of one in another's answer, log line or audit line.

All services have the same keys, and every value names the environment that it is of.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import settings as no_deadline
from hypothesis import strategies as st

from gateway.config.settings import Settings
from gateway.events import log_event
from gateway.http.graphql_endpoint import STREAM
from gateway.logs import configure_logging
from tests.support.environments import Deployment, deployed, host_of, mark_of, path_of, settings_of
from tests.support.issuer import AUDIENCE, ISS, jwk, token

NAMES = ("acme", "beta", "gamma")
PLACES = ("", *NAMES)
CALLERS = ("*", "acme", "beta*", "default", ["acme", "gamma"], ["default", "beta"], None)
ISSUER: dict[str, Any] = {"issuer": ISS, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}
HOST = "{environment}.erp.example.net"
QUERIES = (
    "{ things { nodes { id name } edges { cursor } } }",
    '{ things(where: { name: { contains: "3" } }) { totalCount nodes { name } } }',
    "{ parts(last: 2) { nodes { name } } thing(id: 1) { name } }",
    "{ __schema { types { name description } } }",
    "query N($id: ID!) { node(id: $id) { id ... on Thing { name } } }",
    "query P($after: String) { things(first: 2, after: $after) { nodes { name } edges { cursor } } }",
    "mutation M($name: String) { createThing(input: { name: $name }) { thing { id name } } }",
    "{ nope }",
)
BELOW = ("/graphql", "/graphql/explain", "/graphql/few")
STEP = st.fixed_dictionaries(
    {
        "place": st.sampled_from(PLACES),
        "by": st.sampled_from(["path", "header", "host"]),
        "caller": st.sampled_from(range(len(CALLERS))),
        "query": st.sampled_from(QUERIES),
        "below": st.sampled_from(BELOW),
        "streams": st.booleans(),
        "taken": st.integers(0, 1_000),
    }
)


class World:
    """A deployment that goes on from example to example, with all that it said."""

    def __init__(self, folder: Path) -> None:
        audit = {"sink": "file", "path": str(folder), "values": ["Things.Name"]}
        inbound = {"issuers": [ISSUER], "environment_claim": "env"}
        settings = settings_of(
            *NAMES,
            audit=audit,
            inbound=inbound,
            profiles={"few": {"sets": ["Things"]}},
            environment_host=HOST,
            environment_idle=0.01,
        )
        self.folder = folder
        self.log = io.StringIO()
        self.settings = settings
        self.handed: list[str] = ["x"]
        """Ids and cursors that were answered anywhere."""
        self.headers = [{"authorization": f"Bearer {token('k1', env=claim)}"} for claim in CALLERS]

    async def send(self, deployment: Deployment, step: dict[str, Any]) -> httpx.Response:
        place, by = step["place"], step["by"]
        headers = {**self.headers[step["caller"]]}
        path = path_of(place, step["below"]) if by == "path" else step["below"]
        if by == "header":
            headers["x-d365-environment"] = place or "default"
        elif by == "host":
            headers["host"] = HOST.format(environment=place or "default")
        if step["streams"] and not path.endswith("/explain"):
            headers["accept"] = STREAM
        taken = self.handed[step["taken"] % len(self.handed)]
        variables = {"id": taken, "after": taken, "name": f"new {mark_of(expected(step)[0])}"}
        return await deployment.post(step["query"], path, headers=headers, variables=variables)

    def note(self, text: str) -> None:
        for word in text.replace("\\", "").split('"'):
            if len(word) > 12 and word.isascii() and " " not in word:
                self.handed.append(word)


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[World, Deployment, asyncio.Runner]]:
    world = World(tmp_path_factory.mktemp("audit"))
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", world.log)
        configure_logging(Settings(log_format="json", log_level="debug"))
        stack = AsyncExitStack()
        opened = deployed(world.settings, observe=log_event)
        deployment = runner.run(stack.enter_async_context(opened))
        yield world, deployment, runner
        runner.run(stack.aclose())
        structlog.reset_defaults()
        _check_lines(world.log.getvalue().splitlines())
        for file in world.folder.iterdir():
            _check_lines(file.read_text().splitlines())


def _check_lines(lines: list[str]) -> None:
    """Check that no line of one environment tells anything of another."""
    assert lines
    for line in lines:
        place = json.loads(line).get("environment", "home")
        _check(line, "home" if "home" in place else place)


def _check(text: str, place: str) -> None:
    for other in ("home", *NAMES):
        if other != place:
            assert mark_of(other) not in text, (place, text)
            assert host_of(other) not in text, (place, text)


def expected(step: dict[str, Any]) -> tuple[str, bool]:
    """Return whose environment a request is in, and whether its caller may use that."""
    allowed = CALLERS[step["caller"]]
    patterns = [allowed] if isinstance(allowed, str) else allowed or []
    name = step["place"] or "default"
    # What names none is in the only one that the caller may use.
    if not step["place"] and step["by"] == "path" and patterns == ["acme"]:
        name = "acme"
    may = any(p == name or (p[-1] == "*" and name.startswith(p[:-1])) for p in patterns)
    return "home" if name == "default" else name, may


@no_deadline(deadline=None)  # it opens environments
@given(st.lists(STEP, min_size=1, max_size=8))
def test_nothing_of_one_environment_is_in_another(
    running: tuple[World, Deployment, asyncio.Runner], steps: list[dict[str, Any]]
) -> None:
    world, deployment, runner = running

    async def run() -> list[httpx.Response]:
        return list(await asyncio.gather(*(world.send(deployment, step) for step in steps)))

    for step, answer in zip(steps, runner.run(run()), strict=True):
        place, may = expected(step)
        _check(answer.text, place)
        if may:
            assert answer.status_code != 404
            world.note(answer.text)
        else:
            assert answer.status_code == 404
            assert mark_of(place) not in answer.text
