"""Environments of a store: added, changed and removed while a deployment runs, and while the store is away."""

from __future__ import annotations

import asyncio
import json
import shutil
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.environments.stored_registry import StoredRegistry
from gateway.errors import EnvironmentUnavailable, SettingsError
from gateway.events import StoreFailed
from gateway.events.environments import EnvironmentClosed, EnvironmentFailed, EnvironmentOpened
from gateway.process.daemon_call import daemon_call
from gateway.status.deployment_status import DeploymentStatus
from gateway.store import polling
from gateway.store.environment_register import EnvironmentRegister
from gateway.store.polling import StorePoller
from gateway.store.stored_environment import EnvironmentChanges
from gateway.store.tables import DATA_KEYS, ENVIRONMENT_SECRETS, ENVIRONMENTS
from tests.support.environments import (
    Deployment,
    code_of,
    deployed,
    mark_of,
    service,
    settings_of,
    url_of,
)
from tests.support.observers import raise_bugs
from tests.support.postgresql import Postgres
from tests.support.stores import KEY, OTHER_KEY, spoil_store

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
NAMES = "{ things { nodes { name } } }"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "postgresql":
        return stored(store=request.getfixturevalue("postgresql").new_database())
    return stored(data_dir=tmp_path / "data")


@pytest.fixture
def sqlite(tmp_path: Path) -> Settings:
    return stored(data_dir=tmp_path / "data")


@pytest.fixture
def register(settings: Settings) -> Iterator[EnvironmentRegister]:
    register = open_environment_register(settings)
    yield register
    register.close()


def stored(*names: str, **more: Any) -> Settings:
    values: dict[str, Any] = {"stored_environments": True, "encryption_key": KEY, **more}
    return settings_of(*names, **values)


def options(name: str, **more: Any) -> EnvironmentOptions:
    return EnvironmentOptions.model_validate({"url": url_of(name), **more})


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Deployment]:
    """Yield a deployment over the services home, acme and beta."""
    services = {name: service(name) for name in ("home", "acme", "beta")}
    async with deployed(settings, services) as deployment:
        yield deployment


async def answer_of(deployment: Deployment, name: str) -> str:
    """Return whose rows an environment answers, or the code of its error."""
    response = await deployment.post(NAMES, f"/e/{name}/graphql")
    if response.status_code != 200:
        return code_of(response)
    (found,) = (name for name in deployment.services if mark_of(name) in response.text)
    return found


async def until(deployment: Deployment, name: str, answer: str) -> None:
    """Wait for an answer. Raises TimeoutError after 20 seconds."""
    async with asyncio.timeout(20):
        while await answer_of(deployment, name) != answer:  # noqa: ASYNC110 - a store changes
            await asyncio.sleep(0.02)


async def test_a_running_deployment_follows_the_store(
    settings: Settings, register: EnvironmentRegister
) -> None:
    assert polling.REFRESH + polling.PATIENCE < 2
    async with running(settings) as deployment:
        assert await answer_of(deployment, "acme") == "UNKNOWN_ENVIRONMENT"
        await asyncio.to_thread(register.create, "acme", options("acme"))
        await until(deployment, "acme", "acme")
        await asyncio.to_thread(register.replace, "acme", options("beta"))
        await until(deployment, "acme", "beta")
        await asyncio.to_thread(register.set_state, "acme", "disabled")
        await until(deployment, "acme", "UNKNOWN_ENVIRONMENT")
        await asyncio.to_thread(register.set_state, "acme", "active")
        await until(deployment, "acme", "beta")
        await asyncio.to_thread(register.remove, "acme")
        await until(deployment, "acme", "UNKNOWN_ENVIRONMENT")
        await asyncio.to_thread(register.create, "acme", options("acme"))
        await until(deployment, "acme", "acme")


async def test_announced_changes_need_no_poll(
    postgresql: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 60.0)
    settings = stored(store=postgresql.new_database())
    register = open_environment_register(settings)
    async with running(settings) as deployment:
        await asyncio.sleep(0.3)  # until it listens
        await asyncio.to_thread(register.create, "acme", options("acme"))
        await until(deployment, "acme", "acme")
    register.close()


async def test_a_process_sees_its_own_changes_at_once(
    settings: Settings, register: EnvironmentRegister, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 60.0)
    monkeypatch.setattr(polling, "PATIENCE", 10.0)
    async with running(settings) as deployment:
        await asyncio.to_thread(register.create, "acme", options("acme"))
        await deployment.app.state.poller.read_now()

        assert await answer_of(deployment, "acme") == "acme"


async def test_declared_environments_win(sqlite: Settings) -> None:
    settings = stored("acme", data_dir=sqlite.data_dir)
    register = open_environment_register(settings)
    register.create("acme", options("beta"))
    register.create("beta", options("beta"))
    register.close()
    async with running(settings) as deployment:
        assert await answer_of(deployment, "acme") == "acme"
        assert await answer_of(deployment, "beta") == "beta"
        registry = deployment.app.state.environments.registry
        assert list(registry.names()) == ["acme", "beta"]
        assert deployment.app.state.environments.states()["declared"] == 2


async def test_what_is_removed_is_closed_without_a_request(
    sqlite: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.02)
    register = open_environment_register(sqlite)
    for name in ("acme", "beta"):
        register.create(name, options(name))
    async with running(sqlite) as deployment:
        for name in ("acme", "beta"):
            assert await answer_of(deployment, name) == name
        register.remove("acme")
        async with asyncio.timeout(20):
            while not deployment.said(EnvironmentClosed):  # noqa: ASYNC110 - a store changes
                await asyncio.sleep(0.01)
        assert deployment.app.state.environments.states()["open"] == 1
    register.close()

    assert deployment.said(EnvironmentClosed)[0].environment == "acme"


async def test_who_has_a_name_next_has_a_status_of_its_own(
    settings: Settings, register: EnvironmentRegister
) -> None:
    async with running(settings) as deployment:
        status: DeploymentStatus = deployment.app.state.status
        poller = deployment.app.state.poller
        assert status.publisher is not None
        await asyncio.to_thread(register.create, "acme", options("acme"))
        await poller.read_now()
        for _ in range(3):
            assert await answer_of(deployment, "acme") == "acme"
        # No process learns of one without the other.
        await asyncio.to_thread(register.remove, "acme")
        await asyncio.to_thread(register.create, "acme", options("beta"))
        await poller.read_now()
        assert await answer_of(deployment, "acme") == "beta"
        await status.publisher.write()
        report = await asyncio.to_thread(status.source.status, "acme")

    assert report["calls"]["day"]["operations"] == 1


async def test_new_keys_and_reloads_close_nothing(
    sqlite: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.02)
    register = open_environment_register(sqlite)
    register.create("acme", options("acme"))
    async with running(sqlite) as deployment:
        assert await answer_of(deployment, "acme") == "acme"
        environments = deployment.app.state.environments
        lease = await environments.lease(environments.registry.find("acme"))
        register.reload("acme")
        async with asyncio.timeout(20):
            while lease.environment.reloader.last is None:  # noqa: ASYNC110 - a store changes
                await asyncio.sleep(0.01)
        assert lease.environment.reloader.last.reason == "admin"
        assert not lease.environment.subscriptions.closing.is_set()
        lease.release()
    register.close()

    assert len(deployment.said(EnvironmentClosed)) == 1  # at the end


async def test_a_reload_waits_for_an_environment_that_is_not_open(
    sqlite: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.02)
    register = open_environment_register(sqlite)
    register.create("acme", options("acme"))
    async with running(sqlite) as deployment:
        environments = deployment.app.state.environments
        register.reload("acme")
        async with asyncio.timeout(20):
            while not environments._outdated:  # noqa: ASYNC110 - a store changes
                await asyncio.sleep(0.01)
        lease = await environments.lease(environments.registry.find("acme"))
        async with asyncio.timeout(20):
            while lease.environment.reloader.last is None:  # noqa: ASYNC110 - a task
                await asyncio.sleep(0.01)
        lease.release()
    register.close()


async def test_an_idle_environment_opens_while_the_store_is_away(
    sqlite: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.02)
    register = open_environment_register(sqlite)
    register.create("acme", options("acme", client_secret="s3cret"))
    register.close()
    assert sqlite.data_dir is not None
    async with running(sqlite) as deployment:
        shutil.rmtree(sqlite.data_dir / "store")
        async with asyncio.timeout(20):
            while not deployment.said(StoreFailed):  # noqa: ASYNC110 - a store changes
                await asyncio.sleep(0.01)
        assert await answer_of(deployment, "acme") == "acme"
        assert await answer_of(deployment, "beta") == "UNKNOWN_ENVIRONMENT"
        assert not (sqlite.data_dir / "store").exists()


async def test_rotations_are_not_noticed_by_requests(
    settings: Settings, register: EnvironmentRegister, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.01)
    register.create("acme", options("acme", client_secret="s3cret"))
    rotations = 0

    def rotate() -> None:
        nonlocal rotations
        for _ in range(25):
            register.rotate("acme")
            rotations += 1

    # It is opened again and again, each time with the key of the moment.
    idle = settings.model_copy(update={"environment_idle": 0.001})
    async with running(idle) as deployment:
        rotating = asyncio.create_task(asyncio.to_thread(rotate))
        answers = set()
        while not rotating.done():
            answers.add(await answer_of(deployment, "acme"))
            await asyncio.sleep(0.002)
        await rotating

    assert answers == {"acme"}
    assert deployment.said(EnvironmentFailed) == []
    assert len(deployment.said(EnvironmentOpened)) > 2
    assert [key.version for key in register.data_keys()] == [rotations + 1]


async def test_a_deployment_starts_without_its_store(
    sqlite: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.02)
    assert sqlite.data_dir is not None
    spoiled = spoil_store(sqlite.data_dir)
    settings = sqlite.model_copy(update={"environments": {"beta": options("beta")}})
    async with running(settings) as deployment:
        assert (await deployment.http.get("/readyz")).status_code == 200
        assert deployment.said(StoreFailed)
        home = await deployment.post(NAMES)
        assert mark_of("home") in home.text
        assert await answer_of(deployment, "beta") == "beta"
        response = await deployment.post(NAMES, "/e/acme/graphql")
        assert (response.status_code, code_of(response)) == (503, "ENVIRONMENT_UNAVAILABLE")
        assert str(spoiled) not in response.text
        assert await answer_of(deployment, "No-Name") == "UNKNOWN_ENVIRONMENT"
        spoiled.unlink()
        await until(deployment, "acme", "UNKNOWN_ENVIRONMENT")
        register = open_environment_register(settings)
        await asyncio.to_thread(register.create, "acme", options("acme"))
        register.close()
        await until(deployment, "acme", "acme")


def wrong_key(settings: Settings) -> Settings:
    return settings.model_copy(update={"encryption_key": OTHER_KEY})


def no_role_left(settings: Settings) -> Settings:
    roles = {"reader": {"sets": {"Things": {}}, "environments": ["beta"]}}
    return stored(data_dir=settings.data_dir, roles=roles)


@pytest.mark.parametrize(
    ("change", "message"), [(wrong_key, "another key"), (no_role_left, "none of the roles")]
)
async def test_one_that_cannot_be_opened_harms_no_other(
    sqlite: Settings, change: Callable[[Settings], Settings], message: str
) -> None:
    register = open_environment_register(sqlite)
    register.create("acme", options("acme", client_secret="s3cret"))
    register.create("beta", options("beta"))
    register.close()
    async with running(change(sqlite)) as deployment:
        registry = deployment.app.state.environments.registry
        environments = deployment.app.state.environments
        with pytest.raises(EnvironmentUnavailable, match="of this environment"):
            await environments.lease(registry.find("acme"))
        lease = await environments.lease(registry.find("beta"))
        lease.release()

    (failed,) = deployment.said(EnvironmentFailed)
    assert message in failed.reason
    assert "s3cret" not in str(failed)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ({"newer_option": 1}, "newer_option"),
        ({"roles": "all"}, "roles"),
        ({"max_rows": -1}, "max_rows"),
        ({"authority": "https://login.evil.example"}, "Credentials are not sent there"),
        ({"scope": "https://graph.microsoft.com/.default"}, "another service"),
        ({"credentials": {"federated_token_file": "/etc/hostname"}}, "cannot be set at run time"),
        ({"credentials": {"certificate": "/etc/hostname"}}, "A file of the server"),
        (None, "options"),
    ],
)
async def test_what_is_written_past_the_checks_makes_one_unavailable(
    sqlite: Settings, written: dict[str, Any] | None, reason: str
) -> None:
    register = open_environment_register(sqlite)
    for name in ("acme", "beta"):
        register.create(name, options(name, client_secret="s3cret"))
    text = "nonsense" if written is None else json.dumps({"url": url_of("acme"), **written})
    with register.database.writing() as connection:
        is_acme = ENVIRONMENTS.c.name == "acme"
        connection.execute(ENVIRONMENTS.update().where(is_acme).values(options=text))
    register.close()
    async with running(sqlite) as deployment:
        assert await answer_of(deployment, "acme") == "ENVIRONMENT_UNAVAILABLE"
        assert await answer_of(deployment, "beta") == "beta"

    assert reason in deployment.said(EnvironmentFailed)[0].reason


async def test_a_thousand_environments_take_little(
    sqlite: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.02)
    register = open_environment_register(sqlite)
    fill(register, 1_000)
    poller = polling.open_poller(sqlite, raise_bugs)
    assert poller is not None
    await daemon_call(lambda: poller._opened().layout())  # imports what is imported once
    with counting_reads(monkeypatch) as reads:
        registry = registry_over(sqlite, poller)
        tracemalloc.start()
        try:
            await poller.start()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        register.set_state("tenant-7", "disabled")
        async with asyncio.timeout(60):
            while registry.find("tenant-7") is not None:  # noqa: ASYNC110 - a store changes
                await asyncio.sleep(0.01)
        await poller.close()
    register.close()

    assert len(list(registry.names())) == 999
    # A whole MiB each is allowed; what is stored takes some thousand bytes, and nothing else is in memory.
    assert size / 1_000 < 8_000
    assert reads == [1_000, 1]


@contextmanager
def counting_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Yield a list of how many environments each reading of the store has read with their secrets."""
    counts: list[int] = []
    apply = StoredRegistry._apply

    def counted(self: StoredRegistry, changes: EnvironmentChanges) -> None:
        counts.append(len(changes.changed))
        apply(self, changes)

    with monkeypatch.context() as patched:
        patched.setattr(StoredRegistry, "_apply", counted)
        yield counts


def fill(register: EnvironmentRegister, count: int) -> None:
    """Store environments with secrets: copies of one, which nobody can decrypt."""
    many = {"tenant_id": "t" * 36, "client_id": "c" * 36, "companies": ["usmf", "dat"]}
    first = register.create("first", options("acme", client_secret="s" * 40, **many))
    copies = [(f"{number:032x}", f"tenant-{number}") for number in range(count)]
    with register.database.writing() as connection:
        for table, column in (
            (ENVIRONMENTS, "id"),
            (DATA_KEYS, "environment"),
            (ENVIRONMENT_SECRETS, "environment"),
        ):
            is_first = table.c[column] == first.id
            row = dict(connection.execute(sa.select(table).where(is_first)).mappings().one())
            named = [{**row, column: id_, "name": name} for id_, name in copies]
            kept = [{k: v for k, v in new.items() if k in table.c} for new in named]
            connection.execute(table.insert(), kept)
            connection.execute(table.delete().where(is_first))


def registry_over(settings: Settings, poller: StorePoller) -> StoredRegistry:
    from gateway.environments.environment_store import registry_of

    registry = registry_of(settings, poller)
    assert isinstance(registry, StoredRegistry)
    return registry


def test_stored_environments_need_a_store_and_a_shared_key() -> None:
    for values in (
        {"store": "none"},
        {"data_dir": None},
        {"store": SecretStr("postgresql://h/d")},
    ):
        with pytest.raises(ValueError, match="true needs"):
            Settings.model_validate({"stored_environments": True, **values})


async def test_a_newer_store_stops_the_start(sqlite: Settings) -> None:
    register = open_environment_register(sqlite)
    register.create("acme", options("acme"))
    with register.database.writing() as connection:
        connection.exec_driver_sql("UPDATE store_version SET version_num = '9999'")
    register.close()
    with pytest.raises(SettingsError, match="newer version"):
        async with running(sqlite):
            pytest.fail("started")


async def test_a_deployment_may_serve_stored_environments_alone(sqlite: Settings) -> None:
    settings = stored(data_dir=sqlite.data_dir, default_environment=False)
    register = open_environment_register(settings)
    register.create("acme", options("acme"))
    register.close()
    async with running(settings) as deployment:
        assert await answer_of(deployment, "acme") == "acme"
        assert code_of(await deployment.post(NAMES)) == "UNKNOWN_ENVIRONMENT"
