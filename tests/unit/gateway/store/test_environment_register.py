"""The register of environments: created, changed, removed; secrets are encrypted and bound to their place."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import BaseModel, SecretStr

from gateway.config.credential_models import CredentialOptions
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.environment_secrets import SECRETS
from gateway.config.settings import Settings
from gateway.environments.environment_json import environment_json
from gateway.environments.environment_store import open_environment_register
from gateway.errors import (
    EnvironmentExists,
    SecretUnreadable,
    SettingsError,
    StoreLayoutMismatch,
    VersionConflict,
)
from gateway.store.environment_register import EnvironmentRegister
from gateway.store.environment_rows import changes_in
from gateway.store.revisions import revisions_in
from gateway.store.stored_environment import EnvironmentChanges, Linked
from gateway.store.tables import DATA_KEYS, ENVIRONMENT_SECRETS, ENVIRONMENTS
from tests.support.stores import KEY, OTHER_KEY

pytestmark = pytest.mark.slow

MARKER = "planted-s3cret"
URL = "https://acme.operations.dynamics.com/data"
LINKED = Linked(tenant="t", subject="o", name="Ada", at=1.5)


def options(**values: object) -> EnvironmentOptions:
    return EnvironmentOptions.model_validate({"url": URL, **values})


WITH_SECRETS = options(
    tenant_id="t",
    client_secret=MARKER,
    credentials={"certificate": "x.pfx", "certificate_password": f"{MARKER}-2"},
    companies=["usmf"],
    relations=[{"from_set": "A", "fields": ["x"], "to_set": "B", "to_fields": ["y"], "name": "b"}],
)


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "postgresql":
        store = request.getfixturevalue("postgresql").new_database()
        return Settings(store=store, encryption_key=KEY)
    return Settings(data_dir=tmp_path / "data", encryption_key=KEY)


@pytest.fixture
def register(settings: Settings) -> Iterator[EnvironmentRegister]:
    register = open_environment_register(settings)
    yield register
    register.close()


def secret_fields(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        text = str(field.annotation)
        if "SecretStr" in text:
            yield f"{prefix}{name}"
        elif "CredentialOptions" in text:
            yield from secret_fields(CredentialOptions, f"{prefix}{name}.")


def test_all_secret_options_are_encrypted() -> None:
    assert set(secret_fields(EnvironmentOptions)) == set(SECRETS)


def test_an_environment_is_stored_and_read(register: EnvironmentRegister) -> None:
    created = register.create("acme", WITH_SECRETS, LINKED)

    assert (created.name, created.state, created.version) == ("acme", "active", 1)
    assert created.linked == LINKED
    assert created.secrets == {"client_secret", "credentials.certificate_password"}
    assert created.options.client_secret is None
    assert created.options.relations == WITH_SECRETS.relations
    assert register.get("acme") == created
    assert register.options_with_secrets("acme") == WITH_SECRETS
    assert register.get("other") is None
    assert register.options_with_secrets("other") is None


def test_a_store_that_was_never_written_is_empty(tmp_path: Path) -> None:
    register = open_environment_register(Settings(data_dir=tmp_path / "data"))

    assert register.list() == []
    assert register.get("acme") is None
    assert register.remove("acme") is None
    assert register.set_state("acme", "disabled") is None
    assert not (tmp_path / "data").exists()


def test_names_are_unique(register: EnvironmentRegister) -> None:
    register.create("acme", options())

    with pytest.raises(EnvironmentExists, match="acme"):
        register.create("acme", options())


def test_of_several_who_create_a_name_one_succeeds(settings: Settings) -> None:
    registers = [open_environment_register(settings) for _ in range(4)]

    def create(register: EnvironmentRegister) -> bool:
        try:
            register.create("acme", WITH_SECRETS)
        except EnvironmentExists:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(create, registers))
    stored = registers[0].options_with_secrets("acme")
    for register in registers:
        register.close()

    assert sorted(results) == [False, False, False, True]
    assert stored == WITH_SECRETS


def test_lists_are_by_name_and_in_pages(register: EnvironmentRegister) -> None:
    for name in ("c", "a", "d", "b"):
        register.create(name, options(client_secret=MARKER))

    assert [e.name for e in register.list()] == ["a", "b", "c", "d"]
    page = register.list(after="a", limit=2)
    assert [e.name for e in page] == ["b", "c"]
    assert page[0].secrets == {"client_secret"}


def test_a_change_needs_the_current_version(register: EnvironmentRegister) -> None:
    register.create("acme", WITH_SECRETS)
    changed = register.replace("acme", options(title="Acme"), version=1)

    assert changed is not None
    assert (changed.version, changed.options.title, changed.secrets) == (2, "Acme", frozenset())
    with pytest.raises(VersionConflict, match="version 2"):
        register.replace("acme", options(), version=1)
    assert register.get("acme") == changed
    assert register.replace("other", options()) is None


def test_secrets_can_be_retained_and_replaced(register: EnvironmentRegister) -> None:
    register.create("acme", WITH_SECRETS)
    names = frozenset({"client_secret", "credentials.certificate_password"})

    register.replace("acme", options(title="x"), retained=names)
    retained = register.options_with_secrets("acme")
    register.replace("acme", options(client_secret="new"), retained=names)
    replaced = register.options_with_secrets("acme")

    assert retained is not None
    assert retained.client_secret is not None
    assert retained.client_secret.get_secret_value() == MARKER
    assert replaced is not None
    assert replaced.client_secret is not None
    assert replaced.client_secret.get_secret_value() == "new"
    assert replaced.credentials is not None
    password = replaced.credentials.certificate_password
    assert password is not None
    assert password.get_secret_value() == f"{MARKER}-2"


def test_an_environment_without_secrets_has_no_key(register: EnvironmentRegister) -> None:
    register.create("acme", WITH_SECRETS)
    register.replace("acme", options())

    assert rows(register, DATA_KEYS) == []
    assert rows(register, ENVIRONMENT_SECRETS) == []
    register.replace("acme", options(client_secret=MARKER))
    stored = register.options_with_secrets("acme")
    assert stored == options(client_secret=MARKER)


def test_states_and_reloads_are_counted(register: EnvironmentRegister) -> None:
    register.create("acme", WITH_SECRETS)
    disabled = register.set_state("acme", "disabled")
    again = register.set_state("acme", "disabled")
    reloaded = register.reload("acme")

    assert disabled is not None
    assert (disabled.state, disabled.version) == ("disabled", 2)
    assert again == disabled
    assert reloaded is not None
    assert (reloaded.reloads, reloaded.version) == (1, 2)
    assert register.options_with_secrets("acme") == WITH_SECRETS


def test_removal_deletes_the_key_and_frees_the_name(register: EnvironmentRegister) -> None:
    first = register.create("acme", WITH_SECRETS)
    removed = register.remove("acme")

    assert removed == first
    assert [rows(register, t) for t in (ENVIRONMENTS, DATA_KEYS, ENVIRONMENT_SECRETS)] == [[]] * 3
    second = register.create("acme", WITH_SECRETS)
    assert second.id != first.id
    assert second.version == 1
    assert register.remove("other") is None


def test_one_that_cannot_be_read_can_be_removed(register: EnvironmentRegister) -> None:
    register.create("acme", WITH_SECRETS)
    with register.database.writing() as connection:
        connection.execute(ENVIRONMENTS.update().values(options="nonsense"))
    with pytest.raises(StoreLayoutMismatch, match="acme"):
        register.get("acme")
    # It hides none of the others.
    register.create("beta", WITH_SECRETS)
    acme, beta = register.list()
    assert (acme.name, beta.name, beta.problem) == ("acme", "beta", None)
    assert "acme cannot be read" in (acme.problem or "")
    assert environment_json(acme)["problem"] == acme.problem
    register.remove("beta")

    removed = register.remove("acme")

    assert removed is not None
    assert removed.options.url is None
    assert [rows(register, t) for t in (ENVIRONMENTS, DATA_KEYS, ENVIRONMENT_SECRETS)] == [[]] * 3


def test_replicas_with_different_keys_do_not_both_begin(
    register: EnvironmentRegister, settings: Settings
) -> None:
    other = open_environment_register(settings.model_copy(update={"encryption_key": OTHER_KEY}))
    # Both have seen an empty store.
    first, second = register.prepare("acme", WITH_SECRETS), other.prepare("beta", WITH_SECRETS)
    with register.database.writing() as connection:
        register.insert(connection, first)
    with (
        pytest.raises(SecretUnreadable, match="another key"),
        other.database.writing() as connection,
    ):
        other.insert(connection, second)
    other.close()

    assert [environment.name for environment in register.list()] == ["acme"]


def test_changes_are_read_one_by_one(register: EnvironmentRegister) -> None:
    for name in ("a", "b", "c"):
        register.create(name, options(client_secret=MARKER))
    revision, whole = changes_since(register, None)
    register.set_state("b", "disabled")
    register.remove("c")
    current, changes = changes_since(register, revision)

    assert {e.name for e in whole.changed} == {"a", "b", "c"}
    assert [(e.name, e.state) for e in changes.changed] == [("b", "disabled")]
    assert sorted(changes.names.values()) == ["a", "b"]
    assert changes_since(register, current)[1].changed == ()
    # A database that was restored has a lower number.
    assert {e.name for e in changes_since(register, current + 5)[1].changed} == {"a", "b"}


def test_nothing_is_stored_in_clear(tmp_path: Path) -> None:
    register = open_environment_register(Settings(data_dir=tmp_path))
    register.create("acme", WITH_SECRETS)
    register.replace("acme", WITH_SECRETS)
    files = {p.name: p.read_bytes() for p in (tmp_path / "store").iterdir()}
    register.close()

    assert files.keys() >= {"gateway.db", "gateway.db-wal"}
    assert MARKER.encode() not in b"".join(files.values())
    assert (tmp_path / "keys" / "encryption_key").stat().st_mode & 0o777 == 0o600


def test_a_removed_key_is_nowhere_in_the_files(tmp_path: Path) -> None:
    register = open_environment_register(Settings(data_dir=tmp_path))
    register.create("acme", WITH_SECRETS)
    wrapped = rows(register, DATA_KEYS)[0].wrapped
    register.remove("acme")
    left = b"".join(p.read_bytes() for p in (tmp_path / "store").iterdir())
    register.close()

    assert wrapped not in left


def test_what_another_key_encrypted_is_not_read_or_mixed(
    register: EnvironmentRegister, settings: Settings
) -> None:
    register.create("acme", WITH_SECRETS)
    other = open_environment_register(settings.model_copy(update={"encryption_key": OTHER_KEY}))

    with pytest.raises(SecretUnreadable, match="another key"):
        other.options_with_secrets("acme")
    with pytest.raises(SecretUnreadable, match="another key"):
        other.create("beta", WITH_SECRETS)
    assert other.create("gamma", options()).secrets == frozenset()
    other.close()
    both = settings.model_copy(update={"encryption_key": OTHER_KEY, "encryption_key_old": (KEY,)})
    third = open_environment_register(both)
    assert third.options_with_secrets("acme") == WITH_SECRETS
    third.create("beta", WITH_SECRETS)
    third.close()


def test_a_key_of_our_own_that_is_lost_is_not_made_again(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    register = open_environment_register(settings)
    register.create("acme", WITH_SECRETS)
    path = tmp_path / "keys" / "encryption_key"
    path.unlink()

    with pytest.raises(SecretUnreadable):
        register.options_with_secrets("acme")
    with pytest.raises(SecretUnreadable):
        register.create("beta", WITH_SECRETS)
    register.close()
    assert not path.exists()


def test_a_shared_store_needs_a_shared_key() -> None:
    with pytest.raises(SettingsError, match="encryption_key"):
        open_environment_register(Settings(store=SecretStr("postgresql://h/d")))


def swap_environments(connection: sa.Connection, ids: list[str]) -> None:
    for table in (ENVIRONMENT_SECRETS, DATA_KEYS):
        for source, target in ((ids[0], "x"), (ids[1], ids[0]), ("x", ids[1])):
            moved = table.update().where(table.c.environment == source)
            connection.execute(moved.values(environment=target))


def swap_options(connection: sa.Connection, ids: list[str]) -> None:
    for source, target in (
        ("client_secret", "x"),
        ("credentials.certificate_password", "client_secret"),
        ("x", "credentials.certificate_password"),
    ):
        column = ENVIRONMENT_SECRETS.c.option
        moved = ENVIRONMENT_SECRETS.update().where(column == source)
        connection.execute(moved.values(option=target))


def swap_secrets(connection: sa.Connection, ids: list[str]) -> None:
    table = ENVIRONMENT_SECRETS
    for source, target in ((ids[0], "x"), (ids[1], ids[0]), ("x", ids[1])):
        moved = table.update().where(table.c.environment == source)
        connection.execute(moved.values(environment=target))


def truncate_secrets(connection: sa.Connection, ids: list[str]) -> None:
    for row in connection.execute(sa.select(ENVIRONMENT_SECRETS)).all():
        is_row = ENVIRONMENT_SECRETS.c.environment == row.environment
        connection.execute(ENVIRONMENT_SECRETS.update().where(is_row).values(sealed=row.sealed[:9]))


def truncate_keys(connection: sa.Connection, ids: list[str]) -> None:
    connection.execute(DATA_KEYS.update().values(wrapped=b""))


def older_version(connection: sa.Connection, ids: list[str]) -> None:
    connection.execute(DATA_KEYS.update().values(version=7))


def without_keys(connection: sa.Connection, ids: list[str]) -> None:
    connection.execute(DATA_KEYS.delete())


@pytest.mark.parametrize(
    "change",
    [
        swap_environments,
        swap_options,
        swap_secrets,
        truncate_secrets,
        truncate_keys,
        older_version,
        without_keys,
    ],
)
def test_changed_rows_are_not_decrypted(register: EnvironmentRegister, change: object) -> None:
    ids = [register.create(name, WITH_SECRETS).id for name in ("acme", "beta")]
    assert callable(change)
    with register.database.writing() as connection:
        change(connection, ids)

    for name in ("acme", "beta"):
        with pytest.raises(SecretUnreadable) as refused:
            register.options_with_secrets(name)
        assert MARKER not in repr(refused.value)


def test_a_change_of_others_is_not_overwritten(register: EnvironmentRegister) -> None:
    register.create("acme", options(client_secret="first"))
    calls: list[int] = []

    def prepare(sealed: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            register.replace("acme", options(client_secret="second"))
        return lambda connection: None

    register.change("acme", prepare)  # type: ignore[arg-type] # a fake

    assert len(calls) == 2
    assert register.options_with_secrets("acme") == options(client_secret="second")


def test_a_change_succeeds_while_others_never_cease(register: EnvironmentRegister) -> None:
    register.create("acme", options())
    calls: list[int] = []

    def prepare(sealed: object) -> object:
        calls.append(1)
        if len(calls) <= 3:
            register.reload("acme")
        return lambda connection: None

    changed = register.change("acme", prepare)  # type: ignore[arg-type] # a fake

    assert changed is not None
    assert (len(calls), changed.reloads) == (4, 3)


def changes_since(
    register: EnvironmentRegister, revision: int | None
) -> tuple[int, EnvironmentChanges]:
    with register.database.reading() as connection:
        return revisions_in(connection)["environments"], changes_in(connection, revision)


def rows(register: EnvironmentRegister, table: sa.Table) -> list[sa.Row[Any]]:
    with register.database.reading() as connection:
        return list(connection.execute(sa.select(table)).all())
