"""The leak test: an operation under random roles answers as one over a service without what the roles hide.

The same engine reads two services: the whole one under the roles' rules, and without any rule one from which the
hidden rows and values were physically removed (``tests.support.random_policies``). Every answer must be the same:
lists, keys, relations, ids, filters over relations, orders, counts, pages. Filters and keys use values that exist,
hidden ones above all, because that is what an attacker would try.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    parse,
    validate,
)
from graphql import build_schema as executable

from gateway.cache.answer_store import AnswerStore
from gateway.cache.environment_answers import EnvironmentAnswers
from gateway.cache.operation_reads import ReadSharing
from gateway.cache.touched_sets import TouchedSets
from gateway.config.cache_models import CacheOptions
from gateway.fallback_resolvers import LoadedResolvers
from gateway.operations.global_ids import node_id
from gateway.planning import planner
from gateway.planning.cells import redaction
from gateway.planning.row_bounds import RowBounds, ViewRules
from gateway.planning.row_rules import RowRules
from schema.catalog.records import InputField, InputRole, RootKind, TypeKind
from schema.catalog.role_catalog import role_catalog
from schema.policy import RoleView
from schema.types.build import ODataSchema, build_schema
from schema.types.federation import Federation
from tests.support.memory_odata import Row, Tables
from tests.support.operations import Operation, Writer
from tests.support.random_policies import CLAIMS, RandomPolicy, random_policy, remaining
from tests.support.random_rows import tables
from tests.support.roles import SEALER, caller
from tests.support.soak import bounded
from tests.support.zoo_model import DIALECTS, KEYS, SETS, Zoo, schema_of, zoo_mapping
from tests.support.zoo_rows import literal

pytestmark = pytest.mark.heavy
POLICIES = bounded(8, 200)
OPERATIONS = bounded(8, 30)
"""Operations for each policy and dialect."""
ASKING = caller(**CLAIMS)
SCHEMAS = {name: schema_of(dialect, zoo_mapping()) for name, dialect in DIALECTS.items()}
NAMES = {"Orders": "Order", "Lines": "Line", "Items": "Item"}
TYPES = {"Parties": ("PartyObject", "Person", "Firm"), **{s: (n,) for s, n in NAMES.items()}}


@dataclass
class Worlds:
    """A policy's API over the whole service, and over what the policy leaves of it."""

    policy: RandomPolicy
    schema: ODataSchema
    sdl: GraphQLSchema
    ruled: Zoo
    free: Zoo
    everything: Zoo
    """The whole service for a caller without roles, who shares cached answers with the one under rules."""
    chance: random.Random
    reused: int = 0
    """Operations that used a cached answer."""

    def fill(self, seed: int) -> Tables:
        insensitive = self.ruled.tables.insensitive
        whole = tables(seed, 1 + seed % 5, insensitive=insensitive)
        self.ruled.tables = whole
        self.free.tables = remaining(whole, self.policy)
        self.everything.tables = whole
        assert self.ruled.engine.reads.sharing is not None
        self.ruled.engine.reads.sharing.answers.forget()
        return whole


def worlds(dialect: str, seed: int) -> Worlds | None:
    """Return the worlds of a random policy; None if it grants nothing."""
    product, whole = DIALECTS[dialect], SCHEMAS[dialect]
    policy = random_policy(seed, paths=dialect == "odata")
    rules = RowRules(policy.policy, whole.catalog, whole.core, product)
    rules.check()
    view = RoleView(policy.policy, [role.name for role in policy.roles])
    catalog = role_catalog(whole.catalog, view)
    if not any(True for _ in catalog.roots):
        return None
    schema = build_schema(
        catalog,
        LoadedResolvers(catalog),
        aggregates=True,
        federation=Federation(),
        unified=zoo_mapping(),
    )
    chance = random.Random(seed)
    ways: dict[str, Any] = {
        "can_expand": chance.random() < 0.5,
        "compiled": chance.random() < 0.7,
        "max_url_length": chance.choice((2_000, 500)),
    }
    ruled = Zoo(product, schema=schema, rules=ViewRules(view, rules, SEALER), **ways)
    free = Zoo(product, schema=schema, **ways)
    everything = Zoo(product, schema=whole, **ways)
    for zoo in (ruled, free, everything):
        zoo.tables.insensitive = dialect == "finops"
    options = CacheOptions(ttl=3_600)
    cached = EnvironmentAnswers("", AnswerStore(options.max_bytes), options)
    cached.cached = frozenset(SETS)
    for zoo in (ruled, everything):
        touched = TouchedSets(zoo.schema.catalog.model)
        zoo.engine.reads.sharing = ReadSharing(answers=cached, touched=touched)
    sdl = executable(schema.as_str())
    return Worlds(policy, schema, sdl, ruled, free, everything, chance)


# Operations


def roots_of(world: Worlds, whole: Tables) -> list[tuple[str, str]]:
    catalog, chance = world.schema.catalog, world.chance
    roots: list[tuple[str, str]] = []
    for name, root in catalog.roots.items():
        if root.kind is RootKind.LIST and root.entity_set is not None:
            for number in range(3):
                arguments = list(list_arguments(world, root.entity_set.name, root.csdl, whole))
                text = f"({', '.join(arguments)})" if arguments else ""
                roots.append((f"l{number}_{name}", f"{name}{text}"))
        elif root.kind is RootKind.BY_KEY and root.entity_set is not None:
            rows = whole.rows[root.entity_set.name]
            for number in range(2 if rows else 0):
                row = chance.choice(rows)
                parts = ", ".join(
                    f"{a.name}: {literal(row[a.source], a.type_name)}"
                    for a in catalog.key_arguments(root.csdl)
                )
                roots.append((f"k{number}_{name}", f"{name}({parts})"))
    if "node" in catalog.roots:
        ids = [i for s in SETS for i in ids_of(world, s, whole)]
        chance.shuffle(ids)
        for number, one in enumerate(ids[:2]):
            roots.append((f"n{number}", f'node(id: "{one}")'))
        roots.append(("ns", f"nodes(ids: {json.dumps(ids[:6])})"))
    roots.extend(
        (f"u{number}", name) for name in world.schema.unified.namespaces for number in (0, 1)
    )
    return roots


def ids_of(world: Worlds, set_name: str, whole: Tables) -> Iterator[str]:
    for row in whole.rows[set_name]:
        for name in TYPES[set_name]:
            told = str(row.get("@odata.type", "#Zoo.Party")).rpartition(".")[2]
            is_own = set_name != "Parties" or name == (told if told != "Party" else "PartyObject")
            if is_own and name in world.sdl.type_map:
                key = [str(row[k]) if k == "LineNo" else row[k] for k in KEYS[set_name]]
                yield node_id(name, *key)


def list_arguments(world: Worlds, set_name: str, csdl: str, whole: Tables) -> Iterator[str]:
    catalog, chance = world.schema.catalog, world.chance
    names = {a.name for a in catalog.root_arguments(catalog.roots[_list_name(world, set_name)])}
    if "where" in names and chance.random() < 0.8:
        yield f"where: {where(world, csdl, set_name, whole, 2)}"
    if "orderBy" in names and chance.random() < 0.4:
        fields = list(catalog.inputs_of(catalog.name_of(TypeKind.ORDER_BY, csdl)))
        one = chance.choice(fields)
        yield f"orderBy: [{{ {one}: {chance.choice(('ASC', 'DESC'))} }}]"
    if chance.random() < 0.4:
        yield chance.choice(("first: 2", "first: 0", "last: 2", "first: 1"))


def _list_name(world: Worlds, set_name: str) -> str:
    return next(
        n
        for n, r in world.schema.catalog.roots.items()
        if r.kind is RootKind.LIST and r.entity_set is not None and r.entity_set.name == set_name
    )


SET_OF = {csdl: name for name, csdl in SETS.items()}
TESTED: tuple[str, ...] = (
    "Text",
    "TextMust",
    "Number",
    "NumberMust",
    "Area",
    "OrderId",
    "Buyer",
    "Article",
    "Note",
)
TESTED += ("Name", "PartyId", "ItemId", "Colour", "ColourMust", "Flag", "FlagMust", "Open", "Price")


def where(world: Worlds, csdl: str, set_name: str, whole: Tables, depth: int) -> str:
    """Return a filter whose operands are values of rows."""
    catalog, chance = world.schema.catalog, world.chance
    fields = catalog.inputs_of(catalog.name_of(TypeKind.WHERE, csdl))
    usable = [f for f in fields.values() if _is_usable(f, depth)]
    relations = [f for f in usable if f.role in (InputRole.TO_ONE, InputRole.TO_MANY)]
    picked = chance.sample(usable, min(len(usable), chance.choice((1, 1, 2))))
    if relations and chance.random() < 0.5:
        picked = [chance.choice(relations)]
    terms = (f"{f.name}: {term(world, f, csdl, set_name, whole, depth)}" for f in picked)
    return f"{{ {', '.join(terms)} }}"


def _is_usable(item: InputField, depth: int) -> bool:
    if item.role is InputRole.VALUE:
        return item.of is not None and item.of.source in TESTED
    return depth > 0


def term(
    world: Worlds, item: InputField, csdl: str, set_name: str, whole: Tables, depth: int
) -> str:
    chance = world.chance
    match item.role:
        case InputRole.AND | InputRole.OR:
            each = (where(world, csdl, set_name, whole, depth - 1) for _ in range(2))
            return f"[{', '.join(each)}]"
        case InputRole.NOT:
            return where(world, csdl, set_name, whole, depth - 1)
        case InputRole.VALUE:
            return operators(world, item, set_name, whole)
    assert item.of is not None
    target = item.of.target
    inner = where(world, target, SET_OF[target], whole, depth - 1)
    if item.role is InputRole.TO_ONE:
        return inner
    return f"{{ {chance.choice(('some', 'none'))}: {chance.choice((inner, '{}'))} }}"


def operators(world: Worlds, item: InputField, set_name: str, whole: Tables) -> str:
    catalog, chance = world.schema.catalog, world.chance
    assert item.of is not None
    offered = catalog.inputs_of(item.type_name)
    values = [row.get(item.of.source) for row in whole.rows[set_name]]
    values = [v for v in values if v is not None] or [None]
    names = [n for n in ("eq", "ne", "in", "nin", "gt", "lte", "isNull") if n in offered]
    name = chance.choice(names)
    if name == "isNull":
        return f"{{ isNull: {chance.choice(('true', 'false'))} }}"
    type_name = offered[name].type_name
    one = chance.choice(values)
    if one is None:
        return "{ eq: null }"
    if name in ("in", "nin"):
        return f"{{ {name}: [{literal(one, type_name)}, {literal(chance.choice(values), type_name)}] }}"
    return f"{{ {name}: {literal(one, type_name)} }}"


def entities(world: Worlds, whole: Tables) -> Operation:
    """Return a look-up of rows by their keys, as routers send it."""
    names = [n for n in ("Order", "Line", "Item", "Person", "Firm") if n in world.sdl.type_map]
    sets = {name: next(s for s, names in TYPES.items() if name in names) for name in names}
    representations = [
        {"__typename": name, **{k[0].lower() + k[1:]: _sent(row[k]) for k in KEYS[sets[name]]}}
        for name in names
        for row in world.chance.sample(whole.rows[sets[name]], min(2, len(whole.rows[sets[name]])))
    ]
    each = " ".join(f"... on {name} {{ {_leaves(world, name)} }}" for name in names)
    text = f"query($r: [_Any!]!) {{ _entities(representations: $r) {{ __typename {each} }} }}"
    return Operation(text, {"r": representations})


def _sent(value: object) -> object:
    return str(value) if isinstance(value, Decimal) else value


def _leaves(world: Worlds, name: str) -> str:
    kind = world.sdl.type_map[name]
    assert isinstance(kind, GraphQLObjectType)
    leaves = (
        f
        for f, made in kind.fields.items()
        if is_leaf_type(get_named_type(made.type))
        and not any(is_required_argument(argument) for argument in made.args.values())
    )
    return " ".join(f"{name}_{field}: {field}" for field in leaves)


def operation(world: Worlds, whole: Tables) -> Operation:
    if "_entities" in world.schema.roots and world.chance.random() < 0.1:
        return entities(world, whole)
    writer = Writer(world.chance, world.chance.randint(1, 5), world.sdl, roots_of(world, whole))
    return writer.operation()


# Answers


def shown(value: Any, key: str = "") -> Any:
    """Return an answer with a star in the place of each cursor: sealed ones have another text."""
    if isinstance(value, Mapping):
        return {k: shown(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [shown(v) for v in value]
    is_cursor = key.removeprefix("x_").lower().endswith("cursor")
    return "*" if is_cursor and isinstance(value, str) else value


async def answers(world: Worlds, asked: Operation) -> list[Any]:
    bodies = []
    # What somebody with all rights has read just now is in the cache.
    await world.everything.execute(asked.text, asked.variables)
    for zoo in (world.ruled, world.free):
        answer = (await zoo.execute(asked.text, asked.variables, caller=ASKING)).to_builtins()
        # Of several tests that a product cannot answer, the first that is noticed is reported.
        errors = [
            (e.get("path"), code, "" if code == "UNSUPPORTED_QUERY" else e["message"])
            for e in answer.get("errors", ())
            for code in (e["extensions"]["code"],)
        ]
        bodies.append((shown(answer.get("data")), errors))
        world.reused += "cache" in answer.get("extensions", {})
    return bodies


async def first_leak(dialect: str, policies: int = POLICIES) -> str | None:
    """Return what leaks first; None if nothing does."""
    compared = reused = 0
    for seed in range(policies):
        world = worlds(dialect, seed)
        if world is None:
            continue
        for number in range(OPERATIONS):
            whole = world.fill(1_000 * seed + number)
            asked = operation(world, whole)
            assert validate(world.sdl, parse(asked.text)) == [], asked
            ruled, free = await answers(world, asked)
            if ruled != free:
                return f"seed {seed}, operation {number}\n{asked}\n{world.policy}\n{ruled}\n{free}"
            compared += 1
        reused += world.reused
    assert reused > policies
    assert compared > policies * OPERATIONS // 2
    return None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_is_that_of_a_service_without_what_is_hidden(dialect: str) -> None:
    assert asyncio.run(first_leak(dialect)) is None


def _no_rule(self: RowBounds, *_: Any, **__: Any) -> None:
    """Bound nothing."""


OPEN_DOORS: Mapping[str, tuple[Any, str, Any]] = {
    "lists": (RowBounds, "scoped_predicate", _no_rule),
    "keys and ids": (RowBounds, "predicate", _no_rule),
    "filters over relations": (RowBounds, "relation_predicate", _no_rule),
    "values": (planner, "redaction", lambda *_: None),
    "values of expanded rows": (planner, "redaction", lambda c, t, b, _: redaction(c, t, b, {})),
}


@pytest.mark.parametrize("door", bounded(("lists", "values"), tuple(OPEN_DOORS)))
def test_a_door_without_a_rule_is_noticed(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*OPEN_DOORS[door])

    assert asyncio.run(first_leak("odata", 200)) is not None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pages_lead_through_the_rows_that_show(dialect: str) -> None:
    async def walk() -> int:
        rows = 0
        for seed in range(POLICIES):
            world = worlds(dialect, seed)
            if world is not None and "orders" in world.schema.catalog.roots:
                world.fill(seed + 3)
                rows += await _walk(world)
        return rows

    assert asyncio.run(walk()) > POLICIES // 2


async def _walk(world: Worlds) -> int:
    """Compare the pages of a list; return how many rows they have."""
    arguments = list_arguments(world, "Orders", "Zoo.Order", world.ruled.tables)
    fixed = [a for a in arguments if not a.startswith(("first", "last"))]
    ruled, free = [await _pages(zoo, fixed) for zoo in (world.ruled, world.free)]
    assert ruled == free, world.policy
    return sum(map(len, ruled))


async def _pages(zoo: Zoo, arguments: list[str]) -> list[list[str]]:
    pages: list[list[str]] = []
    after, inner = None, "nodes { id } pageInfo { endCursor hasNextPage }"
    call = ", ".join(["first: 2, after: $after", *arguments])
    while True:
        text = f"query($after: String) {{ orders({call}) {{ {inner} }} }}"
        answer = (await zoo.execute(text, {"after": after}, caller=ASKING)).to_builtins()
        if "errors" in answer:  # an order that no cursor can hold
            return [*pages, [e["message"] for e in answer["errors"]]]
        page = answer["data"]["orders"]
        pages.append([row["id"] for row in page["nodes"]])
        if not page["pageInfo"]["hasNextPage"]:
            return pages
        after = page["pageInfo"]["endCursor"]


def test_hidden_and_unknown_names_are_refused_alike() -> None:
    """Messages and suggestions of a view are those of an API that never had what it hides."""

    async def compare() -> int:
        seen = 0
        for seed in range(POLICIES):
            world = worlds("odata", seed)
            if world is None or "orders" not in world.schema.catalog.roots:
                continue
            fields = world.schema.catalog.object("Zoo.Order").fields
            for hidden in ("text", "amount", "buyer", "party", "lines", "home"):
                if hidden in fields:
                    continue
                texts = [
                    f"{{ orders {{ nodes {{ {name} }} }} }}" for name in (hidden, f"{hidden}zzzzzz")
                ]
                messages = []
                for text in texts:
                    answer = (await world.ruled.execute(text, caller=ASKING)).to_builtins()
                    (error,) = answer["errors"]
                    messages.append(error["message"].partition(" Did you mean")[0])
                    assert f'"{hidden}"' not in error["message"].partition(" Did you mean")[2]
                assert messages[0].replace(hidden, "X") == messages[1].replace(
                    f"{hidden}zzzzzz", "X"
                )
                seen += 1
        return seen

    assert asyncio.run(compare()) > 0


def test_ids_of_hidden_and_unknown_types_are_refused_alike() -> None:
    async def compare() -> int:
        seen = 0
        for seed in range(POLICIES):
            world = worlds("odata", seed)
            if world is None or "node" not in world.schema.catalog.roots:
                continue
            for name in ("Order", "Line", "Item", "Person"):
                if name in world.sdl.type_map:
                    continue
                answers = []
                for type_name in (name, "Unknown"):
                    text = f'{{ node(id: "{node_id(type_name, "A1", 1)}") {{ id }} }}'
                    answer = (await world.ruled.execute(text, caller=ASKING)).to_builtins()
                    for error in answer["errors"]:
                        del error["extensions"]["errorId"]
                    answers.append(answer)
                assert answers[0] == answers[1]
                seen += 1
        return seen

    assert asyncio.run(compare()) > 0


def test_the_policies_hide_rows_and_values() -> None:
    """Policies that hide nothing would make the other tests green and empty."""
    counts = {"rows": 0, "left": 0, "changed": 0, "rules": 0, "roles": 0}
    for seed in range(POLICIES):
        policy = random_policy(seed, paths=True)
        whole: Tables = tables(seed, 4, insensitive=False)
        left = remaining(whole, policy)
        counts["roles"] += len(policy.roles) > 1
        counts["rules"] += bool(policy.rules)
        for name, rows in whole.rows.items():
            counts["rows"] += len(rows)
            counts["left"] += len(left.rows[name])
            originals: dict[tuple[Any, ...], Row] = {
                tuple(row[k] for k in KEYS[name]): row for row in rows
            }
            counts["changed"] += sum(
                row != originals[tuple(row[k] for k in KEYS[name])] for row in left.rows[name]
            )

    assert counts["rows"] * 0.2 < counts["left"] < counts["rows"] * 0.9, counts
    assert counts["changed"] > POLICIES, counts
    assert counts["roles"] > POLICIES // 4, counts
