"""Data keys are rotated at once or not at all, also if others read, change and rotate at the same time."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.errors import SecretUnreadable
from gateway.store.environment_register import EnvironmentRegister
from gateway.store.tables import DATA_KEYS, ENVIRONMENT_SECRETS
from tests.support.stores import KEY, OTHER_KEY

pytestmark = pytest.mark.slow
MARKER = "planted-s3cret"
OPTIONS = EnvironmentOptions.model_validate(
    {
        "url": "https://acme.operations.dynamics.com/data",
        "client_secret": MARKER,
        "credentials": {"certificate": "x.pfx", "certificate_password": f"{MARKER}-2"},
    }
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


def keys_of(register: EnvironmentRegister) -> list[tuple[str, int, str]]:
    return [(k.environment, k.version, k.wrapped_by) for k in register.data_keys()]


def test_a_rotation_changes_the_key_and_no_version(register: EnvironmentRegister) -> None:
    before = register.create("acme", OPTIONS)
    register.create("plain", EnvironmentOptions(url="https://x.operations.dynamics.com/data"))
    first = rows(register)
    rotated = register.rotate("acme")

    assert rotated == before
    assert keys_of(register) == [("acme", 2, "current")]
    assert not set(first) & set(rows(register))
    assert register.options_with_secrets("acme") == OPTIONS
    assert register.rotate("plain") == register.get("plain")
    assert register.rotate("other") is None


def test_a_rotation_takes_the_current_key(
    register: EnvironmentRegister, settings: Settings
) -> None:
    register.create("acme", OPTIONS)
    changed = {"encryption_key": OTHER_KEY, "encryption_key_old": (KEY,)}
    other = open_environment_register(settings.model_copy(update=changed))
    assert keys_of(other) == [("acme", 1, "old")]
    other.rotate("acme")
    assert keys_of(other) == [("acme", 2, "current")]
    other.close()

    assert keys_of(register) == [("acme", 2, "unknown")]
    with pytest.raises(SecretUnreadable):
        register.rotate("acme")
    last = open_environment_register(settings.model_copy(update={"encryption_key": OTHER_KEY}))
    assert last.options_with_secrets("acme") == OPTIONS
    last.close()


def test_secrets_move_from_a_key_of_our_own_to_the_setting(tmp_path: Path) -> None:
    own = open_environment_register(Settings(data_dir=tmp_path))
    own.create("acme", OPTIONS)
    own.close()
    with_setting = Settings(data_dir=tmp_path, encryption_key=KEY)
    register = open_environment_register(with_setting)
    assert keys_of(register) == [("acme", 1, "old")]
    register.rotate("acme")
    (tmp_path / "keys" / "encryption_key").unlink()

    assert keys_of(register) == [("acme", 2, "current")]
    assert register.options_with_secrets("acme") == OPTIONS
    register.close()


def test_old_keys_and_ciphertexts_are_overwritten(tmp_path: Path) -> None:
    register = open_environment_register(Settings(data_dir=tmp_path))
    register.create("acme", OPTIONS)
    old = rows(register)
    register.rotate("acme")
    register.erase()
    left = b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir())
    register.close()

    assert [content for content in old if content in left] == []


class Interrupted(Exception):
    """Stands for the end of the process."""


def test_a_rotation_that_ends_at_any_statement_changes_nothing(
    register: EnvironmentRegister,
) -> None:
    register.create("acme", OPTIONS)
    engine = register.database._open()
    statements: list[str] = []
    last = -1

    def interrupt(*arguments: Any) -> None:
        statements.append(arguments[2])
        if len(statements) == last:
            raise Interrupted

    sa.event.listen(engine, "before_cursor_execute", interrupt)
    register.rotate("acme")
    count, before = len(statements), keys_of(register)
    ends = 0
    for number in range(1, count + 1):
        statements.clear()
        last = number
        try:
            register.rotate("acme")
        except Interrupted:
            ends += 1
        last = -1
        assert keys_of(register) == before
        assert register.options_with_secrets("acme") == OPTIONS
    sa.event.remove(engine, "before_cursor_execute", interrupt)

    assert ends == count >= 8


def test_readers_and_writers_at_once_see_matching_keys(settings: Settings) -> None:
    registers = [open_environment_register(settings) for _ in range(5)]
    registers[0].create("acme", OPTIONS)

    def rotate(register: EnvironmentRegister) -> int:
        return sum(register.rotate("acme") is not None for _ in range(10))

    def read(register: EnvironmentRegister) -> int:
        return sum(register.options_with_secrets("acme") == OPTIONS for _ in range(40))

    def change(register: EnvironmentRegister) -> int:
        return sum(register.replace("acme", OPTIONS) is not None for _ in range(10))

    with ThreadPoolExecutor(5) as pool:
        jobs = [
            pool.submit(job, register)
            for job, register in zip((rotate, rotate, change, read, read), registers, strict=True)
        ]
        results = [job.result() for job in jobs]
    stored = registers[0].options_with_secrets("acme")
    (key,) = registers[0].data_keys()
    for register in registers:
        register.close()

    assert results == [10, 10, 10, 40, 40]
    assert stored == OPTIONS
    assert key.version == 21


KILLED = """
import sys
import time
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register

setting, value, key = sys.argv[1:]
register = open_environment_register(Settings(**{setting: value}, encryption_key=key))
while True:
    for number in range(5):
        register.rotate(f"tenant-{number}")
        print("rotated", flush=True)
"""


@pytest.mark.heavy
def test_a_killed_rotation_leaves_all_secrets_readable(
    register: EnvironmentRegister, settings: Settings
) -> None:
    for number in range(5):
        register.create(f"tenant-{number}", OPTIONS)
    if isinstance(settings.store, SecretStr):
        arguments = ["store", settings.store.get_secret_value()]
    else:
        arguments = ["data_dir", str(settings.data_dir)]
    command = [sys.executable, "-c", KILLED, *arguments, KEY.get_secret_value()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(7):
            assert process.stdout.readline() == "rotated\n"
        # In the middle of the next one, with luck; statement by statement is the test above.
        time.sleep(random.uniform(0, 0.01))
        process.send_signal(signal.SIGKILL)

    assert process.returncode == -signal.SIGKILL
    for number in range(5):
        assert register.options_with_secrets(f"tenant-{number}") == OPTIONS
        assert register.rotate(f"tenant-{number}") is not None
    assert min(key.version for key in register.data_keys()) >= 3


def rows(register: EnvironmentRegister) -> list[bytes]:
    """Return all wrapped keys and ciphertexts."""
    with register.database.reading() as connection:
        wrapped = connection.execute(sa.select(DATA_KEYS.c.wrapped)).scalars()
        sealed = connection.execute(sa.select(ENVIRONMENT_SECRETS.c.sealed)).scalars()
        return [*wrapped, *sealed]
