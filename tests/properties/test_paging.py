"""Relay paging against a list in memory: every row once, in order, with the right flags, in all four directions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import ODATA, Dialect
from gateway.odata.finops import FINOPS
from gateway.planning.limits import PlanLimits
from gateway.request import GraphQLRequest
from schema.catalog import Catalog
from schema.model.records import (
    EntitySet,
    EntityType,
    EnumMember,
    EnumType,
    Model,
    Navigation,
    ReferentialConstraint,
)
from schema.types.build import build_schema
from tests.support.memory_odata import Nav, Row, Tables
from tests.support.observers import raise_bugs
from tests.support.soak import bounded
from tests.support.zoo_model import client_over, prop

pytestmark = pytest.mark.heavy
profile = settings(
    max_examples=bounded(12, 25),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FO = replaced(FINOPS, company_property=None)
LAST = replaced(ODATA, null_order="last")
TEXTS = {
    # Not "B" beside "b": a key may hold one of them only, and values that are equal there tie.
    "finops": ("", "a", "A ", "b", "Ab", "aB  ", "c d", "C", "O'Neil"),
    "odata": (None, "", "a", "A", "A ", "b", "O'Neil", "ä", "日本"),
}
FIELDS = ("Text", "Number", "Amount", "Ratio", "Moment", "Day", "Colour", "Flag")
MEMBERS = ("Red", "Green", "Blue")


def model(key: str, parent_key: str) -> Model:
    row = EntityType(
        name="M.Row",
        key=("Id",),
        properties=(
            prop("Id", key, nullable=False),
            prop("Parent", parent_key),
            prop("Text", "Edm.String"),
            prop("Number", "Edm.Int32"),
            prop("Amount", "Edm.Decimal"),
            prop("Ratio", "Edm.Double"),
            prop("Moment", "Edm.DateTimeOffset"),
            prop("Day", "Edm.Date"),
            prop("Colour", "M.Colour"),
            prop("Flag", "Edm.Boolean"),
        ),
    )
    rows = Navigation(
        name="Rows", target="M.Row", many=True, on=(ReferentialConstraint("Id", "Parent"),)
    )
    holder = EntityType(
        name="M.Holder",
        key=("Id",),
        properties=(prop("Id", parent_key, nullable=False),),
        navigations=(rows,),
    )
    members = tuple(EnumMember(name=n, value=i) for i, n in enumerate(MEMBERS))
    return Model(
        namespace="M",
        entity_types={t.name: t for t in (row, holder)},
        entity_sets={
            "Rows": EntitySet(name="Rows", type="M.Row"),
            "Holders": EntitySet(name="Holders", type="M.Holder", bindings={"Rows": "Rows"}),
        },
        enum_types={"M.Colour": EnumType(name="M.Colour", members=members)},
    )


class EnumTables(Tables):
    """Sorts members of the enum by value, as databases do."""

    def _comparable(self, value: Any) -> Any:
        return MEMBERS.index(value) if value in MEMBERS else super()._comparable(value)


@dataclass
class Lists:
    """An engine over one list of rows, at the root or below one holder."""

    name: str
    dialect: Dialect
    nested: bool
    can_expand: bool
    guid_keys: bool = False
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        catalog = Catalog(
            model("Edm.Guid" if self.guid_keys else "Edm.Int32", "Edm.String"),
            abilities_of(self.dialect),
        )
        self.tables = EnumTables(
            {"Rows": [], "Holders": [{"Id": "h"}, {"Id": "other"}]},
            {"Rows": ("Id",), "Holders": ("Id",)},
            {"Holders": {"Rows": Nav("Rows", (("Id", "Parent"),), many=True)}, "Rows": {}},
            insensitive=self.name == "finops",
            nulls_last=self.dialect.nulls_last,
        )
        self.client = client_over(self.tables.answer, [])
        self.engine = Engine(
            build_schema(catalog, LoadedResolvers(catalog)),
            self.client,
            self.dialect,
            ExecutionSettings(plans=PlanLimits(can_expand=self.can_expand)),
            raise_bugs,
        )

    def connection(self, arguments: dict[str, Any], order: str) -> dict[str, Any]:
        """Ask for a page of the list."""
        given = ", ".join(
            f"{n}: ${n}" for n in ("first", "last", "after", "before") if n in arguments
        )
        ordered = f"{given}, orderBy: [{order}]" if order else given
        call = f"rows({ordered})"
        fields = (
            "totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
            " edges { cursor node { id number } } nodes { text }"
        )
        body = f"{call} {{ {fields} }}"
        if self.nested:
            # A second holder beside it, so that children are loaded for several parents at once.
            body = f"holders {{ nodes {{ {body} }} }}"
        declared = "$first: Int, $last: Int, $after: String, $before: String"
        used = [d for d in declared.split(", ") if f"{d.partition(':')[0]}" in body]
        request = GraphQLRequest(
            query=f"query({', '.join(used)}) {{ {body} }}", variables=arguments
        )
        answer = self.loop.run_until_complete(self.engine.execute(request)).to_builtins()
        assert "errors" not in answer, answer["errors"]
        data = answer["data"]
        result = data["holders"]["nodes"][0]["rows"] if self.nested else data["rows"]
        return dict(result)

    def fill(self, rows: list[Row]) -> None:
        self.tables.rows["Rows"] = rows


WAYS = {
    "odata root": Lists("odata", ODATA, nested=False, can_expand=True),
    "odata expand": Lists("odata", ODATA, nested=True, can_expand=True),
    "odata keys": Lists("odata", ODATA, nested=True, can_expand=False),
    "odata guid root": Lists("odata", ODATA, nested=False, can_expand=True, guid_keys=True),
    "odata guid expand": Lists("odata", ODATA, nested=True, can_expand=True, guid_keys=True),
    "odata guid keys": Lists("odata", ODATA, nested=True, can_expand=False, guid_keys=True),
    "odata nulls last root": Lists("odata", LAST, nested=False, can_expand=True),
    "odata nulls last expand": Lists("odata", LAST, nested=True, can_expand=True),
    "odata nulls last keys": Lists("odata", LAST, nested=True, can_expand=False),
    "finops root": Lists("finops", FO, nested=False, can_expand=True),
    "finops expand": Lists("finops", FO, nested=True, can_expand=True),
    "finops keys": Lists("finops", FO, nested=True, can_expand=False),
}


@pytest.fixture(scope="module", params=list(WAYS))
def lists(request: pytest.FixtureRequest) -> Iterator[Lists]:
    created = WAYS[request.param]
    yield created
    created.loop.run_until_complete(created.client.aclose())
    created.loop.close()


def key(number: int, lists: Lists) -> Any:
    # The digits turned round, so that Guids do not sort as the numbers do.
    return f"{str(number)[::-1]:0<8}-0000-4000-8000-000000000000" if lists.guid_keys else number


def some_rows(chance: random.Random, size: int, lists: Lists, start: int = 0) -> list[Row]:
    numbers = random.Random(start).sample(range(start, start + 1000), size)
    nulls = (None,) if lists.name == "odata" else ()
    return [
        {
            "Id": key(number, lists),
            "Parent": "h",
            "Text": chance.choice(TEXTS[lists.name]),
            "Number": chance.choice((*nulls, 0, 1, 2)),
            "Amount": chance.choice((*nulls, Decimal("0.1"), Decimal("0.10"), Decimal(-3), 7)),
            "Ratio": chance.choice((*nulls, Decimal("0.1"), Decimal("1E-7"), 3)),
            "Moment": chance.choice(
                (*nulls, "1900-01-01T00:00:00Z", "2024-01-01T00:00:00Z", "2024-01-01T12:00:00Z")
            ),
            "Day": chance.choice((*nulls, "2024-01-01", "2023-12-31")),
            "Colour": chance.choice((*nulls, *MEMBERS)),
            "Flag": chance.choice((*nulls, True, False)),
        }
        for number in numbers
    ]


ORDERS = st.lists(
    st.tuples(st.sampled_from(FIELDS), st.booleans()), max_size=3, unique_by=lambda t: t[0]
)
SEEDS = st.integers(0, 10_000)
SIZES = st.integers(0, 12)


def written(order: list[tuple[str, bool]], keyset: bool = False) -> tuple[str, str]:
    """Return the order as an argument, and as ``$orderby``."""
    remaining = [t for t in order if not keyset or t[0] not in ("Colour", "Flag")]
    argument = ", ".join(f"{{{n.lower()}: {'DESC' if d else 'ASC'}}}" for n, d in remaining)
    return argument, ",".join([*(f"{n} desc" if d else n for n, d in remaining), "Id"])


def ids(page: dict[str, Any]) -> list[str]:
    return [e["node"]["id"] for e in page["edges"]]


def whole(lists: Lists, order: str) -> list[str]:
    """Return the ids of the whole list in order, as one page tells them."""
    return ids(lists.connection({"first": 1000}, order))


def expected_numbers(lists: Lists, orderby: str) -> list[Any]:
    """Return the rows of the list in order, by the tables' own sort."""
    return [r["Number"] for r in lists.tables.ordered(lists.tables.rows["Rows"], orderby)]


def test_one_page_holds_the_list_in_its_order(lists: Lists) -> None:
    @profile
    @given(ORDERS, SEEDS, SIZES)
    def check(order: list[tuple[str, bool]], seed: int, size: int) -> None:
        lists.fill(some_rows(random.Random(seed), size, lists))
        argument, orderby = written(order)
        page = lists.connection({"first": 1000}, argument)

        assert [e["node"]["number"] for e in page["edges"]] == expected_numbers(lists, orderby)
        assert page["totalCount"] == size

    check()


def test_walking_gives_every_row_once_in_both_directions(lists: Lists) -> None:
    @profile
    @given(ORDERS, SEEDS, SIZES, st.integers(1, 5))
    def check(order: list[tuple[str, bool]], seed: int, size: int, step: int) -> None:
        lists.fill(some_rows(random.Random(seed), size, lists))
        argument, _ = written(order)
        expected = whole(lists, argument)

        forward: list[str] = []
        arguments: dict[str, Any] = {"first": step}
        while True:
            page = lists.connection(arguments, argument)
            assert page["pageInfo"]["hasPreviousPage"] is ("after" in arguments)
            assert page["totalCount"] == size
            forward += ids(page)
            if not page["pageInfo"]["hasNextPage"]:
                break
            arguments["after"] = page["pageInfo"]["endCursor"]
        assert forward == expected

        backward: list[str] = []
        arguments = {"last": step}
        while True:
            page = lists.connection(arguments, argument)
            assert page["pageInfo"]["hasNextPage"] is ("before" in arguments)
            assert page["totalCount"] == size
            backward = ids(page) + backward
            if not page["pageInfo"]["hasPreviousPage"]:
                break
            arguments["before"] = page["pageInfo"]["startCursor"]
        assert backward == expected

    check()


def test_any_window_is_cut_out_of_the_list_as_relay_says(lists: Lists) -> None:
    @profile
    @given(ORDERS, SEEDS, SIZES, st.data())
    def check(order: list[tuple[str, bool]], seed: int, size: int, data: st.DataObject) -> None:
        lists.fill(some_rows(random.Random(seed), size, lists))
        argument, _ = written(order)
        everything = lists.connection({"first": 1000}, argument)
        cursors = [e["cursor"] for e in everything["edges"]]
        expected, low, high = ids(everything), 0, size
        direction = data.draw(st.sampled_from(["first", "last"]))
        count = data.draw(st.integers(0, size + 2))
        arguments: dict[str, Any] = {direction: count}
        if size and data.draw(st.booleans()):
            at = data.draw(st.integers(0, size - 1))
            arguments["after"], low = cursors[at], at + 1
        if size and data.draw(st.booleans()):
            at = data.draw(st.integers(0, size - 1))
            arguments["before"], high = cursors[at], at
        page = lists.connection(arguments, argument)

        between = expected[low:high] if low <= high else []
        cut = between[:count] if direction == "first" else between[max(0, len(between) - count) :]
        more = len(between) > count
        info = page["pageInfo"]
        assert ids(page) == cut
        assert len(page["nodes"]) == len(cut)
        assert page["totalCount"] == size
        if direction == "first":
            assert info["hasNextPage"] is (more or "before" in arguments)
            assert info["hasPreviousPage"] is ("after" in arguments)
        else:
            assert info["hasPreviousPage"] is (more or "after" in arguments)
            assert info["hasNextPage"] is ("before" in arguments)
        mine = [e["cursor"] for e in page["edges"]]
        assert mine == [cursors[expected.index(i)] for i in cut]
        assert info["startCursor"] == (mine[0] if mine else None)
        assert info["endCursor"] == (mine[-1] if mine else None)

    check()


@pytest.mark.parametrize(
    "lists", [name for name, way in WAYS.items() if not way.guid_keys], indirect=True
)
def test_rows_that_come_and_go_shift_no_page(lists: Lists) -> None:
    """Keyset paging: what was there all the time is seen once; offsets (Guid keys, enums) cannot promise it."""

    @profile
    @given(ORDERS, SEEDS, SIZES, st.integers(1, 4))
    def check(order: list[tuple[str, bool]], seed: int, size: int, step: int) -> None:
        chance = random.Random(seed)
        rows = some_rows(chance, size, lists)
        lists.fill(list(rows))
        argument, _ = written(order, keyset=True)
        backward = chance.random() < 0.5
        before = whole(lists, argument)
        stays = {r["Id"] for r in rows}
        seen: list[str] = []
        arguments: dict[str, Any] = {"last" if backward else "first": step}
        start = 1000
        while True:
            page = lists.connection(arguments, argument)
            seen = ids(page) + seen if backward else seen + ids(page)
            info = page["pageInfo"]
            if not info["hasPreviousPage" if backward else "hasNextPage"]:
                break
            arguments["before" if backward else "after"] = info[
                "startCursor" if backward else "endCursor"
            ]
            present = [
                r for r in lists.tables.rows["Rows"] if r["Id"] in stays or chance.random() < 0.7
            ]
            if start < 8000:
                present += some_rows(chance, chance.randint(0, 2), lists, start)
                start += 1000
            lists.fill(present)

        assert [i for i in seen if i in set(before)] == before
        assert len(set(seen)) == len(seen)

    check()


def test_a_server_that_pages_by_itself_changes_nothing(lists: Lists) -> None:
    @profile
    @given(ORDERS, SEEDS, SIZES, st.integers(1, 4))
    def check(order: list[tuple[str, bool]], seed: int, size: int, server: int) -> None:
        lists.fill(some_rows(random.Random(seed), size, lists))
        argument, _ = written(order)
        expected = lists.connection({"last": 5}, argument)
        lists.tables.page_size = server
        try:
            assert lists.connection({"last": 5}, argument) == expected
        finally:
            lists.tables.page_size = None

    check()
