"""The register of link sessions, in both databases."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from gateway.config.settings import Settings
from gateway.errors import VersionConflict
from gateway.store.link_register import LinkRegister, StoredSession
from gateway.store.opening import open_database

pytestmark = pytest.mark.slow
KEY = SecretStr(base64.b64encode(bytes(32)).decode())
SESSION = StoredSession(id="1", digest="d1", version=0, expires_at=100.0, content="{}")


@pytest.fixture(params=["sqlite", "postgresql"])
def register(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LinkRegister]:
    if request.param == "postgresql":
        store = request.getfixturevalue("postgresql").new_database()
        settings = Settings(store=store, encryption_key=KEY)
    else:
        settings = Settings(data_dir=tmp_path)
    register = LinkRegister(open_database(settings))
    assert register.by_id("1") is None
    register.create(SESSION, now=0.0)
    yield register
    register.close()


def test_a_session_is_found_by_token_and_by_id(register: LinkRegister) -> None:
    assert register.by_digest("d1") == SESSION
    assert register.by_id("1") == SESSION
    assert register.by_digest("1") is None


def test_a_change_is_of_the_version_before(register: LinkRegister) -> None:
    after = replace(SESSION, version=1, content='{"x":1}')
    register.replace(after)
    assert register.by_id("1") == after

    with pytest.raises(VersionConflict):
        register.replace(after)
    with pytest.raises(VersionConflict):
        register.replace(replace(SESSION, id="2", version=1))


def test_of_two_changes_at_once_one_is_stored(register: LinkRegister) -> None:
    def change(content: str) -> bool:
        try:
            register.replace(replace(SESSION, version=1, content=content))
        except VersionConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(change, "abcd"))

    assert results.count(True) == 1


def test_nothing_is_stored_if_what_belongs_to_it_fails(register: LinkRegister) -> None:
    with pytest.raises(LookupError), register.replacing(replace(SESSION, version=1)):
        raise LookupError

    assert register.by_id("1") == SESSION


def test_expired_sessions_are_deleted_with_the_next_one(register: LinkRegister) -> None:
    register.create(replace(SESSION, id="2", digest="d2", expires_at=200.0), now=100.0)

    assert register.by_id("1") is None
    assert register.by_id("2") is not None
