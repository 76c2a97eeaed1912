"""Which fields of a row a generated operation selects: what a row is called comes first."""

import json

import pytest

from gateway.graphiql import PLAIN
from tests.support.node import call_exported, missing
from tests.support.requirements import need

PAGE = PLAIN.parent / "page"
ROWS = [
    (
        "Customer",
        ["creditLimit", "salesTaxGroup", "nameAlias", "organizationName"],
        "organizationName",
    ),
    ("Vendor", ["vendorHoldReleaseDate", "vendorOrganizationName"], "vendorOrganizationName"),
    ("ReleasedProduct", ["itemNumber", "productName", "bomLevel"], "productName"),
    ("LegalEntity", ["companyType", "name", "nameAlias"], "name"),
    ("MainAccount", ["mainAccountType", "chartOfAccountsName", "name"], "name"),
    ("CustomerGroup", ["taxGroupId", "description"], "description"),
    ("SalesOrderLine", ["lineAmount", "itemNumber", "lineDescription"], "lineDescription"),
]


@pytest.mark.parametrize(("owner", "fields", "first"), ROWS)
def test_the_name_of_a_row_is_selected_first(owner, fields, first):
    trouble = missing(PAGE)
    need(not trouble, trouble)
    module = PAGE / "src" / "skeleton.js"

    ranks = call_exported(module, "ranksOf", owner, fields)

    assert min(zip(ranks, fields, strict=True))[1] == first


def test_an_aggregate_begins_with_counts():
    trouble = missing(PAGE)
    need(not trouble, trouble)
    field = {"name": "customersV3Aggregate", "args": [], "type": {"name": "Aggregate"}}

    made = call_exported(PAGE / "src" / "skeleton.js", "skeleton", "query", field)

    assert " ".join(made["query"].split()) == (
        "query CustomersV3Aggregate($groupBy: [String!]) { customersV3Aggregate(groupBy: $groupBy) {"
        " count groups { keys count } } }"
    )
    assert json.loads(made["variables"]) == {"groupBy": []}
