"""Every write that breaks at every point is sent again with its key: nothing is written twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.config.settings import Settings
from gateway.idempotency.ledger import Ledger
from gateway.request import GraphQLRequest
from gateway.writes.idempotent import IdempotentWrites
from tests.support.faulty_writes import Faulty
from tests.support.journal_writes import JOURNAL, NUMBERED, TOGETHER, Nested, held, journal
from tests.support.observers import raise_bugs
from tests.support.write_kinds import KINDS, POINTS, fresh, prepare

pytestmark = pytest.mark.anyio
NOTHING_WRITTEN = {"UPSTREAM_UNAVAILABLE", "UPSTREAM_THROTTLED", "UPSTREAM_FORBIDDEN"}
"""Codes after which a key is free again."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("ledger"))
    ledger = Ledger(settings, raise_bugs)
    yield ledger
    ledger.close()


@pytest.fixture
def keyed(over: Faulty, store: Ledger) -> Faulty:
    over.engine.once = IdempotentWrites(store)
    return over


async def send(
    over: Faulty, query: str, key: str | None, **variables: Any
) -> tuple[dict[str, Any], bool]:
    """Return an answer, and whether it was stored."""
    request = GraphQLRequest(
        query=query, variables=variables, companies=("usmf",), idempotency_key=key
    )
    answer = await over.engine.execute(request)
    return answer.to_builtins(), bool(answer.fields)


def codes_of(answer: dict[str, Any]) -> set[str]:
    payload = answer["data"]["x"]
    errors = [e["extensions"] for e in answer.get("errors", [])]
    return {e["code"] for e in [*errors, *(payload or {}).get("userErrors", [])]}


@pytest.mark.parametrize("by", ["header", "argument"])
@pytest.mark.parametrize("name", KINDS)
async def test_a_write_that_breaks_is_repeated_without_harm(
    keyed: Faulty, name: str, by: str
) -> None:
    kind = KINDS[name]
    if by == "argument":
        query = re.sub(r"(x: \w+\()", r"\1idempotencyKey: $k, ", kind.query)
        kind = replace(kind, query=query)
    for point, breaking in POINTS.items():
        key = prepare(keyed, name, kind)
        keyed.door.shut, keyed.door.method, keyed.door.path = (
            breaking.shut,
            kind.method,
            kind.path,
        )
        rule = breaking.rule
        keyed.faults(*([replace(rule, method=kind.method, path=kind.path)] if rule else ()))
        first, _ = await send(keyed, kind.query, key if by == "header" else None, k=key)
        keyed.door.shut = 0
        keyed.faults()
        second, is_stored = await send(keyed, kind.query, key if by == "header" else None, k=key)

        if codes_of(first) & NOTHING_WRITTEN:
            assert (is_stored, codes_of(second)) == (False, set()), point
            assert kind.is_written(keyed, key), point
        else:
            assert is_stored, point
            assert second == first, point
            assert keyed.reached() == 0, point


@pytest.mark.parametrize(
    ("number", "points"), [(None, NUMBERED), ("own", TOGETHER)], ids=["numbered", "together"]
)
async def test_no_journal_is_created_twice(
    keyed: Faulty, number: str | None, points: dict[str, Nested]
) -> None:
    for point, breaking in points.items():
        name = fresh()
        variables = {"input": journal(name, number=number and name, bad=breaking.bad)}
        if breaking.shut is not None:
            keyed.door.shut, (keyed.door.method, keyed.door.path) = 99, breaking.shut
        keyed.faults(*breaking.rules)
        first, _ = await send(keyed, JOURNAL, name, **variables)
        assert held(keyed, name) == breaking.held, point
        keyed.door.shut = 0
        keyed.faults()
        answers = [await send(keyed, JOURNAL, name, **variables) for _ in range(2)]

        is_free = bool(codes_of(first)) and codes_of(first) <= NOTHING_WRITTEN
        assert [is_stored for _, is_stored in answers] == [not is_free, True], point
        assert held(keyed, name) == ((1, 2) if is_free else breaking.held), point
