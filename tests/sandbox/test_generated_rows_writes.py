"""Writes to the sets of any document, by the rules in its metadata."""

from __future__ import annotations

import pytest

from tests.support.metadata_documents import REAL_SMALL, SMALL, TRADERS, TRIPS, found, path_of

pytestmark = pytest.mark.anyio


def _key(model, type_name, row):
    """Return a key predicate of a row."""
    parts = []
    for name in model.key_of(type_name):
        declared = next(p for p in model.properties_of(type_name) if p.name == name)
        value = row[name]
        if declared.type.name == "Edm.String":
            value = "'" + str(value).replace("'", "''") + "'"
        elif declared.type.name in model.enum_types:
            value = f"{declared.type.name}'{value}'"
        elif isinstance(value, bool):
            value = str(value).lower()
        parts.append(f"{name}={value}")
    return ",".join(parts)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "name",
    [*SMALL, *found(*REAL_SMALL)],
)
async def test_a_row_of_any_set_can_be_deleted_and_created(sandbox, name):
    """A row as it was read is a body that creates it again."""
    ask = sandbox(metadata=path_of(name), read_only_fields="ignore", path_hazards=False)
    model = ask.app.state.world.model
    done = 0
    for entity_set in model.entity_sets.values():
        type_name = entity_set.type
        can = entity_set.can
        able = can.insertable and can.updatable and can.deletable
        if not able or not model.key_of(type_name) or model.structured(type_name).read_only:
            continue
        url = f"/data/{entity_set.name}?cross-company=true"
        row = (await ask(f"{url}&$top=1")).json()["value"][0]
        if any(p not in row for p in model.key_of(type_name)):
            continue
        one = f"/data/{entity_set.name}({_key(model, type_name, row)})?cross-company=true"
        body = {n: v for n, v in row.items() if n == "@odata.type" or not n.startswith("@")}
        first = next(n for n in body if not n.startswith("@"))
        assert (await ask(one, "PATCH", json={first: body[first]})).status_code == 204, one
        assert (await ask(one, "DELETE")).status_code == 204, one
        created = await ask(url, "POST", json=body)
        assert created.status_code == 201, (entity_set.name, created.text)
        assert created.json().keys() >= body.keys()
        properties = {p.name: p for p in model.properties_of(type_name)}
        if all(properties[p].allow_edit_on_create for p in model.key_of(type_name)):
            duplicate = await ask(url, "POST", json=body)
            assert duplicate.status_code == 400, (entity_set.name, duplicate.text)
        done += 1

    assert done


async def test_keys_that_are_not_given_go_on(sandbox):
    ask = sandbox(metadata=path_of(TRADERS))
    greatest = max(r["ProductID"] for r in (await ask("/data/Products")).json()["value"])
    answer = await ask("/data/Products", "POST", json={"ProductName": "New"})

    assert answer.status_code == 201, answer.text
    assert answer.json()["ProductID"] == greatest + 1
    assert answer.json()["CategoryID"] is None


async def test_constraints_of_the_document_are_foreign_keys(sandbox):
    ask = sandbox(metadata=path_of(TRADERS))
    body = {"ProductName": "New", "CategoryID": 999_999}
    answer = await ask("/data/Products", "POST", json=body)

    assert answer.status_code == 400
    assert "is not found in the related table" in answer.text


@pytest.mark.parametrize(
    ("headers", "there", "missing"),
    [({}, 204, 201), ({"if-match": "*"}, 204, 412), ({"if-none-match": "*"}, 412, 201)],
)
async def test_patch_is_upsert_in_generic_services(sandbox, headers, there, missing):
    """OData 4.0, 11.4.4; F&O answers 404."""
    ask = sandbox(metadata=path_of(TRADERS))
    body = {"ProductName": "Changed"}
    first = (await ask("/data/Products")).json()["value"][0]["ProductID"]

    changed = await ask(f"/data/Products({first})", "PATCH", json=body, headers=headers)
    built = await ask("/data/Products(987654)", "PATCH", json=body, headers=headers)

    assert (changed.status_code, built.status_code) == (there, missing)


async def test_rows_of_derived_types_are_made_by_their_name(sandbox):
    ask = sandbox(metadata=path_of(TRIPS))
    types = ask.app.state.world.model
    base = types.entity_sets["People"].type
    body = {"FirstName": "Ann", "LastName": "Lee", "Emails": ["a@example.com"]}
    row = (await ask("/data/People", "POST", json={"@odata.type": f"#{base}", **body})).json()
    wrong = await ask("/data/People", "POST", json={"@odata.type": "#Trips.Airline", **body})
    unknown = await ask("/data/People", "POST", json={**body, "Anything": 1})

    assert {name: row[name] for name in body} == body
    assert (row["UserName"], row["AddressInfo"]) == ("UN-0025", [])  # the document: read-only
    assert wrong.status_code == 400
    assert unknown.status_code == 201  # an open type


async def test_a_singleton_is_changed_in_place(sandbox):
    ask = sandbox(metadata=path_of(TRIPS))

    assert (await ask("/data/Me", "PATCH", json={"LastName": "New"})).status_code == 204
    assert (await ask("/data/Me")).json()["LastName"] == "New"


async def test_mandatory_fields_and_lengths_follow_the_metadata(sandbox):
    ask = sandbox(metadata=path_of(TRADERS))
    longest = next(
        p.max_length
        for p in ask.app.state.world.model.properties_of(
            ask.app.state.world.model.entity_sets["Products"].type
        )
        if p.name == "ProductName"
    )
    body = {"ProductName": "x" * (longest + 1)}
    refused = await ask("/data/Products", "POST", json=body)
    cut = sandbox(metadata=path_of(TRADERS), long_strings="truncate")

    assert refused.status_code == 400
    assert f"longer than {longest} characters" in refused.text
    assert len((await cut("/data/Products", "POST", json=body)).json()["ProductName"]) == longest


LINES = """<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Microsoft.Dynamics.DataEntities" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Line"><Key><PropertyRef Name="Line" /></Key>
<Property Name="Line" Type="Edm.Int32" Nullable="false">
<Annotation Term="Microsoft.Dynamics.OData.Core.V1.AllowEditOnCreate" Bool="false" />
<Annotation Term="Microsoft.Dynamics.OData.Core.V1.IsRequired" Bool="true" /></Property>
<Property Name="Name" Type="Edm.String">
<Annotation Term="Microsoft.Dynamics.OData.Core.V1.IsRequired" Bool="true" /></Property>
</EntityType><EntityContainer Name="Resources"><EntitySet Name="Lines"
EntityType="Microsoft.Dynamics.DataEntities.Line" /></EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"""


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [({"Name": "x"}, 201, '"Line":25'), ({}, 400, "Field 'Name' must be filled in"),
     ({"Name": "x", "Line": 5}, 400, "Field 'Line' cannot be edited")],
)  # fmt: skip
async def test_required_read_only_fields_are_generated(sandbox, tmp_path, body, status, text):
    path = tmp_path / "lines.xml"
    path.write_text(LINES)
    answer = await sandbox(metadata=path)("/data/Lines", "POST", json=body)

    assert answer.status_code == status
    assert text in answer.text
