"""Settings of environments that are added at run time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.audit.opening import sink_of
from gateway.cli.check_callers import require_callers
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.environments import overlaid, real_address
from gateway.config.linking_models import CLOUDS, webhook_key
from gateway.config.loading import load_settings
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.identity.sandbox_issuer import open_sandbox_issuer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def load(**variables: str) -> Any:
    return load_settings({f"D365_LINKING__{k.upper()}": v for k, v in variables.items()}).linking


def test_by_default_environments_are_those_of_microsofts_clouds() -> None:
    assert load().allowed_hosts == CLOUDS


def test_values_come_from_the_environment() -> None:
    options = load(
        allowed_hosts="ERP.example.com., 127.0.0.1",
        return_urls="https://a.example/x?y=1, http://127.0.0.1:8/",
        webhook_url="https://hooks.example/d365",
        webhook_secret=SECRET,
    )

    assert options.allowed_hosts == ("erp.example.com", "127.0.0.1")
    assert options.return_urls == ("https://a.example/x?y=1", "http://127.0.0.1:8/")
    assert len(webhook_key(options.webhook_secret)) == 24


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"return_urls": "http://a.example/"}, "expected an https:// address"),
        ({"return_urls": "https://u@a.example/"}, "expected an https:// address"),
        ({"webhook_url": "ftp://a.example/"}, "expected an https:// address"),
        ({"webhook_url": "https://a.example/"}, "webhook_url needs webhook_secret"),
        ({"return_urls": "https://a.example/"}, "return_urls needs webhook_secret"),
        ({"client_id": "c"}, "client_id needs client_secret or certificate"),
        (
            {"client_id": "c", "client_secret": "s3", "certificate": "x.pem"},
            "client_id needs client_secret or certificate",
        ),
        ({"public_url": "https://a.example"}, "needs stored_environments = true"),
        ({"public_url": "https://a.example/?x=1"}, "expected an address such as"),
        ({"public_url": "https://a.example/a b"}, "expected an address such as"),
        ({"public_url": "http://a.example"}, "expected an https:// address"),
        ({"webhook_secret": "secret"}, "expected whsec_ and 24 to 64"),
        ({"webhook_secret": "whsec_c2hvcnQ="}, "expected whsec_ and 24 to 64"),
        ({"webhook_secret": SECRET[6:]}, "expected whsec_ and 24 to 64"),
        ({"session_minutes": "0"}, "greater than or equal to 1"),
    ],
)
def test_wrong_values_are_refused(variables: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as raised:
        load(**variables)

    assert variables.get("webhook_secret", "\0") not in raised.value.message


def test_the_link_page_is_below_the_public_address(tmp_path: Path) -> None:
    variables = {
        "D365_LINKING__PUBLIC_URL": "https://ERP.example.com/api/",
        "D365_STORED_ENVIRONMENTS": "true",
        "D365_DATA_DIR": str(tmp_path),
    }

    assert load_settings(variables).linking.public_url == "https://erp.example.com/api"


ENVIRONMENT = EnvironmentOptions(url="https://a.operations.dynamics.com/data", tenant_id="t")


def test_environments_are_read_with_the_linking_application() -> None:
    linking = {"client_id": "link", "client_secret": "s3cret"}
    own = overlaid(Settings.model_validate({"linking": linking}), "a", ENVIRONMENT)

    assert (own.auth, own.client_id) == ("client_credentials", "link")
    assert own.client_secret == SecretStr("s3cret")


@pytest.mark.parametrize(
    ("deployment", "environment"),
    [
        ({"client_id": "own", "client_secret": "o"}, {}),
        ({}, {"client_id": "own", "client_secret": "o"}),
    ],
)
def test_an_application_of_its_own_comes_first(
    deployment: dict[str, Any], environment: dict[str, Any]
) -> None:
    settings = {"linking": {"client_id": "link", "client_secret": "s3cret"}, **deployment}
    options = ENVIRONMENT.model_copy(
        update={k: SecretStr(v) if k == "client_secret" else v for k, v in environment.items()}
    )
    own = overlaid(Settings.model_validate(settings), "a", options)

    assert (own.client_id, own.client_secret) == ("own", SecretStr("o"))


@pytest.mark.parametrize(
    ("values", "is_real"),
    [
        ({}, False),
        ({"stored_environments": True}, True),
        ({"stored_environments": True, "linking": {"allowed_hosts": ["127.0.0.1"]}}, False),
        (
            {"stored_environments": True, "linking": {"allowed_hosts": ["127.0.0.1", "*.x.eu"]}},
            True,
        ),
        ({"stored_environments": False, "environments": {"a": {"url": "https://a.eu/x"}}}, True),
    ],
)
def test_a_store_may_have_real_environments(
    values: dict[str, Any], is_real: bool, tmp_path: Path
) -> None:
    """Then callers must sign in, writes are recorded, and users of the sandbox are refused."""
    settings = Settings.model_validate({"data_dir": tmp_path, "host": "0.0.0.0", **values})

    assert (real_address(settings) is not None) is is_real
    assert sink_of(settings) == ("file" if is_real else "none")
    if is_real:
        with pytest.raises(SettingsError, match="no callers are configured"):
            require_callers(settings)
        with pytest.raises(SettingsError, match="not accepted for a real environment"):
            open_sandbox_issuer(settings)
    else:
        require_callers(settings)
