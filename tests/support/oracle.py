"""The answer as the specification gives it: graphql-core's own ``build_schema`` with plain resolvers over dicts.

Knows nothing of plans, selections, row types or completion. What a clean value is, is written down here a second time.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from graphql import (
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    execute_sync,
    parse,
)

from tests.support.memory_odata import MISSING, Nav, Row, Tables
from tests.support.zoo_model import KEYS, KINDS, LISTS, NAVS

MALFORMED, UNKNOWN = "UPSTREAM_MALFORMED", "UNKNOWN_ENUM_VALUE"
COLOURS = {"Red": "RED", "DarkGreen": "DARK_GREEN", "Blue": "BLUE"}
RIGHTS = {"Read": "READ", "Write": "WRITE", "Admin": "ADMIN"}
LEVELS = {"Party": "Parties", "Order": "Orders", "Line": "Lines", "Item": "Items"}
TYPES = {
    "PartyObject": ("Parties", "Zoo.Party"),
    "Person": ("Parties", "Zoo.Person"),
    "Firm": ("Parties", "Zoo.Firm"),
    "Order": ("Orders", "Zoo.Order"),
    "Line": ("Lines", "Zoo.Line"),
    "Item": ("Items", "Zoo.Item"),
}
MORE_KINDS = {
    "Area": "Edm.String",
    "OrderId": "Edm.Int32",
    "PartyId": "Edm.String",
    "ItemId": "Edm.String",
    "LineNo": "Edm.Decimal",
    "Buyer": "Edm.String",
    "Article": "Edm.String",
    "Price": "Edm.Decimal",
    "Note": "Edm.String",
    "Colour": "Zoo.Colour",
    "Weight": "Edm.Double",
    "Name": "Edm.String",
    "Since": "Edm.DateTimeOffset",
    "Age": "Edm.Int32",
    "Steps": "Edm.Int64",
    "Nick": "Edm.String",
    "Mood": "Zoo.Colour",
    "House": "Zoo.Address",
    "Motto": "Edm.String",
    "Revenue": "Edm.Decimal",
    "Listed": "Zoo.NoYes",
    "City": "Edm.String",
    "Zone": "Zoo.Colour",
    "Spot": "Zoo.Spot",
    "Country": "Edm.String",
    "North": "Edm.Double",
    "Label": "Edm.String",
}


class Bad(Exception):
    """What the gateway would answer with a code."""

    def __init__(self, code: str = MALFORMED) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Shown:
    """A row and what the upstream shows of it."""

    row: Row
    data: Row
    csdl: str | None = None
    """Set where the type is known whatever the row says."""


@dataclass
class World:
    """What the resolvers answer from."""

    tables: Tables
    finops: bool
    fails: dict[str, str]
    """Set → code of every read of it."""

    def show(self, row: Row, csdl: str | None = None) -> Shown:
        over = self.tables.spoilt.get(id(row), {})
        data = {n: v for n, v in {**row, **over}.items() if v is not MISSING}
        return Shown(row, data, csdl)

    def read(self, set_name: str) -> list[Row]:
        if set_name in self.fails:
            raise Bad(self.fails[set_name])
        return self.tables.rows[set_name]


def answer(schema: GraphQLSchema, world: World, text: str, variables: dict[str, Any]) -> Any:
    """Return (data, sorted [(path, code)])."""
    result = execute_sync(schema, parse(text), context_value=world, variable_values=variables)
    errors = sorted((tuple(map(str, e.path or ())), _code(e)) for e in result.errors or ())
    raw = msgspec.json.Encoder(decimal_format="number").encode(result.data)
    return msgspec.json.decode(raw), errors


def _code(error: GraphQLError) -> str:
    """Return the code of an error; raise what is a mistake of the oracle itself."""
    original = error.original_error
    if isinstance(original, Bad):
        return original.code
    if original is None or isinstance(original, GraphQLError) or "Cannot return null" in str(error):
        return MALFORMED
    raise original


def oracle_schema(sdl: str) -> GraphQLSchema:
    """Return an executable schema."""
    schema = build_schema(sdl)
    for kind in schema.type_map.values():
        if kind.name.startswith("__"):
            continue
        if isinstance(kind, GraphQLInterfaceType):
            kind.resolve_type = _type_of
        if isinstance(kind, GraphQLObjectType):
            for name, made in kind.fields.items():
                made.resolve = _resolver(kind.name, name)
    return schema


def _resolver(kind: str, name: str) -> Callable[..., Any]:
    if kind == "Query":
        return _root(name)
    if kind.endswith(("Connection", "Edge", "PageInfo")):
        return lambda source, _info: source[name]
    if name == "id":
        return lambda source, info: _id(info.parent_type.name, source)
    if name == "etag":
        return lambda source, _info: source.data.get("@odata.etag")
    if name == "additionalProperties":
        return lambda source, _info: {
            n: v for n, v in source.data.items() if n not in ("ItemId", "Weight")
        }
    source_name = name[0].upper() + name[1:]
    set_name = TYPES[kind][0] if kind in TYPES else ""
    nav = NAVS.get(set_name, {}).get(source_name)
    if nav is not None:
        return lambda source, info, **arguments: _navigate(source, info.context, nav, arguments)
    return lambda source, info: _property(source, source_name, info.context.finops, kind)


def _root(name: str) -> Callable[..., Any]:
    plural = name[0].upper() + name[1:]

    def rows(_source: object, info: Any, **arguments: Any) -> Any:
        world = info.context
        return _connection(world, plural, world.read(plural), arguments)

    def by_key(_source: object, info: Any, **arguments: Any) -> Any:
        world = info.context
        set_name = LEVELS[plural]
        key = [arguments[k[0].lower() + k[1:]] for k in KEYS[set_name]]
        return _found(world, set_name, key)

    def node(_source: object, info: Any, **arguments: Any) -> Any:
        given = arguments.get("ids", [arguments.get("id")])
        if "ids" not in arguments:
            return _node(info.context, given[0])
        made: list[Any] = []
        for text in given:
            try:
                made.append(_node(info.context, text))
            except Bad as bad:
                made.append(bad)
        return made

    if name in ("node", "nodes"):
        return node
    return rows if plural in KEYS else by_key


def _node(world: World, text: str) -> Shown | None:
    _, name, *key = msgspec.msgpack.decode(base64.urlsafe_b64decode(text + "=="))
    set_name, csdl = TYPES[name]
    return _found(world, set_name, key, None if csdl == "Zoo.Party" else csdl)


def _found(world: World, set_name: str, key: list[Any], csdl: str | None = None) -> Shown | None:
    for row in world.read(set_name):
        pairs = zip(KEYS[set_name], key, strict=True)
        if all(world.tables.order(row[name], _as(row[name], value)) == 0 for name, value in pairs):
            return world.show(row, csdl)
    return None


def _as(like: object, value: Any) -> Any:
    return Decimal(value) if isinstance(like, Decimal | int) else value


def _type_of(value: Any, info: Any, abstract: Any) -> str:
    if isinstance(value, Shown) and value.csdl is not None:
        return value.csdl.rpartition(".")[2]
    data = value.data if isinstance(value, Shown) else value
    if abstract.name == "Node" and isinstance(value, Shown):
        own = "LineNo" in data and "Line"
        own = own or ("OrderId" in data and "Order") or ("ItemId" in data and "Item")
        if own:
            return str(own)
    type_name = data.get("@odata.type")
    if abstract.name == "Address":
        names = {None: "AddressObject", "#Zoo.Address": "AddressObject", "#Zoo.Abroad": "Abroad"}
    else:
        names = {None: "PartyObject", "#Zoo.Party": "PartyObject"}
        names.update({f"#Zoo.{n}": n for n in ("Person", "Firm")})
    if not isinstance(type_name, str | None) or type_name not in names:
        raise Bad
    return names[type_name]


def _id(kind: str, source: Shown) -> str:
    set_name, _ = TYPES[kind]
    for name in KEYS[set_name]:
        if name not in source.data:
            raise Bad
    key = [source.data[name] for name in KEYS[set_name]]
    key = [str(v) if n == "LineNo" else v for n, v in zip(KEYS[set_name], key, strict=True)]
    packed = msgspec.msgpack.encode((1, kind, *key))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


# Relations


def _navigate(source: Shown, world: World, nav: Nav, arguments: dict[str, Any]) -> Any:
    key = [source.row.get(own) for own, _ in nav.on]
    refers = all(part is not None for part in key)
    if world.finops and all(part == "" for part in key):
        refers = False
    found = world.read(nav.target) and world.tables.related(source.row, nav) if refers else []
    if nav.many:
        return _connection(world, nav.target, found, arguments)
    return world.show(found[0]) if found else None


def _connection(world: World, set_name: str, rows: list[Row], arguments: dict[str, Any]) -> Any:
    rows = world.tables.ordered(rows, ",".join(KEYS[set_name]))
    total = len(rows)
    first, last = arguments.get("first"), arguments.get("last")
    start = 0 if last is None else max(0, total - last)
    rows = rows[start:] if last is not None else rows[: 50 if first is None else first]
    nodes = [world.show(row) for row in rows]
    cursor = "*" if nodes else None
    return {
        "nodes": nodes,
        "edges": [{"node": n, "cursor": "*"} for n in nodes],
        "totalCount": total,
        "pageInfo": {
            "hasNextPage": last is None and len(rows) < total,
            "hasPreviousPage": last is not None and len(rows) < total,
            "startCursor": cursor,
            "endCursor": cursor,
        },
    }


# Values


def _property(source: Any, name: str, finops: bool, kind: str) -> Any:
    data = source.data if isinstance(source, Shown) else source
    if not isinstance(data, dict):
        raise Bad
    bare = name.removesuffix("Must")
    on_order = kind == "Order"
    if on_order and bare != name and name not in data:
        raise Bad  # the metadata promise it, also where the field may be null
    raw = data.get(name)
    if on_order and bare in LISTS:
        if raw is None:
            return None
        if not isinstance(raw, list):
            raise Bad
        return [_item(LISTS[bare], item) for item in raw]
    if bare == "Grade":
        return _clean(bare, "Edm.String" if kind == "Person" else "Edm.Int32", raw, finops)
    edm = KINDS[bare] if on_order and bare in KINDS else MORE_KINDS[bare]
    return _clean(bare, edm, raw, finops)


def _item(edm: str, raw: object) -> Any:
    """Clean an item of a list, where the null date is no null."""
    try:
        return _clean("", edm, raw, finops=False)
    except Bad as bad:
        return bad


def _clean(name: str, edm: str, raw: Any, finops: bool) -> Any:
    if raw is None or edm == "Edm.GeographyPoint":
        return raw
    if edm in ("Zoo.Address", "Zoo.Spot"):
        return _checked(raw, isinstance(raw, dict))
    if edm == "Zoo.NoYes":
        return _member({"No": False, "Yes": True}, raw)
    if edm == "Zoo.Colour":
        return _member(COLOURS, raw)
    if edm == "Zoo.Rights":
        parts = raw.split(",") if isinstance(raw, str) else [raw]
        return [_member(RIGHTS, p.strip() if isinstance(p, str) else p) for p in parts]
    if edm == "Edm.Boolean":
        return _checked(raw, isinstance(raw, bool))
    if edm in ("Edm.Int32", "Edm.Int16", "Edm.Int64", "Edm.Decimal", "Edm.Double"):
        return _number(edm, raw)
    text = _checked(raw, isinstance(raw, str))
    if edm == "Edm.DateTimeOffset":
        if (name == "Due" or finops) and text[:10] == "1900-01-01":
            return None
        return text[:10] if name == "Due" else text
    return text


def _number(edm: str, raw: Any) -> Any:
    whole = isinstance(raw, int) and not isinstance(raw, bool)
    exact = whole or isinstance(raw, Decimal)
    if edm == "Edm.Decimal":
        if isinstance(raw, str):
            return str(_checked(raw, raw.replace(".", "", 1).isdecimal()))
        return str(_checked(raw, exact))
    if edm == "Edm.Double":
        return float(_checked(raw, exact))
    if edm == "Edm.Int64":
        if isinstance(raw, str) and raw.isdecimal():
            return str(raw)
        return str(_checked(raw, whole and -(2**63) <= raw < 2**63))
    return _checked(raw, whole and -(2**31) <= raw < 2**31)


def _member(names: dict[str, Any], raw: object) -> Any:
    if not isinstance(raw, str) or raw not in names:
        raise Bad(UNKNOWN)
    return names[raw]


def _checked(raw: Any, good: bool) -> Any:
    if not good:
        raise Bad
    return raw
