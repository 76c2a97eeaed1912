"""Aggregates are those that plain Python computes of all rows, whoever does the work: service or gateway."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import ODATA
from schema.catalog import Catalog
from schema.types.build import ODataSchema, build_schema
from tests.support.memory_odata import Row
from tests.support.random_rows import tables
from tests.support.soak import bounded
from tests.support.zoo_model import FO, KINDS, Zoo, model

DIALECTS = {"odata": ODATA, "finops": FO, "apply": replace(ODATA, apply=True)}
COLOURS = {"Red": "RED", "DarkGreen": "DARK_GREEN", "Blue": "BLUE"}
ALL = {
    "Area": "Edm.String",
    "Buyer": "Edm.String",
    "OrderId": "Edm.Int32",
    **{f"{name}{end}": kind for name, kind in KINDS.items() for end in ("", "Must")},
}
NOT_SINGLE = ("Zoo.Rights", "Zoo.Address", "Edm.Binary", "Edm.GeographyPoint")
NUMBERS = ("Edm.Int32", "Edm.Int16", "Edm.Int64", "Edm.Decimal", "Edm.Double")
UNSORTED = ("Edm.Boolean", "Zoo.NoYes", "Zoo.Colour", "Edm.Guid")
GROUPED = [name for name, kind in ALL.items() if kind not in NOT_SINGLE]
FUNCTIONS = {
    "count": GROUPED,
    "countDistinct": GROUPED,
    "sum": [name for name in GROUPED if ALL[name] in NUMBERS],
    "avg": [name for name in GROUPED if ALL[name] in NUMBERS],
    "min": [name for name in GROUPED if ALL[name] not in UNSORTED],
    "max": [name for name in GROUPED if ALL[name] not in UNSORTED],
}
MEASURES = [(function, name) for function, names in FUNCTIONS.items() for name in names]
WHERES = {
    "": lambda _: True,
    'area: { eq: "A1" }': lambda row: row["Area"] == "A1",
    'text: { contains: "*" }': lambda row: "*" in (row["Text"] or ""),
}
ROUNDED = Context(prec=34)


@cache
def schema_of(dialect: str) -> ODataSchema:
    catalog = Catalog(model(), abilities_of(DIALECTS[dialect]))
    return build_schema(catalog, LoadedResolvers(catalog), aggregates=True)


def field_of(name: str) -> str:
    return name[0].lower() + name[1:]


def value_of(name: str, row: Row, *, finops: bool) -> Any:
    """Return a value as rows answer it, numbers as numbers."""
    value, kind = row[name], ALL[name]
    if value is None:
        return None
    if kind == "Zoo.NoYes":
        return value == "Yes"
    if kind == "Zoo.Colour":
        return COLOURS[value]
    if kind in NUMBERS:
        return Decimal(value)
    is_null = kind == "Edm.DateTimeOffset" and value.startswith("1900-01-01")
    if name.startswith("Due"):
        return None if is_null else value[:10]
    return None if is_null and finops and name.startswith("Moment") else value


def fold(value: Any, *, finops: bool) -> Any:
    return value.rstrip(" ").casefold() if finops and isinstance(value, str) else value


def as_in_rows(name: str, value: Any) -> Any:
    if not isinstance(value, Decimal):
        return value
    if ALL[name] in ("Edm.Int64", "Edm.Decimal"):
        return str(value)
    return float(value) if ALL[name] == "Edm.Double" else int(value)


def computed(function: str, name: str, rows: list[Row], *, finops: bool) -> Any:
    values = [v for v in (value_of(name, row, finops=finops) for row in rows) if v is not None]
    folded = [fold(v, finops=finops) for v in values]
    match function:
        case "count":
            return len(values)
        case "countDistinct":
            return len(set(folded))
        case "min" | "max":
            pick = min if function == "min" else max
            by_place = pick(zip(folded, values, strict=True), default=(None, None))
            return as_in_rows(name, by_place[1])
    if not values:
        return None
    # Fractions, because decimals of Python round.
    total = sum(map(Fraction, values), Fraction(0))
    if function == "sum":
        return total
    mean = total / len(values)
    return Fraction(ROUNDED.divide(Decimal(mean.numerator), Decimal(mean.denominator)))


def expected(
    rows: list[Row], keys: list[str], measures: list[tuple[str, str]], *, finops: bool
) -> Any:
    def result(members: list[Row]) -> dict[str, Any]:
        return {
            "count": len(members),
            **{f"m{n}": computed(*m, members, finops=finops) for n, m in enumerate(measures)},
        }

    groups: dict[tuple[Any, ...], list[Row]] = {} if keys else {(): []}
    for row in rows:
        values = tuple(value_of(key, row, finops=finops) for key in keys)
        groups.setdefault(values, []).append(row)
    ordered = sorted(
        groups.items(),
        key=lambda item: [
            (v is not None, 0 if v is None else fold(v, finops=finops)) for v in item[0]
        ],
    )
    return {
        **result(rows),
        "groups": [
            {
                "keys": {field_of(k): as_in_rows(k, v) for k, v in zip(keys, values, strict=True)},
                **result(members),
            }
            for values, members in ordered
        ],
        "groupCount": len(groups),
    }


def numbers(answer: dict[str, Any], measures: list[tuple[str, str]]) -> Any:
    """Return an answer with sums and averages as numbers: 1.0 is 1."""
    for part in (answer, *answer["groups"]):
        for number, (function, _) in enumerate(measures):
            value = part[f"m{number}"]
            if function in ("sum", "avg") and value is not None:
                part[f"m{number}"] = Fraction(value)
    return answer


@settings(max_examples=bounded(60, 2_000), deadline=None)
@example("apply", 5, 30, ["Colour"], [("sum", "AmountMust"), ("countDistinct", "BigMust")], "", 2)
@example("finops", 7, 30, ["Due", "Open"], [("avg", "Amount"), ("max", "Moment")], "", None)
@given(
    st.sampled_from(sorted(DIALECTS)),
    st.integers(0, 10_000),
    st.integers(0, 30),
    st.lists(st.sampled_from(GROUPED), max_size=2, unique=True),
    st.lists(st.sampled_from(MEASURES), max_size=4),
    st.sampled_from(sorted(WHERES)),
    st.sampled_from((None, 1, 4)),
)
def test_an_aggregate_is_that_of_all_rows(
    dialect: str,
    seed: int,
    orders: int,
    keys: list[str],
    measures: list[tuple[str, str]],
    where: str,
    page_size: int | None,
) -> None:
    zoo = Zoo(DIALECTS[dialect], schema=schema_of(dialect), compiled=seed % 4 > 0)
    finops = dialect == "finops"
    zoo.tables = tables(seed, orders, insensitive=finops)
    zoo.tables.page_size = page_size
    fields = " ".join(
        f'm{n}: {f}(field: "{field_of(name)}")' for n, (f, name) in enumerate(measures)
    )
    names = ", ".join(f'"{field_of(key)}"' for key in keys)
    text = (
        f"{{ ordersAggregate(where: {{ {where} }}, groupBy: [{names}])"
        f" {{ count {fields} groups {{ keys count {fields} }} groupCount }} }}"
    )

    answer = asyncio.run(zoo.execute(text)).to_builtins()

    assert "errors" not in answer, answer
    rows = [row for row in zoo.tables.rows["Orders"] if WHERES[where](row)]
    wanted = expected(rows, keys, measures, finops=finops)
    assert numbers(answer["data"]["ordersAggregate"], measures) == wanted, zoo.tables.requests
