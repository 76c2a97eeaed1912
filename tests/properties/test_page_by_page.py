"""Random operations answer the same whether pages are cut out of whole lists, or read parent by parent."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.request import Answer
from tests.support.operations import Operation, operations
from tests.support.oracle import oracle_schema
from tests.support.random_rows import tables
from tests.support.soak import bounded
from tests.support.zoo_model import DIALECTS, Zoo, schema_of

pytestmark = pytest.mark.heavy
EXAMPLES = int(bounded("25", "600"))
WORLDS = 3
DIALECT = DIALECTS["finops"]
SCHEMA = schema_of(DIALECT)
ROOTS = (
    ("orders", "orders"),
    ("parties", "parties"),
    ("lines", "lines"),
    ("two", "orders(first: 2)"),
    ("end", "orders(last: 1)"),
)
OPERATIONS = operations(oracle_schema(SCHEMA.as_str()), ROOTS)
profile = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def has_batch(answer: Answer) -> bool:
    return any(request.url == "$batch" for request in answer.requests)


@pytest.mark.parametrize("can_expand", [True, False], ids=["expand", "keys"])
def test_pages_are_the_same_in_whichever_way_they_are_read(can_expand: bool) -> None:
    loop = asyncio.new_event_loop()
    batched = 0

    @profile
    @given(OPERATIONS, st.integers(0, 10_000))
    def compare(operation: Operation, seed: int) -> None:
        nonlocal batched
        # New ones: what was learned of lists is part of what is compared.
        whole, paged = (
            Zoo(DIALECT, can_expand=can_expand, schema=SCHEMA, long_list_rows=rows)
            for rows in (1_000_000, 0)
        )
        for world in range(WORLDS):
            whole.tables = paged.tables = tables(seed + world, 4, insensitive=True)
            expected = loop.run_until_complete(whole.execute(operation.text, operation.variables))
            for _ in range(2):
                answer = loop.run_until_complete(paged.execute(operation.text, operation.variables))
                batched += has_batch(answer)
                assert answer.encode() == expected.encode()

    compare()
    loop.close()

    assert batched > EXAMPLES // 5
