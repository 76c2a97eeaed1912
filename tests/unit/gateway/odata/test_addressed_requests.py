"""``gateway.odata.addressed_requests``: the address of a request that comes again is made once."""

from __future__ import annotations

import weakref

import httpx
import pytest

from gateway.odata.addressed_requests import LONGEST, AddressedRequests
from gateway.odata.lazy_request import LONGEST as LONGEST_ADDRESS
from gateway.odata.query import Request

ROOT = "https://fo.example/data/"


def request(url: str = "Set?$top=5", body: bytes | None = None, **headers: str) -> Request:
    return Request("GET", url, headers, body, "shown")


def test_a_request_gets_the_address_and_all_headers() -> None:
    requests = AddressedRequests(ROOT, {"Accept": "*/*", "User-Agent": "us"})
    plain, own = request(), request("Set?$filter=A eq 'b'", Accept="text/plain")

    assert requests.of(plain).address == f"{ROOT}Set?$top=5"
    assert requests.of(own).address == f"{ROOT}Set?$filter=A%20eq%20'b'"
    assert requests.of(plain).headers == {"Accept": "application/json", "User-Agent": "us"}
    assert requests.of(own).headers["Accept"] == "text/plain"
    assert (requests.of(own).absolute.url, requests.of(own).absolute.shown) == (
        f"{ROOT}{own.url}",
        "shown",
    )


@pytest.mark.parametrize(
    ("asked", "is_kept"),
    [(request(), True), (request("S" * LONGEST), False), (request(body=b"{}"), False)],
    ids=["usual", "long", "with a body"],
)
def test_a_usual_request_is_remembered(asked: Request, is_kept: bool) -> None:
    requests = AddressedRequests(ROOT, {})

    assert (requests.of(asked) is requests.of(asked)) == is_kept


def test_a_request_is_remembered_as_long_as_it_lives() -> None:
    requests = AddressedRequests(ROOT, {})
    lasting = request()
    before = requests.of(lasting)
    dropped = weakref.ref(requests.of(request()).absolute)

    assert dropped() is None
    assert requests.of(lasting) is before


def test_an_equal_request_is_another_one() -> None:
    requests = AddressedRequests(ROOT, {})
    one, other = request(), request()

    assert requests.of(one) is not requests.of(other)
    assert requests.of(one) == requests.of(other)


def test_an_address_that_is_too_long_is_refused() -> None:
    with pytest.raises(httpx.InvalidURL):
        AddressedRequests(ROOT, {}).of(request("S" * LONGEST_ADDRESS))
