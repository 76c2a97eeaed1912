"""Companies of roles: the hard bound, and the default scope."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import Forbidden
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.odata.finops import FINOPS
from gateway.operations.global_ids import node_id
from gateway.planning.company_limit import CompanyLimit
from gateway.planning.limits import PlanLimits
from gateway.planning.row_bounds import ViewBounds
from schema.catalog.role_catalog import role_catalog
from schema.policy import Role, RoleView
from schema.policy.records import Names
from tests.support.memory_odata import Tables
from tests.support.roles import caller, grant, policy_of, role, ruled_zoo, rules_of
from tests.support.zoo_model import DECLARED, KEYS, NAVS, Zoo, schema_of

pytestmark = pytest.mark.anyio
PRODUCT = replace(FINOPS, company_property="Area")
"""Rows of the zoo belong to companies; items do not."""
SCHEMA = schema_of(PRODUCT)
BOUND = role("bound", {}, companies=("usmf", "$claims.companies"))


def tables() -> Tables:
    companies = ("usmf", "gbsi", "demf")
    orders = [{"Area": c, "OrderId": 1, "Buyer": "p1", "Text": "a"} for c in companies]
    parties = [{"Area": c, "PartyId": "p1", "Name": c} for c in companies]
    rows: dict[str, list[dict[str, Any]]] = {
        "Orders": orders,
        "Lines": [],
        "Parties": parties,
        "Items": [{"ItemId": "i1"}],
    }
    return Tables(rows, KEYS, NAVS, DECLARED, insensitive=True)


def zoo_of(*roles: Role, **rest: Any) -> Zoo:
    zoo = ruled_zoo(PRODUCT, *roles, schema=SCHEMA, **rest)
    zoo.tables = tables()
    return zoo


async def companies(
    zoo: Zoo, asking: Caller = ANONYMOUS, argument: str = "", **request: Any
) -> list[str]:
    query = f"{{ orders{argument} {{ totalCount nodes {{ area party {{ name }} }} }} }}"
    answer = (await zoo.execute(query, caller=asking, **request)).to_builtins()
    nodes = answer["data"]["orders"]["nodes"]
    assert answer["data"]["orders"]["totalCount"] == len(nodes)
    assert all(node["party"]["name"] == node["area"] for node in nodes)
    return [node["area"] for node in nodes]


BOUNDS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["usmf"]),
    ({"companies": "gbsi"}, ["gbsi", "usmf"]),
    ({"companies": ["GBSI ", "demf"]}, ["demf", "gbsi", "usmf"]),
    ({"companies": ["", 5, None]}, ["usmf"]),
    ({"companies": {"a": "gbsi"}}, ["usmf"]),
    ({"companies": ["gb*", "*", "gbs?", "%"]}, ["usmf"]),
    ({"companies": ["gbsi", "\ud800"]}, ["usmf"]),
]


@pytest.mark.parametrize(("claims", "expected"), BOUNDS, ids=str)
async def test_a_role_is_bound_to_its_companies(
    claims: dict[str, Any], expected: list[str]
) -> None:
    assert sorted(await companies(zoo_of(BOUND), caller(**claims))) == expected


async def test_companies_with_a_star_are_not_sent() -> None:
    zoo = zoo_of(BOUND)
    query = '{ orders(where: { party: { name: { eq: "usmf" } } }) { nodes { area } } }'

    answer = await zoo.execute(query, caller=caller(companies=["*"]))

    assert answer.to_builtins() == {"data": {"orders": {"nodes": [{"area": "usmf"}]}}}


@pytest.mark.parametrize("scope", [("demf",), ("demf", "usmf")])
async def test_no_scope_leads_outside(scope: tuple[str, ...]) -> None:
    zoo, inside = zoo_of(BOUND), [c for c in scope if c == "usmf"]
    argument = "(companies: [" + ", ".join(f'"{c}"' for c in scope) + "])"

    assert await companies(zoo, companies=scope) == inside
    assert await companies(zoo, argument=argument) == inside
    by_id = f'{{ node(id: "{node_id("Order", "demf", 1)}") {{ id }} }}'
    assert (await zoo.execute(by_id)).to_builtins() == {"data": {"node": None}}
    by_key = "{ order(orderId: 1) { area } }"
    answer = (await zoo.execute(by_key, companies=("demf",))).to_builtins()
    assert answer == {"data": {"order": None}}


async def test_what_companies_share_shows_to_a_role_that_has_any() -> None:
    query, claimed = "{ items { totalCount } }", role("claimed", {}, companies=("$claims.c",))

    shared = await zoo_of(claimed).execute(query, caller=caller(c="usmf"))
    nothing = await zoo_of(claimed).execute(query, caller=caller())

    assert shared.to_builtins()["data"]["items"]["totalCount"] == 1
    assert nothing.to_builtins()["data"]["items"]["totalCount"] == 0


async def test_a_bound_and_a_rule_of_one_role_hold_together() -> None:
    both = role("both", {"Orders": grant({"text": {"eq": "b"}})}, companies=("usmf",))
    zoo = zoo_of(both, role("other", {}, companies=("gbsi",)))
    zoo.tables.rows["Orders"][2]["Text"] = "b"

    assert await companies(zoo) == ["gbsi"]
    zoo.tables.rows["Orders"][0]["Text"] = "b"
    assert sorted(await companies(zoo)) == ["gbsi", "usmf"]


SCOPES: list[tuple[str, dict[str, Any], Caller, list[str]]] = [
    ("nothing names one", {}, ANONYMOUS, ["demf", "gbsi", "usmf"]),
    ("the user", {}, Caller(user={"company": "demf"}), ["demf"]),
    ("the role", {"company": "gbsi"}, Caller(user={"company": "demf"}), ["gbsi"]),
    ("a claim", {"company": "$claims.c"}, caller(c=["gbsi", "usmf"]), ["gbsi", "usmf"]),
    ("no claim, the user", {"company": "$claims.c"}, Caller(user={"company": "demf"}), ["demf"]),
    ("the user by name", {"company": "$user.company"}, Caller(user={"company": "demf"}), ["demf"]),
    ("outside", {"company": "demf", "companies": ("usmf",)}, ANONYMOUS, []),
]


@pytest.mark.parametrize(("name", "facts", "asking", "expected"), SCOPES, ids=lambda v: str(v)[:20])
async def test_the_nearest_scope_counts(
    name: str, facts: dict[str, Any], asking: Caller, expected: list[str]
) -> None:
    zoo = zoo_of(role("clerk", {}, **facts))

    assert sorted(await companies(zoo, asking)) == expected, name
    if "companies" not in facts:
        assert await companies(zoo, asking, companies=("usmf",)) == ["usmf"]
        assert await companies(zoo, asking, '(companies: ["gbsi"])', companies=("usmf",)) == [
            "gbsi"
        ]


async def test_the_user_has_a_scope_without_roles_and_settings_come_last() -> None:
    zoo = Zoo(PRODUCT, schema=SCHEMA)
    zoo.tables = tables()
    zoo.engine._planner.limits = PlanLimits(companies=("gbsi",))

    assert await companies(zoo) == ["gbsi"]
    assert await companies(zoo, Caller(user={"company": "demf"})) == ["demf"]


def test_the_limit_holds_where_a_role_hides_the_column_that_names_the_company() -> None:
    product = replace(FINOPS, company_property=None, company_columns={"Orders": ("Buyer",)})
    clerk = role("clerk", {"Orders": grant(deny=("Buyer",))})
    view = RoleView(policy_of(clerk), ("clerk",))
    hidden = role_catalog(SCHEMA.catalog, view).object("Zoo.Order")
    limit = CompanyLimit(SCHEMA.catalog, product, ("usmf",))

    assert "buyer" not in hidden.fields
    predicate = limit.predicate(hidden, "Orders")
    assert predicate is not None
    assert "Buyer" in repr(predicate)
    assert limit.scoped_predicate(hidden, "Orders", None) == predicate
    assert not limit.admits(hidden, "Orders", {"Buyer": "demf"})


@pytest.mark.parametrize(
    ("names", "company", "is_refused"),
    [
        (("PostJournal",), "gbsi", True),
        (("PostJournal",), "USMF", False),
        (("Count", "CountAll"), "gbsi", False),
        ((), "gbsi", False),
    ],
)
def test_only_roles_that_give_a_call_bound_its_companies(
    names: tuple[str, ...], company: str, *, is_refused: bool
) -> None:
    posting = role("posting", {}, companies=("usmf",), actions=Names(("Post*",)))
    counting = role("counting", {}, actions=Names(("Count*",)))
    limit = CompanyLimit(SCHEMA.catalog, PRODUCT, ())
    bounds = ViewBounds(rules_of(SCHEMA, PRODUCT, posting, counting), limit).of(caller())

    with pytest.raises(Forbidden) if is_refused else nullcontext():
        bounds.check_arguments({"_dataAreaId": company}, names=names)


def test_a_refused_call_names_no_companies_of_others() -> None:
    clerk = role("clerk", {}, companies=("usmf",))
    limit = CompanyLimit(SCHEMA.catalog, PRODUCT, ("usmf", "gbsi"))
    bounds = ViewBounds(rules_of(SCHEMA, PRODUCT, clerk), limit).of(caller())

    texts = set()
    for company in ("gbsi", "demf"):
        with pytest.raises(Forbidden) as refused:
            bounds.check_arguments({"_dataAreaId": company})
        texts.add(f"{refused.value.message} {refused.value.hint}")

    assert texts == {"The call names no company, or one outside of what its caller may use. None"}
