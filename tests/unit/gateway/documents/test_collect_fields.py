"""``gateway.documents.collect_fields``: which nodes answer which response key."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse

from gateway.documents.collect_fields import (
    Selection,
    arguments_key,
    condition_variables,
    fragments_of,
)

PARTY = frozenset({"Person", "Party", "Node"})


def collected(text: str, types: frozenset[str] = PARTY, **conditions: bool) -> dict[str, list[str]]:
    """Return response keys with the names of their nodes."""
    found = selection(text, **conditions).fields(
        [n.selection_set for n in parse(text).definitions[:1]],  # type: ignore[attr-defined]
        types,
    )
    return {key: [n.name.value for n in nodes] for key, nodes in found.items()}


def selection(text: str, **conditions: Any) -> Selection:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return Selection(operation, fragments_of(document), conditions)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ a b }", {"a": ["a"], "b": ["b"]}),
        ("{ x: a b }", {"x": ["a"], "b": ["b"]}),
        ("{ a b a }", {"a": ["a", "a"], "b": ["b"]}),
        ("{ a x: b a: a }", {"a": ["a", "a"], "x": ["b"]}),
        ("{ ... { a } b }", {"a": ["a"], "b": ["b"]}),
        (
            "{ ... on Party { a } ... on Person { b } ... on Node { c } }",
            {"a": ["a"], "b": ["b"], "c": ["c"]},
        ),
        ("{ ... on Firm { a } b }", {"b": ["b"]}),
        (
            "{ ...F b } fragment F on Party { a ...G } fragment G on Person { c }",
            {"a": ["a"], "c": ["c"], "b": ["b"]},
        ),
        ("{ ...F b } fragment F on Firm { a }", {"b": ["b"]}),
        ("{ ...F ...F a } fragment F on Party { a }", {"a": ["a", "a"]}),
        ("{ ...F } fragment F on Party { a ...F }", {"a": ["a"]}),
        ("{ ...Gone a }", {"a": ["a"]}),
        ("{ a @skip(if: true) b @skip(if: false) }", {"b": ["b"]}),
        ("{ a @include(if: true) b @include(if: false) }", {"a": ["a"]}),
        ("{ a @include(if: true) @skip(if: true) b }", {"b": ["b"]}),
        ("{ a @include(if: false) @skip(if: false) b }", {"b": ["b"]}),
        ("{ a @other(if: false) }", {"a": ["a"]}),
        ("{ ...F @skip(if: true) ...F } fragment F on Party { a }", {"a": ["a"]}),
        ("{ ... on Party @include(if: false) { a } b }", {"b": ["b"]}),
        ("{ ... @skip(if: true) { a } b }", {"b": ["b"]}),
        ("{ __typename }", {"__typename": ["__typename"]}),
    ],
)
def test_fields_are_collected_as_the_specification_says(
    text: str, expected: dict[str, list[str]]
) -> None:
    assert collected(text) == expected


@pytest.mark.parametrize("value", [True, False])
def test_conditions_by_variable(value: bool) -> None:
    text = "query($v: Boolean!) { a @skip(if: $v) b @include(if: $v) ...F @skip(if: $v) } fragment F on Party { c }"

    assert list(collected(text, v=value)) == (["b"] if value else ["a", "c"])


def test_the_selections_of_merged_fields_are_merged() -> None:
    text = "{ p { a } p { b ... on Firm { c } } q: p { d } }"
    made = selection(text)
    nodes = made.fields([made.operation.selection_set], PARTY)["p"]

    assert list(made.subfields(nodes, PARTY)) == ["a", "b"]


def test_a_fragment_is_visited_once_in_each_selection_set() -> None:
    text = "{ p { ...F } p { ...F b } } fragment F on Party { a }"
    made = selection(text)
    nodes = made.fields([made.operation.selection_set], PARTY)["p"]

    assert {k: len(v) for k, v in made.subfields(nodes, PARTY).items()} == {"a": 1, "b": 1}


def test_leaves_have_no_selection() -> None:
    made = selection("{ a }")
    nodes = made.fields([made.operation.selection_set], PARTY)["a"]

    assert made.subfields(nodes, PARTY) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ a }", ()),
        ("{ a @skip(if: true) }", ()),
        ("query($b: Boolean!, $a: Boolean!) { a @skip(if: $b) b @include(if: $a) }", ("a", "b")),
        ("query($a: Boolean!) { p { q { r @skip(if: $a) } } }", ("a",)),
        ("query($a: Boolean!) { ...F } fragment F on T { ... @include(if: $a) { x } }", ("a",)),
        ("query($a: Int!) { p(first: $a) }", ()),
        ("query($a: Boolean!) { p @other(if: $a) }", ()),
        ("type T { a: Int } query($a: Boolean!) { p @skip(if: $a) }", ("a",)),
    ],
)
def test_the_variables_that_a_selection_depends_on(text: str, expected: tuple[str, ...]) -> None:
    assert condition_variables(parse(text)) == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("f", "f", True),
        ("f(a: 1, b: 2)", "f(b: 2, a: 1)", True),
        ("f(a: 1)", "f(a: 2)", False),
        ("f(a: $v)", "f(a: $w)", False),
        ("f(a: {x: 1})", "f(a: {x:1})", True),
        ('f(a: "1")', "f(a: 1)", False),
        ("f(a: [1, 2])", "f(a: [1, [2]])", False),
        ("f(a: null)", 'f(a: "null")', False),
        ("f(a: E)", 'f(a: "E")', False),
        ("f(a: {x: $v})", 'f(a: {x: "v"})', False),
    ],
)
def test_equal_arguments_have_equal_keys(one: str, other: str, same: bool) -> None:
    def key(field: str) -> tuple[object, ...]:
        node = selection(f"{{ {field} }}").operation.selection_set.selections[0]
        assert isinstance(node, FieldNode)
        return arguments_key(node)

    assert (key(one) == key(other)) is same
