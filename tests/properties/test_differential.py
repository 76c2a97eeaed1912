"""The engine's answers against the specification's: random operations over random rows, good and spoilt.

Three ways to one answer: the engine as it serves (compiled completion where it can), the engine with graphql-core
completing everything, and an oracle that shares no code with either (``tests.support.oracle``). Data, error paths and
error codes must be equal.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from graphql import parse, validate
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.events import FastPathFailed
from gateway.execution.fast_path import Slicing
from gateway.operations.global_ids import node_id
from gateway.request import Answer
from tests.support.holds import without_holds
from tests.support.operations import Operation, operations
from tests.support.oracle import World, answer, oracle_schema
from tests.support.random_rows import SPOILINGS, spoil, tables
from tests.support.soak import bounded
from tests.support.zoo_model import DIALECTS, KINDS, Zoo, schema_of

EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", bounded("14", "600")))
"""Operations for each test and way of loading; each runs over several worlds. Given, other ones are tried."""
WORLDS = bounded(3, 5)
pytestmark = pytest.mark.heavy
profile = settings(
    max_examples=EXAMPLES,
    derandomize="DIFFERENTIAL_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
IDS = ", ".join(
    f'"{i}"'
    for i in (
        node_id("Order", "A1", 0),
        node_id("Person", "A1", "p1"),
        node_id("PartyObject", "A1", "p2"),
        node_id("Item", "i1"),
        node_id("Item", "gone"),
    )
)
ROOTS = (
    ("orders", "orders"),
    ("orders", "orders"),
    ("parties", "parties"),
    ("lines", "lines"),
    ("two", "orders(first: 2)"),
    ("end", "orders(last: 1)"),
    ("some", "parties(first: $n)"),
    ("order", 'order(area: "A1", orderId: 0)'),
    ("party", 'party(area: "A1", partyId: "p1")'),
    ("gone", 'item(itemId: "gone")'),
    ("item", 'item(itemId: "i1")'),
    ("node", f"node(id: {IDS.split(', ')[0]})"),
    ("nodes", f"nodes(ids: [{IDS}])"),
    ("typename", "__typename"),
)
FAILURES: dict[str, tuple[str, Callable[[], httpx.Response]]] = {
    "400": ("UPSTREAM_REJECTED", lambda: httpx.Response(400, json={"error": {"message": "no"}})),
    "html": (
        "UPSTREAM_MALFORMED",
        lambda: httpx.Response(200, text="<html>", headers={"Content-Type": "text/html"}),
    ),
    "half": ("UPSTREAM_MALFORMED", lambda: httpx.Response(200, text='{"value":[{"Area":')),
    "403": ("UPSTREAM_FORBIDDEN", lambda: httpx.Response(403)),
    "503": ("UPSTREAM_UNAVAILABLE", lambda: httpx.Response(503)),
}
SCHEMAS = {name: schema_of(dialect) for name, dialect in DIALECTS.items()}
ORACLES = {name: oracle_schema(schema.as_str()) for name, schema in SCHEMAS.items()}
OPERATIONS = {name: operations(oracle, ROOTS) for name, oracle in ORACLES.items()}
WAYS = [(name, can_expand) for name in DIALECTS for can_expand in (True, False)]


class Ways:
    """The engine twice, fast and slow, over the same rows."""

    def __init__(self, dialect: str, can_expand: bool) -> None:
        self.dialect = dialect
        self.can_expand = can_expand
        self.loop = asyncio.new_event_loop()
        self.fast, self.slow = (
            Zoo(
                DIALECTS[dialect],
                can_expand=can_expand,
                compiled=compiled,
                schema=SCHEMAS[dialect],
                # Short enough that key batches are split.
                max_url_length=2_000 if can_expand else 400,
                # Small enough that short lists are worked through in several slices, and that an operation is
                # interpreted over the first of its worlds, and compiled over the last.
                slicing=Slicing(size=300, rows=2, turn=1, interpreted=60),
            )
            for compiled in (True, False)
        )

    def answers(self, world_tables: Any, operation: Operation) -> tuple[Any, Any]:
        """Return (data, errors) of the fast engine and of the slow one."""
        result = []
        for zoo in (self.fast, self.slow):
            zoo.tables = world_tables
            zoo.events.clear()
            answer = self.loop.run_until_complete(zoo.execute(operation.text, operation.variables))
            result.append(plain(answer))
        return result[0], result[1]


def plain(answer: Answer) -> tuple[Any, list[tuple[tuple[str, ...], str]]]:
    body = answer.to_builtins()
    errors = sorted(
        (tuple(map(str, e.get("path", ()))), e["extensions"]["code"])
        for e in body.get("errors", ())
    )
    return body.get("data"), errors


def masked(value: Any, key: str = "") -> Any:
    """Put a star in the place of cursors: the oracle cannot know their text."""
    if isinstance(value, dict):
        return {k: masked(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(v) for v in value]
    is_cursor = key.removeprefix("x_").lower().endswith("cursor")
    return "*" if is_cursor and isinstance(value, str) else value


@pytest.fixture(scope="module", params=WAYS, ids=lambda w: f"{w[0]}-{'expand' if w[1] else 'keys'}")
def ways(request: pytest.FixtureRequest) -> Iterator[Ways]:
    world_tables = Ways(*request.param)
    yield world_tables
    world_tables.loop.run_until_complete(world_tables.fast.client.aclose())
    world_tables.loop.run_until_complete(world_tables.slow.client.aclose())
    world_tables.loop.close()


def check(ways: Ways, operation: Operation, world_tables: Any, fails: dict[str, str]) -> None:
    fast, slow = ways.answers(world_tables, operation)
    finops = ways.dialect == "finops"
    expected = answer(
        ORACLES[ways.dialect],
        World(world_tables, finops, fails),
        operation.text,
        operation.variables,
    )

    assert (masked(slow[0]), slow[1]) == (masked(expected[0]), expected[1])
    assert fast == slow


def test_the_operations_are_valid_and_of_every_kind() -> None:
    """A generator that stopped making fragments would make the other tests green and empty."""
    seen = {
        "fragment ": 0,
        "... on ": 0,
        "@include": 0,
        "@skip": 0,
        "edges": 0,
        "pageInfo": 0,
        "first:": 0,
    }

    @profile
    @given(OPERATIONS["odata"])
    def generate(operation: Operation) -> None:
        assert validate(ORACLES["odata"], parse(operation.text)) == []
        for word in seen:
            seen[word] += word in operation.text

    generate()

    assert min(seen.values()) >= max(1, EXAMPLES // 25)


def test_rows_as_they_should_be(ways: Ways) -> None:
    @profile
    @given(OPERATIONS[ways.dialect], st.integers(0, 10_000))
    def compare(operation: Operation, seed: int) -> None:
        for world in range(WORLDS):
            world_tables = tables(
                seed + world, (seed + world) % 5, insensitive=ways.dialect == "finops"
            )
            check(ways, operation, world_tables, {})

    compare()


def test_spoilt_values(ways: Ways) -> None:
    @profile
    @given(
        OPERATIONS[ways.dialect],
        st.integers(0, 10_000),
        st.lists(SPOILINGS, min_size=WORLDS, max_size=WORLDS),
    )
    def compare(operation: Operation, seed: int, spoilings: Any) -> None:
        for world, places in enumerate(spoilings):
            world_tables = tables(seed + world, 1 + seed % 3, insensitive=ways.dialect == "finops")
            spoil(world_tables, places, operation.text)
            check(ways, operation, world_tables, {})

    compare()


@pytest.mark.parametrize("ways", [w for w in WAYS if not w[1]], indirect=True, ids=lambda w: w[0])
def test_failing_children(ways: Ways) -> None:
    """By keys only: an expanded child comes with its parents or not at all."""

    @profile
    @given(
        operations(ORACLES[ways.dialect], ROOTS, rows_always=True),
        st.integers(0, 10_000),
        st.dictionaries(
            st.sampled_from(["Orders", "Lines", "Items", "Parties"]),
            st.sampled_from(sorted(FAILURES)),
            min_size=1,
        ),
    )
    def compare(operation: Operation, seed: int, failing: dict[str, str]) -> None:
        world_tables = tables(seed, 1 + seed % 3, insensitive=ways.dialect == "finops")
        world_tables.failing = {name: FAILURES[how][1] for name, how in failing.items()}
        check(
            ways, operation, world_tables, {name: FAILURES[how][0] for name, how in failing.items()}
        )

    with without_holds():
        compare()


def test_spoilt_keys_and_relations(ways: Ways) -> None:
    """Which rows belong together is then anyone's guess, but both paths must guess alike, and every error is told."""

    @profile
    @given(OPERATIONS[ways.dialect], st.integers(0, 10_000), SPOILINGS)
    def compare(operation: Operation, seed: int, places: Any) -> None:
        world_tables = tables(seed, 1 + seed % 3, insensitive=ways.dialect == "finops")
        spoil(world_tables, places, operation.text, joins=True)
        fast, slow = ways.answers(world_tables, operation)

        assert fast == slow
        assert "INTERNAL_ERROR" not in {code for _, code in slow[1]}

    compare()


@pytest.mark.parametrize("seed", range(12))
def test_types_of_a_family_with_equal_names(ways: Ways, seed: int) -> None:
    """``grade`` is text in one type and a number in the other; ``motto`` and ``house`` are the same in both."""
    text = (
        "{ parties { nodes { __typename ... on Person { grade motto house { city } friend { name } }"
        " ... on Firm { g: grade motto house { zone } } } } }"
    )
    world_tables = tables(seed, 2, insensitive=ways.dialect == "finops")

    check(ways, Operation(text, {}), world_tables, {})
    for row in world_tables.rows["Parties"]:
        world_tables.spoilt[id(row)] = {"Grade": 2**40, "Motto": 5}
    check(ways, Operation(text, {}), world_tables, {})


@pytest.mark.parametrize("root", ["node", "nodes"])
def test_a_node_of_a_derived_type(ways: Ways, root: str) -> None:
    world_tables = tables(1, 2, insensitive=ways.dialect == "finops")
    for number, row in enumerate(world_tables.rows["Parties"]):
        row |= {"@odata.type": "#Zoo.Person", "Age": number, "Steps": 1, "Nick": "p1"}
    ids = [node_id("Person", r["Area"], r["PartyId"]) for r in world_tables.rows["Parties"]]
    call = (
        f'node(id: "{ids[0]}")'
        if root == "node"
        else f"nodes(ids: [{', '.join(f'{chr(34)}{i}{chr(34)}' for i in ids)}])"
    )
    text = f"{{ n: {call} {{ id ... on Person {{ age friend {{ name }} bought {{ totalCount }} }} }} }}"

    check(ways, Operation(text, {}), world_tables, {})


GOOD = (
    "{ orders { totalCount pageInfo { endCursor } edges { cursor node { id "
    + " ".join(
        f"{name[0].lower()}{name[1:]}{suffix}"
        for name in KINDS
        for suffix in ("", "Must")
        if name not in ("Home", "Any")
    )
    + " party { name } lines { nodes { price } } } } } }"
)


@pytest.mark.parametrize("seed", range(5))
def test_good_rows_take_the_fast_path(ways: Ways, seed: int) -> None:
    """The slow path would answer them all the same, and nobody would notice."""
    world_tables = tables(seed, 3, insensitive=ways.dialect == "finops")
    ways.fast.tables = world_tables
    ways.fast.events.clear()

    answer = ways.loop.run_until_complete(ways.fast.execute(GOOD, {}))

    assert answer.errors == []
    assert [event for event in ways.fast.events if isinstance(event, FastPathFailed)] == []
    assert isinstance(answer.data, dict)
    # A struct that the compiled functions made; graphql-core makes dictionaries.
    assert isinstance(answer.data["orders"], msgspec.Struct)
    assert len(world_tables.rows["Orders"]) == len(answer.to_builtins()["data"]["orders"]["edges"])
