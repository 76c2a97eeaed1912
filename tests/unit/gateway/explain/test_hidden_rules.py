"""Explain shows that there is a rule, and nothing of it: not its columns, not its values."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gateway.explain.explain import explain
from gateway.identity.caller import Caller
from gateway.operations.global_ids import node_id
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.runtime.role_views import build_view, row_rules
from gateway.storage.sealing import Sealer
from schema.policy import Mask, Policy, Right, Role, RoleView, SetGrant
from schema.policy.records import Names

pytestmark = pytest.mark.anyio
SECRET = "zz-top"
ALL = SetGrant(rights=frozenset(Right))
CLERK = Role(
    name="clerk",
    sets=(
        (
            "CustomersV3",
            SetGrant(rights=frozenset(Right), where={"customerGroupId": {"eq": SECRET}}),
        ),
        ("SalesOrderHeadersV2", SetGrant(where={"salesOrderName": {"in": "$claims.names"}})),
        ("*", ALL),
    ),
    companies=("usmf",),
    explain=True,
)
ASKING = Caller(claims={"names": [f"{SECRET}-{n}" for n in range(3)]})
LONG = Caller(claims={"names": [f"{SECRET}-{'x' * 60}-{n}" for n in range(60)]})
CUSTOMER = node_id("CustomerV3", "usmf", "US-001")
READS = {
    "a list": "{ customersV3 { totalCount nodes { organizationName } } }",
    "a list under a filter": '{ customersV3(where: { salesCurrencyCode: { eq: "USD" } }, last: 3) { nodes { id } } }',
    "a row by key": '{ customerV3(dataAreaId: "usmf", customerAccount: "US-001") { organizationName } }',
    "rows by id": f'{{ nodes(ids: ["{CUSTOMER}", "{CUSTOMER[:-2]}Ay"]) {{ id }} }}',
    "a count": "{ salesOrderHeadersV2 { totalCount } }",
    "relations": "{ salesOrderHeadersV2 { nodes { salesOrderNumber customer { organizationName } } } }",
}


@pytest.fixture(scope="module")
def sealer() -> Sealer:
    return Sealer(b"x")


async def explained(
    whole: Gateway, sealer: Sealer, query: str, caller: Caller = ASKING, role: Role = CLERK
) -> str:
    policy = Policy({"clerk": role})
    gateway = replace(whole, policy=policy)
    view = build_view(gateway, RoleView(policy, ("clerk",)), row_rules(gateway), sealer)
    result = await explain(view, GraphQLRequest(query=query, caller=caller))
    assert result.errors == []
    text: str = json.dumps(result.to_json(None), default=str) + result.text()
    return text


@pytest.mark.parametrize("name", READS)
async def test_a_read_shows_a_placeholder(name: str, assembled: Gateway, sealer: Sealer) -> None:
    text = await explained(assembled, sealer, READS[name])

    assert "{rule}" in text
    names_company = "usmf" in READS[name] or CUSTOMER in READS[name]
    for hidden in (
        SECRET,
        "CustomerGroupId",
        "SalesOrderName",
        *(() if names_company else ("usmf",)),
    ):
        assert hidden not in text


MASKED = Role(
    name="clerk",
    sets=(
        (
            "CustomersV3",
            SetGrant(
                rights=frozenset(Right),
                where={"customerGroupId": {"eq": SECRET}},
                columns=Names(("*",), ("CustomerGroupId",)),
                masks={"OrganizationName": Mask.LAST4},
                presets={"CustomerGroupId": SECRET},
            ),
        ),
        ("*", ALL),
    ),
    explain=True,
)
"""Which values show is decided by a column that does not show itself."""


@pytest.mark.parametrize("name", ["a list", "a row by key", "rows by id", "relations"])
async def test_columns_that_rules_read_do_not_show(
    name: str, assembled: Gateway, sealer: Sealer
) -> None:
    text = await explained(assembled, sealer, READS[name], role=MASKED)

    assert "{rule}" in text
    assert "CustomerGroupId" not in text


KEY = 'dataAreaId: "usmf", customerAccount: "US-9"'
INPUT = f'{KEY}, salesCurrencyCode: "USD"'
WRITES = {
    "a new row": f"createCustomerV3(input: {{ {INPUT} }}) {{ customerV3 {{ id }} }}",
    "new rows": f"createCustomersV3(input: [{{ {INPUT} }}]) {{ __typename }}",
    "a change": f'updateCustomerV3(key: {{ {KEY} }}, patch: {{ salesMemo: "x" }}) {{ etag }}',
    "changes": f'updateCustomersV3(input: [{{ key: {{ {KEY} }}, patch: {{ salesMemo: "x" }} }}]) {{ __typename }}',
    "an upsert": f"upsertCustomerV3(input: {{ {INPUT} }}) {{ etag }}",
    "a deletion": f"deleteCustomerV3(key: {{ {KEY} }}) {{ etag }}",
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("atomic", ["", " @atomic"])
async def test_presets_of_hidden_columns_do_not_show(
    name: str, atomic: str, assembled: Gateway, sealer: Sealer
) -> None:
    text = await explained(assembled, sealer, f"mutation{atomic} {{ {WRITES[name]} }}", role=MASKED)

    assert "US-9" in text
    assert SECRET not in text
    assert "CustomerGroupId" not in text


async def test_a_rule_that_needs_a_batch_does_not_show_in_its_body(
    assembled: Gateway, sealer: Sealer
) -> None:
    text = await explained(
        assembled, sealer, "{ salesOrderHeadersV2 { nodes { salesOrderNumber } } }", LONG
    )

    assert "$batch" in text
    assert "{rule}" in text
    assert SECRET not in text


async def test_a_mutation_shows_no_rule(assembled: Gateway, sealer: Sealer) -> None:
    query = (
        'mutation { updateCustomerV3(key: { dataAreaId: "usmf", customerAccount: "US-001" },'
        ' patch: { organizationName: "x" }) { customerV3 { organizationName } } }'
    )

    text = await explained(assembled, sealer, query)

    assert SECRET not in text


@pytest.mark.parametrize("directive", ["", " @atomic"])
async def test_a_mutation_shows_what_is_sent_without_policy(
    directive: str, assembled: Gateway, sealer: Sealer
) -> None:
    grant = SetGrant(
        rights=frozenset(Right),
        where={"customerGroupId": {"eq": SECRET}},
        columns=Names(("*",), ("CustomerGroupId", "LanguageId")),
        presets={"LanguageId": SECRET, "CustomerGroupId": SECRET},
    )
    key = '{ dataAreaId: "usmf", customerAccount: "US-001" }'
    query = (
        f"mutation{directive} {{"
        f' a: updateCustomerV3(key: {key}, patch: {{ organizationName: "x" }}) {{ etag }}'
        f" b: deleteCustomerV3(key: {key}) {{ etag }}"
        ' c: createCustomerV3(input: { customerAccount: "A", salesCurrencyCode: "USD" }) { etag } }'
    )
    role = Role(name="clerk", sets=(("CustomersV3", grant),), explain=True, company="usmf")

    text = await explained(assembled, sealer, query, role=role)

    assert "PATCH CustomersV3(" in text
    assert "DELETE CustomersV3(" in text
    assert '\\"CustomerAccount\\":\\"A\\"' in text
    for hidden in (SECRET, "CustomerGroupId", "LanguageId"):
        assert hidden not in text
