"""Settings of environments that are added at run time."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.linking_models import CLOUDS, webhook_key
from gateway.config.loading import load_settings
from gateway.errors import SettingsError

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
