"""Aggregates under random roles are those of a service without what the roles hide (see ``test_leak``)."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from graphql import parse, validate

from gateway.planning import aggregates as planning
from gateway.planning.row_bounds import RowBounds
from schema.catalog.records import RootKind
from tests.properties.test_leak import Worlds, answers, list_arguments, worlds
from tests.support.memory_odata import Tables
from tests.support.operations import Operation
from tests.support.soak import bounded
from tests.support.zoo_model import DIALECTS

FUNCTIONS = ("count", "countDistinct", "sum", "avg", "min", "max")
OPERATIONS = bounded(2, 30)


def operation(world: Worlds, whole: Tables) -> Operation:
    """Return aggregates of fields, those among them that the roles hide, mask, or give in some rows only."""
    chance, every = world.chance, world.schema.catalog.whole
    roots = [root for root in world.schema.roots.values() if root.kind is RootKind.AGGREGATE]
    texts: list[str] = []
    for number in range(6):
        root = chance.choice(roots)
        assert root.entity_set is not None
        names = list(every.object(root.csdl).fields)
        given = list_arguments(world, root.entity_set.name, root.csdl, whole)
        arguments = [a for a in given if a.startswith("where")]
        keys = chance.sample(names, chance.choice((0, 0, 1)))
        call = ", ".join([*arguments, f"groupBy: {json.dumps(keys)}"])
        measure = f'{chance.choice(FUNCTIONS)}(field: "{chance.choice(names)}")'
        inner = chance.choice(("count", f"count v: {measure}"))
        texts.append(
            f"a{number}: {root.name}({call}) {{ {inner} rowsRead groups {{ keys {inner} }} }}"
        )
    return Operation(f"{{ {' '.join(texts)} }}", {})


async def first_leak(dialect: str, policies: int) -> str | None:
    """Return what leaks first; None if nothing does."""
    values = 0
    for seed in range(policies):
        world = worlds(dialect, seed)
        if world is None:
            continue
        world = replace(world, chance=random.Random(seed))
        for number in range(OPERATIONS):
            whole = world.fill(1_000 * seed + number)
            asked = operation(world, whole)
            assert validate(world.sdl, parse(asked.text)) == [], asked
            ruled, free = await answers(world, asked)
            if ruled != free:
                return f"seed {seed}, operation {number}\n{asked}\n{world.policy}\n{ruled}\n{free}"
            values += sum(value is not None for value in ruled[0].values())
    assert values > policies * OPERATIONS
    return None


@pytest.mark.heavy
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_aggregate_is_of_what_its_caller_sees(dialect: str) -> None:
    assert asyncio.run(first_leak(dialect, bounded(8, 200))) is None


def _nothing(*_: Any, **__: Any) -> None:
    """Bound nothing."""


OPEN: Mapping[str, tuple[Any, str, Any]] = {
    "rows": (RowBounds, "_union", _nothing),
    "filters": (planning, "all_of", lambda _scope, where: where),
}


@pytest.mark.heavy
@pytest.mark.parametrize("door", OPEN)
def test_an_aggregate_without_a_rule_is_noticed(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*OPEN[door])

    assert asyncio.run(first_leak("odata", 12)) is not None
