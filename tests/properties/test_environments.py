"""Random environments, callers and operations: no byte of one in another's answer, log line or audit line.

All services have the same keys, every value names the environment that it is of, and each has a field of its own whose
name does. Answers are cached. The environments are those of the settings, or of a store in which they change meanwhile.
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

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.events import log_event
from gateway.http.graphql_endpoint import STREAM
from gateway.logs import configure_logging
from gateway.store.environment_register import EnvironmentRegister
from tests.support.changing_metadata import csdl
from tests.support.environments import (
    SETS,
    Deployment,
    Service,
    deployed,
    host_of,
    mark_of,
    path_of,
    service,
    settings_of,
    url_of,
)
from tests.support.issuer import AUDIENCE, ISS, jwk, token
from tests.support.stores import KEY

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
    # Suggestions, introspection and search know the fields of their own environment.
    "{ things { nodes { acmOwn betOwn gamaOwn homOwn } } }",
    '{ __type(name: "Thing") { fields { name } } }',
)
BELOW = ("/graphql", "/graphql/explain", "/graphql/few")
GETS = (
    *(None,) * 3,
    *("/graphql/search?q=own", "/graphql/slice?root=things&type=Thing", "/graphiql/config.json"),
)
"""Addresses that are read instead of an operation being sent."""
CHANGE = st.tuples(st.sampled_from(NAMES), st.sampled_from(["reload", "replace", "document"]))
"""Which environment changes, and how: those of the settings change their metadata only."""
STEP = st.fixed_dictionaries(
    {
        "place": st.sampled_from(PLACES),
        "by": st.sampled_from(["path", "header", "host"]),
        "caller": st.sampled_from(range(len(CALLERS))),
        "query": st.sampled_from(QUERIES),
        "below": st.sampled_from(BELOW),
        "get": st.sampled_from(GETS),
        "streams": st.booleans(),
        "taken": st.integers(0, 1_000),
    }
)


class World:
    """A deployment that goes on from example to example, with all that it said."""

    def __init__(self, folder: Path, *, is_stored: bool) -> None:
        audit = {"sink": "file", "path": str(folder), "values": ["Things.Name"]}
        inbound = {"issuers": [ISSUER], "environment_claim": "env"}
        stored = {
            "stored_environments": True,
            "encryption_key": KEY,
            "data_dir": str(folder.with_name("data")),
        }
        settings = settings_of(
            *(() if is_stored else NAMES),
            **(stored if is_stored else {}),
            audit=audit,
            cache={"ttl": 60, "sets": ["*"]},
            inbound=inbound,
            profiles={"few": {"sets": ["Things"]}},
            environment_host=HOST,
            environment_idle=0.01,
        )
        self.folder = folder
        self.register: EnvironmentRegister | None = None
        if is_stored:
            self.register = open_environment_register(settings)
            for name in NAMES:
                self.register.create(name, _options(name))
        self.services = {name: _service(name) for name in ("home", *NAMES)}
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
        if step["get"]:
            path = path.removesuffix(step["below"]) + step["get"]
            return await deployment.http.get(path, headers=headers)
        if step["streams"] and not path.endswith("/explain"):
            headers["accept"] = STREAM
        taken = self.handed[step["taken"] % len(self.handed)]
        variables = {"id": taken, "after": taken, "name": f"new {mark_of(expected(step)[0])}"}
        return await deployment.post(step["query"], path, headers=headers, variables=variables)

    def change(self, name: str, how: str) -> None:
        """Change an environment, which is then opened anew or loaded anew."""
        if how == "document":
            service = self.services[name]
            more = f'<Property Name="More{name.capitalize()}Own" Type="Edm.String"/>'
            has_more = more in service.document
            service.document = (
                service.document.replace(more, "")
                if has_more
                else service.document.replace("</Key>", f"</Key>{more}")
            )
        if self.register is not None:
            if how == "replace":
                self.register.replace(name, _options(name))
            else:
                self.register.reload(name)

    def note(self, text: str) -> None:
        for word in text.replace("\\", "").split('"'):
            if len(word) > 12 and word.isascii() and " " not in word:
                self.handed.append(word)


def _options(name: str) -> EnvironmentOptions:
    return EnvironmentOptions(url=url_of(name))


def _service(name: str) -> Service:
    """Return a service with a field of its own, whose name is in no other's metadata."""
    own, result = f"{name.capitalize()}Own", service(name)
    result.document = csdl("Name", own, sets=SETS)
    for row in result.tables.rows["Things"]:
        row[own] = f"own {mark_of(name)}"
    return result


@pytest.fixture(scope="module", params=[False, True], ids=["of the settings", "of a store"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, Deployment, asyncio.Runner]]:
    world = World(tmp_path_factory.mktemp("world") / "audit", is_stored=request.param)
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", world.log)
        configure_logging(Settings(log_format="json", log_level="debug"))
        stack = AsyncExitStack()
        opened = deployed(world.settings, world.services, observe=log_event)
        deployment = runner.run(stack.enter_async_context(opened))
        yield world, deployment, runner
        reports = runner.run(_reports(deployment))
        runner.run(stack.aclose())
        if world.register is not None:
            world.register.close()
        structlog.reset_defaults()
        for place, report in reports:
            _check(report, place)
        assert any('"operations"' in report for _, report in reports)
        _check_lines(world.log.getvalue().splitlines())
        for file in world.folder.iterdir():
            _check_lines(file.read_text().splitlines())


async def _reports(deployment: Deployment) -> list[tuple[str, str]]:
    """Return what those who administer one environment read of it: its status, and what changed in its metadata."""
    status = deployment.app.state.status
    await status.drift.idle()
    if status.publisher is not None:
        await status.publisher.write()
    read = (status.source.status, lambda name: status.source.drift(name, 86_400.0))
    return [
        ("home" if name == "default" else name, json.dumps(await asyncio.to_thread(of, name)))
        for name in ("default", *NAMES)
        for of in read
    ]


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
            assert f"{other}own" not in text.lower(), (place, text)


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
@given(st.lists(STEP, min_size=1, max_size=8), st.none() | CHANGE)
def test_nothing_of_one_environment_is_in_another(
    running: tuple[World, Deployment, asyncio.Runner],
    steps: list[dict[str, Any]],
    change: tuple[str, str] | None,
) -> None:
    world, deployment, runner = running
    if change is not None:
        world.change(*change)
        environments = deployment.app.state.environments
        runner.get_loop().call_soon(environments.reload, change[0])

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
