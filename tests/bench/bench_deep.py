"""Deep answers: five levels of a hundred rows, each level a key batch, against the floor for the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from gateway.engine import Engine
from gateway.odata.finops import NAMESPACE
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.request import GraphQLRequest
from schema.csdl.parse import parse_csdl
from tests.bench.bench_execute import runner
from tests.bench.measure import GC_FROZEN, Report, Variant, frozen_gc, ms
from tests.bench.repetition import Interval, alternating, in_fresh_processes
from tests.bench.workload import JSON, Service, engine_over, schema_of

LEVELS, SIZES = 5, (100, 1_000)
_KEYS = re.compile(r"ParentId(?: eq |=)'K-(\d+)'")
_COLUMNS = ("dataAreaId", "RowId", "ParentId", *(f"Text{n}" for n in range(5)), "Amount", "Number")


def document() -> str:
    """Write the metadata of the levels: each row has a parent, and children on the next level."""
    types = "".join(_entity(level) for level in range(LEVELS))
    sets = "".join(_entity_set(level) for level in range(LEVELS))
    return f"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="{NAMESPACE}" xmlns="http://docs.oasis-open.org/odata/ns/edm">{types}
<EntityContainer Name="Resources">{sets}</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"""


def _entity(level: int) -> str:
    kinds = {"Amount": "Edm.Decimal", "Number": "Edm.Int32"}
    properties = "".join(
        f'<Property Name="{name}" Type="{kinds.get(name, "Edm.String")}" Nullable="false"/>'
        for name in _COLUMNS
    )
    down = f"Collection({NAMESPACE}.Level{level + 1})"
    children = f'<NavigationProperty Name="Children" Type="{down}" Partner="Parent"/>'
    parent = (
        f'<NavigationProperty Name="Parent" Type="{NAMESPACE}.Level{level - 1}" Partner="Children">'
        '<ReferentialConstraint Property="dataAreaId" ReferencedProperty="dataAreaId"/>'
        '<ReferentialConstraint Property="ParentId" ReferencedProperty="RowId"/>'
        "</NavigationProperty>"
    )
    return (
        f'<EntityType Name="Level{level}"><Key><PropertyRef Name="dataAreaId"/>'
        f'<PropertyRef Name="RowId"/></Key>{properties}'
        f"{parent if level else ''}{children if level < LEVELS - 1 else ''}</EntityType>"
    )


def _entity_set(level: int) -> str:
    up = f'<NavigationPropertyBinding Path="Parent" Target="Level{level - 1}s"/>'
    down = f'<NavigationPropertyBinding Path="Children" Target="Level{level + 1}s"/>'
    bindings = f"{up if level else ''}{down if level < LEVELS - 1 else ''}"
    return f'<EntitySet Name="Level{level}s" EntityType="{NAMESPACE}.Level{level}">{bindings}</EntitySet>'


@dataclass
class Levels(Service):
    """Each row of a level is the only child of the row of its number above."""

    rows: int = SIZES[0]
    bodies: dict[str, list[bytes]] = field(default_factory=dict)
    """The answers by level, each once."""

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        found = self._answers.get(request.url)
        if found is None:
            path, _, query = request.url.partition("?")
            options = dict(parse_qsl(query, keep_blank_values=True))
            numbers = [int(n) for n in _KEYS.findall(options.get("$filter", ""))] or range(
                self.rows
            )
            select = options["$select"].split(",")
            rows = [_row(select, number) for number in numbers]
            body = orjson.dumps({"@odata.context": "x", "value": rows})
            self.bodies.setdefault(unquote(path), []).append(body)
            found = self._answers[request.url] = Response(
                200, {"content-type": JSON}, body, f"{self.root}/{request.url}"
            )
        return found


def _row(select: Sequence[str], number: int) -> dict[str, object]:
    values: dict[str, object] = {
        "dataAreaId": "usmf",
        "RowId": f"K-{number:04}",
        "ParentId": f"K-{number:04}",
        **{f"Text{n}": f"Text {n} of {number:03}" for n in range(5)},
        "Amount": orjson.Fragment(f"{number}.25"),
        "Number": number,
    }
    return {
        "@odata.etag": f'W/"JzAsMzU2Mzc{number:07}Jw=="',
        **{name: values[name] for name in select},
    }


def query(rows: int) -> str:
    """Return the operation: so many rows on each level."""
    names = " ".join(name[0].lower() + name[1:] for name in _COLUMNS)
    text = f"{{ {names} }}"
    for _ in range(LEVELS - 1):
        text = f"{{ {names} children(first: 50) {{ nodes {text} }} }}"
    return f"query Deep {{ level0S(first: {rows}) {{ nodes {text} }} }}"


def floor_of(bodies: dict[str, list[bytes]], root: str) -> Callable[[], bytes]:
    """Return what a handler written by hand for just this query would do with these bytes."""
    values = ", ".join(f'"{n[0].lower()}{n[1:]}": r["{n}"]' for n in _COLUMNS)
    lines = ["def floor():", " below = None"]
    for level in reversed(range(LEVELS)):
        below = ""
        if level < LEVELS - 1:
            below = ', "children": {"nodes": below.get((r["dataAreaId"], r["RowId"]), [])}'
        made = f"{{{values}{below}}}"
        lines += [f' rows = [r for b in bodies["Level{level}s"] for r in loads(b)["value"]]']
        if level:
            lines += [
                " own = {}",
                " for r in rows:",
                f'  own.setdefault((r["dataAreaId"], r["ParentId"]), []).append({made})',
                " below = own",
            ]
        else:
            lines += [
                f' return dumps({{"data": {{"{root}": {{"nodes": [{made} for r in rows]}}}}}})'
            ]
    space: dict[str, Any] = {"loads": orjson.loads, "dumps": orjson.dumps, "bodies": bodies}
    exec(compile("\n".join(lines), "<floor>", "exec"), space)
    made_floor: Callable[[], bytes] = space["floor"]
    return made_floor


async def contestants(rows: int) -> dict[str, Variant]:
    """Return the gateway and its floor, which answer the same; each has run once."""
    service = Levels(rows=rows)
    model = parse_csdl(document().encode(), name="deep")
    engine: Engine = engine_over(service, expand=False, schema=schema_of(model))
    text = query(rows)
    root = next(name for name in engine.schema.catalog.roots if name.lower() == "level0s")
    text = text.replace("level0S", root)
    answer = await engine.execute(GraphQLRequest(query=text))
    floor = floor_of(service.bodies, root)
    # The gateway writes decimals as text.
    whole = orjson.loads(
        answer.encode().replace(b'.25"', b".25").replace(b'"amount":"', b'"amount":')
    )
    assert whole == orjson.loads(floor()), answer.errors
    return {"floor": floor, "gateway": runner(engine, text)}


async def one_process(rounds: int) -> list[dict[str, float]]:
    """Return the CPU seconds of both for each size, of this process."""
    made = [await contestants(size) for size in SIZES]
    with frozen_gc():
        return [await alternating(variants, rounds) for variants in made]


async def deep(quick: bool) -> list[Report]:
    """Measure five levels of key batches, cached document, in fresh processes."""
    processes, rounds = (3, 15) if quick else (7, 40)
    report = Report("deep", f"{LEVELS} levels of rows x 10 by key batches; CPU, {GC_FROZEN}")
    samples = await in_fresh_processes(f"{__name__}:one_process", [rounds], processes)
    for number, size in enumerate(SIZES):
        taken = [sample[number] for sample in samples]
        ratio = Interval.of([times["gateway"] / times["floor"] for times in taken])
        report.add(
            rows=LEVELS * size,
            floor_ms=ms(median(times["floor"] for times in taken)),
            gateway_ms=ms(median(times["gateway"] for times in taken)),
            ratio=round(ratio.median, 2),
            spread=str(ratio),
        )
    report.notes.append(
        "Floor: orjson.loads of the same answers, children looked up in dicts by their keys, orjson.dumps;"
        " it plans nothing, and prints and sends no requests."
    )
    return [report]
