"""The roles of the sandbox: there only if they are switched on, and no others are set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.cli.options import read_settings
from gateway.cli.sandbox import knobs_of
from gateway.config.loading import load_settings
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.runtime.assembly import open_gateway

OWN: dict[str, Any] = {"clerk": {"sets": {"VendorsV2": {}}}}


@pytest.mark.parametrize(
    ("values", "has_roles"),
    [
        ({}, False),
        ({"sandbox": {"roles": False}}, False),
        ({"sandbox": {"roles": True}}, True),
        ({"sandbox": {"roles": "true"}}, True),
    ],
)
def test_they_are_there_if_they_are_switched_on(values: Any, has_roles: bool) -> None:
    roles = Settings.model_validate(values).roles

    assert ("ap-clerk" in roles) is has_roles


def test_roles_of_the_settings_take_their_place() -> None:
    settings = Settings.model_validate({"roles": OWN, "sandbox": {"roles": True}})

    assert list(settings.roles) == ["clerk"]


def test_a_variable_or_an_option_switches_them_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({"D365_SANDBOX__ROLES": "true", "HOME": "/home/me"}).roles
    for name in ("D365_URL", "D365_SANDBOX__ROLES"):
        monkeypatch.delenv(name, raising=False)
    assert read_settings(None, sandbox=True, roles=True).sandbox.roles


def test_another_mistake_is_reported_as_it_is(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text('[sandbox]\nroles = "perhaps"\n', "utf-8")

    with pytest.raises(SettingsError, match=r"sandbox\.roles.*accepted: true or false"):
        load_settings({}, config)


def test_the_sandbox_alone_has_no_callers() -> None:
    with pytest.raises(SettingsError, match="--set roles: there is no such setting"):
        knobs_of(["roles=true"])


@pytest.mark.anyio
async def test_they_fit_the_sandbox() -> None:
    settings = Settings.model_validate({"language": None, "sandbox": {"roles": True}})

    async with open_gateway(settings, observe=lambda _: None) as gateway:
        assert gateway.policy is not None
        assert len(gateway.policy.roles) == 5
