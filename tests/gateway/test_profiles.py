"""Profiles: slices of the catalogue at addresses of their own, each with its own schema and limits."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway import models, reload
from gateway.app import create_app
from gateway.assemble import build_profile
from gateway.endpoints import API, PAGE
from gateway.errors import SettingsError
from gateway.events import Event, MetadataLoaded, ModelRead, ProfileOpened, ReloadFailed
from gateway.graphiql import examples
from gateway.profiles import chosen_sets, profile_settings, settings_from
from gateway.setting_groups import RESERVED, Profile
from gateway.settings import Settings
from schema.errors import ExposureError
from schema.exposure import keep
from schema.fields import TypeKind
from schema.model import Model
from tests.support.apis import entity, model, prop
from tests.support.changing import Changing, csdl

pytestmark = pytest.mark.anyio

PROFILES: Mapping[str, object] = {
    "ap": {
        "title": "Accounts payable",
        "description": "Vendors and what is bought from them.",
        "include": ["Vend*", "Purchase*"],
        "companies": ["usmf"],
        "read_only": True,
        "max_page_size": 200,
        "max_depth": 4,
    },
    "customers": {"sets": ["CustomersV3", "CustomerGroups"], "default_page_size": 2},
    "reference": {"categories": ["reference"], "exclude": ["Currencies"], "introspection": False},
}
FIELDS = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }"
CUSTOMERS = "{ customersV3 { nodes { id customerAccount } pageInfo { endCursor } } }"


@dataclass
class Served:
    """An application, and what it said."""

    app: Starlette
    http: httpx.AsyncClient
    events: list[Event] = field(default_factory=list)

    async def post(self, path: str, query: str, **variables: object) -> httpx.Response:
        return await self.http.post(path, json={"query": query, "variables": variables})

    async def ask(self, path: str, query: str, **variables: object) -> Any:
        return (await self.post(path, query, **variables)).json()

    async def fields(self, path: str) -> set[str]:
        told = (await self.ask(path, FIELDS))["data"]["__schema"]["queryType"]["fields"]
        return {found["name"] for found in told}

    def said(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def serve(settings: Settings, service: Changing | None = None) -> AsyncIterator[Served]:
    events: list[Event] = []
    transport = None if service is None else httpx.MockTransport(service.answer)
    app = create_app(settings, transport=transport, observe=events.append)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http,
    ):
        yield Served(app, http, events)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    settings = Settings.model_validate({"language": None, "profiles": PROFILES})
    async for found in serve(settings):
        yield found


def code(answer: Any) -> str:
    return str(answer["errors"][0]["extensions"]["code"])


# What a profile holds

MODEL = model(
    entity("Customer", prop("Id")),
    entity("Vendor", prop("Id")),
    entity("Group", prop("Id")),
    sets={"Customers": "Customer", "Vendors": "Vendor", "VendorGroups": "Group", "Groups": "Group"},
)
CATEGORIES = {"Customers": "Master", "Vendors": "Master", "Groups": "Reference"}


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({}, ("Customers", "Vendors", "VendorGroups", "Groups")),
        ({"include": ["Vendor*"]}, ("Vendors", "VendorGroups")),
        ({"exclude": ["Vendor*"]}, ("Customers", "Groups")),
        ({"categories": ["MASTER"]}, ("Customers", "Vendors")),
        ({"categories": ["Master", "Reference"]}, ("Customers", "Vendors", "Groups")),
        ({"categories": ["Master"], "include": ["V*"]}, ("Vendors",)),
        ({"categories": ["Master"], "exclude": ["V*"]}, ("Customers",)),
        ({"sets": ["Groups"]}, ("Groups",)),
        ({"sets": ["Groups"], "include": ["V*"]}, ("Vendors", "VendorGroups", "Groups")),
        ({"sets": ["Groups"], "categories": ["Master"], "exclude": ["*"]}, ("Groups",)),
    ],
)
def test_patterns_and_categories_narrow_and_sets_add(
    given: Mapping[str, Any], chosen: Sequence[str]
) -> None:
    assert chosen_sets("p", Profile(**given), MODEL, CATEGORIES) == chosen


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"include": ["Vendro*"]},
            'profiles.p.include: no entity set or singleton matches "Vendro*"',
        ),
        ({"exclude": ["X"]}, 'profiles.p.exclude: no entity set or singleton matches "X"'),
        ({"sets": ["Vendor"]}, 'profiles.p.sets: no entity set or singleton matches "Vendor"'),
        (
            {"categories": ["Mister"]},
            "profiles.p.categories: no entity set is of the category Mister",
        ),
        (
            {"include": ["V*"], "categories": ["Reference"]},
            "profiles.p: the profile has no entity set",
        ),
    ],
)
def test_what_matches_nothing_is_told_with_its_place(given: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ExposureError) as caught:
        chosen_sets("p", Profile(**given), MODEL, CATEGORIES)

    assert said in str(caught.value)


def test_what_a_profile_does_not_set_is_as_in_the_service() -> None:
    settings = Settings.model_validate(
        {"read_only": True, "max_depth": 9, "max_rows": 7, "profiles": {"p": {"max_depth": 3}}}
    )
    found = profile_settings(settings, "p")

    assert (found.max_depth, found.max_rows, found.read_only) == (3, 7, True)
    assert found.introspection is True
    with pytest.raises(SettingsError, match="no profile q"):
        profile_settings(settings, "q")


def test_another_process_reads_the_same_settings() -> None:
    settings = Settings.model_validate({"profiles": {"p": {"max_depth": 3, "title": "P"}}})
    found = profile_settings(settings, "p").model_copy(update={"chosen": ("Vendors",)})

    assert settings_from(found.model_dump(mode="json")) == found
    assert settings_from(settings.model_dump(mode="json")) == settings


# Serving


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


async def test_an_operation_reads_rows_below_rows(served: Served) -> None:
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
async def test_each_has_limits_of_its_own(
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


async def test_ids_are_good_wherever_their_type_is_served(served: Served) -> None:
    row = (await served.ask(API, CUSTOMERS))["data"]["customersV3"]["nodes"][0]
    query = "query ($id: ID!) { node(id: $id) { ... on Node { id } __typename } }"

    found = await served.ask(f"{API}/customers", query, id=row["id"])
    assert found == {"data": {"node": {"id": row["id"], "__typename": "CustomerV3"}}}
    assert code(await served.ask(f"{API}/ap", query, id=row["id"])) == "INVALID_ID"


async def test_cursors_go_from_one_api_to_another_where_the_scope_is_the_same(
    served: Served,
) -> None:
    cursor = (await served.ask(f"{API}/customers", CUSTOMERS))["data"]["customersV3"]["pageInfo"]
    query = (
        "query ($at: String) { customersV3(first: 1, after: $at) { nodes { customerAccount } } }"
    )
    rows = (await served.ask(API, CUSTOMERS))["data"]["customersV3"]["nodes"]

    found = await served.ask(API, query, at=cursor["endCursor"])

    assert found["data"]["customersV3"]["nodes"] == [
        {"customerAccount": rows[2]["customerAccount"]}
    ]
    vendors = "{ vendorsV3(first: 1) { pageInfo { endCursor } } }"
    other = (await served.ask(API, vendors))["data"]["vendorsV3"]["pageInfo"]["endCursor"]
    after = "query ($at: String) { vendorsV3(first: 1, after: $at) { totalCount nodes { id } } }"
    assert code(await served.ask(f"{API}/ap", after, at=other)) == "INVALID_CURSOR"


async def test_custom_services_are_in_a_profile_that_names_them(served: Served) -> None:
    told = (await served.ask(f"{API}/customers", FIELDS))["data"]["__schema"]["mutationType"]
    names = {found["name"] for found in told["fields"]}

    assert "createCustomerV3" in names
    assert "postLedgerJournal" not in names
    settings = {"sets": ["LedgerJournalHeaders"], "services": ["postLedgerJournal"]}
    async for other in serve(
        Settings.model_validate({"language": None, "profiles": {"gl": settings}})
    ):
        told = (await other.ask(f"{API}/gl", FIELDS))["data"]["__schema"]["mutationType"]
        assert "postLedgerJournal" in {found["name"] for found in told["fields"]}


async def test_title_and_description_are_the_schemas(served: Served) -> None:
    told = await served.ask(f"{API}/ap", "{ __schema { description } }")
    sdl = "".join(
        line + "\n"
        for line in build_profile(served.app.state.live.gateway, "ap")
        .schema.as_str()
        .splitlines()[:6]
    )

    described = "Accounts payable\n\nVendors and what is bought from them."
    assert told["data"]["__schema"]["description"] == described
    assert sdl.startswith(f'"""\n{described}\n"""\nschema {{')


async def test_an_unknown_profile_is_a_404_that_names_those_that_tell_of_themselves(
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


async def test_one_document_is_read_for_all_and_each_opens_at_its_first_request() -> None:
    settings = Settings.model_validate({"language": None, "profiles": PROFILES})
    async for found in serve(settings):
        ready = (await found.http.get("/readyz")).json()["profiles"]
        assert {name: facts["open"] for name, facts in ready.items()} == {
            "ap": False,
            "customers": False,
        }
        for _ in range(2):
            await found.ask(f"{API}/ap", "{ vendorsV3 { totalCount } }")

        opened = found.said(ProfileOpened)
        assert [event.profile for event in opened] == ["ap"]
        assert opened[0].sets == ready["ap"]["sets"] == 8
        assert len(found.said(MetadataLoaded)) == len(found.said(ModelRead)) == 1
        facts = (await found.http.get("/readyz")).json()["profiles"]["ap"]
        assert (facts["open"], facts["generation"]) == (True, 1)
        assert facts["types"] > 5


@pytest.mark.heavy
async def test_generations_of_a_profile_come_and_go_by_themselves() -> None:
    settings = {"language": None, "max_types": 8, "profiles": {"all": {"exclude": ["Vend*"]}}}
    async for found in serve(Settings.model_validate(settings)):
        for name in ("customersV3", "salesOrderLines", "releasedProductsV2"):
            answer = await found.ask(f"{API}/all", f"{{ {name}(first: 1) {{ nodes {{ id }} }} }}")
            assert "errors" not in answer

        profile = found.app.state.profiles.opened("all")
        assert profile.generation > 1
        assert found.app.state.live.generation == 1


async def test_the_whole_can_be_left_out() -> None:
    settings = {"language": None, "serve_all": False, "profiles": PROFILES}
    async for found in serve(Settings.model_validate(settings)):
        refused = await found.post(API, "{ __typename }")

        assert refused.status_code == 404
        assert code(refused.json()) == "UNKNOWN_PROFILE"
        assert refused.json()["errors"][0]["extensions"]["hint"] == (
            "There are: /graphql/ap, /graphql/customers."
        )
        assert (await found.http.get(PAGE)).status_code == 404
        assert (await found.http.get("/")).headers["location"] == "/graphiql/ap"
        assert "errors" not in await found.ask(f"{API}/ap", "{ vendorsV3 { totalCount } }")


async def test_pages_of_other_origins_may_call_profiles_as_they_may_the_whole() -> None:
    settings = {"language": None, "cors_origins": ["https://shop.example"], "profiles": PROFILES}
    app = create_app(Settings.model_validate(settings))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway"
    ) as http:
        headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        for path in (API, f"{API}/ap"):
            response = await http.options(path, headers=headers)
            assert response.headers["access-control-allow-origin"] == "https://shop.example"


def test_no_address_of_the_gateway_can_be_a_profile() -> None:
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


async def test_what_clashes_in_the_whole_is_called_in_a_profile_as_it_is_there() -> None:
    service = Changing(csdl("Name", sets=("Wheres", "Items", "ItemWheres")))
    settings = {
        "url": "https://fo.example/data",
        "auth": "none",
        "language": None,
        "cache_dir": None,
        "profiles": {"p": {"sets": ["Items"]}},
    }
    async for found in serve(Settings.model_validate(settings), service):
        whole = found.app.state.live.gateway.catalog
        part = build_profile(found.app.state.live.gateway, "p").catalog

        assert list(part.model.entity_types) == ["N.Item"]
        assert [name for _, _, name in part.set_roots()] == ["items", "item"]
        # Alone it would be ItemWhere: a name that the whole has given to another type.
        assert part.generated_name(TypeKind.WHERE, "N.Item") == "ItemWhere_2"
        assert {entry.name for entry in part.entries()} < {entry.name for entry in whole.entries()}


# New metadata


@pytest.fixture
def not_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in this process: what is tested lies elsewhere, and a process takes a second."""

    async def made(settings: Settings, document: Any) -> Any:
        return models.make_model(settings, document)

    monkeypatch.setattr(reload, "make_apart", made)


CHANGING = {
    "url": "https://fo.example/data",
    "auth": "none",
    "language": None,
    "cache_dir": None,
    "metadata_poll": 0,
    "profiles": {"p": {"include": ["Thing*"]}, "q": {"include": ["Thing*"]}},
}
SHAPE = '{ __type(name: "Thing") { fields { name } } }'


@pytest.mark.usefixtures("not_apart")
async def test_new_metadata_are_served_by_profiles_open_or_not() -> None:
    service = Changing(csdl("Name"))
    async for found in serve(Settings.model_validate(CHANGING), service):
        before = await found.ask(f"{API}/p", SHAPE)
        service.document = csdl("Name", "Colour")

        assert (await found.app.state.reloader.reload("signal")).outcome == "changed"

        for path in (API, f"{API}/p", f"{API}/q"):
            told = await found.ask(path, SHAPE)
            assert "colour" in str(told)
            assert "colour" not in str(before)
        assert [event.profile for event in found.said(ProfileOpened)] == ["p", "p", "q"]


@pytest.mark.usefixtures("not_apart")
async def test_metadata_without_the_sets_of_a_profile_are_not_served_at_all() -> None:
    service = Changing(csdl("Name"))
    async for found in serve(Settings.model_validate(CHANGING), service):
        before = await found.ask(f"{API}/p", SHAPE)
        service.document = csdl("Name", sets=("Others",))

        assert (await found.app.state.reloader.reload("signal")).outcome == "failed"

        assert "profiles.p.include" in found.said(ReloadFailed)[0].message
        assert await found.ask(f"{API}/p", SHAPE) == before == await found.ask(API, SHAPE)


# Large ones


async def test_a_large_profile_is_kept_and_opened_without_a_look_at_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "SMALL", 2)
    service = Changing(csdl("Name", sets=("As", "Bs", "Cs", "Ds")))
    settings = {**CHANGING, "cache_dir": tmp_path, "profiles": {"p": {"exclude": ["Ds"]}}}
    query = "{ __schema { types { name } queryType { fields { name } } } }"
    answers: list[Any] = []
    narrowings: list[tuple[str, ...]] = []

    def counted(whole: Model, chosen: tuple[str, ...]) -> Model:
        narrowings.append(chosen)
        return keep(whole, chosen)

    monkeypatch.setattr(models, "keep", counted)
    for _ in range(2):
        async for found in serve(Settings.model_validate(settings), service):
            answers += [await found.ask(f"{API}/p", query)]

    assert answers[0] == answers[1]
    assert "errors" not in answers[0]
    assert narrowings == [("As", "Bs", "Cs")]
    assert snapshots(tmp_path) == {"models": 1, "models/profiles": 1}


def snapshots(folder: Path) -> Mapping[str, int]:
    return Counter(str(p.parent.relative_to(folder)) for p in folder.rglob("*.snapshot"))


# Pages


async def test_a_page_knows_its_api_and_the_others_that_tell_of_themselves(served: Served) -> None:
    config = (await served.http.get(f"{PAGE}/ap/config.json")).json()

    assert (config["endpoint"], config["profile"]) == ("/graphql/ap", "ap")
    assert config["headers"] == {"X-D365-Company": "usmf"}
    assert [(api["title"], api["page"]) for api in config["apis"]] == [
        ("All", "/graphiql"),
        ("Accounts payable", "/graphiql/ap"),
        ("customers", "/graphiql/customers"),
    ]
    own = (await served.http.get(f"{PAGE}/reference/config.json")).json()
    assert "reference" in [api["title"] for api in own["apis"]]


async def test_a_page_opens_with_the_examples_that_its_api_can_run(served: Served) -> None:
    names = {}
    for path in ("", "/ap", "/customers", "/reference"):
        config = (await served.http.get(f"{PAGE}{path}/config.json")).json()
        names[path] = [example["name"] for example in config["examples"]]
        for example in config["examples"] if path else ():
            answer = await served.ask(API + path, example["query"], **(example["variables"] or {}))
            assert "errors" not in answer or code(answer) == "NOT_ACCEPTABLE"  # a subscription

    assert names[""] == [example.name for example in examples()]
    assert set(names["/ap"]) < set(names[""])
    assert names["/ap"]
    # without orders: what the example of that name asks where there are none
    assert names["/customers"][0] == "1-customers"
    # none of the gateway's fits: the first rows of the first list
    assert names["/reference"] == ["addressCountryRegions"]


async def test_the_examples_call_fields_as_an_api_with_a_prefix_calls_them() -> None:
    settings = {"language": None, "federation": {"prefix": "erp"}}
    async for found in serve(Settings.model_validate(settings)):
        shown = (await found.http.get(f"{PAGE}/config.json")).json()["examples"]
        first = await found.ask(API, shown[0]["query"], **shown[0]["variables"])

        assert [example["name"] for example in shown] == [e.name for e in examples()]
        assert [*first["data"]] == ["erpCustomersV3"]
        assert "errors" not in first


async def test_the_files_of_a_page_are_those_of_all_pages(served: Served) -> None:
    html = (await served.http.get(f"{PAGE}/ap")).text
    assert '"../graphiql/assets/' in html
    assert '"graphiql/assets/' not in html


PASSWORD = "0123456789abcdef"


@pytest.mark.parametrize(
    "path", [PAGE, f"{PAGE}/config.json", f"{PAGE}/ap", f"{PAGE}/ap/config.json"]
)
@pytest.mark.parametrize(
    ("given", "status"),
    [
        (None, 401),
        (("admin", "wrong-wrong-wrong"), 401),
        (("", ""), 401),
        (("anybody", PASSWORD), 200),
    ],
)
async def test_a_page_may_ask_for_the_admin_token(
    path: str, given: tuple[str, str] | None, status: int
) -> None:
    settings = {"graphiql": "admin", "admin_token": PASSWORD, "profiles": PROFILES}
    app = create_app(Settings.model_validate({"language": None, **settings}))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway"
    ) as http:
        response = await http.get(path, auth=given)
        assets = await http.get(f"{PAGE}/assets/none.js")

    assert response.status_code == status
    if status == 401:
        assert response.headers["www-authenticate"] == 'Basic realm="GraphiQL", charset="UTF-8"'
    assert assets.status_code == 404


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"graphiql": "admin"}, "admin needs admin_token"),
        ({"graphiql": "yes please"}, "accepted: true, false or admin"),
        ({"serve_all": False}, "without profiles there is nothing else to serve"),
        ({"profiles": {"AP": {}}}, "'AP' is no name of a profile"),
        ({"profiles": {"explain": {}}}, "'explain' is an address of the gateway's own"),
        ({"profiles": {"p": {"max_page_size": 10}}}, "p: max_page_size 10 is less than"),
        (
            {"companies": ["usmf"], "profiles": {"p": {"companies": ["USMF", "demf"]}}},
            "p: demf is not among the service's companies",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_refused(values: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Settings.model_validate(values)


async def test_an_unknown_service_ends_the_start() -> None:
    profiles = {"p": {"sets": ["CustomersV3"], "services": ["postLedgerJournals"]}}
    with pytest.raises(SettingsError, match=r"profiles\.p\.services: there is no service"):
        async for _ in serve(Settings.model_validate({"language": None, "profiles": profiles})):
            pass


def test_profiles_can_be_given_by_the_environment() -> None:
    text = json.dumps({"p": {"include": "Vend*, Purch*"}})

    found = Settings.model_validate({"profiles": text})

    assert found.profiles == {"p": Profile(include=("Vend*", "Purch*"))}


async def test_the_readmes_profiles_are_served_as_printed() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```toml\n(\[profiles\.ap\].*?)```", text, re.DOTALL)
    given = tomllib.loads(block)

    async for found in serve(Settings.model_validate({"language": None, **given})):
        for name in given["profiles"]:
            answer = await found.ask(f"{API}/{name}", "{ __typename }")
            assert answer == {"data": {"__typename": "Query"}}
