"""Estimates beside what is sent, for a mix of operations with random values: within a fifth for nine of ten."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.runtime.assembly import Gateway
from tests.support.priced_operations import priced_engine, run_mix

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "settings",
    [{}, {"expand": "never"}, {"expand": "never", "max_url_length": 500}],
    ids=["expand", "key batches", "short addresses"],
)
async def test_nine_of_ten_estimates_are_within_a_fifth(
    sandboxed: Gateway, settings: dict[str, Any]
) -> None:
    by = priced_engine(sandboxed, **settings)
    await run_mix(by, 3, 1)

    priced = await run_mix(by, 5, 2)

    wrong = [one for one in priced if one.error > 0.2]
    assert len(wrong) <= len(priced) // 10, wrong
