"""The store in PostgreSQL: refused layouts, announced changes, outages, passwords."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from gateway.app import create_app
from gateway.config.inbound_models import InboundOptions
from gateway.config.secret_files import FileSecret
from gateway.config.settings import Settings
from gateway.errors import SettingsError, StoreLayoutMismatch, StoreUnavailable
from gateway.events import Event, StoreFailed, StorePolled
from gateway.store import listening, polling
from gateway.store.api_keys import ApiKeys, open_api_keys, open_register
from gateway.store.opening import open_database
from gateway.store.postgresql import connection_options
from tests.support.app_client import calling, serving
from tests.support.postgresql import PASSWORD, Postgres

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(postgresql: Postgres) -> Settings:
    return Settings(store=postgresql.new_database())


@asynccontextmanager
async def started(settings: Settings, events: list[Event] | None = None) -> AsyncIterator[ApiKeys]:
    """Yield the keys of a process that serves."""
    keys = open_api_keys(settings, ([] if events is None else events).append)
    assert keys is not None
    await keys.start()
    try:
        yield keys
    finally:
        await keys.close()


def create(settings: Settings) -> str:
    register = open_register(settings)
    key, _ = register.create("ci", ["a"], None)
    register.close()
    return key.id


def revoke(settings: Settings, key_id: str) -> None:
    register = open_register(settings)
    register.revoke(key_id)
    register.close()


async def found(keys: ApiKeys, key_id: str, *, valid: bool = True) -> None:
    """Wait until a process has a key, or that it is revoked. Raises TimeoutError after more than 20 seconds."""
    async with asyncio.timeout(20):
        while not ((key := await keys.find(key_id)) and key.is_valid() is valid):  # noqa: ASYNC110 - a database changes
            await asyncio.sleep(0.01)


def test_addresses_get_safe_defaults() -> None:
    remote = connection_options(SecretStr("postgresql://u:p@db.example,other/d?connect_timeout=9"))
    chosen = connection_options(SecretStr("postgres://u@db.example/d?sslmode=verify-full"))
    local = connection_options(SecretStr("postgresql:///d?host=/run/postgresql"))

    assert (remote["sslmode"], str(remote["connect_timeout"])) == ("require", "9")
    assert chosen["sslmode"] == "verify-full"
    assert "sslmode" not in local


@pytest.mark.parametrize("text", ["postgresql://u:se%cret@h/d", "postgresql://u:secret@h/d?x=1"])
def test_an_address_that_cannot_be_read_is_not_quoted(text: str) -> None:
    with pytest.raises(SettingsError, match="cannot be read") as refused:
        open_database(Settings(store=SecretStr(text)))

    assert "cret" not in f"{refused.value.message} {refused.value.hint}"
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_a_missing_driver_is_an_error_of_the_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "gateway.store.postgresql")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match="NOT_INSTALLED") as refused:
        open_database(settings)
    monkeypatch.delitem(sys.modules, "psycopg")
    monkeypatch.setattr("gateway.store.opening.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="NOT_INSTALLED"):
        open_api_keys(settings, print)

    assert refused.value.hint == "pip install 'd365-graphql-gateway[postgres]'"


def test_an_empty_database_is_not_migrated_by_use(postgresql: Postgres) -> None:
    settings = Settings(store=postgresql.new_database(migrated=False))
    register = open_register(settings)
    for use in (register.list, lambda: register.create("x", ["a"], None)):
        with pytest.raises(StoreLayoutMismatch, match="has no tables yet") as refused:
            use()
    register.close()

    assert "d365-graphql store migrate" in (refused.value.hint or "")
    database = open_database(settings)
    assert database.layout().version is None
    database.close()


@pytest.mark.anyio
async def test_a_start_without_tables_is_refused(postgresql: Postgres) -> None:
    settings = Settings(
        store=postgresql.new_database(migrated=False), inbound=InboundOptions(api_keys=True)
    )

    app = create_app(settings)
    with pytest.raises(SettingsError, match="has no tables yet") as refused:
        async with app.router.lifespan_context(app):
            pytest.fail("started")

    assert PASSWORD not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.anyio
async def test_a_key_counts_in_a_running_gateway_until_it_is_revoked(postgresql: Postgres) -> None:
    settings = Settings(
        cache_dir=None,
        language=None,
        store=postgresql.new_database(),
        inbound=InboundOptions(api_keys=True),
    )
    async with serving(settings) as served, calling(*served) as client:
        register = open_register(settings)
        key, text = register.create("ci", [], None)
        register.close()
        headers = {"authorization": f"Bearer {text}"}

        async def status() -> int:
            query = {"query": "{ __typename }"}
            return (await client.http.post("/graphql", json=query, headers=headers)).status_code

        async with asyncio.timeout(20):
            while await status() != 200:  # noqa: ASYNC110 - a database changes
                await asyncio.sleep(0.01)
        await asyncio.to_thread(revoke, settings, key.id)
        async with asyncio.timeout(20):
            while await status() != 401:  # noqa: ASYNC110 - a database changes
                await asyncio.sleep(0.01)


@pytest.mark.anyio
async def test_changes_are_announced(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "REFRESH", 60.0)
    async with started(settings) as keys, started(settings) as other:
        for replica in (keys, other):
            assert await replica.find("id") is None
        # Until both listen.
        await asyncio.sleep(0.3)
        key_id = await asyncio.to_thread(create, settings)
        for replica in (keys, other):
            await found(replica, key_id)
        await asyncio.to_thread(revoke, settings, key_id)
        for replica in (keys, other):
            await found(replica, key_id, valid=False)


@pytest.mark.anyio
async def test_without_announcements_changes_are_polled(
    settings: Settings, postgresql: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "RETRY", 60.0)
    monkeypatch.setattr(polling, "REFRESH", 0.2)
    events: list[Event] = []
    async with started(settings, events) as keys:
        await asyncio.sleep(0.3)
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        await asyncio.to_thread(postgresql.execute, sql.SQL(end))
        key_id = await asyncio.to_thread(create, settings)
        await found(keys, key_id)

    assert [type(event) for event in events] == [StorePolled]


@pytest.mark.anyio
async def test_keys_outlive_an_outage_and_come_back(
    postgresql: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "RETRY", 0.05)
    monkeypatch.setattr(polling, "REFRESH", 0.1)
    settings = Settings(store=postgresql.new_database())
    key_id = create(settings)
    events: list[Event] = []
    async with started(settings, events) as keys:
        await asyncio.to_thread(postgresql.stop)
        try:
            # A replica that starts meanwhile does, and refuses keys for now.
            async with started(settings) as late:
                with pytest.raises(StoreUnavailable):
                    await late.find(key_id)
                begun = time.perf_counter()
                for _ in range(5):
                    assert await keys.find(key_id)
                    await asyncio.sleep(0.05)
                assert time.perf_counter() - begun < 2
                await asyncio.to_thread(postgresql.start)
                await found(late, key_id)
        finally:
            if not (postgresql.folder / "data" / "postmaster.pid").exists():
                postgresql.start()
        # Announcements work again, too.
        monkeypatch.setattr(polling, "REFRESH", 60.0)
        await asyncio.sleep(0.5)
        other = await asyncio.to_thread(create, settings)
        await found(keys, other)

    assert {StoreFailed, StorePolled} == {type(event) for event in events}
    assert PASSWORD not in str(events)


@pytest.mark.anyio
async def test_a_database_that_hangs_holds_up_no_request_and_no_stop(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.0)
    monkeypatch.setattr(polling, "PATIENCE", 0.05)
    monkeypatch.setattr(polling, "CLOSING", 0.1)
    assert isinstance(settings.store, SecretStr)
    key_id = create(settings)
    before = set(threading.enumerate())  # those of other tests may wait for hosts that never answer
    with psycopg.connect(settings.store.get_secret_value()) as other:
        async with started(settings) as keys:
            assert await keys.find(key_id)
            other.execute("LOCK TABLE d365_graphql.revisions, d365_graphql.api_keys")
            begun = time.perf_counter()
            for _ in range(20):
                assert await keys.find(key_id)
            keys.used(key_id)
        seconds = time.perf_counter() - begun
    for thread in set(threading.enumerate()) - before:
        if thread.name == "daemon-call":
            thread.join(30)
    assert keys._poller._database is not None
    keys._poller._database.close()

    # A statement may take five.
    assert seconds < 2


@pytest.mark.anyio
async def test_replicas_that_run_outlive_a_newer_layout(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.0)
    async with started(settings) as keys:
        await keys.find("id")
        database = open_database(settings)
        with database.writing() as connection:
            connection.exec_driver_sql("UPDATE d365_graphql.store_version SET version_num = '9999'")
        database.close()
        register = open_register(settings)
        with pytest.raises(StoreLayoutMismatch, match="newer version"):
            register.list()
        register.close()
        assert await keys.find("id") is None


def test_a_rotated_password_is_used_without_a_restart(postgresql: Postgres, tmp_path: Path) -> None:
    address = postgresql.new_database().get_secret_value()
    user = "rotated"
    database = address.partition("@/")[2].partition("?")[0]
    role = sql.Identifier(user)
    postgresql.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD 'one'").format(role))
    file = tmp_path / "store"
    text = f"postgresql://{user}:{{}}@/{database}?host={postgresql.folder}\n"
    file.write_text(text.format("one"), "utf-8")
    settings = Settings(store=FileSecret(file))
    register = open_register(settings)
    assert register.list() == []
    postgresql.execute(sql.SQL("ALTER ROLE {} PASSWORD 'second'").format(role))
    postgresql.execute(
        sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {}").format(
            sql.Literal(user)
        )
    )
    with pytest.raises(StoreUnavailable, match="password authentication failed"):
        register.list()
    file.write_text("postgresql://u:100%@h/d", "utf-8")
    with pytest.raises(StoreUnavailable, match="cannot be read") as refused:
        register.list()
    assert "100%" not in refused.value.message
    file.write_text(text.format("second"), "utf-8")

    assert register.list() == []
    register.close()


def test_a_user_without_the_right_to_create_can_serve(postgresql: Postgres) -> None:
    address = postgresql.new_database().get_secret_value()
    database = address.partition("@/")[2].partition("?")[0]
    for statement in (
        "CREATE ROLE app LOGIN PASSWORD 'app'",
        "GRANT USAGE ON SCHEMA d365_graphql TO app",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA d365_graphql TO app",
    ):
        postgresql.execute(sql.SQL(statement), database)
    settings = Settings(
        store=SecretStr(f"postgresql://app:app@/{database}?host={postgresql.folder}")
    )
    key_id = create(settings)
    revoke(settings, key_id)
    register = open_register(settings)
    register.record_uses({key_id: 5.0})

    assert [key.last_used for key in register.list()] == [5.0]
    register.close()
