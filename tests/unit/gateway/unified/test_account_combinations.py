"""``accountCombination`` over the sandbox: what is read, what roles hide, and how it stands beside other fields."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.explain.explain import explain
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.runtime.role_views import build_view, row_rules
from schema.policy import RoleView
from tests.support.observers import raise_bugs
from tests.support.roles import SEALER

pytestmark = pytest.mark.anyio
RENT = 'mainAccount: "605120", dimensions: [{name: "BusinessUnit", value: "001"}, {name: "Department", value: "022"}]'
FIELD = 'accountCombination(company: "usmf", date: "2024-06-01", %s) { allowed reasons { subject message } unknown }'
ROLES: dict[str, Any] = {"clerk": {"sets": {"MainAccounts": {}, "Ledgers": {}}}}


@pytest.fixture(scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    settings = Settings.model_validate({"language": None, "cache_dir": None, "roles": ROLES})
    async with open_gateway(settings, observe=raise_bugs) as opened:
        yield opened


async def body(engine: Engine, query: str, **more: Any) -> tuple[dict[str, Any], list[str]]:
    answer = await engine.execute(GraphQLRequest(query=query, **more))
    return answer.to_builtins(), [r.url.partition("?")[0] for r in answer.requests]


async def test_rules_of_the_ledger_decide(gateway: Gateway) -> None:
    query = f"""query ($unit: String!) {{
      rent: {FIELD % RENT}
      unit: {FIELD % 'mainAccount: "605120", dimensions: [{name: "BusinessUnit", value: $unit}]'}
      payables: {FIELD % 'mainAccount: "200100"'}
      customersV3(first: 1, companies: ["usmf"]) {{ nodes {{ __typename }} }}
    }}"""

    answer, requests = await body(gateway.engine, query, variables={"unit": "002"})

    assert "errors" not in answer
    data = answer["data"]
    assert list(data) == ["rent", "unit", "payables", "customersV3"]
    assert data["rent"] == {"allowed": True, "reasons": [], "unknown": []}
    assert data["unit"]["allowed"] is True
    assert data["payables"]["allowed"] is False
    assert {"subject": "200100", "message": "is not for entry by hand"} in data["payables"][
        "reasons"
    ]
    assert len(requests) <= 15


async def test_what_roles_hide_is_unknown(gateway: Gateway) -> None:
    assert gateway.policy is not None
    view = build_view(gateway, RoleView(gateway.policy, ["clerk"]), row_rules(gateway), SEALER)

    answer, requests = await body(view.engine, f"{{ {FIELD % RENT} }}")

    assert answer["data"]["accountCombination"] == {
        "allowed": None,
        "reasons": [],
        "unknown": [
            "AccountStructures: cannot be read",
            "AccountStructureConstraints: cannot be read",
            "FinancialDimensionValues: cannot be read",
        ],
    }
    assert sorted(requests) == ["Ledgers", "MainAccounts"]


async def test_explain_and_cost_know_what_is_read(gateway: Gateway) -> None:
    request = GraphQLRequest(query=f"{{ {FIELD % RENT} }}")

    explained = await explain(gateway, request)
    _, requests = await body(gateway.engine, request.query)

    assert sorted(r.text.partition("?")[0] for r in explained.requests) == sorted(requests)
    assert "what the environment says of the account" in explained.steps[-1].how
    assert explained.cost is not None
    assert explained.cost.requests == len(requests)


async def test_a_dimension_that_is_there_twice_is_refused(gateway: Gateway) -> None:
    twice = 'mainAccount: "1", dimensions: [{name: "A", value: "1"}, {name: "A", value: "2"}]'

    answer, requests = await body(gateway.engine, f"{{ {FIELD % twice} }}")

    (error,) = answer["errors"]
    assert (error["extensions"]["code"], error["path"]) == ("BAD_ARGUMENT", ["accountCombination"])
    assert requests == []
