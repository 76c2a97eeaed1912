"""Federation: two composers take the subgraph, and Apollo's gateway crosses from it to another and back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import ObjectTypeDefinitionNode, parse

from schema.catalog import Catalog
from schema.introspection import print_subgraph
from schema.types.build import build_schema
from schema.types.federation import Federation
from schema.writes import Writes
from tests.support.metadata_documents import TRIPS, model_of
from tests.support.node import Tools
from tests.support.process import PATIENCE, Running, invoke
from tests.support.small_models import GENERIC, DictResolvers

REVIEWS = (Path(__file__).parent / "federation" / "reviews.graphql").read_text("utf-8")
COMPOSERS = ("apollo", "guild")
SALES = {"D365_INCLUDE": "CustomersV3,SalesOrderHeadersV2"}
CUSTOMERS = {"D365_INCLUDE": "CustomersV3"}
VENDORS = {"D365_INCLUDE": "VendorsV2"}
SHARED = {"D365_FEDERATION__UNIFIED": "shared"}
PLAIN = {"D365_UNIFIED__ENABLED": "false"}
"""The same unified type can come from one gateway only."""
VERSIONS = ("2.0", "2.8", "2.9", "2.10", "2.14")
EXECUTABLE_DIRECTIVES = "INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE"
"""Apollo's hint that `@atomic` and `@valueFrom` are not for its clients: not every subgraph has them."""


def prefixed(prefix: str, **settings: str) -> dict[str, str]:
    return {"D365_FEDERATION__PREFIX": prefix, **settings}


def printed(folder: Path, **settings: str) -> str:
    """Return what `schema print --federation` prints."""
    found = invoke(folder, "schema", "print", "--federation", **settings)
    assert found.returncode == 0, found.stderr
    return found.stdout


def compose(tools: Tools, folder: Path, asked: dict[str, Any]) -> Any:
    path = folder / "supergraphs.json"
    path.write_text(json.dumps(asked), "utf-8")
    return tools.run("federation/compose.mjs", str(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("federation")


@pytest.fixture(scope="module")
def subgraph_sdl(endpoint: str) -> str:
    """What the running gateway says of itself as a subgraph."""
    answer = httpx.post(endpoint, json={"query": "{ _service { sdl } }"}, timeout=PATIENCE).json()
    sdl = answer["data"]["_service"]["sdl"]
    assert isinstance(sdl, str)
    return sdl


@pytest.fixture(scope="module")
def composed(tools: Tools, subgraph_sdl: str, folder: Path) -> Any:
    """What both composers say of each supergraph: errors, hints, the supergraph."""
    erp = printed(folder, **prefixed("erp", **CUSTOMERS, **SHARED))
    renamed = {"D365_NAMES": '{"Microsoft.Dynamics.DataEntities.CustomerV3": "CrmCustomerV3"}'}
    supergraphs = {
        "disjoint": {"erp": erp, "crm": printed(folder, **prefixed("crm", **VENDORS, **SHARED))},
        "same": {"erp": erp, "crm": printed(folder, **prefixed("crm", **CUSTOMERS, **SHARED))},
        "renamed": {
            "erp": erp,
            "crm": printed(folder, **prefixed("crm", **CUSTOMERS, **PLAIN, **renamed)),
        },
    } | {
        version: {
            "d365": printed(folder, D365_FEDERATION__VERSION=version, **SALES),
            "reviews": REVIEWS,
        }
        for version in VERSIONS
    }
    asked: dict[str, Any] = {
        name: {"by": COMPOSERS, "subgraphs": subgraphs} for name, subgraphs in supergraphs.items()
    }
    # Apollo's makes this one for its gateway.
    asked["all"] = {"by": ["guild"], "subgraphs": {"d365": subgraph_sdl, "reviews": REVIEWS}}
    return compose(tools, folder, asked)


@pytest.fixture(scope="module", params=["introspected", "guild"])
def routed(
    request: pytest.FixtureRequest, tools: Tools, endpoint: str, composed: Any, folder: Path
) -> Any:
    """What Apollo's gateway answers over the supergraph that it composes of what runs, and over The Guild's."""
    arguments = [endpoint]
    if request.param == "guild":
        path = folder / "supergraph.graphql"
        path.write_text(composed["2.9"]["guild"]["supergraph"], "utf-8")
        arguments.append(str(path))
    return {"over": request.param, **tools.run("federation/supergraph.mjs", *arguments)}


@pytest.fixture
def answers(routed: Any) -> Any:
    return routed["answers"]


def fetched(answer: Any) -> list[tuple[str, int | None]]:
    """Return which subgraphs were asked, and for how many entities."""
    return [(each["to"], each["representations"]) for each in answer["fetches"]]


def test_the_printed_subgraph_is_the_one_that_the_api_tells(
    subgraph_sdl: str, folder: Path
) -> None:
    assert printed(folder).strip() == subgraph_sdl.strip()


def test_the_guilds_composer_takes_the_sandbox_and_another(composed: Any) -> None:
    assert composed["all"]["guild"]["errors"] == []


def test_composers_take_complex_values_interfaces_and_tags(tools: Tools, tmp_path: Path) -> None:
    catalog = Catalog(model_of(TRIPS), GENERIC)
    tagged = Federation(tags={"*": ("all",)})
    schema = build_schema(catalog, DictResolvers(), writes=Writes(catalog), federation=tagged)
    sdl = "".join(print_subgraph(schema))

    said = compose(tools, tmp_path, {"one": {"by": COMPOSERS, "subgraphs": {"d365": sdl}}})["one"]

    assert [said[who]["errors"] + said[who]["hints"] for who in COMPOSERS] == [[], []]
    assert all('@tag(name: "all")' in said[who]["supergraph"] for who in COMPOSERS)


@pytest.mark.parametrize("version", VERSIONS)
def test_apollos_composer_takes_every_version(composed: Any, version: str) -> None:
    said = composed[version]["apollo"]

    assert said["errors"] == []
    assert {*said["hints"]} == {EXECUTABLE_DIRECTIVES}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_guilds_composer_takes_versions_to_2_9(composed: Any, version: str) -> None:
    refusal = (
        f"[d365] Invalid version v{version} for the federation feature in @link directive on schema"
    )

    known = tuple(map(int, version.split("."))) <= (2, 9)
    assert composed[version]["guild"]["errors"] == ([] if known else [refusal])


@pytest.mark.parametrize("composer", COMPOSERS)
@pytest.mark.parametrize(("version", "costs"), [("2.8", set[str]()), ("2.9", {"cost", "listSize"})])
def test_routers_learn_what_lists_cost_from_version_2_9_on(
    composed: Any, composer: str, version: str, costs: set[str]
) -> None:
    [query] = [
        each
        for each in parse(composed[version][composer]["supergraph"]).definitions
        if isinstance(each, ObjectTypeDefinitionNode) and each.name.value == "Query"
    ]
    [customers] = [each for each in query.fields or () if each.name.value == "customersV3"]

    said = {each.name.value for each in customers.directives or ()}
    assert said & {"cost", "listSize"} == costs


@pytest.mark.parametrize("composer", COMPOSERS)
def test_two_gateways_of_different_sets_compose(composed: Any, composer: str) -> None:
    assert composed["disjoint"][composer]["errors"] == []


@pytest.mark.parametrize("composer", COMPOSERS)
def test_two_gateways_of_the_same_sets_compose_with_prefixes(composed: Any, composer: str) -> None:
    assert composed["renamed"][composer]["errors"] == []


@pytest.mark.parametrize("composer", COMPOSERS)
def test_no_composer_mixes_rows_of_two_gateways_in_one_type(composed: Any, composer: str) -> None:
    errors = composed["same"][composer]["errors"]

    for name in ("CustomerV3.organizationName", "UnifiedAccounting.customers"):
        assert any(f'"{name}" is resolved from multiple' in each for each in errors)


def test_clients_of_a_router_see_neither_nodes_nor_what_routers_ask(routed: Any) -> None:
    api = routed["api"]

    assert {"customersV3", "updateCustomersV3", "reviews"} <= {*api["roots"]}
    assert not {"node", "nodes", "_service", "_entities"} & {*api["roots"]}
    assert not {"Node", "_Any", "_Entity", "_Service"} & {*api["types"]}
    assert routed["answers"]["OfNode"]["errors"] == [
        {"message": 'Cannot query field "node" on type "Query".'}
    ]


def test_our_rows_get_what_another_subgraph_knows_of_them(routed: Any, answers: Any) -> None:
    answer = answers["OursToTheirs"]

    customers = answer["data"]["customersV3"]["nodes"]
    assert fetched(answer) == [("d365", None), ("reviews", 250)]
    assert [each["reviews"][0]["id"] for each in customers] == [
        each["id"] for each in routed["reviews"][:250]
    ]


def test_another_subgraph_gets_our_rows_by_their_natural_key(routed: Any, answers: Any) -> None:
    answer = answers["TheirsByKey"]

    assert fetched(answer) == [("reviews", None), ("d365", 501)]
    assert "errors" not in answer
    assert [each["customer"]["organizationName"] for each in answer["data"]["reviews"][:500]] == [
        each["customer"]["organizationName"] for each in routed["reviews"][:500]
    ]


def test_another_subgraph_gets_our_rows_by_id(routed: Any, answers: Any) -> None:
    answer = answers["TheirsById"]

    assert fetched(answer) == [("reviews", None), ("d365", 501)]
    assert [each["order"]["salesOrderNumber"] for each in answer["data"]["reviews"][:500]] == [
        each["order"]["salesOrderNumber"] for each in routed["reviews"][:500]
    ]


def test_a_query_goes_there_and_back_and_there_again(routed: Any, answers: Any) -> None:
    answer = answers["ThereAndBack"]

    assert [to for to, _ in fetched(answer)] == ["d365", "reviews", "d365", "d365"]
    first = answer["data"]["customersV3"]["nodes"][0]["reviews"][0]
    assert first == {
        "order": {"salesOrderNumber": routed["reviews"][0]["order"]["salesOrderNumber"]},
        "customer": {
            "organizationName": routed["reviews"][0]["customer"]["organizationName"],
            "reviews": [{"id": "r0"}, {"id": "r250"}],
        },
    }


def test_pages_of_both_subgraphs_say_in_one_type_where_they_stand(answers: Any) -> None:
    answer = answers["Pages"]

    assert sorted(fetched(answer)) == [("d365", None), ("reviews", None)]
    assert answer["data"]["customersV3"]["pageInfo"] == {"hasNextPage": True}
    assert answer["data"]["pageOfReviews"]["pageInfo"] == {"hasNextPage": False}


def test_a_missing_row_is_null_and_a_broken_id_an_error(
    answers: Any,
) -> None:
    answer = answers["Broken"]

    found, missing, broken = answer["data"]["reviews"]
    [error] = answer["errors"]
    assert None not in (found["customer"]["organizationName"], found["order"]["salesOrderNumber"])
    assert missing == {"id": "r500", "customer": {"organizationName": None}, "order": None}
    assert broken == {"id": "r501", "customer": None, "order": None}
    assert error["path"] == ["reviews", 2, "order"]
    assert error["extensions"]["code"] == "INVALID_ID"


def test_mutations_go_through_a_router_and_on_to_the_other_subgraph(answers: Any) -> None:
    answer = answers["Change"]

    assert fetched(answer) == [("d365", None), ("reviews", 1)]
    assert answer["data"] == {
        "one": {
            "results": [
                {
                    "customerV3": {
                        "nameAlias": "By a router",
                        "reviews": [{"id": "r0"}, {"id": "r250"}],
                    },
                    "userErrors": [],
                }
            ]
        },
        "other": {"results": [{"customerV3": None, "userErrors": [{"code": "NOT_FOUND"}]}]},
    }


def test_only_a_supergraph_of_the_guild_passes_atomic_on(routed: Any) -> None:
    answer = routed["answers"]["Atomic"]

    if routed["over"] == "introspected":
        assert answer["errors"] == [{"message": 'Unknown directive "@atomic".'}]
    else:
        [fetch] = answer["fetches"]
        assert "@atomic" in fetch["query"]
        assert {
            each["results"][0]["userErrors"][0]["code"] for each in answer["data"].values()
        } == {"NOT_FOUND"}


@pytest.mark.parametrize(
    ("operation", "entities"),
    [
        ("TheirsByKey__d365__1", 250),
        ("TheirsById__d365__1", 500),
        ("ThereAndBack__d365__3", 20),
    ],
)
@pytest.mark.usefixtures("answers")
def test_hundreds_of_entities_are_few_requests_upstream(
    gateway: Running, operation: str, entities: int
) -> None:
    served = [
        json.loads(line)
        for line in gateway.errors.splitlines()
        if re.search(rf'"name": "{operation}"', line)
    ]

    assert served
    assert {each["rows"] for each in served} == {entities}
    assert all(each["requests"] <= 1 + entities // 40 for each in served)
