"""``$metadata``, the service document and ``/metadata`` (d365-odata.md 1.3 and 7)."""

from __future__ import annotations

import gzip
import json
import re

import pytest

from gateway.sandbox import grammar
from gateway.sandbox.catalogue import built_in
from gateway.sandbox.labels import words
from schema.csdl.parse import parse_csdl
from tests.support.metadata_documents import real_file

pytestmark = pytest.mark.anyio


async def test_the_document_reads_back_as_its_model(get):
    written = (await get("/data/$metadata")).content
    model, read = built_in().model, parse_csdl(written)

    assert read.findings == ()
    assert read.namespace == model.namespace == "Microsoft.Dynamics.DataEntities"
    assert {n: (s.type, dict(s.bindings)) for n, s in read.entity_sets.items()} == {
        n: (s.type, dict(s.bindings)) for n, s in model.entity_sets.items()
    }
    assert dict(read.entity_types) == dict(model.entity_types)
    for name, enum in model.enum_types.items():
        assert read.enum_types[name] == enum


async def test_the_document_has_finance_layout(get):
    answer = await get("/data/$metadata")
    text = answer.content.decode("utf-8-sig")

    assert answer.headers["content-type"] == "application/xml"
    assert 'Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"' in text
    assert '<EntityContainer Name="Resources">' in text
    assert not re.search(r" (MaxLength|Precision|Scale|BaseType)=|<ComplexType", text)
    assert '<PropertyRef Name="dataAreaId" />' in text
    assert '<ReferentialConstraint Property="dataAreaId" ReferencedProperty="dataAreaId" />' in text
    assert '<Property Name="CreditLimit" Type="Edm.Decimal" Nullable="false">' in text
    assert (
        '<Property Name="OnHoldStatus" Type="Microsoft.Dynamics.DataEntities.CustVendorBlocked">'
        in text
    )
    for term in ("LabelId", "AXType", "AllowEdit", "AllowEditOnCreate", "IsRequired", "IsReadOnly"):
        assert f'Term="Microsoft.Dynamics.OData.Core.V1.{term}"' in text


def test_the_catalogue_says_nothing_that_finance_does_not():
    facts = json.loads(gzip.decompress(real_file("finops-entities.json.gz").read_bytes()))
    model = built_in().model
    for name, entity_set in model.entity_sets.items():
        real = facts["entities"][name]
        types = {p: t for p, t, _ in real["props"]}
        assert entity_set.type.rpartition(".")[2] == real["type"]
        assert list(model.key_of(entity_set.type)) == real["keys"]
        for prop in model.properties_of(entity_set.type):
            assert prop.type.name.rpartition(".")[2] == types[prop.name].rpartition(".")[2], (
                name,
                prop.name,
            )
        navigations = {n: (target, many == "many") for n, target, many in real["navs"]}
        for navigation in model.navigations_of(entity_set.type):
            target = entity_set.bindings[navigation.name]
            assert navigations[navigation.name] == (target, navigation.many), (
                name,
                navigation.name,
            )
    for name, enum in model.enum_types.items():
        assert [[m.name, m.value] for m in enum.members] == facts["enums"][name.rpartition(".")[2]]


def test_constraints_and_partners_of_the_catalogue_exist():
    model = built_in().model
    for entity_type in model.entity_types.values():
        for navigation in entity_type.navigations:
            target = model.entity_types[navigation.target]
            assert {p.property for p in navigation.on} <= {p.name for p in entity_type.properties}
            assert {p.referenced for p in navigation.on} <= {p.name for p in target.properties}
            assert navigation.on
            if navigation.partner is not None:
                assert navigation.partner in {n.name for n in target.navigations}, (
                    entity_type.name,
                    navigation.name,
                )


@pytest.mark.parametrize("url", ["/data", "/data/"])
async def test_the_service_document_lists_the_sets(get, url):
    answer = (await get(url)).json()

    assert answer["@odata.context"] == "http://sandbox/data/$metadata"
    assert {"name": "CustomersV3", "kind": "EntitySet", "url": "CustomersV3"} in answer["value"]


async def test_every_label_of_the_document_has_a_text(get):
    text = (await get("/data/$metadata")).text
    ids = set(re.findall(r'LabelId" String="([^"]+)"', text))
    answer = (await get("/metadata/Labels", params={"$filter": "Language eq 'en-US'"})).json()
    texts = {row["Id"]: row["Value"] for row in answer["value"]}

    assert ids <= set(texts)
    assert all(texts[label].strip() for label in ids)
    assert texts["@Sandbox:CustomerAccount"] == "Customer account"
    assert texts["@Sandbox:SalesStatus.Backorder"] == "Open order"


async def test_labels_of_one_language_need_no_parser(get, monkeypatch):
    texts = {}
    for text in ("Language eq 'en-US'", "(Language eq 'en-US')", "Language eq 'de'"):
        texts[text] = (await get("/metadata/Labels", params={"$filter": text})).json()["value"]
    monkeypatch.delattr(grammar, "parse_filter")
    by_itself = (await get("/metadata/Labels", params={"$filter": "Language eq 'en-US'"})).json()

    assert (
        by_itself["value"] == texts["Language eq 'en-US'"] == texts["(Language eq 'en-US')"] != []
    )
    assert texts["Language eq 'de'"] != texts["Language eq 'en-US'"]


@pytest.mark.parametrize("label", ["@SYS13342", "@sys13342"])
async def test_a_label_is_found_by_its_key(get, label):
    answer = await get(f"/metadata/Labels(Id='{label}',Language='en-US')")

    assert answer.json()["Value"] == "Company"


async def test_a_public_entity_lists_properties_and_navigations(get):
    entity = (await get("/metadata/PublicEntities('SalesOrderHeaderV2')")).json()
    properties = {p["Name"]: p for p in entity["Properties"]}
    lines = next(n for n in entity["NavigationProperties"] if n["Name"] == "SalesOrderLines")

    assert entity["EntitySetName"] == "SalesOrderHeadersV2"
    assert properties["dataAreaId"]["IsKey"] is True
    assert properties["RequestedShippingDate"]["DataType"] == "Date"
    assert properties["SalesOrderStatus"]["AllowEditOnCreate"] is False
    assert (lines["RelatedEntity"], lines["Cardinality"]) == ("SalesOrderLine", "Multiple")
    assert lines["Constraints"][1]["ReferencedProperty"] == "SalesOrderNumber"


@pytest.mark.parametrize(
    ("url", "text", "count"),
    [
        ("DataEntities", "PublicEntityName eq 'CustomerV3'", 1),
        ("DataEntities", "contains(tolower(Name),'vendor')", 7),
        ("DataEntities", "startswith(Name,'Cust') and not endswith(Name,'GroupEntity')", 10),
        (
            "DataEntities",
            (
                "EntityCategory eq Microsoft.Dynamics.Metadata.EntityCategory'Transaction'"
                " and startswith(Name,'Ledger')"
            ),
            3,
        ),
        (
            "DataEntities",
            (
                "IsReadOnly eq true and startswith(Name,'Dimension')"
                " or PublicCollectionName eq 'CustomersV3'"
            ),
            3,
        ),
        ("PublicEnumerations", "Name ne 'NoYes' and contains(Name,'NoYes')", 0),
        ("PublicEntities", "EntitySetName eq 'CustomersV3'", 1),
    ],
)
async def test_the_metadata_service_has_a_filter_dialect_of_its_own(get, url, text, count):
    answer = (
        await get(f"/metadata/{url}", params={"$filter": text, "$select": "Name", "$count": "true"})
    ).json()

    assert (answer["@odata.count"], len(answer["value"])) == (count, count)


async def test_enumerations_and_entities_are_found_by_name(get):
    assert [
        m["Name"] for m in (await get("/metadata/PublicEnumerations('NoYes')")).json()["Members"]
    ] == ["No", "Yes"]
    assert (await get("/metadata/DataEntities('CustCustomerV3Entity')")).json()[
        "PublicCollectionName"
    ] == "CustomersV3"
    assert (await get("/metadata")).json()["value"][0]["name"] == "Labels"


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/metadata/Nope", 404),
        ("/metadata/PublicEntities('Nope')", 404),
        ("/metadata/Labels(Id='@SYS13342')", 400),
        ("/metadata/DataEntities?$filter=Nope eq 1", 400),
        ("/metadata/DataEntities?$filter=Name gt 'a'", 400),
        ("/metadata/DataEntities?$filter=length(Name)", 400),
        ("/metadata/DataEntities?$filter=Name eq concat('a','b')", 400),
    ],
)
async def test_what_the_metadata_service_lacks_is_refused(get, url, status):
    assert (await get(url)).status_code == status


async def test_the_metadata_service_reads_only(sandbox):
    assert (await sandbox()("/metadata/Labels", "POST")).status_code == 405


def test_texts_follow_from_names():
    assert words("InvoiceCustomerAccountNumber") == "Invoice customer account number"
    assert words("VATNum") == "VAT num"
    assert words("IBAN") == "IBAN"
    assert words("___") == "___"
