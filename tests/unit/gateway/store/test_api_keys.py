"""API keys: created, found, revoked; requests do not depend on the store."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.config.settings import Settings
from gateway.errors import SettingsError, StoreUnavailable
from gateway.events import Event, StoreFailed
from gateway.store import api_keys, polling
from gateway.store.api_keys import ApiKeys, open_api_keys, open_register, parse_key
from gateway.store.polling import StorePoller
from tests.support.stores import spoil_store

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "postgresql":
        return Settings(store=request.getfixturevalue("postgresql").new_database())
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def sqlite(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@asynccontextmanager
async def keys_of(settings: Settings, events: list[Event] | None = None) -> AsyncIterator[ApiKeys]:
    seen = [] if events is None else events
    keys = open_api_keys(settings, seen.append)
    assert keys is not None
    try:
        yield keys
    finally:
        await keys.close()


def created(settings: Settings, name: str = "ci", **options: float) -> tuple[str, str]:
    """Return id and text of a new key."""
    register = open_register(settings)
    try:
        key, text = register.create(name, ["b", "a", "b"], options.get("expires_at"))
    finally:
        register.close()
    return key.id, text


def database(settings: Settings) -> Path:
    assert settings.data_dir is not None
    return settings.data_dir / "store" / "gateway.db"


def test_a_link_in_the_place_of_the_store_is_not_followed(sqlite: Settings, tmp_path: Path) -> None:
    path = database(sqlite)
    path.parent.mkdir(parents=True, mode=0o700)
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StoreUnavailable):
        open_register(sqlite).create("ci", ["a"], None)

    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.anyio
async def test_a_created_key_is_found_by_its_text(settings: Settings) -> None:
    key_id, text = created(settings)
    parts = parse_key(text)
    assert parts is not None

    async with keys_of(settings) as keys:
        key = await keys.find(parts.id)

    assert key is not None
    assert (key.id, key.name, key.roles) == (key_id, "ci", ("a", "b"))
    assert key.proves(parts.secret)
    assert not key.proves(parts.secret[:-1])
    assert key.is_valid()


def test_a_secret_has_256_bits_and_is_stored_nowhere(sqlite: Settings) -> None:
    _, text = created(sqlite)
    parts = parse_key(text)
    assert parts is not None

    assert len(parts.secret) == 52  # of base32
    stored = b"".join(p.read_bytes() for p in database(sqlite).parent.iterdir())
    assert parts.secret.encode() not in stored


@pytest.mark.parametrize(
    "text", ["", "d365", "d365_", "d365_id", "d365_id_", "d365__secret", "x_id_secret", "eyJ.a.b"]
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert parse_key(text) is None


def test_files_of_the_store_are_private(sqlite: Settings) -> None:
    register = open_register(sqlite)
    register.create("ci", ["a"], None)

    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in database(sqlite).parent.iterdir()}
    register.close()

    assert set(modes.values()) == {0o600}
    assert modes.keys() >= {"gateway.db", "gateway.db-wal"}


@pytest.mark.anyio
async def test_a_missing_store_has_no_keys_and_is_not_made(sqlite: Settings) -> None:
    async with keys_of(sqlite) as keys:
        assert await keys.find("id") is None
        keys.used("id")

    assert sqlite.data_dir is not None
    assert not sqlite.data_dir.exists()


@pytest.mark.anyio
async def test_changes_are_noticed_in_two_seconds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert polling.REFRESH + polling.PATIENCE < 2
    monkeypatch.setattr(polling, "REFRESH", 0.01)
    async with keys_of(settings) as keys:
        assert await keys.find("id") is None
        key_id, _ = created(settings)
        await asyncio.sleep(0.02)
        key = await keys.find(key_id)
        assert key is not None
        assert key.is_valid()
        other = open_register(settings)
        other.revoke(key_id)
        other.close()
        await asyncio.sleep(0.02)
        key = await keys.find(key_id)
        assert key is not None
        assert not key.is_valid()


@pytest.mark.anyio
async def test_requests_share_one_reading(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id, _ = created(settings)
    readings: list[int] = []
    actual = StorePoller._read_changes

    def counted(self: StorePoller) -> list[Any]:
        readings.append(1)
        return actual(self)

    monkeypatch.setattr(StorePoller, "_read_changes", counted)
    async with keys_of(settings) as keys:
        found = await asyncio.gather(*(keys.find(key_id) for _ in range(20)))
        await keys.find("unknown")

    assert all(found)
    assert len(readings) == 1


@pytest.mark.anyio
async def test_a_store_that_fails_leaves_the_keys_in_memory(
    sqlite: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.0)
    key_id, _ = created(sqlite)
    events: list[Event] = []
    async with keys_of(sqlite, events) as keys:
        assert await keys.find(key_id)
        database(sqlite).unlink()
        for _ in range(3):
            assert await keys.find(key_id)

    assert [type(event) for event in events] == [StoreFailed]


def test_a_store_that_was_used_is_not_made_again(sqlite: Settings) -> None:
    created(sqlite)
    path = database(sqlite)
    shutil.rmtree(path.parent)
    register = open_register(sqlite)
    with pytest.raises(StoreUnavailable, match="is missing"):
        register.create("ci", ["a"], None)

    assert not path.exists()
    register.close()


def test_another_file_in_the_place_of_the_store_is_read(sqlite: Settings, tmp_path: Path) -> None:
    other = Settings(data_dir=tmp_path / "other")
    first, second = open_register(sqlite), open_register(other)
    created(sqlite)
    key_id, _ = created(other)
    assert first.list() != second.list()
    second.close()
    database(other).replace(database(sqlite))

    assert [key.id for key in first.list()] == [key_id]
    first.close()


@pytest.mark.anyio
async def test_a_store_that_never_worked_is_an_error(sqlite: Settings) -> None:
    assert sqlite.data_dir is not None
    spoil_store(sqlite.data_dir)
    async with keys_of(sqlite) as keys:
        with pytest.raises(StoreUnavailable, match="is damaged"):
            await keys.find("id")


@pytest.mark.anyio
async def test_a_slow_store_does_not_hold_up_requests(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.0)
    monkeypatch.setattr(polling, "PATIENCE", 0.01)
    key_id, _ = created(settings)
    async with keys_of(settings) as keys:
        assert await keys.find(key_id)
        actual = StorePoller._read_changes

        def slow(self: StorePoller) -> list[Any]:
            time.sleep(0.3)
            return actual(self)

        monkeypatch.setattr(StorePoller, "_read_changes", slow)
        started = time.perf_counter()
        assert await keys.find(key_id)
        assert time.perf_counter() - started < 0.2


@pytest.mark.anyio
async def test_a_store_that_hangs_delays_each_reading_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.0)
    monkeypatch.setattr(polling, "PATIENCE", 0.05)
    key_id, _ = created(settings)
    async with keys_of(settings) as keys:
        assert await keys.find(key_id)
        go_on = threading.Event()
        monkeypatch.setattr(StorePoller, "_read_changes", lambda self: go_on.wait(10) and [])
        started = time.perf_counter()
        for _ in range(20):
            assert await keys.find(key_id)
        seconds = time.perf_counter() - started
        go_on.set()

    assert 0.05 <= seconds < 0.5


@pytest.mark.anyio
async def test_last_use_is_written_at_the_end(settings: Settings) -> None:
    key_id, _ = created(settings)
    before = time.time()
    async with keys_of(settings) as keys:
        keys.used(key_id)
        keys.used("unknown")
    register = open_register(settings)
    (key,) = register.list()
    register.record_uses({key_id: before - 60})
    register.close()

    assert key.last_used is not None
    assert key.last_used >= before


@pytest.mark.anyio
async def test_last_use_is_written_after_a_while(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "USES_EVERY", 0.01)
    key_id, _ = created(settings)
    register = open_register(settings)
    async with keys_of(settings) as keys:
        for _ in range(2):
            keys.used(key_id)
            async with asyncio.timeout(60):
                while register.list()[0].last_used is None:  # noqa: ASYNC110 - a thread writes
                    await asyncio.sleep(0.01)
            register.record_uses({key_id: 0.0})
    register.close()


def test_an_earlier_use_does_not_replace_a_later_one(settings: Settings) -> None:
    key_id, _ = created(settings)
    register = open_register(settings)
    register.record_uses({key_id: 20.0})
    register.record_uses({key_id: 10.0})

    assert register.list()[0].last_used == 20.0
    register.close()


def test_a_revoked_key_stays_revoked_since_the_first_time(settings: Settings) -> None:
    key_id, _ = created(settings)
    register = open_register(settings)
    first, second = register.revoke(key_id), register.revoke(key_id)

    assert first == second
    assert first is not None
    assert first.revoked is not None
    assert register.revoke("unknown") is None
    register.close()


@pytest.mark.parametrize(("expires_at", "valid"), [(None, True), (99.0, False), (101.0, True)])
def test_a_key_ends_when_it_expires(expires_at: float | None, valid: bool) -> None:
    key = api_keys.ApiKey(id="i", name="n", digest="", roles=(), created=0.0, expires_at=expires_at)

    assert key.is_valid(100.0) is valid


@pytest.mark.heavy
def test_several_processes_may_create_the_store(sqlite: Settings) -> None:
    code = (
        "import sys; from pathlib import Path; from gateway.config.settings import Settings;"
        "from gateway.store.api_keys import open_register;"
        "r = open_register(Settings(data_dir=Path(sys.argv[1])));"
        "[r.create(str(n), ['a'], None) for n in range(20)]"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(sqlite.data_dir)]) for _ in range(3)
    ]

    assert [process.wait() for process in processes] == [0, 0, 0]
    register = open_register(sqlite)
    assert len(register.list()) == 60
    register.close()


def test_a_file_without_tables_is_completed(sqlite: Settings) -> None:
    path = database(sqlite)
    path.parent.mkdir(parents=True, mode=0o700)
    path.touch(mode=0o600)
    register = open_register(sqlite)

    assert register.list() == []
    register.close()


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        (Settings(store="none", data_dir=Path("/x")), "store is none"),
        (Settings(), "data_dir is none"),
    ],
)
def test_without_a_store_there_are_no_keys(settings_: Settings, message: str) -> None:
    assert open_api_keys(settings_, print) is None
    with pytest.raises(SettingsError, match=message):
        open_register(settings_)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
@pytest.mark.parametrize(("path", "mode"), [("gateway.db", 0o660), ("", 0o770), ("", 0o777)])
def test_a_store_that_others_may_write_says_what_to_do(
    tmp_path: Path, path: str, mode: int
) -> None:
    """As volumes of Kubernetes are with an fsGroup."""
    settings = Settings(data_dir=tmp_path)
    register = open_register(settings)
    register.create("before", ["a"], None)
    register.close()
    place = tmp_path / "store" / path
    place.chmod(mode)

    with pytest.raises(StoreUnavailable, match=f"writable by other users .mode {mode:o}") as caught:
        open_register(settings).list()

    assert caught.value.hint is not None
    assert f"Run `chmod go-w {place}`" in caught.value.hint
    assert "fsGroupChangePolicy" in caught.value.hint
    place.chmod(mode & 0o755)
    again = open_register(settings)
    assert [key.name for key in again.list()] == ["before"]
    again.close()
