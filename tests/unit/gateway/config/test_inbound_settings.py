"""``[inbound]``: what is accepted, how mistakes are reported, and that no secret is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.config.loading import load_settings
from gateway.config.rendering import to_toml
from gateway.errors import SettingsError

TENANT = "11111111-2222-3333-4444-555555555555"
SECRET = "topsecret-topsecret-topsecret-topsecret"
GOOD: dict[str, Any] = {"issuer": "https://login.example", "audiences": ["a"]}


def load(*issuers: object, **more: Any) -> Any:
    text = json.dumps(issuers)
    return load_settings({"D365_INBOUND__ISSUERS": text, "HOME": "/x"}, None, **more).inbound


@pytest.mark.parametrize(
    ("issuer", "message"),
    [
        ({"issuer": "https://x"}, "inbound.issuers[0].audiences: is missing"),
        ({**GOOD, "audiences": []}, "accepted: 1 or more"),
        ({"audiences": ["a"]}, "either issuer or entra"),
        ({**GOOD, "entra": TENANT}, "either issuer or entra"),
        ({"entra": "contoso.com", "audiences": ["a"]}, "expected the id of the tenant"),
        ({"entra": "organizations", "audiences": ["a"]}, "need tenants"),
        ({"entra": "common", "audiences": ["a"]}, "need tenants"),
        ({"entra": "common", "tenants": ["x"], "audiences": ["a"]}, "not the id of a tenant"),
        ({"entra": TENANT, "tenants": [TENANT], "audiences": ["a"]}, "a single tenant has none"),
        ({**GOOD, "algorithms": ["HS256"]}, "accepted: 'RS256'"),
        ({**GOOD, "algorithms": ["none"]}, "accepted: 'RS256'"),
        ({**GOOD, "secret": "topsecret"}, "must have 32 bytes"),
        ({**GOOD, "secret": SECRET, "algorithms": ["RS256"]}, "omit algorithms"),
        ({**GOOD, "secret": SECRET, "jwks_url": "https://x/k"}, "one source of keys"),
        ({**GOOD, "jwks_url": "http://x.example/k"}, "expected an https:// address"),
        ({**GOOD, "jwks_url": "https://me:pw@x/k"}, "expected an https:// address"),
        ({**GOOD, "discovery": "file:///etc/passwd"}, "expected an https:// address"),
        ({**GOOD, "issuer": "http://x.example"}, "expected an https:// address"),
        ({**GOOD, "skew": 61}, "inbound.issuers[0].skew"),
        ({**GOOD, "audience": "a"}, "did you mean audiences?"),
    ],
)
def test_an_issuer_that_cannot_be_used_is_reported(issuer: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(issuer)

    assert message in caught.value.message
    assert "topsecret" not in caught.value.message
    assert "D365_INBOUND__ISSUERS (environment)" in caught.value.message


def test_an_issuer_is_accepted_once() -> None:
    with pytest.raises(SettingsError, match="is there twice"):
        load(GOOD, {**GOOD, "audiences": ["b"]})


@pytest.mark.parametrize(
    "text", ['[{"secret": "topsecret"', '"topsecret"', '{"secret": "topsecret"}']
)
def test_malformed_text_of_issuers_is_not_quoted(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"D365_INBOUND__ISSUERS": text})

    assert "topsecret" not in caught.value.message


@pytest.mark.parametrize(
    "more",
    [
        {"jwks_url": "http://127.0.0.1:8080/keys"},
        {"jwks_url": "http://[::1]:8080/keys"},
        {"issuer": "urn:issuer", "jwks_file": "jwks.json"},
        {"issuer": "urn:issuer", "secret": SECRET},
    ],
)
def test_keys_may_come_from_this_machine(more: dict[str, Any]) -> None:
    assert load({**GOOD, **more}).knows_callers


def test_printed_settings_can_be_loaded_again(tmp_path: Path) -> None:
    issuers = [
        {"entra": TENANT.upper(), "audiences": "a, b", "role_map": {"g": "x, y"}},
        {**GOOD, "jwks": {"keys": [{"kty": "RSA", "n": "x"}]}, "required": {"a.b": ["true"]}},
        {**GOOD, "issuer": "urn:x", "secret": SECRET, "client_id": "spa", "scopes": ["openid"]},
    ]
    certificates = [{"fingerprint": ":".join(["AB"] * 32), "roles": ["sync"]}]
    environ = {
        "D365_INBOUND__ISSUERS": json.dumps(issuers),
        "D365_INBOUND__CLIENT_CERTIFICATES": json.dumps(certificates),
        "D365_INBOUND__API_KEYS": "true",
        "D365_TRUSTED_PROXIES": "10.0.0.0/8",
        "HOME": "/x",
    }
    settings = load_settings(environ)
    text = to_toml(settings)
    assert "topsecret" not in text
    file = tmp_path / "gateway.toml"
    file.write_text(text.replace('# secret = "********"', f'secret = "{SECRET}"'))

    assert load_settings({"HOME": "/x"}, file) == settings
