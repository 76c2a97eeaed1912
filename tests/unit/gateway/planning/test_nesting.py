"""Deep documents, rings of types and deep values: an answer or an error with a code, in linear time."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.documents.store import DocumentLimits, Documents
from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.odata.dialect import ODATA
from gateway.operations.cache import PreparedOperations
from gateway.planning.limits import PlanLimits
from gateway.request import GraphQLRequest
from tests.support.observers import raise_bugs
from tests.support.random_rows import tables
from tests.support.zoo_model import FO, Zoo, schema_of

SCHEMA = schema_of(FO)
ANY_DEPTH = DocumentLimits(depth=100_000)
CODES = {
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "BUDGET_EXCEEDED",
    "BAD_USER_INPUT",
    "BAD_ARGUMENT",
}


def ring(times: int) -> str:
    """Follow a ring of relations through a family of three types."""
    return "{ " + "orders { nodes { party { " * times + "name" + " } } }" * times + " }"


def friends(times: int) -> str:
    return (
        "{ parties { nodes { "
        + "... on Person { friend { " * times
        + "name"
        + " } }" * times
        + " } } }"
    )


def chain(times: int, body: str) -> str:
    """Spread one fragment in the other."""
    parts = [f"fragment F{i} on Query {{ {body % f'...F{i + 1}'} }}" for i in range(times)]
    return " ".join(["{ ...F0 }", *parts, f"fragment F{times} on Query {{ __typename }}"])


def where(times: int, kind: str) -> str:
    opening = f"{{{kind}: " if kind == "not" else f"{{{kind}: ["
    closing = "}" if kind == "not" else "]}"
    inner = opening * times + "{text: {eq: null}}" + closing * times
    return f"{{ orders(where: {inner}) {{ nodes {{ id }} }} }}"


def selected(times: int) -> str:
    fields = "".join(
        f"fragment G{i} on Query {{ ...G{i + 1} a{i}: __typename }} " for i in range(times)
    )
    return f"{{ ...G0 }} {fields} fragment G{times} on Query {{ __typename }}"


@pytest.mark.parametrize("text", [ring(1), ring(4), friends(6)], ids=["1", "4", "friends"])
def test_ordinary_depths_are_prepared(text: str) -> None:
    documents = Documents(SCHEMA.catalog, SCHEMA.core, DocumentLimits(depth=50))
    document = documents.get(text)

    assert document.errors == []


@pytest.mark.parametrize("write", [ring, friends])
def test_rings_of_a_family_are_compiled_once_for_each_place(write: Any) -> None:
    """The family has three types: 3^depth places, were each of them shaped for itself."""

    def functions(times: int) -> int:
        documents = Documents(SCHEMA.catalog, SCHEMA.core, ANY_DEPTH)
        document = documents.get(write(times))
        (operation,) = document.operations()
        return len(
            PreparedOperations(SCHEMA.catalog).prepare(document, operation, {}).compiler._functions
        )

    few, more, most = functions(4), functions(8), functions(16)

    assert most - more == 2 * (more - few)


DEEP = {
    "ring 70": ring(70),
    "ring 300": ring(300),
    "friends 90": friends(90),
    "fragments 180": chain(180, "%s"),
    "fragments 900": chain(900, "%s"),
    "fragments 3000": chain(3_000, "%s"),
    "inline fragments 900": chain(900, "... { %s }"),
    "many fragments": selected(400),
    "not 60": where(60, "not"),
    "not 190": where(190, "not"),
    "and 95": where(95, "and"),
    "or 5000": where(5_000, "or"),
    "braces": "{" * 100_000,
    "brackets": "{ a(b: " + "[" * 100_000,
    "objects": "{ a(b: " + "{a:" * 100_000,
    "types": "query($a: " + "[" * 100_000,
    "fields": "{ a " * 100_000,
}


@pytest.mark.heavy
@pytest.mark.anyio
@pytest.mark.parametrize("dialect", [ODATA, FO], ids=["odata", "finops"])
@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("depth", [15, 100_000], ids=["default", "any depth"])
async def test_deep_documents_are_answered_or_refused_with_a_code(
    name: str, depth: int, dialect: Any
) -> None:
    zoo = Zoo(dialect)
    zoo.tables = tables(3, 1, insensitive=True)
    settings = ExecutionSettings(
        plans=PlanLimits(), documents=DocumentLimits(tokens=1_000_000, depth=depth)
    )
    engine = Engine(zoo.schema, zoo.client, dialect, settings, raise_bugs)
    answer = await engine.execute(GraphQLRequest(query=DEEP[name]))
    await zoo.client.aclose()

    assert {e["extensions"]["code"] for e in answer.errors} <= CODES
    assert answer.errors or answer.to_builtins()["data"]


@pytest.mark.anyio
@pytest.mark.parametrize("times", [50, 90, 150, 190, 400, 5_000])
@pytest.mark.parametrize("kind", ["not", "and", "or"])
async def test_deep_variables_are_answered_or_refused_with_a_code(times: int, kind: str) -> None:
    zoo = Zoo(FO)
    zoo.tables = tables(3, 1, insensitive=True)
    given: Any = {"text": {"eq": "x"}}
    for _ in range(times):
        given = {kind: given} if kind == "not" else {kind: [given]}
    text = "query($w: OrderWhere) { orders(where: $w) { nodes { id } } }"
    answer = await zoo.execute(text, {"w": given})
    await zoo.client.aclose()

    assert {e["extensions"]["code"] for e in answer.errors} <= CODES
    assert answer.errors or answer.to_builtins()["data"]
