"""``serve`` on the embedded sandbox: by default on loopback, elsewhere with ``--sandbox``."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.check_callers import require_callers
from gateway.cli.serve import require_upstream
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.http.hosts import is_loopback
from tests.support.process import invoke

URL = "https://x.example/data"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("gateway.example", False),
        ("localhost.example", False),
    ],
)
def test_loopback_addresses_are_recognised(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "url", "sandbox"),
    [
        ("127.0.0.1", None, False),
        ("0.0.0.0", None, True),
        ("0.0.0.0", URL, False),
    ],
    ids=["sandbox on loopback", "sandbox that was chosen", "an environment"],
)
def test_a_chosen_upstream_may_start(host: str, url: str | None, sandbox: bool) -> None:
    require_upstream(Settings(host=host, url=url, auth="none"), sandbox=sandbox)


@pytest.mark.parametrize("more", [{}, {"metadata": "metadata.xml"}, {"sandbox": {"scale": 2}}])
def test_a_missing_url_is_an_error_on_public_interfaces(more: dict[str, object]) -> None:
    settings = Settings.model_validate({"host": "0.0.0.0", **more})

    with pytest.raises(SettingsError, match="D365_URL") as caught:
        require_upstream(settings, sandbox=False)

    assert caught.value.hint is not None
    assert "--sandbox" in caught.value.hint


def test_serve_exits_with_2_and_a_hint(tmp_path: Path) -> None:
    result = invoke(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")

    assert (result.returncode, result.stdout) == (2, "")
    assert "D365_URL" in result.stderr
    assert "--sandbox" in result.stderr


KEY = {"kty": "RSA", "n": "AQAB", "e": "AQAB"}


@pytest.mark.parametrize(
    ("host", "url", "inbound"),
    [
        ("127.0.0.1", URL, {}),
        ("::1", URL, {}),
        ("0.0.0.0", None, {}),
        ("0.0.0.0", URL, {"anonymous": True}),
        ("0.0.0.0", URL, {"issuers": [{"issuer": "https://x.example", "audiences": ["a"]}]}),
        ("0.0.0.0", URL, {"api_keys": True}),
    ],
    ids=["loopback", "loopback v6", "sandbox", "said to be open", "issuer", "keys"],
)
def test_a_gateway_that_knows_its_callers_may_start(
    host: str, url: str | None, inbound: dict[str, object], tmp_path: Path
) -> None:
    values = {"host": host, "url": url, "inbound": inbound, "auth": "none", "data_dir": tmp_path}

    require_callers(Settings.model_validate(values))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "gateway.example"])
def test_an_open_environment_is_an_error_on_public_interfaces(host: str) -> None:
    with pytest.raises(SettingsError, match="no callers are configured") as caught:
        require_callers(Settings(host=host, url=URL, auth="none"))

    assert caught.value.hint is not None
    assert "inbound.anonymous = true" in caught.value.hint


@pytest.mark.parametrize("role", ["clerk", "anonymous"])
def test_roles_that_nobody_can_have_are_an_error(role: str) -> None:
    values = {"url": URL, "auth": "none", "roles": {role: {"sets": {"*": {}}}}}
    settings = Settings.model_validate(values)

    if role == "anonymous":
        require_callers(settings)
    else:
        with pytest.raises(SettingsError, match="nobody can have one"):
            require_callers(settings)


def test_keys_that_cannot_be_used_are_an_error_of_the_start(tmp_path: Path) -> None:
    issuer = {"issuer": "https://x.example", "audiences": ["a"], "jwks": {"keys": [KEY]}}
    settings = Settings.model_validate({"inbound": {"issuers": [issuer]}})

    with pytest.raises(SettingsError, match="no key for signatures"):
        require_callers(settings)


@pytest.mark.parametrize("setting", [{}, {"D365_INBOUND__ANONYMOUS": "true"}])
def test_serve_starts_openly_only_if_it_is_told_to(setting: dict[str, str], tmp_path: Path) -> None:
    metadata = tmp_path / "no.xml"
    service = {"D365_URL": URL, "D365_AUTH": "none", "D365_METADATA": str(metadata)}

    result = invoke(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0", **service, **setting)

    assert result.returncode == 2
    # Otherwise the start goes on to the next mistake.
    expected = str(metadata) if setting else "no callers are configured"
    assert expected in result.stderr
