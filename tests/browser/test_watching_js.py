"""What the page says of a subscription before anything has changed."""

import pytest

from gateway.graphiql import PLAIN
from tests.support.node import call_exported, missing
from tests.support.requirements import need

PAGE = PLAIN.parent / "page"
QUERY = """subscription S($set: String!) {
  entityChanged(set: $set, where: { customerGroupId: { eq: "10" } }, companies: ["usmf"]) { id }
}
query Q { a }"""
WATCHED = {
    "field": "entityChanged",
    "set": "CustomersV3",
    "companies": ["usmf"],
    "where": '{customerGroupId: {eq: "10"}}',
}


@pytest.fixture(scope="module", autouse=True)
def node():
    trouble = missing(PAGE)
    need(not trouble, trouble)


@pytest.mark.parametrize(
    ("query", "name", "expected"),
    [
        (QUERY, "S", [WATCHED]),
        (QUERY, None, [WATCHED]),
        (QUERY, "Q", []),
        ("subscription { entityChanged(", None, []),
    ],
)
def test_a_subscription_says_what_it_watches(query, name, expected):
    params = {"query": query, "variables": {"set": "CustomersV3"}, "operationName": name}

    assert call_exported(PAGE / "src" / "watching.js", "watched", params) == expected


@pytest.mark.parametrize(
    ("elapsed", "seconds"), [(0, 10), (1, 10), (9_500, 1), (10_000, 10), (24_000, 6)]
)
def test_the_next_poll_comes_an_interval_after_the_last(elapsed, seconds):
    state = {"started": 1_000, "interval": 10}

    assert (
        call_exported(PAGE / "src" / "watching.js", "untilNext", state, 1_000 + elapsed) == seconds
    )
