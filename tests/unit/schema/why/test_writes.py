"""Why something can or cannot be written."""

from __future__ import annotations

from typing import Any

import pytest

from schema.catalog.records import ServiceInfo, Verb
from schema.errors import SchemaError
from schema.model.records import Capabilities, EntitySet, TypeRef
from schema.why.reads import why
from schema.writes import Patterns, WriteRules, Writes
from tests.support.small_models import NS, entity, nav, prop, qualified
from tests.support.writing import action, on, value_type, writes

CUSTOMER = entity(
    "CustomerV3",
    prop("dataAreaId", nullable=False, required=True),
    prop("CustomerAccount", nullable=False, required=True),
    prop("CreditLimit", "Edm.Decimal", allow_edit=False, allow_edit_on_create=False),
    prop("Currency", allow_edit=False, required=True),
    prop("Number", required=True),
    prop("Later", allow_edit_on_create=False),
    prop("Seal", "Sealed"),
    nav("Orders", "Order", many=True, target_set="Orders", on=on(("CustomerAccount", "Customer"))),
    nav("Loose", "Order", many=True, target_set="Orders"),
    nav("Lost", "Order", many=True, on=on(("CustomerAccount", "Customer"))),
    nav("Group", "Group"),
    nav("Logs", "Log", many=True, target_set="Logs", on=on(("CustomerAccount", "Id"))),
    key=("dataAreaId", "CustomerAccount"),
)
ORDER = entity("Order", prop("OrderId", nullable=False), prop("Customer"), key=("OrderId",))
LOG = entity("Log", prop("LogId"), prop("Id"), key=("LogId",), read_only=True)
GROUP = entity("Group", prop("Name"))
NUMBERED = entity("Numbered", prop("N", allow_edit_on_create=False), prop("A"), key=("N",))
SETS = {
    "CustomersV3": "CustomerV3",
    "Orders": "Order",
    "OldOrders": "Order",
    "Logs": "Log",
    "Groups": "Group",
    "Numbers": "Numbered",
}


def shop() -> Writes:
    closed = Capabilities(insertable=False, updatable=False, deletable=False)
    return writes(
        CUSTOMER,
        ORDER,
        LOG,
        GROUP,
        NUMBERED,
        value_type("Sealed", prop("X", allow_edit_on_create=False)),
        sets=[
            *(EntitySet(name=n, type=qualified(t)) for n, t in SETS.items()),
            EntitySet(name="Closed", type=qualified("Order"), can=closed),
        ],
        operations=(action("Block", bound_to=TypeRef(qualified("CustomerV3"))),),
        rules=WriteRules(
            verbs={Verb.DELETE: Patterns(deny=("Cust*",))},
            given_by_service=frozenset({"CustomersV3.Number"}),
            services=(ServiceInfo("post", "a/b/post"),),
        ),
    )


SHOP = shop()
OFFERED = "not offered"


def explained(name: str) -> list[tuple[str, str]]:
    lines = why(SHOP.catalog, name, SHOP).splitlines()[1:]
    return [(a.strip(), b.strip()) for a, b in (line[2:].split("  ", 1) for line in lines)]


def test_a_mutation_tells_what_it_takes_and_gives() -> None:
    assert (
        why(SHOP.catalog, "createCustomerV3", SHOP)
        == f"""\
Mutation.createCustomerV3
  type         CustomerV3Payload
  kind         create
  CSDL         CustomersV3
  rows         {NS}.CustomerV3
  argument     input: CustomerV3CreateInput!
  argument     uniqueBy: [String!]
  argument     idempotencyKey: String
  required     customerAccount, currency
  description  Creates a row of `CustomersV3`."""
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Mutation.updateCustomersV3", {"kind": "update of several rows", "CSDL": "CustomersV3"}),
        (
            "customerV3Block",
            {"kind": "action", "CSDL": f"{NS}.Block", "bound to": "CustomersV3"},
        ),
        (
            "post",
            {"CSDL": "none: custom service a/b/post (setting writes.services)"},
        ),
        (
            "deleteCustomerV3",
            {OFFERED: "the settings forbid it (writes.delete, writes.deny_delete)"},
        ),
        ("createGroups", {OFFERED: "its rows have no key"}),
        (
            "updateLog",
            {OFFERED: "the metadata says that the type is read-only (IsReadOnly)"},
        ),
        (
            "createClosed",
            {OFFERED: "the metadata says so (Capabilities.InsertRestrictions)"},
        ),
        (
            "upsertClosed",
            {
                OFFERED: "it needs create, and the metadata says so (Capabilities.InsertRestrictions)"
            },
        ),
        ("upsertNumbered", {OFFERED: "the key of a new row cannot be set"}),
        (
            "CustomerV3CreateInput",
            {
                "kind": "create input",
                "sets": "CustomersV3 (create, update, upsert)",
                "fields": "5",
                "required": "customerAccount, currency",
            },
        ),
        (
            "OrderKey",
            {
                "sets": "Orders (create, update, upsert, delete), "
                "OldOrders (create, update, upsert, delete), Closed (not written)"
            },
        ),
        ("CustomerV3Payload", {"kind": "payload", "fields": "4"}),
        ("CustomerV3BlockPayload", {"kind": "payload", "of": "Mutation.customerV3Block"}),
        ("CustomerV3Payload.etag", {"type": "String", "meaning": "etag"}),
        (
            "CustomerV3CreateInput.creditLimit",
            {
                OFFERED: "read-only: AllowEdit and AllowEditOnCreate are false, or Computed is true",
                "annotations": "AllowEdit false, AllowEditOnCreate false",
            },
        ),
        (
            "CustomerV3Patch.currency",
            {OFFERED: "fixed after creation: AllowEdit is false, or Immutable is true"},
        ),
        (
            "CustomerV3CreateInput.Later",
            {OFFERED: "cannot be set on creation: AllowEditOnCreate is false"},
        ),
        (
            "CustomerV3Patch.customerAccount",
            {OFFERED: "part of the key, which identifies the row and never changes"},
        ),
        ("CustomerV3Key.later", {OFFERED: "not part of the key"}),
        ("CustomerV3Patch.seal", {OFFERED: "no property of the complex type can be written"}),
        (
            "CustomerV3Patch.etag",
            {OFFERED: "added by the gateway to every row; pass a version as ifMatch"},
        ),
        (
            "CustomerV3CreateInput.loose",
            {
                OFFERED: "the metadata does not say which fields join the rows; "
                "declare the relation (setting relations)"
            },
        ),
        (
            "CustomerV3CreateInput.lost",
            {OFFERED: "the metadata does not say in which set the related rows are"},
        ),
        (
            "CustomerV3CreateInput.logs",
            {
                OFFERED: "rows of Logs cannot be created: "
                "the metadata says that the type is read-only (IsReadOnly)"
            },
        ),
        (
            "CustomerV3CreateInput.group",
            {
                OFFERED: "set the fields that join the related row, "
                "or create it by a mutation of its own"
            },
        ),
        (
            "CustomerV3Patch.orders",
            {OFFERED: "related rows are created with a new row, or by mutations of their own"},
        ),
        (
            "CustomerV3CreateInput.orders",
            {"input": "OrderNestedCreate", "join": "CustomerAccount = Customer", "set": "Orders"},
        ),
        (
            "CustomerV3CreateInput.Currency",
            {
                "input": "String!",
                "required": "yes, by IsRequired; if a number sequence provides it, see the setting writes.numbered",
            },
        ),
        (
            "CustomerV3CreateInput.number",
            {"required": "no: a number sequence provides it (setting writes.numbered)"},
        ),
        (
            "CustomerV3CreateInput.dataAreaId",
            {"required": "no: the company may come from the request"},
        ),
        ("OrderCreateInput.customer", {"required": "no", "annotations": "none"}),
        ("OrderNestedCreate.create", {"input": "[OrderNestedInput!]!"}),
        (
            "OrderUpdateInput.ifMatch",
            {"meaning": "the expected version of the row (setting writes.if_match)"},
        ),
    ],
)
def test_every_kind_of_name_is_explained(name: str, expected: dict[str, str]) -> None:
    assert expected.items() <= set(explained(name))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Mutation.creatOrder", "There is no field Mutation.creatOrder. Did you mean createOrder"),
        ("creatOrder", "There is no type or root field creatOrder. Did you mean createOrder"),
        ("OrderPach", "There is no type or root field OrderPach. Did you mean OrderPatch"),
        ("OrderPatch.custmer", "There is no field OrderPatch.custmer. Did you mean customer?"),
        ("OrderPayload.etags", "There is no field OrderPayload.etags. Did you mean etag?"),
        ("OrderDeleteInput.patch", "There is no field OrderDeleteInput.patch."),
        ("UserError", "UserError is a type of the gateway and does not come from the metadata."),
    ],
)
def test_an_unknown_name_is_an_error_with_near_names(name: str, message: str) -> None:
    with pytest.raises(SchemaError) as refused:
        why(SHOP.catalog, name, SHOP)

    assert refused.value.message.startswith(message)


@pytest.mark.parametrize("name", ["createOrder", "Mutation.createOrder", "OrderPatch"])
def test_without_writes_there_is_nothing_to_explain(name: str) -> None:
    facts: Any = SHOP.catalog

    with pytest.raises(SchemaError):
        why(facts, name)
