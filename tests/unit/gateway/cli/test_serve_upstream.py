"""``serve`` on the embedded sandbox: by default on loopback, elsewhere with ``--sandbox``."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.serve import require_upstream
from gateway.cli.signals_and_port import is_loopback
from gateway.config.settings import Settings
from gateway.errors import SettingsError
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
