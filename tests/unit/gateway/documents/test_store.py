"""``gateway.documents.store``: parsed, checked and prepared once, within limits."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse

from gateway.documents import store as module
from gateway.documents.complexity import measure
from gateway.documents.store import DocumentLimits, Documents
from gateway.operations.cache import PreparedOperations
from tests.support.zoo_model import FO, schema_of

SCHEMA = schema_of(FO)


def some(**limits: Any) -> Documents:
    return Documents(SCHEMA.catalog, SCHEMA.core, DocumentLimits(**limits))


def cache_of(**sizes: int) -> Documents:
    return Documents(SCHEMA.catalog, SCHEMA.core, DocumentLimits(), **sizes)


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("{ a }", 1),
        ("{ a { b } }", 2),
        ("{ a { b } c { d { e } } }", 3),
        ("{ ... { a { b } } }", 2),
        ("{ ... on T { a } }", 1),
        ("{ ...F } fragment F on T { a { b } }", 2),
        ("{ a { ...F } } fragment F on T { b { c } }", 3),
        ("{ a { ...F } ...F } fragment F on T { ...G } fragment G on T { b { c { d } } }", 4),
        ("{ ...Gone }", 1),
        ("query A { a } query B { a { b { c } } }", 3),
        ("type T { a: Int }", 0),
    ],
)
def test_depth_counts_fragments_wherever_they_are_spread(text: str, depth: int) -> None:
    assert measure(parse(text)).depth == depth


def test_a_fragment_that_is_spread_often_is_measured_once() -> None:
    """Each fragment spreads the next one twice: walking them all would take 2^60 steps."""
    parts = [f"fragment F{i} on T {{ ...F{i + 1} x: a {{ ...F{i + 1} }} }}" for i in range(60)]
    text = "{ ...F0 } " + " ".join(parts) + " fragment F60 on T { a }"

    found = measure(parse(text))
    assert (found.depth, found.fields, found.aliases) == (61, 2**61 - 1, 2**60 - 1)


DOUBLING = "fragment F%d on %s { x: %s { ...F%d } y: %s { ...F%d } }"
FLAT = "fragment F%d on %s { ... { ...F%d } ... { ... { ...F%d } } }"


def doubled(times: int, start: str, kind: str, field: str) -> str:
    """Return a document of 2^times fields."""
    parts = [DOUBLING % (i, kind, field, i + 1, field, i + 1) for i in range(times)]
    return start + " ".join(parts) + f" fragment F{times} on {kind} {{ __typename }}"


@pytest.mark.parametrize(
    "text",
    [
        doubled(25, "{ orders { nodes { ...F0 } } } ", "Order", "party"),
        doubled(25, "{ nope orders { nodes { ...F0 } } } ", "Order", "party"),
        doubled(25, "{ __schema { types { ...F0 } } } ", "__Type", "ofType"),
        "{ orders { nodes { ...F0 } } } "
        + " ".join(FLAT % (i, "Order", i + 1, i + 1) for i in range(25))
        + " fragment F25 on Order { area }",
    ],
    ids=["relations", "with a mistake", "introspection", "side by side"],
)
def test_fragments_doubling_25_times_are_refused_early(text: str) -> None:
    documents = some(depth=1_000).get(text)

    assert documents.code == "BUDGET_EXCEEDED"
    assert [e.message for e in documents.errors] == ["The document has more than 10,000 fields."]


def test_a_fragment_spread_twice_in_one_selection_counts_once() -> None:
    parts = [f"fragment F{i} on Order {{ ...F{i + 1} ...F{i + 1} }}" for i in range(25)]
    text = "{ orders { nodes { ...F0 } } } " + " ".join(parts) + " fragment F25 on Order { area }"

    assert measure(parse(text)).fields == 3
    assert some().get(text).errors == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{ a: __typename b: __typename ...F } fragment F on Query { c: __typename }",
            "2 root fields",
        ),
        (
            "{ a: orders { nodes { b: area ...F ...F } } } fragment F on Order { c: area }",
            "2 aliases",
        ),
        (
            (
                "query($a: Boolean = true) { orders @include(if: $a) { nodes { ...F @skip(if: $a) } } }"
                " fragment F on Order { area @skip(if: $a) }"
            ),
            "2 directives",
        ),
        ("{ orders { nodes { area id ... on Order { __typename } } } }", "4 fields"),
        (
            "query A { __typename } query B { a: __typename b: __typename c: __typename }",
            "2 root fields",
        ),
        ("{ __typename @a @a @a }", "2 directives"),
    ],
)
def test_the_error_names_the_exceeded_limit(text: str, said: str) -> None:
    documents = some(root_fields=2, aliases=2, directives=2, selections=4).get(text)

    assert documents.code == "BUDGET_EXCEEDED"
    assert [e.message for e in documents.errors] == [f"The document has more than {said}."]


@pytest.mark.parametrize("most", range(8))
@pytest.mark.parametrize("kind", ["depth", "root_fields", "selections", "aliases", "directives"])
def test_short_documents_have_the_same_limits(kind: str, most: int) -> None:
    """Whether they are measured or not: short ones are judged by their characters."""
    sizes = {"selections": "fields"}
    documents = some(**{kind: most})
    for text in (
        "{ __typename }",
        "{ a: orders { totalCount } orders { nodes { id area b: number } } }",
        "{ parties { nodes { party: friend { friend { friend { name } } } } } }",
        "{ orders { nodes @skip(if: true) { id @skip(if: true) @include(if: true) } } }",
        "{ ...F } fragment F on Query { a: __typename b: __typename c: orders { totalCount } }",
        "{ __schema { types { fields { type { ofType { name } } } } } }",
    ):
        is_above = getattr(measure(parse(text)), sizes.get(kind, kind)) > most
        assert (documents.get(text).code == "BUDGET_EXCEEDED") is is_above, text


def test_a_document_just_within_its_limits_is_served() -> None:
    text = (
        "query A($a: Boolean = true) { a: orders @skip(if: $a) { nodes { b: area @skip(if: $a) } } }"
        " query B { orders { nodes { id } } }"
    )

    assert (
        some(root_fields=1, aliases=2, directives=2, selections=3, depth=3).get(text).errors == []
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{ orders { nodes { area } }", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("\x00", "GRAPHQL_PARSE_FAILED"),
        ("{ orders { nodes { gone } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ orders(first: true) { nodes { area } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ ...F } fragment F on Query { ...F }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ orders { nodes { party { orders { nodes { area } } } } } }", "BUDGET_EXCEEDED"),
        ("{ orders { nodes { " + "area " * 300 + "} } }", "GRAPHQL_PARSE_FAILED"),
        ("{ a" * 50_000, "GRAPHQL_PARSE_FAILED"),
        ("{ a(b: " + "[" * 50_000, "GRAPHQL_PARSE_FAILED"),
    ],
)
def test_what_cannot_run_has_an_error_code(text: str, code: str) -> None:
    documents = some(tokens=250, depth=5).get(text)

    assert documents.code == code
    assert documents.errors


def test_errors_are_bounded() -> None:
    text = "{ " + " ".join(f"x{i}" for i in range(500)) + " }"

    assert len(some().get(text).errors) <= module.MAX_ERRORS + 1


def test_a_good_document_has_no_errors_and_its_operations() -> None:
    documents = some().get("query A { orders { totalCount } } query B { lines { totalCount } }")

    assert documents.errors == []
    assert [o.name.value for o in documents.operations() if o.name] == ["A", "B"]


def test_a_text_is_read_once() -> None:
    documents = some()

    assert documents.get("{ orders { totalCount } }") is documents.get("{ orders { totalCount } }")


def test_the_cache_drops_the_least_recently_used_text() -> None:
    documents = cache_of(max_documents=2)
    texts = ["{ a: __typename }", "{ b: __typename }", "{ c: __typename }"]
    first, second = documents.get(texts[0]), documents.get(texts[1])
    assert documents.get(texts[0]) is first
    documents.get(texts[2])

    assert documents.get(texts[0]) is first
    assert documents.get(texts[1]) is not second


def test_an_operation_is_prepared_once_for_each_condition_value() -> None:
    documents = some()
    text = "query($a: Boolean!, $n: Int) { orders(first: $n) { nodes { area @skip(if: $a) } } }"
    document = documents.get(text)
    operation = document.operations()[0]
    assert isinstance(operation, OperationDefinitionNode)
    operations = PreparedOperations(SCHEMA.catalog)
    made = operations.prepare(document, operation, {"a": True, "n": 1})

    assert operations.prepare(document, operation, {"a": True, "n": 2}) is made
    assert operations.prepare(document, operation, {"a": False, "n": 1}) is not made


def test_long_texts_count_for_more() -> None:
    documents = cache_of(max_characters=10_000)
    texts = [f"{{ x{i}: __typename }} # {'.' * 3_000}" for i in range(8)]
    for text in texts:
        documents.get(text)

    assert [text in documents._cache.table for text in texts] == [False] * 5 + [True] * 3


def test_a_text_above_the_limit_is_cached_alone() -> None:
    documents = cache_of(max_characters=100)
    text = "{ __typename } # " + "." * 200

    assert documents.get(text) is documents.get(text)
    assert len(documents._cache) == 1


@pytest.mark.parametrize(
    "query",
    [
        "{ orders(first: %s) { nodes { orderId } } }",
        "query ($n: Int = %s) { orders(first: $n) { nodes { orderId } } }",
    ],
    ids=["argument", "default of a variable"],
)
def test_a_number_of_5000_digits_is_not_printed_in_the_error(query: str) -> None:
    (error,) = some().get(query % ("9" * 5_000)).errors

    assert error.message == "Expected value of type 'Int', found a number of 5,000 digits."
