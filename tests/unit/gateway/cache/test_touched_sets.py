"""Which entity sets a request reads, by its URL."""

from __future__ import annotations

import pytest

from gateway.cache.evicting_writer import written_sets
from gateway.cache.touched_sets import TouchedSets
from gateway.odata.batch import changeset
from gateway.odata.query import Request
from gateway.runtime.assembly import Gateway

READS: dict[str, set[str] | None] = {
    "CustomerGroups": {"CustomerGroups"},
    "CustomerGroups?cross-company=true&$select=CustomerGroupId&$top=3": {"CustomerGroups"},
    "CustomerGroups(dataAreaId='usmf',CustomerGroupId='10')": {"CustomerGroups"},
    "CustomerGroups/$count?$filter=CustomerGroupId%20eq%20'a/b'": {"CustomerGroups"},
    "CustomerGroups?$filter=Description eq '$expand=Nothing'": {"CustomerGroups"},
    "CustomerGroups?$filter=Description eq 'it''s/x'": {"CustomerGroups"},
    "SalesOrderHeadersV2?$expand=SalesOrderLines": {"SalesOrderHeadersV2", "SalesOrderLines"},
    "SalesOrderHeadersV2?$expand=SalesOrderLines($select=ItemNumber;$top=1)&$top=2": {
        "SalesOrderHeadersV2",
        "SalesOrderLines",
    },
    "SalesOrderLines?$expand=SalesOrderHeaderV2($expand=SalesOrderLines)": {
        "SalesOrderHeadersV2",
        "SalesOrderLines",
    },
    "SalesOrderLines?$filter=SalesOrderHeaderV2/SalesOrderNumber%20eq%20'x'": {
        "SalesOrderHeadersV2",
        "SalesOrderLines",
    },
    "SalesOrderLines?$filter=SalesOrderHeaderV2%2FSalesOrderNumber%20eq%20'x'": {
        "SalesOrderHeadersV2",
        "SalesOrderLines",
    },
    # not certain
    "SalesOrderHeadersV2?$filter=SalesOrderLines/any(line:line/Quantity gt 1)": None,
    "CustomerGroups?$expand=Nothing": None,
    "Nothing": None,
    "SalesOrderHeadersV2(dataAreaId='usmf',SalesOrderNumber='1')/SalesOrderLines": None,
    "CustomerGroups/Microsoft.Dynamics.DataEntities.getSomething()": None,
    "$batch": None,
    "": None,
}


@pytest.mark.anyio
@pytest.mark.parametrize("url", READS)
async def test_the_sets_of_a_read(url: str, sandboxed: Gateway) -> None:
    touched = TouchedSets(sandboxed.catalog.model).of(url)

    assert touched == (None if READS[url] is None else frozenset(READS[url] or ()))


def write(url: str, method: str = "PATCH") -> Request:
    return Request(method, url, {"Content-Type": "application/json"}, b'{"a": "POST B HTTP/1.1"}')


WRITES: dict[str, tuple[Request, set[str] | None]] = {
    "a create": (write("Vendors", "POST"), {"Vendors"}),
    "a row": (write("Vendors(dataAreaId='us%2Fmf',Id='1')?cross-company=true"), {"Vendors"}),
    "a changeset": (changeset([write("Vendors", "POST"), write("Items(1)")]), {"Vendors", "Items"}),
    "an action": (write("Vendors(1)/Microsoft.Dynamics.DataEntities.Block", "POST"), None),
    "an action in a changeset": (changeset([write("A", "POST"), write("A(1)/B.C", "POST")]), None),
    "a service": (write("/api/services/G/S/post", "POST"), None),
}


@pytest.mark.parametrize("of", WRITES)
def test_the_sets_of_a_write(of: str) -> None:
    request, expected = WRITES[of]

    assert written_sets(request) == (None if expected is None else frozenset(expected))
