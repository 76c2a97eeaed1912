"""From a filter of SCIM to the ``where`` of a unified list, or to a refusal: no row is tested here.

Text is compared as the environment compares it, which for Finance & Operations is without regard to case, as SCIM says
of ``userName`` and ``displayName``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from scim2_models import InvalidFilterException
from scim2_models.path import (
    AttrPath,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)

Where: TypeAlias = Mapping[str, Any]
Condition: TypeAlias = bool | Where
"""A condition; True and False: of all rows, of none."""
_OPERATORS = {
    "eq": "eq",
    "ne": "ne",
    "co": "contains",
    "sw": "startsWith",
    "ew": "endsWith",
    "gt": "gt",
    "ge": "gte",
    "lt": "lt",
    "le": "lte",
}
_VALUES = ("members", "value")
Test: TypeAlias = Callable[[str, Any], Condition]
"""Returns the condition of an operator and a value; ``pr`` has no value."""


def text(field: str) -> Test:
    """Return the tests of a column of text."""

    def test(operator: str, value: Any) -> Condition:
        if operator == "pr":
            return {"and": [{field: {"isNull": False}}, {field: {"ne": ""}}]}
        if not isinstance(value, str):
            raise refused(f"{operator} needs a text here")
        return {field: {_OPERATORS[operator]: value}}

    return test


def identity(field: str, decode: Callable[[str], str | None]) -> Test:
    """Return the tests of an id, which stands for the value of a column. An id of another kind is none here."""

    def test(operator: str, value: Any) -> Condition:
        if operator == "pr":
            return True
        if operator not in ("eq", "ne") or not isinstance(value, str):
            raise refused("ids can be tested with eq, ne and pr")
        own = decode(value)
        if own is None:
            return operator == "ne"
        return {field: {operator: own}}

    return test


def flag(field: str, values: Mapping[bool, str]) -> Test:
    """Return the tests of a column that is true or false, by what stands for both."""

    def test(operator: str, value: Any) -> Condition:
        if operator == "pr":
            return True
        if isinstance(value, str) and value.lower() in ("true", "false"):  # as Entra ID sends it
            value = value.lower() == "true"
        if operator not in ("eq", "ne") or not isinstance(value, bool):
            raise refused("it can be tested with eq, ne and pr, and is true or false")
        return {field: {"eq": values[value if operator == "eq" else not value]}}

    return test


def listed(field: str, keys: Mapping[str, Collection[str]]) -> Test:
    """Return the tests of an attribute that is no column, by the keys of the rows that each value means."""

    def test(operator: str, value: Any) -> Condition:
        if operator != "eq" or not isinstance(value, str):
            raise refused("it can be tested with eq only")
        rows = keys.get(value)
        return {field: {"in": sorted(rows)}} if rows else False

    return test


def refused(reason: str) -> InvalidFilterException:
    """Return the error of a filter that cannot be answered exactly."""
    return InvalidFilterException(detail=f"The filter cannot be answered: {reason}.")


def condition_of(node: FilterNode, tests: Mapping[str, Test]) -> Condition:
    """Return what a filter says of the rows of a list. Raises InvalidFilterException.

    ``tests``: by attribute, whose case does not matter.
    """
    match node:
        case Comparison():
            return _test(node, tests)(node.op.value, node.value)
        case Present():
            return _test(node, tests)("pr", None)
        case ValuePath():
            return condition_of(value_test(node), tests)
        case Not():
            return _negated(condition_of(node.expr, tests))
        case LogicalExpr():
            terms = [condition_of(term, tests) for term in node.terms]
            return _all(terms) if node.op is LogicalOperator.and_ else _any(terms)
        case _:
            raise refused(f"there are no conditions on parts of {node}")


def value_test(node: ValuePath) -> Comparison | Present:
    """Return what ``members[value eq "…"]`` says as ``members.value eq "…"``. Raises InvalidFilterException."""
    inner = node.val_filter
    if not isinstance(inner, Comparison | Present) or inner.attr_path.sub_attr is not None:
        raise refused(f"there are no conditions on parts of {node.attr_path}")
    outer = node.attr_path
    path = AttrPath(attr=outer.attr, sub_attr=inner.attr_path.attr, uri=outer.uri)
    return replace(inner, attr_path=path)


def is_of(node: Comparison | Present, attribute: str) -> bool:
    """Return whether a condition concerns an attribute of the core schemas; ``members.value`` is ``members``."""
    path = node.attr_path
    if path.uri is not None and ":core:" not in path.uri.lower():
        return False
    is_whole = path.sub_attr is None or (path.attr.lower(), path.sub_attr.lower()) == _VALUES
    return is_whole and path.attr.lower() == attribute.lower()


def _test(node: Comparison | Present, tests: Mapping[str, Test]) -> Test:
    test = next((test for name, test in tests.items() if is_of(node, name)), None)
    if test is None:
        raise refused(
            f"nothing can be filtered by {node.attr_path}; by {', '.join(sorted(tests))} it can"
        )
    return test


def _negated(condition: Condition) -> Condition:
    return not condition if isinstance(condition, bool) else {"not": condition}


def _all(terms: Sequence[Condition]) -> Condition:
    if any(term is False for term in terms):
        return False
    return _joined("and", terms, otherwise=True)


def _any(terms: Sequence[Condition]) -> Condition:
    if any(term is True for term in terms):
        return True
    return _joined("or", terms, otherwise=False)


def _joined(word: str, terms: Sequence[Condition], *, otherwise: bool) -> Condition:
    tests = [term for term in terms if not isinstance(term, bool)]
    if not tests:
        return otherwise
    return tests[0] if len(tests) == 1 else {word: tests}
