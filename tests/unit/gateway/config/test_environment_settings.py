"""Settings of environments: those of the deployment, with the tables ``[environments.NAME]`` over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.environments import (
    OF_ENVIRONMENTS_ALONE,
    RENAMED,
    environment_settings,
    own_settings,
    roles_in,
    tag_of,
)
from gateway.config.loading import load_settings
from gateway.config.profiles import profile_settings, settings_from_json
from gateway.config.rendering import to_toml
from gateway.config.settings import Settings
from gateway.errors import SettingsError

ACME = "https://acme.operations.dynamics.com/data"
SECRET = "hunter2-hunter2"
APPLICATION: dict[str, Any] = {"client_id": "app", "client_secret": SECRET, "tenant_id": "home"}
ROLES: dict[str, Any] = {
    "viewer": {"sets": {"*": {}}},
    "clerk": {"inherits": ["viewer"], "environments": ["acme*"]},
    "tester": {"inherits": ["clerk"], "environments": ["uat", "default"]},
}


def settings(environments: dict[str, Any], **more: Any) -> Settings:
    return Settings.model_validate({**APPLICATION, "environments": environments, **more})


def loaded(toml: str, tmp_path: Path, environ: dict[str, str] | None = None) -> Settings:
    file = tmp_path / "gateway.toml"
    file.write_text(toml)
    return load_settings(environ or {}, file)


def test_each_field_overrides_a_setting() -> None:
    overriding = set(EnvironmentOptions.model_fields) - OF_ENVIRONMENTS_ALONE

    assert {RENAMED.get(name, name) for name in overriding} <= set(Settings.model_fields)


def test_what_is_not_set_is_as_in_the_deployment() -> None:
    whole = settings({"acme": {"url": ACME, "tenant_id": "acme", "max_rows": 5}}, max_depth=3)

    own = environment_settings(whole, "acme")

    assert (own.environment, own.url, own.tenant_id) == ("acme", ACME, "acme")
    assert (own.max_rows, own.max_depth) == (5, 3)
    assert own.client_secret == whole.client_secret
    assert own.auth == "client_credentials"
    assert own.scope == "https://acme.operations.dynamics.com/.default"


def test_the_service_of_the_deployment_stays_there() -> None:
    environments = {"acme": {"url": ACME}, "demo": {"sandbox": {"seed": 7}}}
    whole = settings(
        environments, url="https://home.example/data", scope="api://home", metadata="home.xml"
    )

    acme, demo = (environment_settings(whole, name) for name in environments)

    assert (acme.metadata, acme.scope) == (
        None,
        "https://acme.operations.dynamics.com/.default",
    )
    assert (demo.url, demo.metadata, demo.auth, demo.sandbox.seed) == (None, None, "none", 7)


def test_a_secret_is_sent_for_its_application_only() -> None:
    other = {"url": ACME, "client_id": "other", "auth": "client_credentials"}

    assert environment_settings(settings({"acme": other}), "acme").client_secret is None


def test_environments_cannot_allow_what_the_deployment_forbids() -> None:
    whole = settings({"acme": {"url": ACME, "read_only": False}}, read_only=True)

    assert environment_settings(whole, "acme").read_only


def test_an_environment_has_the_profiles_and_roles_that_it_names() -> None:
    chosen = {"url": ACME, "profiles": ["ap"], "roles": ["clerk"]}
    whole = settings({"acme": chosen}, profiles={"ap": {}, "ar": {}}, roles=ROLES)

    own = environment_settings(whole, "acme")

    assert (set(own.profiles), set(own.roles)) == ({"ap"}, {"clerk"})
    assert profile_settings(own, "ap").tag == own.tag == tag_of("acme")


@pytest.mark.parametrize(
    ("environment", "there"),
    [("acme-uat", {"viewer", "clerk"}), ("uat", {"viewer", "tester"}), ("", {"viewer", "tester"})],
)
def test_roles_exist_where_their_patterns_say(environment: str, there: set[str]) -> None:
    roles = roles_in(Settings.model_validate({"roles": ROLES}).roles, environment)

    assert set(roles) == there
    assert all(set(role.inherits) <= there for role in roles.values())


def test_own_settings_are_the_same_without_restricted_roles() -> None:
    plain = settings({"acme": {"url": ACME}}, roles={"viewer": {}})

    assert own_settings(plain) is plain
    assert set(own_settings(settings({}, roles=ROLES)).roles) == {"viewer", "tester"}


@pytest.mark.parametrize(
    ("environments", "reason"),
    [
        ({"Acme": {"url": ACME}}, "is not the name"),
        ({"default": {"url": ACME}}, "names the environment of the settings"),
        ({"acme": {}}, "expected url, or the table sandbox"),
        ({"acme": {"url": ACME, "sandbox": {}}}, "expected url, or the table sandbox"),
    ],
)
def test_tables_that_mean_nothing_are_refused(environments: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        settings(environments)


@pytest.mark.parametrize("pattern", ["erp.example.com", "{environment}", "x.{environment}.com"])
def test_host_patterns_begin_with_the_environment(pattern: str) -> None:
    with pytest.raises(ValidationError, match="expected"):
        Settings.model_validate({"environment_host": pattern})


def test_problems_name_table_and_reason(tmp_path: Path) -> None:
    text = f"""
    [environments.acme]
    url = "{ACME}"
    tenant_id = "acme"
    profiles = ["nope"]
    max_page_size = 10
    [environments.beta]
    url = "{ACME}"
    max_depht = 4
    """
    with pytest.raises(SettingsError) as caught:
        loaded(text.partition("[environments.beta]")[0], tmp_path)
    with pytest.raises(SettingsError) as other:
        loaded(text, tmp_path)

    message = caught.value.message
    assert "environments.acme.profiles: there is no profile nope" in message
    assert "environments.acme.max_page_size: 10 is less than default_page_size (50)" in message
    assert "environments.acme: url is set" not in message
    assert "client_id, client_secret (or credentials.certificate)" in message
    assert (
        "environments.beta.max_depht: no such setting; did you mean max_depth?"
        in other.value.message
    )


def test_an_environment_in_which_no_role_exists_is_refused(tmp_path: Path) -> None:
    text = f'[environments.acme]\nurl = "{ACME}"\n[roles.clerk]\nenvironments = ["beta"]\n'

    with pytest.raises(SettingsError, match=r"acme\.roles: none of the roles exists there"):
        loaded(text, tmp_path)


def test_secrets_of_environments_come_from_files_and_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    table = {
        "url": ACME,
        "tenant_id": "t",
        "client_id": "c",
        "client_secret_file": str(tmp_path / "secret"),
    }

    whole = load_settings({"D365_ENVIRONMENTS": json.dumps({"acme": table})}, None)

    secret = environment_settings(whole, "acme").client_secret
    assert secret is not None
    assert secret.get_secret_value() == SECRET
    assert SECRET not in to_toml(whole) + repr(whole)


@pytest.mark.parametrize(
    "table",
    [
        {"url": ACME, "client_secret": f"@keyvault:{SECRET}"},
        {"url": "ftp://x", "client_secret": SECRET},
        {"url": ACME, "client_secret": [SECRET]},
        SECRET,
    ],
)
def test_errors_show_no_secret_of_an_environment(table: object) -> None:
    for text in (json.dumps({"acme": table}), f'{{"acme": {json.dumps(table)}'):
        with pytest.raises(SettingsError) as caught:
            load_settings({"D365_ENVIRONMENTS": text}, None)

        assert SECRET not in caught.value.message


def test_environments_in_toml_are_read_again(tmp_path: Path) -> None:
    text = f"""
    client_id = "app"
    auth = "managed_identity"
    environment_host = "{{environment}}.erp.example.com"
    [environments.acme]
    url = "{ACME}"
    companies = ["usmf"]
    [[environments.acme.relations]]
    from_set = "A"
    fields = ["b"]
    to_set = "B"
    name = "bs"
    [environments.acme.credentials]
    certificate = "cert.pem"
    [environments.demo.sandbox]
    seed = 3
    """
    whole = loaded(text, tmp_path)

    again = loaded(to_toml(whole), tmp_path)

    assert again.environments == whole.environments
    assert again.environment_host == whole.environment_host


def test_another_process_gets_the_same_environment() -> None:
    own = environment_settings(settings({"acme": {"url": ACME}}, client_secret=None), "acme")

    again = settings_from_json(own.model_dump(mode="json"))

    assert again == own
