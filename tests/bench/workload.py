"""A small service of exactly known shape, in F&O's layout: its metadata, its rows, and queries with their floor.

Orders of 20 values, each with a customer of 5 and five lines of 5. :class:`Service`
answers what the gateway really asks (``$select``, ``$expand``, ``$top``, keys), each URL once; from then on it
replays the bytes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from gateway.config.settings import Settings
from gateway.documents.store import DocumentLimits
from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.events import Observer
from gateway.execution.fast_path import Slicing
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import make_catalog
from gateway.odata.finops import FINOPS, NAMESPACE
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.odata.upstream import OutcomePart, whole_response
from gateway.planning.limits import PlanLimits
from gateway.shutdown import Shutdown
from schema.csdl.parse import parse_csdl
from schema.model.records import Model
from schema.types.build import ODataSchema, build_schema
from tests.support.observers import raise_defects

ORDERS = 10_000
LINES = 5
WIDE = 300
STATUSES = ("Backorder", "Delivered", "Invoiced", "Canceled", "None")

Make = Callable[[int], object]
_TEXT, _MONEY, _WHOLE = "Edm.String", "Edm.Decimal", "Edm.Int32"
_STATUS, _NO_YES = f"{NAMESPACE}.OrderStatus", f"{NAMESPACE}.NoYes"
_TIME = "Edm.DateTimeOffset"


@dataclass(frozen=True, slots=True)
class Column:
    """A property: its type, what a row holds, and whether it is an X++ date."""

    name: str
    type: str
    make: Make
    is_date: bool = False

    @property
    def graphql(self) -> str:
        return self.name[0].lower() + self.name[1:]


def _text(prefix: str) -> Make:
    return lambda i: f"{prefix} {i % 997:03}"


def _money(i: int) -> object:
    return orjson.Fragment(f"{i % 9_973}.{i % 100:02}")


def _day(i: int) -> str:
    return "1900-01-01T12:00:00Z" if i % 5 == 0 else f"20{i % 30:02}-{i % 12 + 1:02}-15T12:00:00Z"


def _moment(i: int) -> str:
    return f"20{i % 30:02}-{i % 12 + 1:02}-15T08:{i % 60:02}:00Z"


_COMPANY = Column("dataAreaId", _TEXT, lambda _: "usmf")
ORDER_KEY = (_COMPANY, Column("OrderNumber", _TEXT, lambda i: f"SO-{i:06}"))
PLAIN = (
    *ORDER_KEY,
    Column("CustomerAccount", _TEXT, lambda i: f"C-{i % 200:04}"),
    *(
        Column(name, _TEXT, _text(name))
        for name in (
            *("OrderName", "Reference", "Site", "Warehouse", "Terms", "Mode", "Street", "City"),
            *("Country", "Contact"),
        )
    ),
    *(
        Column(name, _MONEY, _money)
        for name in ("Total", "Discount", "Tax", "Freight", "ExchangeRate")
    ),
    Column("Priority", _WHOLE, lambda i: i % 10),
    Column("Version", _WHOLE, lambda i: i % 7),
)
"""20 values that go through as they are."""
CLEANED = (
    *PLAIN[:10],
    *(Column(name, _STATUS, lambda i: STATUSES[i % 5]) for name in ("Status", "DocumentStatus")),
    *(
        Column(name, _NO_YES, lambda i: "Yes" if i % 2 else "No")
        for name in ("IsBlocked", "IsExport", "IsOneTime")
    ),
    *(Column(name, _TIME, _day, is_date=True) for name in ("ShipDate", "ReceiptDate", "DueDate")),
    *(Column(name, _TIME, _moment) for name in ("CreatedAt", "ModifiedAt")),
)
"""20 values, ten of them enums, NoYes and dates."""
CUSTOMER = (
    _COMPANY,
    Column("CustomerAccount", _TEXT, lambda i: f"C-{i:04}"),
    Column("Name", _TEXT, _text("Customer")),
    Column("GroupId", _TEXT, _text("Group")),
    Column("CreditLimit", _MONEY, _money),
)
LINE_VALUES = (
    Column("LineNumber", _WHOLE, lambda i: i % LINES + 1),
    Column("ItemNumber", _TEXT, _text("Item")),
    Column("Description", _TEXT, _text("Description")),
    Column("Quantity", _MONEY, _money),
    Column("Amount", _MONEY, _money),
)
LINE = (
    _COMPANY,
    Column("LotId", _TEXT, lambda i: f"L-{i:07}"),
    Column("OrderNumber", _TEXT, lambda i: f"SO-{i // LINES:06}"),
    *LINE_VALUES,
)
WIDE_ROW = (
    _COMPANY,
    Column("RecordKey", _TEXT, lambda i: f"K-{i:06}"),
    *(
        Column(f"Field{n:03}", (_TEXT, _MONEY, _WHOLE)[n % 3], (_text("v"), _money, int)[n % 3])
        for n in range(WIDE - 2)
    ),
)
_ORDER = tuple(dict.fromkeys((*PLAIN, *CLEANED)))


# Metadata


def document() -> str:
    """Write the metadata document."""
    types = (
        _entity("Order", ("dataAreaId", "OrderNumber"), _ORDER, _ORDER_NAVIGATIONS),
        _entity("Customer", ("dataAreaId", "CustomerAccount"), CUSTOMER),
        _entity("Line", ("dataAreaId", "LotId"), LINE, _LINE_NAVIGATIONS),
        _entity("Wide", ("dataAreaId", "RecordKey"), WIDE_ROW),
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="{NAMESPACE}" xmlns="http://docs.oasis-open.org/odata/ns/edm">
{_enum("NoYes", ("No", "Yes"))}
{_enum("OrderStatus", STATUSES)}
{"".join(types)}
<EntityContainer Name="Resources">
<EntitySet Name="Orders" EntityType="{NAMESPACE}.Order">
<NavigationPropertyBinding Path="Customer" Target="Customers"/>
<NavigationPropertyBinding Path="Lines" Target="Lines"/></EntitySet>
<EntitySet Name="Customers" EntityType="{NAMESPACE}.Customer"/>
<EntitySet Name="Lines" EntityType="{NAMESPACE}.Line">
<NavigationPropertyBinding Path="Order" Target="Orders"/></EntitySet>
<EntitySet Name="Wides" EntityType="{NAMESPACE}.Wide"/>
</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"""


def _constraint(*names: str) -> str:
    return "".join(
        f'<ReferentialConstraint Property="{n}" ReferencedProperty="{n}"/>' for n in names
    )


_ORDER_NAVIGATIONS = (
    f'<NavigationProperty Name="Customer" Type="{NAMESPACE}.Customer">'
    f"{_constraint('dataAreaId', 'CustomerAccount')}</NavigationProperty>"
    f'<NavigationProperty Name="Lines" Type="Collection({NAMESPACE}.Line)" Partner="Order"/>'
)
_LINE_NAVIGATIONS = (
    f'<NavigationProperty Name="Order" Type="{NAMESPACE}.Order" Partner="Lines">'
    f"{_constraint('dataAreaId', 'OrderNumber')}</NavigationProperty>"
)
_DATE = (
    '<Annotation Term="Microsoft.Dynamics.OData.Core.V1.AXType">'
    "<EnumMember>Microsoft.Dynamics.OData.Core.V1.AXType/Date</EnumMember></Annotation>"
)


def _enum(name: str, members: tuple[str, ...]) -> str:
    inner = "".join(f'<Member Name="{m}" Value="{i}"/>' for i, m in enumerate(members))
    return f'<EnumType Name="{name}">{inner}</EnumType>'


def _entity(
    name: str, key: tuple[str, ...], columns: tuple[Column, ...], navigations: str = ""
) -> str:
    keys = "".join(f'<PropertyRef Name="{k}"/>' for k in key)
    properties = "".join(
        f'<Property Name="{c.name}" Type="{c.type}" Nullable="false">{_DATE if c.is_date else ""}</Property>'
        for c in columns
    )
    return f'<EntityType Name="{name}"><Key>{keys}</Key>{properties}{navigations}</EntityType>'


# Rows


def _row(columns: Mapping[str, Column], select: str, i: int) -> dict[str, object]:
    names = select.split(",") if select else list(columns)
    tag = {"@odata.etag": f'W/"JzAsMzU2Mzc{i:07}Jw=="'}
    return {**tag, **{n: columns[n].make(i) for n in names}}


_SETS = {
    name: {c.name: c for c in columns}
    for name, columns in (
        ("Orders", _ORDER),
        ("Customers", CUSTOMER),
        ("Lines", LINE),
        ("Wides", WIDE_ROW),
    )
}
JSON = "application/json; odata.metadata=minimal"
_READS = re.compile(r"^GET (\S+) HTTP/1\.1\r$", re.MULTILINE)
_EXPANDED = re.compile(r"(\w+)\(\$select=([^)]*)\)")
_KEYS = {
    "Orders": re.compile(r"OrderNumber(?: eq |=)'SO-(\d+)'"),
    "Customers": re.compile(r"CustomerAccount(?: eq |=)'C-(\d+)'"),
    "Wides": re.compile(r"RecordKey(?: eq |=)'K-(\d+)'"),
    "Lines": re.compile(r"OrderNumber(?: eq |=)'SO-(\d+)'"),
}


@dataclass
class Service:
    """Stands where the OData client stands; every answer is made once and replayed."""

    root: str = "http://bench.invalid/data"
    sent: int = 0
    on_send: Callable[[], object] = lambda: None
    unfinished: set[asyncio.Task[Any]] = field(default_factory=set)
    shutdown: Shutdown = field(default_factory=Shutdown)
    _answers: dict[str, Response] = field(default_factory=dict)

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        self.on_send()
        self.sent += 1
        text = request.url if request.body is None else request.body.decode()
        found = self._answers.get(text)
        if found is None:
            is_read = request.body is None
            media, body = (JSON, answer(text)) if is_read else batch_of_answers(text)
            url = f"{self.root}/{request.url}"
            found = self._answers[text] = Response(200, {"content-type": media}, body, url)
        return found

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        raise NotImplementedError("benchmarks only read")


def batch_of_answers(text: str) -> tuple[str, bytes]:
    """Return the media type and the body that answer the reads of a ``$batch``."""
    head = f"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\n\r\n"
    parts = [head.encode() + answer(url) + b"\r\n" for url in _READS.findall(text)]
    return "multipart/mixed; boundary=b", b"".join((*parts, b"--b--\r\n"))


def answer(url: str) -> bytes:
    """Return the JSON of a relative URL, as F&O would."""
    path, _, query = url.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    name, keyed, key = unquote(path).partition("(")
    columns, select = _SETS[name], options.get("$select", "")
    if keyed:
        return orjson.dumps(_row(columns, select, int(_KEYS[name].findall(key)[0])))
    numbers = [int(n) for n in _KEYS[name].findall(options.get("$filter", ""))]
    if numbers and name == "Lines":
        numbers = [n * LINES + i for n in numbers for i in range(LINES)]
    elif not numbers:
        numbers = list(range(min(ORDERS, int(options.get("$top", ORDERS)))))
    rows = [_row(columns, select, n) for n in numbers]
    for child, inner in _EXPANDED.findall(options.get("$expand", "")):
        for number, row in zip(numbers, rows, strict=True):
            row[child] = _below(child, inner, number)
    return orjson.dumps({"@odata.context": f"x/$metadata#{name}", "value": rows})


def _below(child: str, select: str, number: int) -> object:
    if child == "Customer":
        return _row(_SETS["Customers"], select, number % 200)
    return [_row(_SETS["Lines"], select, number * LINES + i) for i in range(LINES)]


# The gateway over it


def model() -> Model:
    return parse_csdl(document().encode(), name="bench")


def schema_of(found: Model) -> ODataSchema:
    catalog = make_catalog(Settings(), found, FINOPS, {})
    return build_schema(catalog, LoadedResolvers(catalog))


def engine_over(
    sender: Service,
    *,
    expand: bool = True,
    schema: ODataSchema | None = None,
    observe: Observer = raise_defects,
    slicing: Slicing | None = None,
) -> Engine:
    """Return an engine whose upstream is ``sender``; ``expand`` False: key batches only."""
    settings = ExecutionSettings(
        plans=PlanLimits(can_expand=expand, max_page=ORDERS),
        documents=DocumentLimits(tokens=1_000_000),
        slicing=slicing or Slicing(),
    )
    return Engine(schema or schema_of(model()), sender, FINOPS, settings, observe)


# Queries


def names(columns: tuple[Column, ...]) -> str:
    return " ".join(c.graphql for c in columns)


def nested_query(columns: tuple[Column, ...] = PLAIN, rows: int = 1_000) -> str:
    """The measured shape: 20 values, a to-one of 5, five children of 5."""
    return (
        f"query Nested {{ orders(first: {rows}) {{ nodes {{ {names(columns)}"
        f" customer {{ {names(CUSTOMER)} }}"
        f" lines(first: 50) {{ nodes {{ {names(LINE_VALUES)} }} }} }} }} }}"
    )


def wide_query(fields: int, rows: int = 100, name: str = "Wide") -> str:
    """A flat list of so many fields."""
    return f"query {name} {{ wides(first: {rows}) {{ nodes {{ {names(WIDE_ROW[:fields])} }} }} }}"


def alias_query(aliases: int) -> str:
    """So many rows by key in one operation."""
    fields = (
        f'a{i}: order(dataAreaId: "usmf", orderNumber: "SO-{i:06}") {{ orderNumber orderName total }}'
        for i in range(aliases)
    )
    return f"query Aliases {{ {' '.join(fields)} }}"


_LINES_TEXT = ", ".join(f'"{c.graphql}": l["{c.name}"]' for c in LINE_VALUES)
_CUSTOMER_TEXT = ", ".join(f'"{c.graphql}": c["{c.name}"]' for c in CUSTOMER)


def floor_of(columns: tuple[Column, ...]) -> Callable[[bytes], bytes]:
    """Return the floor: what a handler written by hand for just this query would do, without any conversion."""
    values = ", ".join(f'"{c.graphql}": r["{c.name}"]' for c in columns)
    text = f"""
def floor(body):
    return dumps({{"data": {{"orders": {{"nodes": [
        {{{values}, "customer": {{{_CUSTOMER_TEXT}}},
          "lines": {{"nodes": [{{{_LINES_TEXT}}} for l in r["Lines"]]}}}}
        for r in loads(body)["value"] for c in (r["Customer"],)]}}}}}})
"""
    space: dict[str, Any] = {"loads": orjson.loads, "dumps": orjson.dumps}
    exec(compile(text, "<floor>", "exec"), space)
    made: Callable[[bytes], bytes] = space["floor"]
    return made


def flat_floor(columns: tuple[Column, ...]) -> Callable[[bytes], bytes]:
    """Return the floor of a flat list: the same for rows without relations."""
    values = ", ".join(f'"{c.graphql}": r["{c.name}"]' for c in columns)
    text = f"""
def floor(body):
    return dumps({{"data": {{"orders": {{"nodes": [{{{values}}} for r in loads(body)["value"]]}}}}}})
"""
    space: dict[str, Any] = {"loads": orjson.loads, "dumps": orjson.dumps}
    exec(compile(text, "<floor>", "exec"), space)
    made: Callable[[bytes], bytes] = space["floor"]
    return made


def batched_floor(bodies: Mapping[str, Sequence[bytes]]) -> Callable[[], bytes]:
    """Return the floor of key batches (set → its answers): the same, with children looked up by their keys."""
    values = ", ".join(f'"{c.graphql}": r["{c.name}"]' for c in PLAIN)
    text = f"""
def floor():
    customers = {{(c["dataAreaId"], c["CustomerAccount"]): c
        for body in bodies["Customers"] for c in loads(body)["value"]}}
    lines = {{}}
    for body in bodies["Lines"]:
        for l in loads(body)["value"]:
            lines.setdefault((l["dataAreaId"], l["OrderNumber"]), []).append(l)
    return dumps({{"data": {{"orders": {{"nodes": [
        {{{values}, "customer": {{{_CUSTOMER_TEXT}}},
          "lines": {{"nodes": [{{{_LINES_TEXT}}} for l in lines.get((r["dataAreaId"], r["OrderNumber"]), ())]}}}}
        for body in bodies["Orders"] for r in loads(body)["value"]
        for c in (customers[r["dataAreaId"], r["CustomerAccount"]],)]}}}}}})
"""
    space: dict[str, Any] = {"loads": orjson.loads, "dumps": orjson.dumps, "bodies": bodies}
    exec(compile(text, "<floor>", "exec"), space)
    made: Callable[[], bytes] = space["floor"]
    return made
