"""Random rows for the zoo, good ones and spoilt ones."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.support.memory_odata import MISSING, Row, Tables
from tests.support.zoo_model import DECLARED, KEYS, KINDS, LISTS, NAVS

JOINS = ("Area", "OrderId", "PartyId", "Buyer", "Nick", "ItemId", "Article", "LineNo")
"""Columns that relations and order stand on: spoiling them changes which rows there are."""
BAD: tuple[Any, ...] = (
    None,
    MISSING,
    "Unlisted",
    "",
    "5",
    5,
    -1,
    2**31,
    -(2**31) - 1,
    2**63,
    10**30,
    Decimal("1.5"),
    Decimal("123456789012345678901234567890.123456789012345678901234567890"),
    True,
    [],
    [None],
    ["Red"],
    ["x", 5],
    [{"City": "a"}],
    {},
    {"City": None},
    {"City": "b", "Spot": {"North": "x"}},
    {"City": "b", "@odata.type": "#Zoo.Abroad"},
    {"City": "b", "@odata.type": "#Zoo.Line"},
    "1900-01-01T12:00:00Z",
    "1900-01-01T00:00:00Z",
    "Read, Nothing",
)
BAD_TYPES: tuple[Any, ...] = (MISSING, None, "#Zoo.Unknown", "#Zoo.Line", "Zoo", 5)


VALUES: dict[str, tuple[Any, ...]] = {
    "Edm.String": ("", "x", 'Jürgen "J" 日本 😀', "a\nb", "*"),
    "Edm.Int16": (0, 1, -7, 32767),
    "Edm.Int32": (0, 1, -7, 2**31 - 1),
    "Edm.Int64": (0, 2**53 + 1, -(2**63), 2**63 - 1),
    "Edm.Decimal": (
        0,
        10,
        *map(Decimal, ("1.10", "-0.5", "123456789012345678.123456789012", "1E+3")),
    ),
    "Edm.Double": (0, Decimal("1.5"), Decimal("-1E-7"), 12345678901),
    "Edm.Boolean": (True, False),
    "Zoo.NoYes": ("No", "Yes"),
    "Zoo.Colour": ("Red", "DarkGreen", "Blue"),
    "Zoo.Rights": ("Read", "Read, Write", "Read,Write,Admin"),
    "Edm.DateTimeOffset": (
        "2024-02-29T12:00:00Z",
        "1900-01-01T00:00:00Z",
        "2154-12-31T00:00:00Z",
    ),
    "Edm.Date": ("2024-02-29", "1900-01-01"),
    "Edm.TimeOfDay": ("23:59:59.5",),
    "Edm.Duration": ("P1DT2H",),
    "Edm.Guid": ("6f1a4b0e-8d1c-4f0e-9b59-0d4b3c7a2f10",),
    "Edm.Binary": ("AQID_-==",),
    "Edm.GeographyPoint": ({"type": "Point", "coordinates": [Decimal("1.25"), 2]}, "x", 3),
}
"""Good values as the upstream sends them."""


def good(kind: str, chance: random.Random) -> Any:
    """Return a good value of a kind."""
    return address(chance) if kind == "Zoo.Address" else chance.choice(VALUES[kind])


def address(chance: random.Random) -> Row:
    spot = {"North": good("Edm.Double", chance), "Label": chance.choice([None, "s"])}
    made: Row = {"City": "Ulm", "Zone": chance.choice([None, "Red"])}
    made["Spot"] = chance.choice([None, spot])
    if chance.random() < 0.4:
        made |= {"@odata.type": "#Zoo.Abroad", "Country": "CH"}
    return made


def maybe(value: Any, chance: random.Random) -> Any:
    return None if chance.random() < 0.3 else value


def order(area: str, number: int, parties: list[str], chance: random.Random) -> Row:
    row: Row = {"Area": area, "OrderId": number, "Buyer": maybe(chance.choice(parties), chance)}
    for name, kind in KINDS.items():
        row[name] = maybe(good(kind, chance), chance)
        row[f"{name}Must"] = good(kind, chance)
    for name, kind in LISTS.items():
        values = [good(kind, chance) for _ in range(chance.randint(0, 2))]
        row[name] = maybe(values, chance)
        row[f"{name}Must"] = list(values)
    return row


def party(area: str, name: str, chance: random.Random) -> Row:
    row: Row = {
        "Area": area,
        "PartyId": name,
        "Name": f"Name of {name}",
        "Since": maybe(good("Edm.DateTimeOffset", chance), chance),
    }
    kind = chance.choice(["Person", "Firm", None])
    if kind == "Person":
        row |= {
            "@odata.type": "#Zoo.Person",
            "Age": chance.randint(0, 99),
            "Steps": good("Edm.Int64", chance),
            "Nick": chance.choice([None, "p1", "p2", "i1", ""]),
            "Mood": maybe("Blue", chance),
            "House": maybe(address(chance), chance),
            "Motto": maybe("m", chance),
            "Grade": maybe("A", chance),
        }
    elif kind == "Firm":
        amount = maybe(good("Edm.Decimal", chance), chance)
        row |= {
            "@odata.type": "#Zoo.Firm",
            "Revenue": amount,
            "Listed": good("Zoo.NoYes", chance),
            "House": maybe(address(chance), chance),
            "Motto": maybe("f", chance),
            "Grade": maybe(7, chance),
        }
    elif chance.random() < 0.5:
        row["@odata.type"] = "#Zoo.Party"
    return row


def tables(seed: int, orders: int, *, insensitive: bool) -> Tables:
    """Fill the zoo."""
    chance = random.Random(seed)
    areas, people = ["A1", "B2"], ["p1", "p2", "p3", "gone"]
    rows: dict[str, list[Row]] = {"Orders": [], "Lines": [], "Items": [], "Parties": []}
    for number in range(orders):
        rows["Orders"].append(order(chance.choice(areas), number, people, chance))
    for row in rows["Orders"]:
        for number in range(chance.randint(0, 3)):
            rows["Lines"].append(
                {
                    "Area": row["Area"],
                    "OrderId": row["OrderId"],
                    "LineNo": Decimal(f"{number}.5") if number else 0,
                    "Article": chance.choice(["i1", "i2", "none", None]),
                    "Price": good("Edm.Decimal", chance),
                    "Note": maybe(good("Edm.String", chance), chance),
                    "Colour": maybe("Red", chance),
                }
            )
    for area in areas:
        rows["Parties"] += [party(area, name, chance) for name in people[:3]]
    rows["Items"] = [
        {"ItemId": "i1", "Weight": Decimal("2.5"), "Size": Decimal("1.25"), "Tags": ["a", None]},
        {"ItemId": "i2", "Weight": None},
    ]
    return Tables(rows, KEYS, NAVS, DECLARED, insensitive=insensitive)


def field_name(name: str) -> str:
    bare = name.rpartition(" ")[2]
    return bare[0].lower() + bare[1:] if bare[0] != "@" else "on"


SPOILINGS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 5), st.integers(0, 60), st.integers(0, len(BAD) - 1)
    ),
    max_size=6,
)
"""Places to spoil: (set, row, property, value), each taken modulo what there is."""


def spoil(
    made: Tables, places: list[tuple[int, int, int, int]], text: str, *, joins: bool = False
) -> None:
    """Spoil the rows at these places, where the operation's text looks.

    ``joins`` says whether keys, join columns and relations may be hit too.
    """
    for at_set, at_row, at_property, at_value in places:
        set_name = list(made.rows)[at_set]
        if not made.rows[set_name]:
            continue
        row = made.rows[set_name][at_row % len(made.rows[set_name])]
        names = [n for n in row if joins or n not in JOINS]
        if set_name == "Parties":
            names.append("@odata.type")
        if joins:
            names += [f"nav {name}" for name in NAVS[set_name]]
        seen = [n for n in names if field_name(n) in text]
        names = seen or names
        name = names[at_property % len(names)]
        bad = BAD_TYPES if name == "@odata.type" else BAD
        made.spoilt.setdefault(id(row), {})[name] = bad[at_value % len(bad)]
