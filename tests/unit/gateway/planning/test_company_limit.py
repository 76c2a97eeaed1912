"""``company_limit``: no row of another company is read, written or guessed at, by any door."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.setting_models import Profile
from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.errors import Forbidden, SettingsError
from gateway.events import CompaniesLimited, Event
from gateway.odata.dialect import ODATA
from gateway.odata.finops import FINOPS
from gateway.odata.finops_companies import COMPANY_COLUMNS
from gateway.planning.company_limit import CompanyLimit
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, build_profile, company_limit_event, open_gateway
from gateway.sandbox import SandboxSettings, create_sandbox
from schema.catalog.records import FieldKind
from tests.support.cases import engine

pytestmark = pytest.mark.anyio
INSIDE, OUTSIDE = "usmf", "demf"
OPEN: dict[str, Any] = {}
LIMIT: dict[str, Any] = {"company_limit": (INSIDE,)}
SCOPES: tuple[tuple[str, ...] | None, ...] = (None, (OUTSIDE,), (INSIDE, OUTSIDE))


@pytest.fixture(scope="module")
def own_sandbox() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.1))


@pytest.fixture
async def gateway(own_sandbox: Starlette) -> AsyncIterator[Gateway]:
    transport = httpx.ASGITransport(own_sandbox)
    settings = Settings(cache_dir=None, language="none")
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as opened:
        yield opened


async def ask(
    found: Engine, query: str, header: tuple[str, ...] | None = None, **variables: Any
) -> dict[str, Any]:
    request = GraphQLRequest(query=query, variables=variables, companies=header)
    answer: dict[str, Any] = (await found.execute(request)).to_builtins()
    return answer


def companies_in(answer: object) -> set[str]:
    """Every value of a field that names a row's company."""
    if isinstance(answer, list):
        return set().union(*map(companies_in, answer))
    if not isinstance(answer, dict):
        return set()
    companies = {v.casefold() for k, v in answer.items() if k.startswith("c_") and v}
    return companies.union(*map(companies_in, answer.values()))


def limit_of(gateway: Gateway, **settings: Any) -> CompanyLimit:
    limits = engine(gateway, **settings)
    return limits._planner.company_limit


# --- reading --------------------------------------------------------------------------------------


def _own(gateway: Gateway, csdl: str, set_name: str | None) -> str:
    """The fields of a type that name the company of its rows; ``c_0`` and so on."""
    info = gateway.catalog.object(csdl)
    columns = limit_of(gateway, **LIMIT)._columns(info, set_name)
    names = [info.by_source(column).name for column in columns]
    return " ".join(f"c_{number}: {name}" for number, name in enumerate(names))


def _below(gateway: Gateway, csdl: str) -> Iterator[str]:
    for field in gateway.catalog.object(csdl).fields.values():
        if field.kind not in (FieldKind.TO_ONE, FieldKind.TO_MANY):
            continue
        own = f"__typename {_own(gateway, field.target, field.target_set)}"
        if field.kind is FieldKind.TO_ONE:
            yield f"{field.name} {{ {own} }}"
        else:
            yield f"{field.name}(first: 20) {{ totalCount nodes {{ {own} }} }}"


def _lists(gateway: Gateway) -> Iterator[tuple[str, str]]:
    """A query for each list: its rows' companies, and those of all related rows."""
    for root in gateway.catalog.roots.values():
        if root.kind.name != "LIST" or root.entity_set is None:
            continue
        own = _own(gateway, root.csdl, root.entity_set.name)
        below = " ".join(_below(gateway, root.csdl))
        body = f"__typename {own} {below}"
        scoped = gateway.catalog.object(root.csdl).has_company
        for companies in ("", f'companies: ["{OUTSIDE}"], ') if scoped else ("",):
            yield (
                root.name,
                f"{{ {root.name}({companies}first: 20) {{ totalCount nodes {{ {body} }} }} }}",
            )


@pytest.mark.heavy
@pytest.mark.heavy
async def test_no_list_and_no_related_row_shows_another_company(gateway: Gateway) -> None:
    bounded, free = engine(gateway, **LIMIT), engine(gateway)
    seen, seen_free = set[str](), set[str]()

    for name, query in _lists(gateway):
        for header in SCOPES:
            answer = await ask(bounded, query, header)
            found = companies_in(answer)
            assert found <= {INSIDE}, (name, header, found)
            codes = {e["extensions"]["code"] for e in answer.get("errors", [])}
            assert codes <= {"FORBIDDEN"}, (name, answer["errors"])
            seen |= found
        seen_free |= companies_in(await ask(free, query))

    assert seen == {INSIDE}
    assert seen_free > {INSIDE, OUTSIDE}  # the walk meets the others where nothing bounds it


KEYS = {
    "customerV3": ('dataAreaId: "demf", customerAccount: "DE-001"', "customerAccount"),
    "legalEntity": ('legalEntityId: "DEMF"', "legalEntityId"),
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("header", SCOPES)
async def test_by_key_and_by_id_a_row_outside_is_not_there(
    gateway: Gateway, name: str, header: tuple[str, ...] | None
) -> None:
    key, field = KEYS[name]
    query = f"{{ {name}({key}) {{ id {field} }} }}"
    there = (await ask(engine(gateway), query))["data"][name]
    assert there is not None
    bounded = engine(gateway, **LIMIT)

    assert await ask(bounded, query, header) == {"data": {name: None}}
    by_id = "query($id: ID!) { node(id: $id) { id } nodes(ids: [$id, $id]) { id } }"
    assert (await ask(bounded, by_id, header, id=there["id"]))["data"] == {
        "node": None,
        "nodes": [None, None],
    }


async def test_the_header_gives_no_key_outside(gateway: Gateway) -> None:
    query = '{ customerV3(customerAccount: "DE-001") { customerAccount } }'

    answer = await ask(engine(gateway, **LIMIT), query, (OUTSIDE,))
    assert answer["data"] == {"customerV3": None}
    default = "{ customersV3(first: 1) { nodes { dataAreaId customerAccount } } }"
    (row,) = (await ask(engine(gateway, **LIMIT), default))["data"]["customersV3"]["nodes"]
    found = f'{{ customerV3(customerAccount: "{row["customerAccount"]}") {{ dataAreaId }} }}'
    assert (await ask(engine(gateway, **LIMIT), found))["data"]["customerV3"][
        "dataAreaId"
    ] == INSIDE


async def test_an_empty_scope_sends_nothing(gateway: Gateway) -> None:
    query = '{ customersV3(companies: ["demf"], first: 3) { totalCount nodes { dataAreaId } } }'
    request = GraphQLRequest(query=query)

    answer = await engine(gateway, **LIMIT).execute(request)

    assert answer.requests == ()
    assert answer.to_builtins()["data"]["customersV3"] == {"totalCount": 0, "nodes": []}


async def test_a_filter_through_a_relation_tells_nothing_of_rows_outside(gateway: Gateway) -> None:
    """Currencies are shared data; which company uses them is not."""
    limit = limit_of(gateway, **LIMIT)
    checked = 0
    for csdl in gateway.catalog.model.entity_types:
        for field in gateway.catalog.object(csdl).fields.values():
            if field.kind not in (FieldKind.TO_ONE, FieldKind.TO_MANY):
                continue
            target = gateway.catalog.object(field.target)
            if target.has_company:
                bound = limit.relation_predicate(field, (field.source,))
                assert bound is not None or limit.is_kept_by_join(field), (csdl, field.name)
                checked += 1
    assert checked > 10


async def test_sets_that_all_companies_share_are_served_unless_forbidden(gateway: Gateway) -> None:
    query = "{ currencies(first: 1) { totalCount nodes { currencyCode } } }"
    served = await ask(engine(gateway, **LIMIT), query)
    refused = await ask(engine(gateway, **LIMIT, company_limit_shared=False), query)
    listed = await ask(engine(gateway, **LIMIT, company_limit_shared=("Curr*",)), query)
    others = await ask(engine(gateway, **LIMIT, company_limit_shared=("Units*",)), query)

    assert served["data"]["currencies"]["totalCount"] > 0
    assert listed == served
    for answer in (refused, others):
        assert answer["data"]["currencies"] == {"totalCount": 0, "nodes": []}


# --- writing --------------------------------------------------------------------------------------

ERRORS = "userErrors { code field }"
SAID = f" {{ {ERRORS} }}"
GROUP = "customerGroup { customerGroupId }"
WRITES = {
    "create": (
        'createCustomerGroup(input: {dataAreaId: "demf", customerGroupId: "Z1", description: "x"})'
        + SAID,
        "FORBIDDEN",
    ),
    "upsert": (
        'upsertCustomerGroup(input: {dataAreaId: "demf", customerGroupId: "10", description: "x"})'
        + SAID,
        "FORBIDDEN",
    ),
    "update": (
        'updateCustomerGroup(key: {dataAreaId: "demf", customerGroupId: "10"}, patch: {description: "x"})'
        + SAID,
        "NOT_FOUND",
    ),
    "delete": (
        f'deleteCustomerGroup(key: {{dataAreaId: "demf", customerGroupId: "10"}}) {{ {ERRORS} }}',
        "NOT_FOUND",
    ),
    "legal entity": (
        f'updateLegalEntity(key: {{legalEntityId: "DEMF"}}, patch: {{name: "x"}}) {{ {ERRORS} }}',
        "NOT_FOUND",
    ),
}


def create(number: int, company: str | None = None) -> str:
    """The call that makes a customer group."""
    of = "" if company is None else f"dataAreaId: {company}, "
    return (
        f'createCustomerGroup(input: {{{of}customerGroupId: "Z{number}", description: "x"}})'
        f" {{ {GROUP} {ERRORS} }}"
    )


def _stored(sandbox: Starlette) -> str:
    store = sandbox.state.store
    return json.dumps(
        [store.rows("CustomerGroups"), store.rows("LegalEntities")], default=str, sort_keys=True
    )


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("header", SCOPES)
async def test_no_write_reaches_another_company(
    gateway: Gateway, own_sandbox: Starlette, name: str, header: tuple[str, ...] | None
) -> None:
    text, code = WRITES[name]
    before = _stored(own_sandbox)
    sent = len(own_sandbox.state.requests)

    answer = await ask(engine(gateway, **LIMIT), f"mutation {{ done: {text} }}", header)

    assert [e["code"] for e in answer["data"]["done"]["userErrors"]] == [code], answer
    assert _stored(own_sandbox) == before
    assert len(own_sandbox.state.requests) == sent


async def test_the_header_makes_no_row_outside(gateway: Gateway, own_sandbox: Starlette) -> None:
    before = _stored(own_sandbox)
    text = f"mutation {{ done: {create(2)} }}"

    answer = await ask(engine(gateway, **LIMIT), text, (OUTSIDE,))

    (error,) = answer["data"]["done"]["userErrors"]
    assert error == {"code": "FORBIDDEN", "field": "dataAreaId"}
    assert _stored(own_sandbox) == before


async def test_a_list_or_an_atomic_operation_is_refused_as_a_whole(
    gateway: Gateway, own_sandbox: Starlette
) -> None:
    before = _stored(own_sandbox)
    row = '{dataAreaId: "%s", customerGroupId: "Z3", description: "x"}'
    rows = f"[{row % INSIDE}, {row % OUTSIDE}]"
    results = "results { userErrors { code } }"

    answer = await ask(
        engine(gateway, **LIMIT),
        f"mutation {{ createCustomerGroups(input: {rows}) {{ {results} }} }}",
    )
    codes = [
        [e["code"] for e in result["userErrors"]]
        for result in answer["data"]["createCustomerGroups"]["results"]
    ]
    assert codes == [["ROLLED_BACK"], ["FORBIDDEN"]]

    atomic = f"""mutation @atomic {{
      a: {create(4, '"usmf"')}
      b: {create(4, '"demf"')}
    }}"""
    answer = await ask(engine(gateway, **LIMIT), atomic)
    codes = [[e["code"] for e in answer["data"][key]["userErrors"]] for key in "ab"]
    assert codes == [["ROLLED_BACK"], ["FORBIDDEN"]]
    assert _stored(own_sandbox) == before


async def test_a_value_of_an_earlier_row_leads_nowhere_else(
    gateway: Gateway, own_sandbox: Starlette
) -> None:
    """What a variable takes from another mutation's row is judged when it is known."""
    before = _stored(own_sandbox)
    text = f"""mutation($company: String!) {{
      done: {create(5, "$company")}
    }}"""

    answer = await ask(engine(gateway, **LIMIT), text, company=OUTSIDE.upper())

    assert [e["code"] for e in answer["data"]["done"]["userErrors"]] == ["FORBIDDEN"]
    assert _stored(own_sandbox) == before


async def test_inside_everything_is_written_as_before(
    gateway: Gateway, own_sandbox: Starlette
) -> None:
    bounded = engine(gateway, **LIMIT)
    made_now = f"mutation {{ done: {create(6)} }}"
    made = await ask(bounded, made_now)
    assert made["data"]["done"] == {"customerGroup": {"customerGroupId": "Z6"}, "userErrors": []}

    delete = 'mutation { done: deleteCustomerGroup(key: {customerGroupId: "Z6"}) { userErrors { code } } }'
    gone = await ask(bounded, delete, (INSIDE.upper(),))
    assert gone["data"]["done"]["userErrors"] == []


# --- calls, explain, settings ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"_dataAreaId": OUTSIDE},
        {"company": OUTSIDE, "x": 1},
        {"_contract": {"LegalEntityId": OUTSIDE}},
        {"lines": [{"dataAreaId": INSIDE}, {"dataAreaId": OUTSIDE}]},
        {"companyId": None},
        {"companies": [OUTSIDE]},
        {"_dataAreaIds": [INSIDE, OUTSIDE]},
        {"_contract": {"LegalEntities": [[OUTSIDE]]}},
        {"legalEntityDataAreaId": OUTSIDE},
    ],
)
def test_a_call_that_names_another_company_is_forbidden(
    assembled: Gateway, given: dict[str, Any]
) -> None:

    limit = limit_of(assembled, **LIMIT)
    with pytest.raises(Forbidden):
        limit.check_arguments(given)
    limit.check_arguments({"_dataAreaId": INSIDE.upper()})
    limit.check_arguments({"companies": [INSIDE]})
    limit.check_arguments({"journal": "1"})
    with pytest.raises(Forbidden):
        limit_of(assembled, **LIMIT, company_limit_shared=False).check_arguments({"journal": "1"})


async def test_explain_shows_the_bound(gateway: Gateway) -> None:
    query = "{ customersV3(first: 1) { nodes { customerAccount } } }"
    answer = await engine(gateway, **LIMIT).execute(
        GraphQLRequest(query=query, companies=(OUTSIDE, INSIDE))
    )
    (request,) = answer.requests

    assert "dataAreaId%20eq%20'usmf'" in request.url
    assert OUTSIDE not in request.url


def test_the_sets_are_counted(assembled: Gateway) -> None:
    counts = limit_of(assembled, **LIMIT).counts()

    assert counts.by_company > 20
    assert counts.by_other >= 1
    assert counts.refused == 0
    total = len(assembled.catalog.model.entity_sets)
    assert counts.by_company + counts.by_other + counts.shared == total
    strict = limit_of(assembled, **LIMIT, company_limit_shared=False).counts()
    assert (strict.shared, strict.refused) == (0, counts.shared)


async def test_the_start_counts_and_a_profile_keeps_the_bound(own_sandbox: Starlette) -> None:
    events: list[Event] = []
    settings = Settings(
        cache_dir=None,
        language="none",
        company_limit=(INSIDE,),
        profiles={"ap": Profile(sets=("CustomersV3",))},
    )
    transport = httpx.ASGITransport(own_sandbox)
    async with open_gateway(settings, transport=transport, observe=events.append) as opened:
        profile = build_profile(opened, "ap")
        query = "{ customersV3(first: 50) { nodes { c_0: dataAreaId } } }"
        answer = await ask(profile.engine, query, (INSIDE, OUTSIDE))

    assert companies_in(answer) == {INSIDE}
    (counted,) = (e for e in events[:-1] if isinstance(e, CompaniesLimited) and e.by_company > 1)
    assert (counted.companies, counted.refused) == ((INSIDE,), 0)


def test_a_product_without_companies_has_no_limit(assembled: Gateway) -> None:
    with pytest.raises(SettingsError, match="company_limit"):
        company_limit_event(Settings(company_limit=(INSIDE,)), assembled.catalog, ODATA)


def test_the_table_of_sets_is_sound() -> None:
    assert COMPANY_COLUMNS["LegalEntities"] == ("LegalEntityId",)
    assert FINOPS.company_columns is COMPANY_COLUMNS
    assert all(columns and all(columns) for columns in COMPANY_COLUMNS.values())
    assert len(COMPANY_COLUMNS) > 200
