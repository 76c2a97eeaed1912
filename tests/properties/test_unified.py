"""Random operations on unified objects: each way of reading and completing their rows gives the same answer."""

from __future__ import annotations

import random
from typing import Any

import pytest
from graphql import build_schema as executable
from graphql import parse, validate

from tests.support.operations import Writer
from tests.support.random_rows import tables
from tests.support.soak import bounded
from tests.support.zoo_model import DIALECTS, Zoo, schema_of, zoo_mapping

pytestmark = [pytest.mark.anyio, pytest.mark.heavy]
ROOTS = (("u", "deals"), ("o", "orders(first: 2)"))
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"compiled": False},
    {"can_expand": False},
    {"can_expand": False, "compiled": False, "max_url_length": 500},
)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_way_gives_the_same_answer(dialect: str) -> None:
    schema = schema_of(DIALECTS[dialect], zoo_mapping())
    sdl = executable(schema.as_str())
    zoos = [Zoo(DIALECTS[dialect], schema=schema, **way) for way in WAYS]
    with_rows = 0
    for seed in range(bounded(8, 1_000)):
        rows = tables(seed, 2 + seed % 4, insensitive=dialect == "finops")
        operation = Writer(random.Random(seed), 5, sdl, ROOTS, rows_always=True).operation()
        assert validate(sdl, parse(operation.text)) == [], operation
        answers = []
        for zoo in zoos:
            zoo.tables = rows
            answer = await zoo.execute(operation.text, operation.variables)
            body = answer.to_builtins()
            for error in body.get("errors", ()):
                error.get("extensions", {}).pop("errorId", None)
            answers.append((body.get("data"), sorted(body.get("errors", ()), key=repr)))
        with_rows += "UnifiedDeal" in str(answers[0]) or "nodes" in str(answers[0])
        assert [a for a in answers if a != answers[0]] == [], (seed, operation)
    assert with_rows > 5
