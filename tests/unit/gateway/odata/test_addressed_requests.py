"""``gateway.odata.addressed_requests``: the address of a request that comes again is made once."""

from __future__ import annotations

import httpx
import pytest

from gateway.odata.addressed_requests import LONGEST, MOST, AddressedRequests
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


def test_so_many_are_remembered_and_no_more() -> None:
    requests = AddressedRequests(ROOT, {})
    first = request()
    before = requests.of(first)
    for number in range(MOST):
        requests.of(request(f"Set({number})"))

    assert requests.of(first) is not before
    assert requests.of(first).address == before.address


def test_an_equal_request_is_another_one() -> None:
    requests = AddressedRequests(ROOT, {})

    assert requests.of(request()).relative is not requests.of(request()).relative


def test_an_address_that_is_too_long_is_refused() -> None:
    with pytest.raises(httpx.InvalidURL):
        AddressedRequests(ROOT, {}).of(request("S" * LONGEST_ADDRESS))
