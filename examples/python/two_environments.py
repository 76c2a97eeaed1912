"""Compares the setup of two environments side by side, such as test and production before a release.

Both have the same API at addresses of their own, so one document reads both. Rows are matched by their keys: what only
one side has, and which fields differ.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gateway_client import Gateway, Row

SETUP = {
    "paymentTerms": ("name", "description numberOfDays"),
    "vendorPaymentMethods": ("name", "description"),
    "customerGroups": ("customerGroupId", "description paymentTermId"),
    "mainAccounts": ("mainAccountId", "name mainAccountType"),
    "releasedProductsV2": ("itemNumber", "searchName salesPrice"),
}
"""List → its key, and the fields to compare."""


@dataclass
class Difference:
    """How one list differs."""

    only_left: list[str] = field(default_factory=list)
    only_right: list[str] = field(default_factory=list)
    changed: dict[str, dict[str, tuple[object, object]]] = field(default_factory=dict)
    """Key → field → its values left and right."""

    def __bool__(self) -> bool:
        return bool(self.only_left or self.only_right or self.changed)


def first_pages() -> str:
    """Return a query for the first page of every list: one operation, whose requests run side by side."""
    lists = (
        f"{name}(first: 500) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ {key} {fields} }} }}"
        for name, (key, fields) in SETUP.items()
    )
    return f"query FirstPages {{ {' '.join(lists)} }}"


def next_page(name: str) -> str:
    """Return a query for a further page of one list."""
    key, fields = SETUP[name]
    page = f"pageInfo {{ hasNextPage endCursor }} nodes {{ {key} {fields} }}"
    return f"query NextPage($after: String) {{ {name}(first: 500, after: $after) {{ {page} }} }}"


def read(gateway: Gateway) -> dict[str, dict[str, Row]]:
    """Return the rows of every list by key."""
    lists = {}
    for name, connection in gateway.execute(first_pages()).items():
        rows = list(connection["nodes"])
        if connection["pageInfo"]["hasNextPage"]:
            after = connection["pageInfo"]["endCursor"]
            rows += gateway.pages(next_page(name), name, after=after)
        lists[name] = {row[SETUP[name][0]]: row for row in rows}
    return lists


def differences(left: dict[str, Row], right: dict[str, Row]) -> Difference:
    """Return how two lists of rows differ."""
    result = Difference(sorted(left.keys() - right.keys()), sorted(right.keys() - left.keys()))
    for key in sorted(left.keys() & right.keys()):
        fields = {
            name: (value, right[key][name])
            for name, value in left[key].items()
            if value != right[key][name]
        }
        if fields:
            result.changed[key] = fields
    return result


def compare(left: Gateway, right: Gateway) -> dict[str, Difference]:
    """Return the lists that differ, and how. Both environments are read at the same time."""
    with ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.map(read, (left, right))
    found = {name: differences(mine[name], theirs[name]) for name in SETUP}
    return {name: difference for name, difference in found.items() if difference}
