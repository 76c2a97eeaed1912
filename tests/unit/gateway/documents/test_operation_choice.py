"""``gateway.documents.operation_choice`` and ``refusal``: which operation of a document runs, and why none does."""

from __future__ import annotations

import pytest
from graphql import OperationType

from gateway.documents.operation_choice import choose_operation
from gateway.documents.refusal import OperationRefused
from gateway.documents.store import DocumentLimits, Documents
from tests.support.zoo_model import FO, schema_of

TWO = "query a { __typename } query b { __typename }"
QUERIES = frozenset((OperationType.QUERY,))


def documents() -> Documents:
    schema = schema_of(FO)
    return Documents(schema.catalog, schema.core, DocumentLimits())


@pytest.mark.parametrize(
    ("text", "name", "chosen"),
    [
        ("{ __typename }", None, None),
        ("query a { __typename }", None, "a"),
        ("query a { __typename }", "a", "a"),
        (TWO, "b", "b"),
    ],
)
def test_the_named_or_only_operation_is_chosen(
    text: str, name: str | None, chosen: str | None
) -> None:
    operation = choose_operation(documents().get_valid(text), name, QUERIES)

    assert (None if operation.name is None else operation.name.value) == chosen


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (TWO, None, "The document contains several operations: choose one with operationName."),
        (TWO, "c", "The document contains no operation called c."),
        ("{ __typename }", "a", "The document contains no operation called a."),
    ],
)
def test_an_ambiguous_or_unknown_name_is_refused(text: str, name: str | None, message: str) -> None:
    with pytest.raises(OperationRefused, match=message) as refused:
        choose_operation(documents().get_valid(text), name, QUERIES)

    assert refused.value.errors == [
        {"message": message, "extensions": {"code": "OPERATION_RESOLUTION_FAILURE"}}
    ]


def test_a_kind_that_is_not_served_is_refused() -> None:
    with pytest.raises(OperationRefused, match=r"This API has no query operations\."):
        choose_operation(documents().get_valid("{ __typename }"), None, frozenset())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("fragment f on Query { __typename }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
def test_an_invalid_document_is_refused_each_time(text: str, code: str) -> None:
    cached = documents()

    for _ in range(2):
        with pytest.raises(OperationRefused) as refused:
            cached.get_valid(text)
        assert {error["extensions"]["code"] for error in refused.value.errors} == {code}


def test_a_null_condition_is_refused() -> None:
    document = documents().get_valid("query ($on: Boolean = true) { __typename @include(if: $on) }")

    document.check_conditions({"on": False})
    document.check_conditions({})
    with pytest.raises(OperationRefused, match=r"Variable '\$on'"):
        document.check_conditions({"on": None})
