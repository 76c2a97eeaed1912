"""``fingerprint``: texts that differ in literals share what is compiled, and answer as if they did not."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse

from gateway.documents.fingerprint import fingerprint_of
from gateway.documents.store import DocumentLimits, Documents
from gateway.operations import cache as module
from gateway.operations.cache import PreparedOperations
from gateway.operations.prepared_operation import prepare
from gateway.request import Answer
from tests.support.operations import Operation, Writer
from tests.support.random_rows import tables
from tests.support.soak import bounded
from tests.support.zoo_model import FO, Zoo, schema_of

SCHEMA = schema_of(FO)
ROOTS = (
    ("orders", "orders"),
    ("two", 'orders(first: 2, where: {area: {ne: "x"}}, orderBy: {number: DESC})'),
    ("parties", "parties(last: 3)"),
    ("order", 'order(area: "A1", orderId: 0)'),
    ("node", 'node(id: "x")'),
)


def key(text: str) -> Any:
    document = parse(text)
    (operation, *_) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return fingerprint_of(document, operation).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{ a(x: 1) { b } }", "{ a(x: 2) { b } }"),
        ("query A { a(x: 1) }", "query B($x: Int) { a(x: $x) }"),
        ("{ a(x: {y: [1]}) { b } }", "{ a(z: null, x: 1) { b } }"),
        ("{ a(x: 1) { b(x: 2) } }", "{ a(x: 5) { b(x: 6) } }"),
        ("{ a(x: 1) b(x: 1) }", "{ a(x: 2) b(x: 2) }"),
    ],
)
def test_values_and_names_of_operations_do_not_count(one: str, other: str) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{ a(x: 1) }", "{ a }"),
        ("{ a }", "{ b }"),
        ("{ a }", "{ b: a }"),
        ("{ a b }", "{ b a }"),
        ("{ a { b } c }", "{ a { b c } }"),
        ("{ a(x: 1) b: a(x: 1) }", "{ a(x: 1) b: a(x: 2) }"),
        ("{ a @skip(if: true) }", "{ a @skip(if: false) }"),
        ("{ a @skip(if: true) }", "{ a @include(if: true) }"),
        ("{ a @skip(if: $v) }", "{ a @skip(if: $w) }"),
        ("{ ... @skip(if: true) { a } }", "{ ... { a } }"),
        ("{ ... on A { a } }", "{ ... on B { a } }"),
        ("{ ...F } fragment F on A { a }", "{ ...F } fragment F on A { b }"),
        ("{ ...F } fragment F on A { a }", "{ ...F } fragment F on B { a }"),
        ("{ ...F b } fragment F on A { a }", "{ ...G b } fragment G on A { a }"),
        ("{ ...F @skip(if: true) } fragment F on A { a }", "{ ...F } fragment F on A { a }"),
    ],
)
def test_everything_else_counts(one: str, other: str) -> None:
    assert key(one) != key(other)


def documents() -> Documents:
    return Documents(SCHEMA.catalog, SCHEMA.core, DocumentLimits())


class Caches:
    """The caches of an engine: documents, and what is compiled of them."""

    def __init__(self, max_prepared: int = 1_000, max_compiled: int = 200) -> None:
        self.documents = documents()
        self.operations = PreparedOperations(
            SCHEMA.catalog, max_prepared=max_prepared, max_compiled=max_compiled
        )


def prepared(caches: Caches, text: str, variables: dict[str, Any] | None = None) -> Any:
    document = caches.documents.get(text)
    assert not document.errors
    (operation, *_) = document.operations()
    return caches.operations.prepare(document, operation, variables or {})


def test_a_thousand_texts_with_other_literals_are_compiled_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = []

    def counted(*given: Any, **options: Any) -> Any:
        compiled.append(given)
        return prepare(*given, **options)

    monkeypatch.setattr(module, "prepare", counted)
    made = Caches()
    text = 'query Q%d { orders(where: {text: {eq: "%d"}}, first: %d) { nodes { area } } }'
    row_types = {id(prepared(made, text % (i, i, i)).row_types) for i in range(1_000)}

    assert len(compiled) == len(row_types) == 1


def test_what_is_compiled_is_bounded() -> None:
    made = Caches(max_compiled=3, max_prepared=5)
    for i in range(20):
        prepared(made, f"query($a: Boolean!) {{ orders {{ x{i}: totalCount @skip(if: $a) }} }}")

    assert (len(made.operations._compiled), len(made.operations._prepared)) == (3, 5)


def test_each_outcome_of_the_conditions_is_compiled_for_itself() -> None:
    made = Caches()
    text = "query($a: Boolean!) { orders(first: %d) { nodes { id area @skip(if: $a) } } }"
    with_area = prepared(made, text % 1, {"a": False})
    without = prepared(made, text % 2, {"a": True})

    assert with_area.row_types is not without.row_types
    assert prepared(made, text % 3, {"a": True}).row_types is without.row_types


@contextlib.asynccontextmanager
async def zoos(compiled: bool) -> AsyncIterator[tuple[Zoo, Zoo]]:
    pair = Zoo(FO, schema=SCHEMA, compiled=compiled), Zoo(FO, schema=SCHEMA, compiled=compiled)
    yield pair
    for zoo in pair:
        await zoo.client.aclose()


def with_other_values(text: str, chances: random.Random) -> str:
    """Put other values in the place of numbers and texts, where they stand as arguments."""
    text = re.sub(r"(?<=: )\d+(?=[,)])", lambda _: str(chances.randrange(4)), text)
    return re.sub(r"\"x\"", lambda _: chances.choice(('"A1"', '"A2"')), text)


@pytest.mark.heavy
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "graphql-core"])
@pytest.mark.parametrize("seed", range(bounded(3, 8)))
@pytest.mark.anyio
async def test_a_text_answers_the_same_after_others_like_it(seed: int, compiled: bool) -> None:
    """The first engine has seen the text with other values before; the second one has seen nothing."""
    shared = 0
    async with zoos(compiled) as (warm, cold):
        for number in range(12):
            chances = random.Random(f"{seed} {number}")
            operation: Operation = Writer(chances, 4, SCHEMA.core, ROOTS).operation()
            other = with_other_values(operation.text, chances)
            shared += key(other) == key(operation.text)
            warm.tables = cold.tables = tables(seed * 100 + number, 4, insensitive=True)
            cold.engine._documents = documents()
            cold.engine._prepared = PreparedOperations(cold.engine.schema.catalog)
            await warm.execute(operation.text, operation.variables)
            after = await warm.execute(other, operation.variables)
            alone = await cold.execute(other, operation.variables)

            assert without_ids(after.to_builtins()) == without_ids(alone.to_builtins())
            assert urls(after) == urls(alone)
    assert shared > 4


def urls(answer: Answer) -> list[str]:
    return sorted(request.url for request in answer.requests)


def without_ids(value: Any) -> Any:
    """Take away the ids of errors, which are new each time."""
    if isinstance(value, dict):
        return {k: without_ids(v) for k, v in value.items() if k != "errorId"}
    return [without_ids(v) for v in value] if isinstance(value, list) else value


@pytest.mark.anyio
async def test_errors_stand_where_they_are_in_their_own_text() -> None:
    async with zoos(True) as (zoo, _):
        await zoo.execute('{ node(id: "x") { id } }')
        answer = await zoo.execute('\n\n{   node(id: "yy") { id } }')

    (error,) = answer.errors
    assert error["locations"] == [{"line": 3, "column": 5}]
