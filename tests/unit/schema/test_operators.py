"""The closed list of ``where`` operators, and that every dialect and plan derives from it."""

from __future__ import annotations

import pickle

import pytest

from gateway.odata import dialect
from gateway.odata.query import Operator, TextMatch
from gateway.odata.where_operators import COMPARISONS, TEXT_MATCHES, WHERE_OPERATORS
from schema.operators import OperatorKind, WhereOperator, operators_of


def test_the_api_lists_operators_in_this_order() -> None:
    assert " ".join(WhereOperator) == (
        "eq ne gt gte lt lte in nin has contains startsWith endsWith isNull"
    )


@pytest.mark.parametrize("operator", WhereOperator)
def test_an_operator_is_its_graphql_name(operator: WhereOperator) -> None:
    assert operator == operator.value == str(operator)
    assert pickle.loads(pickle.dumps(operator)) is operator
    assert operator.description.endswith(".")


def test_every_operator_is_of_one_kind() -> None:
    by_kind = [operator for kind in OperatorKind for operator in operators_of(kind)]

    assert sorted(by_kind) == sorted(WhereOperator)


def test_odata_has_a_test_for_every_comparison_and_text_match() -> None:
    comparing = operators_of(OperatorKind.EQUALITY) + operators_of(OperatorKind.ORDER)

    assert tuple(COMPARISONS) == comparing
    assert set(COMPARISONS.values()) == set(Operator) == set(WHERE_OPERATORS)
    assert tuple(TEXT_MATCHES) == operators_of(OperatorKind.TEXT)
    assert set(TEXT_MATCHES.values()) == set(TextMatch)


def test_generic_odata_supports_every_operator_for_some_kind() -> None:
    supported = {o for operators in dialect.ODATA.operators.values() for o in operators}

    assert supported == set(WhereOperator)
