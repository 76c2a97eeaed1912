"""Profiles: parts of the catalogue at addresses of their own, with their own schemas and limits."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.app import create_app
from gateway.config.setting_models import RESERVED
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import MetadataLoaded, ModelRead, ProfileOpened
from gateway.http.endpoints import API, PAGE
from gateway.runtime.assembly import build_profile
from schema.catalog.records import TypeKind
from tests.support.changing_metadata import Changing, csdl
from tests.support.pages import blocks
from tests.support.profiles import FIELDS, PROFILES, Served, code, serve

pytestmark = pytest.mark.anyio
CUSTOMERS = "{ customersV3 { nodes { id customerAccount } pageInfo { endCursor } } }"


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    settings = Settings.model_validate({"language": None, "profiles": PROFILES})
    async for served in serve(settings):
        yield served


async def test_each_profile_has_a_schema_of_its_own(served: Served) -> None:
    whole, ap, customers = [await served.fields(f"{API}{p}") for p in ("", "/ap", "/customers")]

    assert {"vendorsV3", "vendorV3", "purchaseOrderLinesV2", "node"} <= ap < whole
    assert "customersV3" not in ap
    assert {"customersV3", "customerGroups"} <= customers
    assert not [name for name in customers if name.startswith("vendor")]


async def test_no_relation_leads_out_of_a_profile(served: Served) -> None:
    query = '{ __type(name: "CustomerV3") { fields { name } } }'
    names = [
        {f["name"] for f in (await served.ask(path, query))["data"]["__type"]["fields"]}
        for path in (API, f"{API}/customers")
    ]

    assert "salesOrders" in names[0] - names[1]
    assert "customerGroup" in names[1] < names[0]


async def test_an_operation_reads_nested_rows(served: Served) -> None:
    query = '{ customersV3(companies: ["usmf"]) { nodes { customerAccount customerGroup { description } } } }'
    answer = await served.ask(f"{API}/customers", query)

    nodes = answer["data"]["customersV3"]["nodes"]
    assert len(nodes) == 2
    assert all(node["customerGroup"]["description"] for node in nodes)
    assert nodes == (await served.ask(API, query))["data"]["customersV3"]["nodes"][:2]


@pytest.mark.parametrize(
    ("path", "query", "refused"),
    [
        ("/ap", "{ vendorsV3(first: 201) { totalCount } }", "PAGE_LIMIT_EXCEEDED"),
        ("", "{ vendorsV3(first: 201) { totalCount } }", None),
        ("/ap", "{ purchaseOrderHeadersV2 { nodes { vendorV2 { id } } } }", None),
        (
            "/ap",
            "{ purchaseOrderHeadersV2 { edges { node { vendorV2 { id } } } } }",
            "BUDGET_EXCEEDED",
        ),
        ("", "{ purchaseOrderHeadersV2 { edges { node { vendorV2 { id } } } } }", None),
        ("/reference", "{ __schema { queryType { name } } }", "INTROSPECTION_DISABLED"),
        ("/ap", "mutation { createVendorGroup(input: {}) { etag } }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_each_profile_has_its_own_limits(
    served: Served, path: str, query: str, refused: str | None
) -> None:
    answer = await served.ask(API + path, query)

    assert (code(answer) if "errors" in answer else None) == refused


async def test_a_profile_has_a_default_scope_of_its_own(served: Served) -> None:
    query = "{ vendorsV3 { nodes { dataAreaId } } }"
    whole, ap = [
        {row["dataAreaId"] for row in (await served.ask(path, query))["data"]["vendorsV3"]["nodes"]}
        for path in (API, f"{API}/ap")
    ]

    assert ap == {"usmf"}
    assert whole - ap


async def test_ids_are_valid_in_each_api_that_serves_their_type(served: Served) -> None:
    row = (await served.ask(API, CUSTOMERS))["data"]["customersV3"]["nodes"][0]
    query = "query ($id: ID!) { node(id: $id) { ... on Node { id } __typename } }"

    answer = await served.ask(f"{API}/customers", query, id=row["id"])
    assert answer == {"data": {"node": {"id": row["id"], "__typename": "CustomerV3"}}}
    assert code(await served.ask(f"{API}/ap", query, id=row["id"])) == "INVALID_ID"


async def test_cursors_are_valid_in_each_api_of_the_same_scope(
    served: Served,
) -> None:
    cursor = (await served.ask(f"{API}/customers", CUSTOMERS))["data"]["customersV3"]["pageInfo"]
    query = (
        "query ($at: String) { customersV3(first: 1, after: $at) { nodes { customerAccount } } }"
    )
    rows = (await served.ask(API, CUSTOMERS))["data"]["customersV3"]["nodes"]

    answer = await served.ask(API, query, at=cursor["endCursor"])

    assert answer["data"]["customersV3"]["nodes"] == [
        {"customerAccount": rows[2]["customerAccount"]}
    ]
    vendors = "{ vendorsV3(first: 1) { pageInfo { endCursor } } }"
    other = (await served.ask(API, vendors))["data"]["vendorsV3"]["pageInfo"]["endCursor"]
    after = "query ($at: String) { vendorsV3(first: 1, after: $at) { totalCount nodes { id } } }"
    assert code(await served.ask(f"{API}/ap", after, at=other)) == "INVALID_CURSOR"


async def test_custom_services_are_served_by_profiles_that_name_them(served: Served) -> None:
    body = (await served.ask(f"{API}/customers", FIELDS))["data"]["__schema"]["mutationType"]
    names = {found["name"] for found in body["fields"]}

    assert "createCustomerV3" in names
    assert "postLedgerJournal" not in names
    settings = {"sets": ["LedgerJournalHeaders"], "services": ["postLedgerJournal"]}
    async for other in serve(
        Settings.model_validate({"language": None, "profiles": {"gl": settings}})
    ):
        body = (await other.ask(f"{API}/gl", FIELDS))["data"]["__schema"]["mutationType"]
        assert "postLedgerJournal" in {found["name"] for found in body["fields"]}


async def test_title_and_description_describe_the_schema(served: Served) -> None:
    body = await served.ask(f"{API}/ap", "{ __schema { description } }")
    sdl = "".join(
        line + "\n"
        for line in build_profile(served.app.state.live.gateway, "ap")
        .schema.as_str()
        .splitlines()[:6]
    )

    described = "Accounts payable\n\nVendors and what is bought from them."
    assert body["data"]["__schema"]["description"] == described
    assert sdl.startswith(f'"""\n{described}\n"""\nschema {{')


async def test_an_unknown_profile_is_a_404_naming_public_ones(
    served: Served,
) -> None:
    for response in (
        await served.post(f"{API}/pa", "{ __typename }"),
        await served.http.get(f"{API}/pa"),
    ):
        assert response.status_code == 404
        (error,) = response.json()["errors"]
        assert error["extensions"] == {
            "code": "UNKNOWN_PROFILE",
            "hint": "There are: /graphql, /graphql/ap, /graphql/customers.",
        }
    assert (await served.http.get(f"{PAGE}/pa")).status_code == 404


async def test_profiles_open_at_their_first_request() -> None:
    settings = Settings.model_validate({"language": None, "profiles": PROFILES})
    async for served in serve(settings):
        ready = (await served.http.get("/readyz")).json()["profiles"]
        assert {name: facts["open"] for name, facts in ready.items()} == {
            "ap": False,
            "customers": False,
        }
        for _ in range(2):
            await served.ask(f"{API}/ap", "{ vendorsV3 { totalCount } }")

        opened = served.said(ProfileOpened)
        assert [event.profile for event in opened] == ["ap"]
        assert opened[0].sets == ready["ap"]["sets"] == 14
        assert len(served.said(MetadataLoaded)) == len(served.said(ModelRead)) == 1
        facts = (await served.http.get("/readyz")).json()["profiles"]["ap"]
        assert (facts["open"], facts["generation"]) == (True, 1)
        assert facts["types"] > 5


@pytest.mark.heavy
async def test_each_profile_has_its_own_generations() -> None:
    settings = {"language": None, "max_types": 8, "profiles": {"all": {"exclude": ["Vend*"]}}}
    async for served in serve(Settings.model_validate(settings)):
        for name in ("customersV3", "salesOrderLines", "releasedProductsV2"):
            answer = await served.ask(f"{API}/all", f"{{ {name}(first: 1) {{ nodes {{ id }} }} }}")
            assert "errors" not in answer

        profile = served.app.state.profiles.opened("all")
        assert profile.generation > 1
        assert served.app.state.live.generation == 1


async def test_the_whole_catalogue_can_be_left_out() -> None:
    settings = {"language": None, "serve_all": False, "profiles": PROFILES}
    async for served in serve(Settings.model_validate(settings)):
        refused = await served.post(API, "{ __typename }")

        assert refused.status_code == 404
        assert code(refused.json()) == "UNKNOWN_PROFILE"
        assert refused.json()["errors"][0]["extensions"]["hint"] == (
            "There are: /graphql/ap, /graphql/customers."
        )
        assert (await served.http.get(PAGE)).status_code == 404
        assert (await served.http.get("/")).headers["location"] == "/graphiql/ap"
        assert "errors" not in await served.ask(f"{API}/ap", "{ vendorsV3 { totalCount } }")


async def test_cors_holds_for_profiles_too() -> None:
    settings = {"language": None, "cors_origins": ["https://shop.example"], "profiles": PROFILES}
    app = create_app(Settings.model_validate(settings))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost"
    ) as http:
        headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        for path in (API, f"{API}/ap"):
            response = await http.options(path, headers=headers)
            assert response.headers["access-control-allow-origin"] == "https://shop.example"


def test_reserved_paths_are_not_profile_names() -> None:
    paths = [
        route.path
        for route in create_app(Settings.model_validate({"language": None})).routes
        if hasattr(route, "path")
    ]
    words = {
        path.removeprefix(f"{above}/").partition("/")[0].partition(".")[0]
        for above in (API, PAGE)
        for path in paths
        if path.startswith(f"{above}/")
    }

    assert words
    assert words <= RESERVED


# Names


async def test_profiles_keep_the_names_of_the_whole() -> None:
    service = Changing(csdl("Name", sets=("Wheres", "Items", "ItemWheres")))
    settings = {
        "url": "https://fo.example/data",
        "auth": "none",
        "language": None,
        "cache_dir": None,
        "profiles": {"p": {"sets": ["Items"]}},
    }
    async for served in serve(Settings.model_validate(settings), service):
        whole = served.app.state.live.gateway.catalog
        part = build_profile(served.app.state.live.gateway, "p").catalog

        assert list(part.model.entity_types) == ["N.Item"]
        assert [name for _, _, name in part.set_roots()] == ["items", "item"]
        # Alone it would be ItemWhere: a name that the whole has given to another type.
        assert part.generated_name(TypeKind.WHERE, "N.Item") == "ItemWhere_2"
        assert {entry.name for entry in part.entries()} < {entry.name for entry in whole.entries()}


async def test_an_unknown_service_stops_the_start() -> None:
    profiles = {"p": {"sets": ["CustomersV3"], "services": ["postLedgerJournals"]}}
    with pytest.raises(SettingsError, match=r"profiles\.p\.services: there is no service"):
        async for _ in serve(Settings.model_validate({"language": None, "profiles": profiles})):
            pass


async def test_documented_profiles_are_served() -> None:
    (block,) = blocks("toml", of="profiles")
    values = tomllib.loads(block.text)

    async for served in serve(Settings.model_validate({"language": None, **values})):
        for name in values["profiles"]:
            answer = await served.ask(f"{API}/{name}", "{ __typename }")
            assert answer == {"data": {"__typename": "Query"}}
