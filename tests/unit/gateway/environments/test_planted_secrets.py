"""A secret that is planted in the store comes out nowhere: answers, events, logs, errors, dumps, representations."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from pydantic import SecretStr

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.rendering import to_toml
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register, open_keys
from gateway.errors import GatewayError
from gateway.events import log_event
from gateway.logs import configure_logging
from gateway.store import polling
from gateway.store.environment_register import EnvironmentRegister
from gateway.store.environment_rows import changes_in, sealed_environment
from tests.support.environments import Deployment, deployed, service, settings_of, url_of
from tests.support.login_host import LoginHost, login_host
from tests.support.manual_clock import until
from tests.support.stores import OTHER_KEY

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
MARKER = "planted-s3cret"
KEK = bytes(range(100, 132))
KEY = SecretStr(base64.b64encode(KEK).decode())
NAMES = "{ things { nodes { name } } }"


@pytest.fixture
def host() -> Iterator[LoginHost]:
    with login_host() as host:
        host.secrets[:] = [MARKER]
        yield host


@pytest.fixture
def settings(tmp_path: Path, host: LoginHost) -> Settings:
    more: dict[str, Any] = {"explain": True, "data_dir": tmp_path / "data", "log_level": "debug"}
    more["authority"] = host.authority
    return settings_of(stored_environments=True, encryption_key=KEY, **more)


@pytest.fixture
def register(settings: Settings) -> Iterator[EnvironmentRegister]:
    register = open_environment_register(settings)
    yield register
    register.close()


def options(host: LoginHost, secret: str = MARKER) -> EnvironmentOptions:
    return EnvironmentOptions.model_validate(
        {
            "url": url_of("acme"),
            "auth": "client_credentials",
            "tenant_id": host.tenant,
            "client_id": "app-1",
            "client_secret": secret,
            "authority": host.authority,
            "credentials": {"certificate_password": f"{MARKER}-of-a-file"},
        }
    )


def forms(secret: bytes) -> list[bytes]:
    """Return how a secret might be written."""
    return [
        secret,
        secret.hex().encode(),
        base64.b64encode(secret).rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
        repr(secret)[2:-1].encode(),
    ]


def leaked(text: str | bytes) -> list[bytes]:
    content = text if isinstance(text, bytes) else text.encode()
    return [form for secret in (MARKER.encode(), KEK) for form in forms(secret) if form in content]


async def answers(deployment: Deployment) -> str:
    """Return all that is answered for an environment."""
    texts = []
    for path in ("/graphql", "/graphql/explain"):
        response = await deployment.post(NAMES, f"/e/acme{path}")
        texts.append(f"{response.headers} {response.text}")
    pages = ("/readyz", "/e/acme/graphiql/config.json", "/e/acme/graphiql")
    texts += [(await deployment.http.get(path)).text for path in pages]
    return "\n".join(texts)


@pytest.fixture
def own_log() -> Iterator[None]:
    """End what a test configures: the stream of its log is the test's own."""
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("own_log")
async def test_it_is_in_no_answer_event_or_log(
    settings: Settings,
    register: EnvironmentRegister,
    host: LoginHost,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.02)
    configure_logging(settings)
    register.create("acme", options(host))
    services = {name: service(name) for name in ("home", "acme")}
    async with deployed(settings, services, observe=log_event) as deployment:
        registry = deployment.app.state.environments.registry
        good, before = await answers(deployment), registry.find("acme")
        # The login host quotes the secret that it refuses.
        register.replace("acme", options(host, f"{MARKER}-wrong"))
        await until(lambda: registry.find("acme") is not before)
        bad = await answers(deployment)
        register.remove("acme")
        await until(lambda: registry.find("acme") is None)
    events = "\n".join(map(repr, deployment.events))
    encoded = b"\n".join(map(msgspec.json.encode, deployment.events))
    printed = capfd.readouterr()

    assert [grant["client_secret"] for grant in host.grants] == [MARKER, f"{MARKER}-wrong"]
    assert leaked(base64.b64encode(MARKER.encode())) != []  # it would be noticed
    assert "<acme>" in good
    assert "ENVIRONMENT_UNAVAILABLE" in bad
    assert "environment_failed" in printed.err
    for text in (good, bad, events, encoded, printed.out, printed.err):
        assert leaked(text) == []


def test_it_is_in_no_dump_of_the_store(
    settings: Settings, register: EnvironmentRegister, host: LoginHost
) -> None:
    register.create("acme", options(host))
    register.replace("acme", options(host))
    register.rotate("acme")
    assert settings.data_dir is not None
    folder = settings.data_dir / "store"
    with sqlite3.connect(folder / "gateway.db") as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()

    assert "environment_secrets" in dump
    assert leaked(dump.replace("X'", "").lower()) == []
    assert leaked(b"".join(path.read_bytes() for path in folder.iterdir())) == []


def test_it_is_in_no_representation(
    settings: Settings, register: EnvironmentRegister, host: LoginHost
) -> None:
    given = options(host)
    stored = register.create("acme", given)
    new = register.prepare("beta", given)
    with register.database.reading() as connection:
        sealed = sealed_environment(connection, "acme")
        changes = changes_in(connection, None)
    decrypted = register.options_with_secrets("acme")
    keys = open_keys(settings)
    things = [given, stored, new, sealed, changes, decrypted, keys, keys.current, settings]
    texts = [form(thing) for thing in things for form in (repr, str)]
    texts += [to_toml(settings), settings.model_dump_json(), given.model_dump_json()]

    for text in texts:
        assert leaked(text) == []
    assert leaked(msgspec.json.encode(stored.options.model_dump(mode="json"))) == []


def test_it_is_in_no_error(
    settings: Settings, register: EnvironmentRegister, host: LoginHost
) -> None:
    register.create("acme", options(host))
    other = open_environment_register(settings.model_copy(update={"encryption_key": OTHER_KEY}))
    errors: list[BaseException] = []
    for use in (
        lambda: register.create("acme", options(host)),
        lambda: register.replace("acme", options(host), version=7),
        lambda: other.options_with_secrets("acme"),
        lambda: other.create("beta", options(host)),
        lambda: other.rotate("acme"),
    ):
        with pytest.raises(GatewayError) as refused:
            use()
        errors.append(refused.value)
    assert settings.data_dir is not None
    shutil.rmtree(settings.data_dir / "store")
    with pytest.raises(GatewayError) as unusable:
        register.create("gamma", options(host))
    errors.append(unusable.value)
    other.close()

    for error in errors:
        assert isinstance(error, GatewayError)
        facts = json.dumps([error.extensions(), error.message, error.hint, error.detail])
        assert leaked(facts + repr(error) + repr(error.__cause__)) == []
