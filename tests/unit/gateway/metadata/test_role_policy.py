"""The policy of the settings, and what the metadata says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.metadata.role_policy import make_policy, policy_problems
from gateway.runtime.assembly import open_gateway
from schema.catalog import Catalog
from schema.model.records import Operation, OperationKind
from schema.policy.records import Mask, Right
from tests.support.small_models import FINOPS, NS, entity, model, prop

pytestmark = pytest.mark.anyio
POST = Operation(name=f"{NS}.PostJournal", kind=OperationKind.ACTION)
MODEL = model(
    entity("Customer", prop("Id"), prop("Name"), prop("Limit", "Edm.Int32"), key=("Id",)),
    entity("Vendor", prop("Id", "Edm.Int64"), prop("BankAccount"), key=("Id",)),
    sets={"Customers": "Customer", "Vendors": "Vendor"},
    operations=(POST,),
)
CATEGORIES = {"Customers": "Master"}


def problems_of(role: Mapping[str, Any], **settings: Any) -> list[str]:
    made = Settings.model_validate({"roles": {"r": role}, **settings})
    policy = make_policy(made.roles, CATEGORIES)
    return policy_problems(policy, Catalog(MODEL, FINOPS), made)


def test_tables_become_grants() -> None:
    rights = {"create": True, "aggregate": False, "masks": {"Name": "last4"}}
    settings = Settings.model_validate({"roles": {"r": {"sets": {"Cust*": rights, "@master": {}}}}})

    role = make_policy(settings.roles, CATEGORIES).roles["r"]

    (pattern, grant), (category, _) = *role.sets, *role.categories
    assert (pattern, category) == ("Cust*", "master")
    assert grant.rights == {Right.READ, Right.CREATE, Right.EXPORT}
    assert grant.mask_of("Name") is Mask.LAST4


@pytest.mark.parametrize(
    ("role", "problem"),
    [
        ({"sets": {"Customer": {}}}, 'sets."Customer": no entity set or singleton matches. Did'),
        ({"sets": {"X*": {}}}, 'sets."X*": no entity set or singleton matches.'),
        ({"sets": {"@Masters": {}}}, "no entity set has this category. Categories: Master."),
        (
            {"sets": {"Customers": {"columns": ["Nmae"]}}},
            'columns: no property matches "Nmae". Did',
        ),
        ({"sets": {"*": {"deny_columns": ["*Iban*"]}}}, 'no property matches "*Iban*".'),
        (
            {"sets": {"Customers": {"presets": {"Group": 1}}}},
            'presets: no property matches "Group"',
        ),
        ({"sets": {"Vendors": {"masks": {"Name": "null"}}}}, 'masks: no property matches "Name"'),
        ({"sets": {"*": {"masks": {"Li*": "hash"}}}}, "texts, which Customers.Limit is not."),
        ({"actions": ["Pots*"]}, 'actions: no action, function or service matches "Pots*".'),
    ],
)
def test_what_a_role_names_must_exist(role: Mapping[str, Any], problem: str) -> None:
    (only,) = problems_of(role)

    assert only.startswith("roles.r.")
    assert problem in only


@pytest.mark.parametrize(
    "role",
    [
        {"sets": {"*": {"deny_columns": ["*Bank*"], "masks": {"N*": "hash"}}}},
        {"sets": {"Customers": {"masks": {"Limit": "null", "*": "last4"}}}},
        {"sets": {"Customers": {"deny_columns": ["Limit"], "masks": {"*": "hash"}}}},
        {"sets": {"@master": {"columns": ["Name"]}}, "actions": ["Post*"]},
        {"actions": ["*"]},
    ],
)
def test_a_sound_role_has_no_problem(role: Mapping[str, Any]) -> None:
    assert problems_of(role) == []


async def test_all_problems_stop_the_start_at_once() -> None:
    roles = {"a": {"sets": {"X": {}}}, "b": {"sets": {"CustomersV3": {"where": {"x": {"eq": 1}}}}}}

    with pytest.raises(SettingsError) as caught:
        async with open_gateway(Settings.model_validate({"language": None, "roles": roles})):
            pass

    first, *problems = caught.value.message.split("\n  ")
    assert first == "2 rules of roles are invalid:"
    assert [problem.partition(":")[0] for problem in problems] == [
        'roles.a.sets."X"',
        'roles.b.sets."CustomersV3".where.x',
    ]
