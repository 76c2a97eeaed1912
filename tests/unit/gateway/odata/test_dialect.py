import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.odata import dialect as dialect_module
from gateway.odata import finops as finops_module
from gateway.odata.dialect import ODATA, Dialect
from gateway.odata.finops import FINOPS, NAMESPACE, dialect_for, environment_kind
from schema.operators import WhereOperator
from tests.support.expressions import ENUM

KINDS = {
    "string", "number", "temporal", "date", "boolean", "enum",
    "flags", "guid", "binary", "duration", "other",
}  # fmt: skip


@pytest.mark.parametrize("dialect", [ODATA, FINOPS])
def test_every_kind_says_which_operators_are_answered(dialect):
    assert set(dialect.operators) == KINDS
    assert {o for names in dialect.operators.values() for o in names} <= set(WhereOperator)


def test_finops_facts():
    """Each line is a fact of d365-odata sections 1 to 4."""
    text = "eq ne gt gte lt lte in nin contains startsWith endsWith isNull"
    assert " ".join(FINOPS.operators["string"]) == text
    assert FINOPS.operators["number"] == ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
    assert FINOPS.operators["temporal"] == (*FINOPS.operators["number"], "isNull")
    assert FINOPS.operators["date"] == FINOPS.operators["temporal"]
    assert FINOPS.operators["enum"] == ("eq", "ne", "in", "nin")
    assert FINOPS.operators["boolean"] == ("eq", "ne")
    assert FINOPS.operators["guid"] == ("eq", "ne", "in", "nin")
    assert FINOPS.operators["binary"] == ()
    assert FINOPS.options == (("cross-company", "true"),)
    assert FINOPS.company_property == "dataAreaId"
    assert FINOPS.case_insensitive
    assert not FINOPS.has_nulls
    assert FINOPS.page_limit == 10_000
    assert FINOPS.alphanumeric_order
    assert not FINOPS.guid_order
    assert (FINOPS.expand_depth, FINOPS.expand_options) == (1, False)
    assert not FINOPS.update_may_create
    assert not FINOPS.prefers_representation


def test_odata_is_the_specification():
    assert ODATA.options == ()
    assert ODATA.company_property is None
    assert not ODATA.case_insensitive
    assert ODATA.has_nulls
    assert (ODATA.null_order, ODATA.nulls_last) == ("unknown", False)
    assert (ODATA.guid_order, ODATA.unkeyed_paging, ODATA.page_limit) == (False, "auto", None)
    assert not ODATA.alphanumeric_order
    assert (ODATA.expand_depth, ODATA.expand_options) == (8, True)
    assert ODATA.update_may_create
    assert ODATA.prefers_representation


@pytest.mark.parametrize(
    ("edm_type", "is_enum", "odata", "finops"),
    [
        ("Edm.String", False, True, True),
        ("Edm.Decimal", False, True, True),
        ("Edm.DateTimeOffset", False, True, True),
        ("Edm.Duration", False, True, False),
        ("Edm.Guid", False, False, False),
        ("Edm.Boolean", False, False, False),
        (ENUM, True, False, False),
        (ENUM, False, False, False),
        ("Edm.Stream", False, False, False),
    ],
)
def test_a_page_can_start_after_a_value_only_where_values_have_an_order(
    edm_type, is_enum, odata, finops
):
    assert ODATA.orderable_comparison(edm_type, is_enum) is odata
    assert FINOPS.orderable_comparison(edm_type, is_enum) is finops


def test_guids_are_compared_for_cursors_where_the_service_orders_them_so():
    ordering = replace(ODATA, guid_order=True)

    assert ordering.orderable_comparison("Edm.Guid")
    assert not ordering.answers("Edm.Guid", WhereOperator.GT)
    assert not ordering.compares("Edm.Boolean", WhereOperator.GT)


def test_a_refusal_names_the_product():
    error = FINOPS.refusal("fly", hint="Walk.")

    assert (error.message, error.hint) == ("Finance & Operations cannot fly.", "Walk.")


@pytest.mark.parametrize(
    ("name", "url", "namespace", "expected"),
    [
        ("finops", "http://localhost/odata", "", FINOPS),
        ("odata", "https://x.operations.dynamics.com/data", NAMESPACE, ODATA),
        (None, "https://x.operations.dynamics.com/data", "", FINOPS),
        (None, "https://x.sandbox.operations.dynamics.com/data", "", FINOPS),
        (None, "https://x.operations.eu.dynamics.com/data", "", FINOPS),
        (None, "https://x.cloudax.dynamics.com/data", "", FINOPS),
        (None, "https://usnconeboxax1aos.axcloud.dynamics.com/data", "", FINOPS),
        (None, "https://erp.example.com/namespaces/AXSF/data", NAMESPACE, FINOPS),
        (None, "https://org.crm4.dynamics.com/api/data/v9.2", "Microsoft.Dynamics.CRM", ODATA),
        (None, "https://api.businesscentral.dynamics.com/v2.0", "Microsoft.NAV", ODATA),
        (None, "https://operations.example.com/odata", "Demo", ODATA),
        (None, "", "", ODATA),
    ],
)
def test_a_dialect_is_named_or_guessed(name, url, namespace, expected):
    assert dialect_for(name, url, namespace) is expected


@pytest.mark.parametrize("name", ["dataverse", "businesscentral"])
def test_a_dialect_to_come_says_so(name):
    with pytest.raises(SettingsError, match="not available yet"):
        dialect_for(name, "", "")


def test_an_unknown_dialect_says_which_are_known():
    with pytest.raises(SettingsError) as caught:
        dialect_for("oracle", "", "")

    assert caught.value.hint == "Accepted: finops, odata."


def test_every_flag_is_documented():
    source = Path(dialect_module.__file__).read_text()
    unlinked = {"name", "title", "absent", "wildcard_eq", "company_property", "company_option"}
    for flag in fields(Dialect):
        documented = re.search(
            rf"^    {flag.name}: [^\"]*?(?:\"[^\"]*\")?\s*\"\"\"(.+?)\"\"\"",
            source,
            re.MULTILINE | re.DOTALL,
        )
        assert documented, flag.name
        assert "https://" in documented[1] or flag.name in unlinked, flag.name
        if flag.type == "bool":
            assert documented[1].startswith("Whether "), flag.name


def test_what_is_finops_own_is_linked_there():
    assert (finops_module.__doc__ or "").count("https://") >= 4


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("contoso.operations.dynamics.com", "production"),
        ("contoso.operations.eu.dynamics.com", "production"),
        ("contoso-uat.sandbox.operations.dynamics.com", "test"),
        ("usnconeboxax1aos.cloud.onebox.dynamics.com", None),
        ("contosodev.cloudax.dynamics.com", "development"),
        ("contosodev.axcloud.dynamics.com", "development"),
        ("services.odata.org", None),
        ("127.0.0.1", None),
    ],
)
def test_a_host_tells_what_its_environment_is_for(host, kind):
    assert environment_kind(host) == kind
