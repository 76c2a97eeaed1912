"""Random policies over the zoo, and the rows and values that are left of it under one.

What a policy leaves is computed by plain Python over the rows: nothing of the gateway's filters, rules or redactions is
used, so that the two cannot be wrong together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schema.policy import Mask, Policy, Right, Role, SetGrant
from schema.policy.records import Names
from tests.support.memory_odata import Row, Tables
from tests.support.roles import SEALER
from tests.support.zoo_model import KEYS, NAVS, SETS

CLAIMS = {"area": "B2", "orders": [0, 3], "wrong": {"not": "a text"}, "star": "*", "half": "\ud800"}
Test = Callable[[Tables, Row], bool]


@dataclass(frozen=True)
class Rule:
    """A row rule, and what it means."""

    where: Mapping[str, Any]
    passes: Test = field(repr=False)
    is_local: bool = True


def column(name: str, holds: Callable[[Any], bool]) -> Test:
    return lambda _, row: holds(row.get(name))


def related(set_name: str, name: str, holds: Callable[[Row], bool]) -> Test:
    nav = NAVS[set_name][name]
    return lambda tables, row: any(holds(other) for other in tables.related(row, nav))


def never(_: Tables, __: Row) -> bool:
    return False


RULES: Mapping[str, tuple[Rule, ...]] = {
    "Orders": (
        Rule({"area": {"eq": "A1"}}, column("Area", lambda v: v == "A1")),
        Rule({"area": {"eq": "$claims.area"}}, column("Area", lambda v: v == "B2")),
        Rule({"area": {"eq": "$claims.gone"}}, never),
        Rule({"area": {"ne": "$claims.wrong"}}, never),
        Rule({"buyer": {"eq": "$claims.star"}}, never),
        Rule({"buyer": {"ne": "$claims.half"}}, never),
        Rule({"buyer": {"nin": ["p1", "$claims.area"]}}, column("Buyer", lambda v: v != "p1")),
        Rule({"orderId": {"in": "$claims.orders"}}, column("OrderId", lambda v: v in (0, 3))),
        Rule(
            {"orderId": {"in": [1, "$claims.orders"]}}, column("OrderId", lambda v: v in (0, 1, 3))
        ),
        Rule({"number": {"ne": 1}}, column("Number", lambda v: v != 1)),
        Rule({"flag": {"eq": True}}, column("Flag", lambda v: v is True)),
        Rule({"open": {"ne": True}}, column("Open", lambda v: v != "Yes")),
        Rule({"colour": {"in": ["RED", "BLUE"]}}, column("Colour", lambda v: v in ("Red", "Blue"))),
        Rule(
            {"not": {"or": [{"orderId": {"lt": 2}}, {"buyer": {"eq": "p1"}}]}},
            lambda _, row: not (row["OrderId"] < 2 or row["Buyer"] == "p1"),
        ),
        Rule(
            {"party": {"name": {"eq": "Name of p1"}}},
            related("Orders", "Party", lambda row: row["Name"] == "Name of p1"),
            is_local=False,
        ),
        Rule(
            {"lines": {"some": {"article": {"eq": "i1"}}}},
            related("Orders", "Lines", lambda row: row["Article"] == "i1"),
            is_local=False,
        ),
    ),
    "Lines": (
        Rule({"article": {"eq": "i1"}}, column("Article", lambda v: v == "i1")),
        Rule({"colour": {"eq": "RED"}}, column("Colour", lambda v: v == "Red")),
        Rule({"lineNo": {"gt": "0"}}, column("LineNo", lambda v: v > 0)),
        Rule(
            {"order": {"area": {"eq": "A1"}}},
            related("Lines", "Order", lambda row: row["Area"] == "A1"),
            is_local=False,
        ),
    ),
    "Parties": (
        Rule({"partyId": {"ne": "p2"}}, column("PartyId", lambda v: v != "p2")),
        Rule({"area": {"eq": "A1"}}, column("Area", lambda v: v == "A1")),
        Rule({"name": {"eq": "Name of p1"}}, column("Name", lambda v: v == "Name of p1")),
    ),
    "Items": (
        Rule({"itemId": {"eq": "i1"}}, column("ItemId", lambda v: v == "i1")),
        Rule({"itemId": {"eq": "$claims.gone"}}, never),
    ),
}
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "Orders": (
        *("Buyer", "Text", "TextMust", "Number", "Amount*", "Flag*", "Open", "Colour*", "Home"),
        *("Labels", "Due*", "Moment", "*Must", "Big", "Rights", "Places"),
    ),
    "Lines": ("Article", "Price", "Note", "Colour"),
    "Parties": ("Name", "Since", "Nick", "Motto", "Grade", "House", "Revenue", "Age", "Mood"),
    "Items": ("Weight",),
}
TEXTS: Mapping[str, tuple[str, ...]] = {
    "Orders": ("Text", "TextMust", "Buyer"),
    "Lines": ("Note", "Article"),
    "Parties": ("Name", "Nick", "Motto"),
    "Items": (),
}
"""Columns that may be masked by digest or by their last characters; ``Motto`` is one in every type."""


@dataclass
class RandomPolicy:
    """A policy, and the rule of each of its grants."""

    policy: Policy
    rules: dict[tuple[str, str], Rule]
    """(role, set) → its rule."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.policy.roles.values()))

    @property
    def roles(self) -> tuple[Role, ...]:
        return tuple(self.policy.roles.values())


def random_policy(seed: int, *, paths: bool) -> RandomPolicy:
    """Return a policy of one to three roles; ``paths``: rules may be about related rows."""
    chance = random.Random(seed)
    rules: dict[tuple[str, str], Rule] = {}
    roles = []
    for number in range(chance.choice((1, 1, 2, 2, 3))):
        name = f"r{number}"
        sets: list[tuple[str, SetGrant]] = []
        for set_name in SETS:
            if chance.random() < 0.12:
                continue
            grant, rule = _grant(set_name, chance, paths=paths)
            sets.append((set_name, grant))
            if rule is not None:
                rules[name, set_name] = rule
        roles.append(Role(name=name, sets=tuple(sets)))
    return RandomPolicy(Policy({role.name: role for role in roles}), rules)


def _grant(set_name: str, chance: random.Random, *, paths: bool) -> tuple[SetGrant, Rule | None]:
    usable = [rule for rule in RULES[set_name] if paths or rule.is_local]
    rule = chance.choice(usable) if chance.random() < 0.6 else None
    deny = tuple(c for c in COLUMNS[set_name] if chance.random() < 0.15)
    masks: dict[str, Mask] = {}
    for name in TEXTS[set_name]:
        if chance.random() < 0.2:
            masks[name] = chance.choice(list(Mask))
    if chance.random() < 0.1:
        masks[chance.choice(COLUMNS[set_name])] = Mask.NULL
    grant = SetGrant(
        rights=frozenset({Right.READ, Right.AGGREGATE}),
        where=None if rule is None else rule.where,
        columns=Names(("*",), deny),
        masks=masks,
    )
    return grant, rule


# What is left


def remaining(tables: Tables, policy: RandomPolicy) -> Tables:
    """Return the service without the rows and values that the policy hides."""
    rows = {
        name: [
            _left_of(row, name, readers, policy)
            for row in tables.rows[name]
            if (readers := _readers(tables, row, name, policy))
        ]
        for name in tables.rows
    }
    return Tables(rows, tables.keys, tables.navs, tables.declared, insensitive=tables.insensitive)


def _granted(name: str, policy: RandomPolicy) -> list[tuple[str, SetGrant]]:
    grants = ((role.name, role.grant_of(name, None)) for role in policy.roles)
    return [(r, g) for r, g in grants if g is not None and Right.READ in g.rights]


def _readers(tables: Tables, row: Row, name: str, policy: RandomPolicy) -> list[str]:
    """Return the roles that give a row."""
    given = []
    for role, _ in _granted(name, policy):
        rule = policy.rules.get((role, name))
        if rule is None or rule.passes(tables, row):
            given.append(role)
    return given


def _left_of(row: Row, name: str, readers: Sequence[str], policy: RandomPolicy) -> Row:
    grants = _granted(name, policy)
    return {
        column: value
        if column in KEYS[name] or column.startswith("@")
        else _shown(column, value, name, grants, readers, policy)
        for column, value in row.items()
    }


def _shown(
    column: str,
    value: Any,
    name: str,
    grants: Sequence[tuple[str, SetGrant]],
    readers: Sequence[str],
    policy: RandomPolicy,
) -> Any:
    held = [(role, grant) for role, grant in grants if grant.columns.holds(column)]
    plain = [role for role, grant in held if grant.mask_of(column) is None]
    if len(plain) == len(grants):
        return value
    # Rules about related rows do not count where a value depends on the row.
    decided = [
        role
        for role in readers
        if (rule := policy.rules.get((role, name))) is None or rule.is_local
    ]
    if any(role in decided for role in plain):
        return value
    masks = {grant.mask_of(column) for role, grant in held if role in decided} - {None}
    return _masked(masks, value)


def _masked(masks: set[Mask | None], value: Any) -> Any:
    if not isinstance(value, str):
        return None
    if Mask.LAST4 in masks:
        return "****" + (value[-4:] if len(value) >= 8 else "")
    if Mask.HASH in masks:
        return SEALER.digest("mask", value.encode())[:8].hex()
    return None
