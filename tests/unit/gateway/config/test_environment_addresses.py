"""Addresses of environments that are added at run time: which are accepted, and as what."""

from __future__ import annotations

import pytest

from gateway.config.environment_addresses import (
    environment_address,
    is_login_host,
    is_own_scope,
)
from gateway.config.linking_models import CLOUDS

HOST = "contoso.operations.dynamics.com"
OPEN = (*CLOUDS, "erp.example.com")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (f"https://{HOST}/data", f"https://{HOST}/data"),
        (f" https://{HOST}/data/ ", f"https://{HOST}/data"),
        (f"HTTPS://{HOST.upper()}:443", f"https://{HOST}/data"),
        (f"https://{HOST}/", f"https://{HOST}/data"),
        ("https://a.b.sandbox.operations.dynamics.com", "https://a.b.sandbox.operations.dynamics.com/data"),
        ("https://x.gov.operations365.dynamics.us", "https://x.gov.operations365.dynamics.us/data"),
        ("https://x.operations.dynamics.cn/data", "https://x.operations.dynamics.cn/data"),
        ("https://erp.example.com", "https://erp.example.com"),
        ("https://erp.example.com/V4/OData", "https://erp.example.com/V4/OData"),
        ("http://127.0.0.1:8123/data", "http://127.0.0.1:8123/data"),
    ],
)  # fmt: skip
def test_addresses_are_normalized(text: str, address: str) -> None:
    assert environment_address(text, (*OPEN, "127.0.0.1")) == address


REFUSED = [
    *(f"{scheme}://{HOST}/data" for scheme in ("http", "ftp", "file", "javascript", "gopher")),
    *("", "/data", "//x/data", HOST, f"https:{HOST}", f"https:/{HOST}", f"https:///{HOST}"),
    # user and password, and what could be taken for them
    *(f"https://me@{HOST}", f"https://me:pw@{HOST}/data", f"https://{HOST}@evil.example/data"),
    *(f"https://{HOST}:pw@evil.example", f"https://evil.example\\@{HOST}/data"),
    *(f"https://evil.example#@{HOST}/", f"https://evil.example?@{HOST}/", f"https://{HOST}%40evil.example"),
    # ports
    *(f"https://{HOST}:8443/data", f"https://{HOST}:80", f"https://{HOST}:0443", f"https://{HOST}:/data"),
    # IPv4 in all spellings
    *("https://127.0.0.1/data", "https://10.0.0.1", "https://2130706433", "https://0x7f000001"),
    *("https://0x7f.0.0.1", "https://0177.0.0.1", "https://127.1", "https://017700000001", "https://0"),
    *("https://169.254.169.254/metadata", "https://1.1.1.1", "https://127.0.0.1.", "https://127。0。0。1"),
    "https://①②⑦.⓪.⓪.①/data",
    # IPv6
    *("https://[::1]/data", "https://[::ffff:127.0.0.1]", "https://[fd00::1]", "https://[fe80::1%25eth0]"),
    "https://[64:ff9b::7f00:1]/data",
    # names of this machine, also of those that resolve to it
    *("https://localhost/data", "https://localhost.", "https://x.localhost", "https://localhost.localdomain"),
    *("https://127.0.0.1.nip.io/data", "https://metadata.google.internal", "https://intranet"),
    *("http://localhost:8123/data", "http://[::1]:8123/data", "http://127.0.0.2:1/data", "http://127.1:1"),
    # trailing dots, empty labels, look-alikes
    *(f"https://{HOST}./data", f"https://.{HOST}", "https://x..dynamics.com", "https://dynamics.com/data"),
    *("https://evildynamics.com", "https://dynamics.com.evil.example", "https://x.dynamics.com-evil.example"),
    *("https://xn--dynamics-x1a.com/data", "https://contoso.dynamícs.com", "https://x.dynamic\u017f.com/data", "https://\u212a.dynamics.com"),
    *("https://contoso_x.dynamics.com", "https://-x.dynamics.com", "https://*.dynamics.com/data"),
    f"https://{'x' * 64}.dynamics.com/data",
    # what parsers read differently
    *(f"https://{HOST}/da ta", f"https://{HOST}\t/data", f"https://{HOST}\n.evil.example", f"https://{HOST}\r/data"),
    *(f"https://{HOST}/data?x=1", f"https://{HOST}/data#x", f"https://{HOST}/../data", f"https://{HOST}/a/./b"),
    *(f"https://{HOST}/%2e%2e/data", f"https://{HOST}//evil.example", f"https://{HOST}/data;x", f"https://{HOST}\\data"),
    f"https://{HOST}/{'x' * 300}",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|is not allowed|at most"):
        environment_address(text, OPEN)


@pytest.mark.parametrize(
    ("host", "allowed", "is_allowed"),
    [
        ("erp.example.com", ("erp.example.com",), True),
        ("x.erp.example.com", ("erp.example.com",), False),
        ("a.b.example.com", ("*.example.com",), True),
        ("example.com", ("*.example.com",), False),
        ("example.com", ("*",), True),
        ("localhost", ("*",), False),
        ("127.0.0.1", ("*",), False),
        (HOST, (), False),
    ],
)
def test_hosts_follow_the_setting(host: str, allowed: tuple[str, ...], is_allowed: bool) -> None:
    if is_allowed:
        assert environment_address(f"https://{host}/x", allowed) == f"https://{host}/x"
    else:
        with pytest.raises(ValueError, match=r"allowed|expected"):
            environment_address(f"https://{host}/x", allowed)


def test_loopback_is_allowed_by_its_own_name_only() -> None:
    allowed = ("localhost", "[::1]", "*")
    assert environment_address("http://LOCALHOST:81/x", allowed) == "http://localhost:81/x"
    assert environment_address("http://[::1]/x", allowed) == "http://[::1]/x"
    with pytest.raises(ValueError, match="expected"):
        environment_address("http://127.0.0.1/x", allowed)


def test_credentials_go_to_microsoft_or_the_deployments_login_host() -> None:
    assert is_login_host("https://login.microsoftonline.us/", "https://login.microsoftonline.com")
    assert is_login_host("http://127.0.0.1:9", "http://127.0.0.1:9/")
    assert not is_login_host("https://login.evil.example", "https://login.microsoftonline.com")


@pytest.mark.parametrize(
    ("scope", "is_own"),
    [
        (f"https://{HOST}/.default", True),
        (f"https://{HOST}//.default", True),
        (f"https://{HOST}.evil.example/.default", False),
        ("https://other.operations.dynamics.com/.default", False),
        ("https://graph.microsoft.com/.default", False),
        ("00000015-0000-0000-c000-000000000000/.default", False),
    ],
)
def test_tokens_are_for_the_environment_itself(scope: str, is_own: bool) -> None:
    assert is_own_scope(scope, f"https://{HOST}/data") is is_own
