"""One supergraph over several of our gateways: two regions of the same sets, and two that share unified models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.config.setting_models import FederationOptions, SandboxOptions
from gateway.config.settings import Settings
from tests.support.node import Tools
from tests.support.process import PATIENCE
from tests.support.threaded import threaded

GATEWAYS: dict[str, dict[str, Any]] = {
    "eu": {"include": ("CustomersV3", "CustomerGroups"), "federation": ("eu", "Eu"), "scale": 1},
    "us": {"include": ("CustomersV3", "CustomerGroups"), "federation": ("us", "Us"), "scale": 0.5},
    "payables": {
        "include": ("VendorsV2",),
        "federation": ("", ""),
        "scale": 1,
        "unified": "shared",
    },
    "receivables": {
        "include": ("CustomersV3", "PaymentTerms"),
        "federation": ("ar", ""),
        "scale": 1,
        "unified": "shared",
    },
}
COMPOSERS = ("apollo", "guild")
CUSTOMERS = """%sCustomersV3(first: 5, where: { dataAreaId: { eq: "usmf" } }) {
    totalCount
    nodes { __typename id customerAccount organizationName customerGroup { __typename description } }
  }"""
VENDORS = "vendorsV2(first: 2) { nodes { __typename id vendorAccountNumber } }"
UNIFIED = """{ __typename
    customers(first: 2, where: { companyCode: { eq: "usmf" } }) {
      totalCount nodes { __typename id name addresses { city } sources { field } }
    } }"""
SHARED = {
    "receivables": """customers(first: 2, where: { companyCode: { eq: "usmf" } }) {
      totalCount nodes { __typename id name raw { customerAccount } addresses { city } sources { field } }
    }
    paymentTerms(first: 1) { nodes { __typename name } }""",
    "payables": "vendors(first: 2) { nodes { __typename name raw { vendorAccountNumber } sources { field } } }",
}
RENAME = """%sUpdateCustomerV3(
    key: { dataAreaId: "usmf", customerAccount: "US-001" }, patch: { nameAlias: "%s" }
  ) { customerV3 { __typename nameAlias } userErrors { __typename message } }"""
OPERATIONS = {
    "Read": f"query Read {{ {CUSTOMERS % 'eu'} {CUSTOMERS % 'us'} {VENDORS} }}",
    "Change": f"mutation Change {{ {RENAME % ('eu', 'Of Europe')} {RENAME % ('us', 'Of America')} }}",
    "Unified": f"query Unified {{ accounting {{ {' '.join(SHARED.values())} }}"
    f" euAccounting {UNIFIED} usAccounting {UNIFIED} }}",
    "Foreign": "query Foreign { euCustomerV3(customerAccount: 1) { id } }",
}


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """The gateways, each over a sandbox of its own, and where their APIs are."""
    with ExitStack() as stack:
        addresses = {}
        for name, given in GATEWAYS.items():
            prefix, type_prefix = given["federation"]
            settings = Settings(
                cache_dir=None,
                language="none",
                include=given["include"],
                federation=FederationOptions(
                    prefix=prefix, type_prefix=type_prefix, unified=given.get("unified", "own")
                ),
                sandbox=SandboxOptions(scale=given["scale"]),
            )
            app = create_app(settings, observe=lambda _: None)
            addresses[name] = f"{stack.enter_context(threaded(app))}/graphql"
        yield addresses


def ask(address: str, query: str) -> Any:
    return httpx.post(address, json={"query": query}, timeout=PATIENCE).json()


@pytest.fixture(scope="module")
def composed(tools: Tools, addresses: dict[str, str], tmp_path_factory: Any) -> Any:
    """What both composers say of the subgraphs that the gateways tell."""
    subgraphs = {
        name: ask(address, "{ _service { sdl } }")["data"]["_service"]["sdl"]
        for name, address in addresses.items()
    }
    path: Path = tmp_path_factory.mktemp("composed") / "supergraphs.json"
    path.write_text(json.dumps({"all": {"by": COMPOSERS, "subgraphs": subgraphs}}), "utf-8")
    return tools.run("federation/compose.mjs", str(path))["all"]


@pytest.fixture(scope="module", params=COMPOSERS)
def answers(
    request: pytest.FixtureRequest,
    tools: Tools,
    addresses: dict[str, str],
    composed: Any,
    tmp_path_factory: Any,
) -> Any:
    """What Apollo's gateway answers over all of them."""
    supergraph = composed[request.param]["supergraph"]
    path: Path = tmp_path_factory.mktemp("routed") / "asked.json"
    asked = {"urls": addresses, "supergraph": supergraph, "operations": OPERATIONS}
    path.write_text(json.dumps(asked), "utf-8")
    return tools.run("federation/gateways.mjs", str(path))


@pytest.mark.parametrize("composer", COMPOSERS)
def test_both_composers_take_all_of_them(composed: Any, composer: str) -> None:
    assert composed[composer]["errors"] == []


def test_a_query_over_all_is_one_of_each(addresses: dict[str, str], answers: Any) -> None:
    answer = answers["Read"]

    assert sorted(each["to"] for each in answer["fetches"]) == ["eu", "payables", "us"]
    direct = {
        **ask(addresses["eu"], f"{{ {CUSTOMERS % 'eu'} }}")["data"],
        **ask(addresses["us"], f"{{ {CUSTOMERS % 'us'} }}")["data"],
        **ask(addresses["payables"], f"{{ {VENDORS} }}")["data"],
    }
    assert answer["data"] == direct


def test_unified_models_of_several_gateways_are_one(
    addresses: dict[str, str], answers: Any
) -> None:
    answer = answers["Unified"]

    assert "errors" not in answer, answer["errors"]
    assert sorted(each["to"] for each in answer["fetches"]) == [
        *("eu", "payables", "receivables", "us"),
    ]
    parts = {
        name: ask(addresses[name], f"{{ accounting {{ {text} }} }}")["data"]["accounting"]
        for name, text in SHARED.items()
    }
    assert answer["data"] == {
        "accounting": parts["receivables"] | parts["payables"],
        **ask(addresses["eu"], f"{{ euAccounting {UNIFIED} }}")["data"],
        **ask(addresses["us"], f"{{ usAccounting {UNIFIED} }}")["data"],
    }


def test_unified_types_of_regions_have_their_prefix(answers: Any) -> None:
    data = answers["Unified"]["data"]
    types = {
        root: (data[root].get("__typename"), data[root]["customers"]["nodes"][0]["__typename"])
        for root in ("accounting", "euAccounting", "usAccounting")
    }

    assert types == {
        "accounting": (None, "UnifiedCustomer"),
        "euAccounting": ("EuUnifiedAccounting", "EuUnifiedCustomer"),
        "usAccounting": ("UsUnifiedAccounting", "UsUnifiedCustomer"),
    }


def test_rows_of_equal_keys_stay_apart(answers: Any) -> None:
    data = answers["Read"]["data"]
    both = [data[f"{prefix}CustomersV3"]["nodes"] for prefix in ("eu", "us")]
    [european, american] = (rows[0] for rows in both)

    assert european["customerAccount"] == american["customerAccount"]
    assert [european["__typename"], american["__typename"]] == ["EuCustomerV3", "UsCustomerV3"]
    assert european["customerGroup"]["__typename"] == "EuCustomerGroup"
    assert european["id"] != american["id"]
    assert data["euCustomersV3"]["totalCount"] > data["usCustomersV3"]["totalCount"]


def test_a_mutation_goes_to_the_gateway_of_its_prefix(answers: Any) -> None:
    answer = answers["Change"]

    assert [each["to"] for each in answer["fetches"]] == ["eu", "us"]
    assert answer["data"] == {
        f"{prefix}UpdateCustomerV3": {
            "customerV3": {"__typename": f"{prefix.title()}CustomerV3", "nameAlias": alias},
            "userErrors": [],
        }
        for prefix, alias in (("eu", "Of Europe"), ("us", "Of America"))
    }


def test_what_a_router_refuses_is_not_fetched(answers: Any) -> None:
    assert answers["Foreign"]["fetches"] == []
    assert answers["Foreign"]["errors"]
