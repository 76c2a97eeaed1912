"""What belongs to one environment: subscriptions, audit lines, log lines, caches; and what keeps it open."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.config.environments import environment_settings, tag_of
from gateway.config.profiles import settings_from_json
from gateway.config.settings import Settings
from gateway.events import Event, ModelRead, RequestSent, log_event
from gateway.events.environments import EnvironmentClosed, EnvironmentOpened
from gateway.logs import configure_logging, logged_environment, logging_environment
from gateway.metadata.model_identity import OF_ENVIRONMENT, deciding_settings, model_identity
from tests.support.environments import Deployment, deployed, mark_of, settings_of
from tests.support.manual_clock import until

pytestmark = pytest.mark.anyio
NAMES = "{ things { nodes { id name } } }"


@pytest.fixture
async def deployment() -> AsyncIterator[Deployment]:
    options = {"interval": 0.05}
    settings = settings_of("acme", "beta", environment_idle=0.2, subscriptions=options)
    async with deployed(settings) as made:
        yield made


async def test_an_idle_environment_closes_and_comes_back(deployment: Deployment) -> None:
    first = await deployment.ids("/e/acme/graphql")
    await until(lambda: bool(deployment.said(EnvironmentClosed)))

    assert await deployment.ids("/e/acme/graphql") == first
    assert [e.environment for e in deployment.said(EnvironmentOpened)] == ["acme", "acme"]


def lines_in(folder: Path) -> list[str]:
    return [line for file in folder.iterdir() for line in file.read_text().splitlines()]


async def test_writes_are_recorded_with_their_environment(tmp_path: Path) -> None:
    audit = {"sink": "file", "path": str(tmp_path)}
    write = 'mutation { createThing(input: { name: "x" }) { thing { id } } }'
    async with deployed(settings_of("acme", audit=audit)) as deployment:
        await deployment.data(write, "/e/acme/graphql")
        await deployment.data(write)

    lines = map(json.loads, await asyncio.to_thread(lines_in, tmp_path))
    written = [line["environment"] for line in lines if line.get("kind") == "write"]
    assert written == ["acme", "https://home.example/data"]


def test_log_lines_name_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setattr("sys.stderr", output)
    configure_logging(Settings(log_format="json", log_level="debug"))
    sent = RequestSent(method="GET", url="x", status=200, seconds=0.1, size=1, attempt=1)  # type: ignore[arg-type]
    try:
        with logging_environment("acme"):
            log_event(sent)
        log_event(sent)
    finally:
        structlog.reset_defaults()

    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [line.get("environment") for line in lines] == ["acme", None]


async def test_reloads_are_logged_in_their_environment() -> None:
    logged: list[tuple[str, str]] = []

    def observe(event: Event) -> None:
        if isinstance(event, RequestSent):
            logged.append((logged_environment(), str(event.url)))

    async with deployed(settings_of("acme"), observe=observe) as deployment:
        await deployment.ids("/e/acme/graphql")
        logged.clear()
        # As the store does, whose changes belong to no environment.
        deployment.app.state.environments.reload("acme")
        await until(lambda: bool(logged))

    assert logged == [("acme", "https://acme.example/data/$metadata")]


async def test_snapshots_and_answers_of_environments_are_kept_apart(tmp_path: Path) -> None:
    settings = settings_of("acme", "beta", cache_dir=str(tmp_path))
    schema = "{ __schema { types { name fields { name } } } }"
    async with deployed(settings) as deployment:
        deployment.services["acme"].document = deployment.services["beta"].document.replace(
            'Name="Name"', 'Name="OfAcme"'
        )
        texts = {
            n: (await deployment.post(schema, f"/e/{n}/graphql")).text for n in ("acme", "beta")
        }

    assert "ofAcme" in texts["acme"]
    assert "ofAcme" not in texts["beta"]


async def test_reads_at_once_share_nothing(deployment: Deployment) -> None:
    names = ("acme", "beta", "acme", "beta", "acme")

    async def read(name: str) -> str:
        return (await deployment.post(NAMES, f"/e/{name}/graphql")).text

    texts: list[Any] = await asyncio.gather(*map(read, names))

    for name, text in zip(names, texts, strict=True):
        other = "beta" if name == "acme" else "acme"
        assert mark_of(name) in text
        assert mark_of(other) not in text


async def test_environments_with_equal_documents_share_a_snapshot(tmp_path: Path) -> None:
    settings = settings_of("acme", "beta", "gamma", cache_dir=str(tmp_path))
    async with deployed(settings) as deployment:
        gamma = deployment.services["gamma"]
        gamma.document = gamma.document.replace('Name="Name"', 'Name="OfGamma"')
        for name in ("acme", "beta", "gamma"):
            await deployment.post("{ __typename }", f"/e/{name}/graphql")
        read = [event.metadata for event in deployment.said(ModelRead)]

    files = await asyncio.to_thread(list, (tmp_path / "models" / "environments").iterdir())
    # That of the settings has its own; acme and beta have one, gamma another one.
    assert (len(read), len(set(read))) == (3, 2)
    assert len([f for f in files if f.suffix == ".snapshot"]) == 2


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ({"url": "https://elsewhere.example/data"}, True),
        ({"url": "https://x.operations.dynamics.com/data"}, False),  # it shows the product
        ({"companies": ["usmf"], "max_rows": 5}, True),
        ({"exclude": ["Parts"]}, False),
        ({"relations": [{"from_set": "A", "fields": ["B"], "to_set": "C", "name": "c"}]}, False),
    ],
)
def test_what_decides_a_model_is_equal_in_both(other: dict[str, Any], is_same: bool) -> None:
    settings = settings_of(environments={"acme": {}, "beta": other})
    acme, beta = (environment_settings(settings, name) for name in ("acme", "beta"))

    assert (model_identity(acme, "digest") == model_identity(beta, "digest")) is is_same
    assert model_identity(acme, "digest") != model_identity(acme, "another digest")
    sent = settings_from_json(deciding_settings(beta, "cache_dir", *OF_ENVIRONMENT))
    assert model_identity(sent, "digest") == model_identity(beta, "digest")


async def test_environments_with_equal_documents_share_names(deployment: Deployment) -> None:
    opened: dict[str, Any] = {}
    for name in ("acme", "beta"):
        await deployment.post(NAMES, f"/e/{name}/graphql")
        declared = deployment.app.state.environments.registry.find(name)
        lease = await deployment.app.state.environments.lease(declared)
        opened[name] = lease.environment.live.gateway.catalog
        lease.release()

    acme, beta = opened["acme"], opened["beta"]
    assert acme is not beta
    assert acme.origin is beta.origin is not None
    assert (acme.tag, beta.tag) == (tag_of("acme"), tag_of("beta"))
