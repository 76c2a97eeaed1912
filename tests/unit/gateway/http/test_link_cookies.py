"""Cookies of link sessions, by what the public address is."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.link_cookies import LinkCookies

SESSION, SECRET = "0" * 24, "s" * 43


def request(cookie: str) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})


@pytest.mark.parametrize(
    ("url", "name", "is_secure"),
    [
        ("https://erp.example.com", f"__Host-d365-link-{SESSION}", True),
        ("http://127.0.0.1:8000", f"d365-link-{SESSION}", False),
    ],
)
def test_a_cookie_is_of_this_host_alone(url: str, name: str, is_secure: bool) -> None:
    cookies, response = LinkCookies(url), Response()
    cookies.put(response, SESSION, SECRET, 60.0)
    header = response.headers["set-cookie"]

    assert header.startswith(f"{name}={SECRET}; ")
    assert ("Secure" in header) is is_secure
    assert "Domain" not in header
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=60"} <= set(header.split("; "))
    assert cookies.secrets(request(f"{name}={SECRET}")) == {SESSION: SECRET}


@pytest.mark.parametrize(
    "cookie",
    [
        f"d365-link-{SESSION}={SECRET}",  # which another host may have set
        f"__Host-d365-link-{SESSION}=short",
        f"__Host-d365-link-{SESSION}={'x' * 44}",
        f"__Host-d365-link-x={SECRET}",
        f"__Host-d365-link-{SESSION}0={SECRET}",
        "",
    ],
)
def test_other_cookies_are_not_read(cookie: str) -> None:
    assert LinkCookies("https://erp.example.com").secrets(request(cookie)) == {}


def test_the_number_of_cookies_is_bounded() -> None:
    many = "; ".join(f"d365-link-{number:024x}={SECRET}" for number in range(200))

    assert len(LinkCookies("http://127.0.0.1").secrets(request(many))) == 50
