"""Sandboxes differ by their legal entities, their people, and fields and sets of their own."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.setting_models import SandboxOptions
from gateway.sandbox import SandboxSettings, create_sandbox
from schema.csdl.parse import parse_csdl

pytestmark = pytest.mark.anyio

LOYALTY: dict[str, Any] = {
    "CustomersV3": {
        "ContosoLoyaltyTier": ["Standard", "Silver", "Gold"],
        "ContosoLoyaltyPoints": "int32",
    },
    "ContosoLoyaltyPrograms": {"ProgramId": "text", "Description": "text", "Discount": "decimal"},
}
ROW = "/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')"
KINDS = ("text", "int32", "int64", "decimal", "date", "moment", "guid", "boolean", "noyes")


def knobs(**options: Any) -> dict[str, Any]:
    return SandboxOptions(scale=0.1, **options).knobs()


async def test_the_document_has_the_fields(sandbox):
    answer = await sandbox(**knobs(custom_fields=LOYALTY))("/data/$metadata")
    model = parse_csdl(answer.content)

    customer = model.entity_types[model.entity_sets["CustomersV3"].type]
    enum = next(p.type.name for p in customer.properties if p.name == "ContosoLoyaltyTier")
    assert [m.name for m in model.enum_types[enum].members] == ["Standard", "Silver", "Gold"]
    program = model.entity_types[model.entity_sets["ContosoLoyaltyPrograms"].type]
    assert program.key == ("dataAreaId", "ProgramId")


async def test_rows_have_values_that_filters_find(sandbox):
    ask = sandbox(**knobs(custom_fields=LOYALTY))
    tier = "Microsoft.Dynamics.DataEntities.ContosoLoyaltyTier'Gold'"
    every = (await ask("/data/CustomersV3?cross-company=true")).json()["value"]
    gold = await ask(f"/data/CustomersV3?cross-company=true&$filter=ContosoLoyaltyTier eq {tier}")

    expected = [row for row in every if row["ContosoLoyaltyTier"] == "Gold"]
    assert len(every) > len(expected) > 0
    assert gold.json()["value"] == expected


async def test_fields_are_written(sandbox):
    ask = sandbox(**knobs(custom_fields=LOYALTY))
    await ask(ROW, "PATCH", json={"ContosoLoyaltyTier": "Silver", "ContosoLoyaltyPoints": 7})

    row = (await ask(ROW)).json()
    assert (row["ContosoLoyaltyTier"], row["ContosoLoyaltyPoints"]) == ("Silver", 7)


async def test_a_set_of_its_own_is_read_and_written(sandbox):
    ask = sandbox(**knobs(custom_fields=LOYALTY))
    rows = (await ask("/data/ContosoLoyaltyPrograms")).json()["value"]
    new = {"dataAreaId": "usmf", "ProgramId": "NEW", "Discount": 12.5}
    created = await ask("/data/ContosoLoyaltyPrograms", "POST", json=new)

    assert rows[0]["ProgramId"] == "US-001"
    assert rows[0]["Description"]
    assert created.status_code == 201
    assert created.json().items() >= new.items()


async def test_every_kind_of_field_has_values(sandbox):
    fields = {f"Own{kind}": kind for kind in KINDS}
    ask = sandbox(**knobs(custom_fields={"Currencies": fields}))
    rows = (await ask("/data/Currencies")).json()["value"]

    assert all(len({row[name] for row in rows}) > 1 for name in fields)


async def test_labels_have_texts(sandbox):
    ask = sandbox(**knobs(custom_fields=LOYALTY))
    labels = (await ask("/metadata/Labels")).json()["value"]

    text = next(x["Value"] for x in labels if x["Id"] == "@Sandbox:ContosoLoyaltyTier")
    assert text == "Contoso loyalty tier"


async def test_companies_and_people_are_those_of_the_settings(sandbox):
    ask = sandbox(**knobs(organization="Adventure Works", companies=["awus", "demf"]))
    companies = (await ask("/data/LegalEntities")).json()["value"]
    users = (await ask("/data/SystemUsers")).json()["value"]
    customers = (await ask("/data/CustomersV3")).json()["value"]

    assert [(c["LegalEntityId"], c["CompanyName"]) for c in companies] == [
        ("awus", "Adventure Works AWUS"),
        ("demf", "Adventure Works Entertainment System Germany"),
    ]
    assert {user["Email"].partition("@")[2] for user in users} == {"adventureworks.com"}
    assert {row["dataAreaId"] for row in customers} == {"awus"}


async def test_other_organizations_have_other_people(sandbox):
    names = []
    for organization in ("Contoso", "Fabrikam"):
        ask = sandbox(**knobs(organization=organization))
        names.append({row["Name"] for row in (await ask("/data/People")).json()["value"]})

    assert names[0] != names[1]


def test_a_file_of_rows_belongs_to_its_fields(tmp_path):
    path = tmp_path / "rows.sqlite"
    create_sandbox(
        SandboxSettings(**knobs(database=path, custom_fields=LOYALTY))
    ).state.store.close()

    with pytest.raises(ValueError, match="holds the rows of"):
        create_sandbox(SandboxSettings(**knobs(database=path)))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"CustomersV3": {}}, "CustomersV3 has no fields"),
        ({"CustomersV3": {"A b": "text"}}, "'A b' is no name"),
        ({"CustomersV3": {"Tier": []}}, "Tier needs members"),
        ({"CustomersV3": {"Tier": ["A", "A"]}}, "Tier needs members"),
        ({"A": {"Tier": ["A"]}, "B": {"Tier": ["B"]}}, "Tier has other members in another set"),
        ({"CustomersV3": {"Tier": "float"}}, "text"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, problem):
    with pytest.raises(ValueError, match=problem):
        SandboxOptions(custom_fields=fields)


def test_a_document_of_another_service_has_its_own_fields(tmp_path):
    with pytest.raises(ValueError, match="custom_fields are of the built-in catalogue"):
        SandboxOptions(metadata=tmp_path / "x.xml", custom_fields=LOYALTY)


def test_the_key_of_a_set_of_its_own_is_a_text():
    with pytest.raises(ValueError, match="is its key, a text"):
        create_sandbox(SandboxSettings(**knobs(custom_fields={"Own": {"Number": "int32"}})))
