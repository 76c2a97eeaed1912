"""The register of hooks in both databases: one current secret for each environment, of which only a digest stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.hooks.secrets import open_hook_register
from gateway.store.hook_register import HookRegister, digest_of
from tests.support.stored_environments import URL, stored_settings

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return stored_settings(request, tmp_path)


@pytest.fixture
def register(settings: Settings) -> Iterator[HookRegister]:
    register = open_hook_register(settings)
    yield register
    register.close()


def listed(register: HookRegister) -> list[tuple[str, str, float | None]]:
    return [(hook.environment, hook.digest, hook.expires_at) for hook in register.list()]


def test_a_hook_is_rotated_and_revoked(register: HookRegister) -> None:
    first = register.create("acme", 100.0, None)
    other = register.create("beta", 100.0, None)
    assert first is not None
    assert other is not None
    assert register.create("acme", 101.0, None) is None

    second = register.create("acme", 102.0, 10.0)
    assert second is not None
    assert listed(register) == [
        ("acme", digest_of(second), None),
        ("acme", digest_of(first), 112.0),
        ("beta", digest_of(other), None),
    ]
    # What has expired is forgotten with the next one.
    assert register.create("beta", 113.0, 0.0)
    assert len(listed(register)) == 3
    assert (register.revoke("acme"), register.revoke("acme")) == (1, 0)
    assert {environment for environment, _, _ in listed(register)} == {"beta"}


def test_a_removed_environment_leaves_no_hook(settings: Settings, register: HookRegister) -> None:
    environments = open_environment_register(settings)
    options = EnvironmentOptions.model_validate({"url": URL, "auth": "none"})
    environments.create("acme", options)
    register.create("acme", 100.0, None)
    environments.remove("acme")
    environments.close()

    assert listed(register) == []
