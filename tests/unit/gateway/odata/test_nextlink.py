"""``gateway.odata.nextlink``: following pages on our own origin only."""

from __future__ import annotations

import pytest

from gateway.errors import UpstreamMalformed
from gateway.odata.nextlink import next_request, skip_token_of
from gateway.odata.query import Request

ROOT = "https://fo.example/data"
KEEP = (("cross-company", "true"),)
FIRST = Request(
    "GET", "CustomersV3?$filter=A%20eq%20'x'&cross-company=true", {"Prefer": "odata.maxpagesize=9"}
)


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://fo.example/data/CustomersV3?$skip=9&cross-company=true", "CustomersV3?$skip=9&cross-company=true"),
        ("https://FO.example:443/data/CustomersV3?$skip=9", "CustomersV3?$skip=9&cross-company=true"),
        # the option that was lost
        ("https://fo.example/data/CustomersV3?$skip=9", "CustomersV3?$skip=9&cross-company=true"),
        ("https://fo.example/data/CustomersV3", "CustomersV3?cross-company=true"),
        ("/data/CustomersV3?Cross-Company=true&$skip=9", "CustomersV3?Cross-Company=true&$skip=9"),
        # another host, the same service
        ("http://internal:8080/data/CustomersV3?$skip=9", "CustomersV3?$skip=9&cross-company=true"),
        ("http://internal/namespaces/AXSF/data/CustomersV3?$skip=9", "CustomersV3?$skip=9&cross-company=true"),
        ("//internal/data/CustomersV3?$skip=9", "CustomersV3?$skip=9&cross-company=true"),
        ("https://me:pw@internal/data/CustomersV3?$skip=9", "CustomersV3?$skip=9&cross-company=true"),
        # relative links
        ("CustomersV3?$skip=9", "CustomersV3?$skip=9&cross-company=true"),
        ("?$skip=9", "CustomersV3?$skip=9&cross-company=true"),
        ("/data/CustomersV3?$skip=9", "CustomersV3?$skip=9&cross-company=true"),
        # opaque tokens stay as they are
        ("CustomersV3?$skiptoken=a%2Fb%3D%27c&x=%20", "CustomersV3?$skiptoken=a%2Fb%3D%27c&x=%20&cross-company=true"),
    ],
)  # fmt: skip
def test_a_link_becomes_a_request_below_our_root(link: str, url: str) -> None:
    assert next_request(FIRST, link, root=ROOT, keep=KEEP) == Request("GET", url, FIRST.headers)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "https://evil.example/CustomersV3?$skip=9",
        "https://evil.example/database/CustomersV3?$skip=9",
        "https://fo.example/other/CustomersV3?$skip=9",
        "https://fo.example/data/../other/CustomersV3",
        "https://fo.example/data/%2e%2e/other?$skip=9",
        "https://fo.example/data/",
        "../../other?$skip=9",
        "file:///data/CustomersV3",
        "javascript:alert(1)",
        "https://fo.example:x/data/CustomersV3",
        "https://[bad/data/CustomersV3",
        "CustomersV3?$skip=9\r\nX: y",
    ],
)
def test_a_link_that_leads_elsewhere_is_refused(link: str) -> None:
    with pytest.raises(UpstreamMalformed) as caught:
        next_request(FIRST, link, root=ROOT, keep=KEEP)

    assert link not in caught.value.message or not link
    assert link[:100] in str(caught.value.detail)


@pytest.mark.parametrize(
    "link",
    [
        "https://fo.example/data/CustomersV3?$filter=A%20eq%20'x'&cross-company=true",
        "CustomersV3?cross-company=true&$filter=A+eq+%27x%27",
        "CustomersV3?$filter=A%20eq%20'x'",
    ],
)
def test_a_link_to_the_same_page_is_refused(link: str) -> None:
    with pytest.raises(UpstreamMalformed, match="same page"):
        next_request(FIRST, link, root=ROOT, keep=KEEP)


def test_an_option_that_was_not_sent_is_not_added() -> None:
    first = Request("GET", "Airlines?$top=9", {})

    assert next_request(first, "Airlines?$skip=9", root=ROOT, keep=KEEP).url == "Airlines?$skip=9"


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("Sets(1)/Lines?$skip=9", "Sets(1)/Lines?$skip=9"),
        ("Lines?$skip=9", "Sets(1)/Lines?$skip=9"),
        ("https://fo.example/data/Sets(1)/Lines?$skip=9", "Sets(1)/Lines?$skip=9"),
    ],
)
def test_a_relative_link_is_relative_to_root_or_request(link: str, url: str) -> None:
    first = Request("GET", "Sets(1)/Lines?$top=9", {})

    assert next_request(first, link, root=ROOT).url == url


def test_a_service_at_the_root_path_follows_its_origin_only() -> None:
    first = Request("GET", "Airlines?$top=9", {})

    followed = next_request(first, "http://localhost:81/Airlines?p=2", root="http://localhost:81")
    assert followed.url == "Airlines?p=2"
    with pytest.raises(UpstreamMalformed, match="another service"):
        next_request(first, "http://localhost:82/Airlines?p=2", root="http://localhost:81")


def test_a_prefix_added_by_a_proxy_is_removed() -> None:
    first = Request("GET", "Sets?$top=9", {})

    followed = next_request(
        first, "https://internal/data/Sets?$skip=9", root="https://proxy.example/d365/data"
    )
    assert followed.url == "Sets?$skip=9"


def test_a_page_of_a_post_is_followed_by_get_without_body() -> None:
    first = Request("POST", "Sets/$query", {}, b"$top=9")

    assert next_request(first, "/data/Sets?$skip=9", root=ROOT) == Request(
        "GET", "Sets?$skip=9", {}
    )


SENT = "Rows?$select=Id,Name&$filter=Name%20eq%20'a%2Bb'&$orderby=Id&$top=11&$count=true"
REST = "$select=Id,Name&$filter=Name eq 'a%2Bb'&$orderby=Id"


@pytest.mark.parametrize(
    ("link", "token"),
    [
        (f"Rows?{REST}&$skiptoken=Id-7", "Id-7"),
        (f"https://x.example/data/Rows?{REST}&$top=1&$count=true&$skiptoken=a%26b%3D1", "a%26b%3D1"),
        (f"http://internal:8080/data/Rows?$SkipToken=Id-7&{REST}", "Id-7"),
        (f"Rows?{REST}&$skiptoken=<cookie pagenumber=\"2\"/>", "%3Ccookie%20pagenumber=%222%22/%3E"),
        # It goes on by position, holds the rest in its token, or asks for something else.
        (f"Rows?{REST}&$skip=10", None),
        (f"Rows?{REST}&$skip=10&$skiptoken=x", None),
        ("Rows?$skiptoken=Id-7", None),
        (f"Rows?{REST.replace('a%2Bb', 'a b')}&$skiptoken=Id-7", None),
        (f"Rows?{REST}&tenant=2&$skiptoken=Id-7", None),
        (f"Other?{REST}&$skiptoken=Id-7", None),
        (f"Rows?{REST}&$skiptoken=", None),
        (f"Rows?{REST}&$skiptoken={'x' * 4_001}", None),
    ],
)  # fmt: skip
def test_a_link_that_repeats_the_request_has_a_token(link: str, token: str | None) -> None:
    sent = Request("GET", SENT, {})

    assert skip_token_of(sent, link, root="https://x.example/data") == token


def test_a_link_to_another_service_has_no_token() -> None:
    link = f"https://evil.example/other/Rows?{REST}&$skiptoken=Id-7"
    with pytest.raises(UpstreamMalformed):
        skip_token_of(Request("GET", SENT, {}), link, root="https://x.example/data")
