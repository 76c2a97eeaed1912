"""Joins the answers of the parts of one operation: its fields, its errors, and what they took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from gateway.request import Answer


def joined(answers: Iterable[Answer], keys: Sequence[str]) -> Answer:
    """Return one answer with the fields of all, in the order of ``keys``."""
    result, costs = Answer({}), list[Mapping[str, Any]]()
    for answer in answers:
        result.errors += answer.errors
        result.requests += answer.requests
        result.rows += answer.rows
        result.fields = answer.fields or result.fields
        if answer.extensions is not UNSET and "cost" in answer.extensions:
            costs.append(answer.extensions["cost"])
        # A field that must not be null is null: so is the data as a whole.
        data = None if result.data is None else _fields_of(answer)
        result.data = None if data is None else {**result.data, **data}
    if result.data is not None:
        result.data = {key: result.data[key] for key in keys}
    if costs:
        result.extend("cost", total_cost(costs))
    return result


def total_cost(costs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sum of costs, with what the last one says of the budget."""
    total: dict[str, Any] = {}
    for cost in costs:
        for name, part in cost.items():
            if name == "budget":
                total[name] = part
            else:
                sums = total.setdefault(name, {})
                for unit, number in part.items():
                    sums[unit] = round(sums.get(unit, 0) + number, 3)
    return total


def _fields_of(answer: Answer) -> dict[str, Any] | None:
    if isinstance(answer.data, dict):
        return answer.data
    body = msgspec.json.decode(answer.encode(), type=dict[str, Any])
    data: dict[str, Any] | None = body.get("data")
    return data
