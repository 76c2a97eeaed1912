"""Environments of the store are added, changed, disabled and removed; on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.administration.actors import Actor
from gateway.administration.environment_service import EnvironmentService
from gateway.audit.entries import Who
from gateway.audit.opening import open_audit_log
from gateway.config.settings import Settings
from gateway.environments.environment_json import environment_json
from gateway.environments.environment_store import open_environment_register
from gateway.errors import (
    EnvironmentExists,
    InvalidOption,
    NoSuchEnvironment,
    SettingsError,
    VersionConflict,
)
from gateway.store.environment_register import EnvironmentRegister
from gateway.store.stored_environment import Linked
from tests.support.stored_environments import URL, audited, stored_settings

pytestmark = pytest.mark.slow
WHO = Who(kind="key", subject="7f3a", name="integrator")
NOBODY = Actor(who=WHO, log=None)
SECRET = "planted-s3cret"
ACME = {
    "url": "https://ACME.operations.dynamics.com",
    "title": "Acme",
    "tenant_id": "acme.onmicrosoft.com",
    "client_id": "0b1d4c5e-0000-0000-0000-000000000000",
    "client_secret": SECRET,
}
LINKED = Linked(tenant="acme", subject="o-1", name="Ada", at=1.5)


def quiet(_: object) -> None:
    """Say nothing."""


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return stored_settings(
        request,
        tmp_path,
        environments={"declared": {"url": "https://d.example/data"}},
        audit={"sink": "file"},
    )


@pytest.fixture
def register(settings: Settings) -> Iterator[EnvironmentRegister]:
    register = open_environment_register(settings)
    yield register
    register.close()


@pytest.fixture
def service(settings: Settings, register: EnvironmentRegister) -> EnvironmentService:
    return EnvironmentService(settings, lambda: register, quiet)


def test_an_environment_is_added_once(
    service: EnvironmentService, register: EnvironmentRegister
) -> None:
    first, is_new = service.add("acme", ACME, NOBODY)
    again, is_new_again = service.add("acme", {**ACME, "url": URL}, NOBODY)

    assert (is_new, is_new_again) == (True, False)
    assert first == again
    assert first.options.url == URL
    assert service.list() == [first] == [service.show("acme")]
    options = register.options_with_secrets("acme")
    assert options is not None
    assert options.client_secret is not None
    assert options.client_secret.get_secret_value() == SECRET


@pytest.mark.parametrize(
    "other", [{"title": "Other"}, {"client_secret": "other"}, {"companies": ["usmf"]}]
)
def test_a_name_with_other_options_is_taken(
    service: EnvironmentService, other: dict[str, Any]
) -> None:
    service.add("acme", ACME, NOBODY)

    with pytest.raises(EnvironmentExists, match="Its options are others"):
        service.add("acme", {**ACME, **other}, NOBODY)


def test_a_name_of_the_settings_is_taken(service: EnvironmentService) -> None:
    with pytest.raises(EnvironmentExists, match="settings declare"):
        service.add("declared", ACME, NOBODY)
    with pytest.raises(NoSuchEnvironment, match="declared in the settings"):
        service.show("declared")


def test_json_has_the_names_of_secrets_only(service: EnvironmentService) -> None:
    environment, _ = service.add("acme", ACME, NOBODY, linked=LINKED)

    shown = environment_json(environment)
    times = {shown.pop("created"), shown.pop("updated")}
    assert len(times) == 1
    assert shown == {
        "name": "acme",
        "url": URL,
        "title": "Acme",
        "tenant_id": "acme.onmicrosoft.com",
        "client_id": ACME["client_id"],
        "secrets": ["client_secret"],
        "state": "active",
        "version": 1,
        "address": "/e/acme/graphql",
        "linked": {
            "tenant": "acme",
            "subject": "o-1",
            "name": "Ada",
            "at": "1970-01-01T00:00:01+00:00",
        },
    }


@pytest.mark.parametrize(
    ("patch", "changed", "secrets"),
    [
        ({"title": "New"}, {"title": "New"}, {"client_secret"}),
        ({"title": None}, {"title": None}, {"client_secret"}),
        ({"companies": ["usmf"], "read_only": True}, {"read_only": True}, {"client_secret"}),
        ({"client_secret": "fresh"}, {"title": "Acme"}, {"client_secret"}),
        ({"auth": "none", "client_secret": None}, {"auth": "none"}, set()),
        (
            {
                "client_secret": None,
                "credentials": {
                    "certificate": "@keyvault:https://v.vault.azure.net/secrets/c",
                    "certificate_password": "p",
                },
            },
            {"title": "Acme"},
            {"credentials.certificate_password"},
        ),
    ],
)
def test_options_are_changed_by_a_merge_patch(
    service: EnvironmentService,
    patch: dict[str, Any],
    changed: dict[str, Any],
    secrets: set[str],
) -> None:
    service.add("acme", ACME, NOBODY)
    environment = service.update("acme", patch, NOBODY)

    assert environment.version == 2
    assert environment.secrets == secrets
    assert {name: getattr(environment.options, name) for name in changed} == changed
    assert environment.options.url == URL


def test_a_secret_that_a_patch_does_not_name_stays(
    service: EnvironmentService, register: EnvironmentRegister
) -> None:
    service.add("acme", ACME, NOBODY)
    service.update("acme", {"title": "New"}, NOBODY)
    secret = service.settings_of("acme").client_secret
    assert secret is not None
    assert secret.get_secret_value() == SECRET

    vault = {"certificate": "@keyvault:https://v.vault.azure.net/secrets/c"}
    password = {"client_secret": None, "credentials": {**vault, "certificate_password": "p1"}}
    service.update("acme", password, NOBODY)
    service.update("acme", {"credentials": {"max_caller_tokens": 7}}, NOBODY)
    options = register.options_with_secrets("acme")
    assert options is not None
    assert options.credentials is not None
    assert options.credentials.certificate == vault["certificate"]
    assert options.credentials.certificate_password is not None
    assert options.credentials.certificate_password.get_secret_value() == "p1"
    service.update("acme", {"credentials": None, "auth": "none"}, NOBODY)
    assert service.show("acme").secrets == frozenset()


def test_a_patch_that_changes_nothing_is_no_change(service: EnvironmentService) -> None:
    before, _ = service.add("acme", ACME, NOBODY)

    assert service.update("acme", {"title": "Acme", "companies": None}, NOBODY) == before


def test_a_change_of_what_others_have_changed_is_refused(service: EnvironmentService) -> None:
    service.add("acme", ACME, NOBODY)
    service.update("acme", {"title": "New"}, NOBODY)

    for change in (
        lambda: service.update("acme", {"title": "x"}, NOBODY, matches=lambda e: e.version == 1),
        lambda: service.remove("acme", NOBODY, matches=lambda e: e.version == 1),
    ):
        with pytest.raises(VersionConflict, match="has version 2 by now"):
            change()
    service.update("acme", {"title": "y"}, NOBODY, matches=lambda e: e.version == 2)


@pytest.mark.parametrize(
    "patch", [{"url": "https://b.operations.dynamics.com"}, {"tenant_id": "b"}]
)
def test_what_was_proved_is_not_changed(service: EnvironmentService, patch: dict[str, Any]) -> None:
    service.add("acme", ACME, NOBODY, linked=LINKED)
    service.add("other", ACME, NOBODY)

    with pytest.raises(InvalidOption, match="has linked the environment as it is"):
        service.update("acme", patch, NOBODY)
    assert service.update("other", patch, NOBODY).version == 2


def test_an_environment_is_disabled_and_enabled(service: EnvironmentService) -> None:
    service.add("acme", ACME, NOBODY)

    assert service.set_state("acme", "disabled", NOBODY).state == "disabled"
    assert service.set_state("acme", "disabled", NOBODY).version == 2
    assert service.set_state("acme", "active", NOBODY).state == "active"
    assert service.reload("acme", NOBODY).reloads == 1


def test_a_removed_environment_is_gone(service: EnvironmentService) -> None:
    service.add("acme", ACME, NOBODY)

    assert service.remove("acme", NOBODY).name == "acme"
    assert service.list() == []
    service.add("acme", {**ACME, "title": "Another"}, NOBODY)


CALLS: list[Callable[[EnvironmentService], object]] = [
    lambda s: s.show("acne"),
    lambda s: s.update("acne", {"title": "x"}, NOBODY),
    lambda s: s.set_state("acne", "disabled", NOBODY),
    lambda s: s.remove("acne", NOBODY),
    lambda s: s.reload("acne", NOBODY),
    lambda s: s.settings_of("acne"),
]


def test_an_unknown_name_is_an_error(service: EnvironmentService) -> None:
    service.add("acme", ACME, NOBODY)

    for call in CALLS:
        with pytest.raises(NoSuchEnvironment, match=r"no environment acne\. Did you mean acme\?"):
            call(service)


def test_pages_follow_the_names(service: EnvironmentService) -> None:
    for name in ("c", "a", "b"):
        service.add(name, ACME, NOBODY)

    assert [e.name for e in service.list(limit=2)] == ["a", "b"]
    assert [e.name for e in service.list("b", 2)] == ["c"]


def test_every_change_is_an_audit_line(service: EnvironmentService, settings: Settings) -> None:
    log = open_audit_log(settings, quiet)
    assert log is not None
    actor = Actor(who=WHO, log=log, client="10.0.0.1", path="/admin/environments")

    for _ in range(2):  # what changes nothing the second time is recorded once
        service.add("acme", ACME, actor)
    for _ in range(2):
        service.update("acme", {"title": "New", "client_secret": None, "auth": "none"}, actor)
        service.set_state("acme", "disabled", actor)
    service.set_state("acme", "active", actor)
    service.reload("acme", actor)
    service.remove("acme", actor)
    log.close_now()

    lines = audited(settings)
    acts = [line["act"].removeprefix("environment.") for line in lines]
    assert acts == ["added", "updated", "disabled", "enabled", "reloaded", "removed"]
    added = lines[0]
    assert (added["environment"], added["who"]["name"]) == ("acme", "integrator")
    assert (added["client"], added["path"]) == ("10.0.0.1", "/admin/environments")
    assert added["fields"] == sorted(ACME)
    assert SECRET not in str(lines)


def test_without_stored_environments_nothing_is_stored(
    settings: Settings, register: EnvironmentRegister
) -> None:
    off = settings.model_copy(update={"stored_environments": False})

    with pytest.raises(SettingsError, match="stored_environments is false"):
        EnvironmentService(off, lambda: register, quiet).add("acme", ACME, NOBODY)


@pytest.mark.anyio
async def test_a_check_walks_the_way_to_the_environment(service: EnvironmentService) -> None:
    service.add("acme", {**ACME, "authority": "https://login.microsoftonline.us"}, NOBODY)
    service.update("acme", {"auth": "none", "client_secret": None}, NOBODY)

    # There is no network: what matters is that the way ends with a reason.
    steps = [step async for step in service.check("acme")]
    assert steps[0].text == URL
    assert steps[-1].status == "problem"
