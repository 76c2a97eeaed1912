import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from gateway.odata import dialect as dialect_module
from gateway.odata import finops as finops_module
from gateway.odata.dialect import ODATA, Dialect
from gateway.odata.error_details import GENERIC_ERRORS
from gateway.odata.finops import FINOPS
from gateway.odata.infolog import INFOLOG
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
    assert FINOPS.has_label_service
    assert FINOPS.has_entity_categories
    assert FINOPS.errors is INFOLOG


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
    assert not ODATA.has_label_service
    assert not ODATA.has_entity_categories
    assert ODATA.errors is GENERIC_ERRORS
    assert not ODATA.is_shown_by("", "")
    assert ODATA.environment_kind("x.operations.dynamics.com") is None


@pytest.mark.parametrize(
    ("dialect", "root", "environment"),
    [
        (FINOPS, "https://x.example/data", "https://x.example"),
        (FINOPS, "https://x.example/namespaces/AXSF/data/", "https://x.example/namespaces/AXSF"),
        (FINOPS, "https://x.example/odata", "https://x.example/odata"),
        (ODATA, "https://x.example/data/", "https://x.example/data"),
    ],
)
def test_an_environment_is_the_root_without_suffix(dialect, root, environment):
    assert dialect.environment_root(root) == environment


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
def test_cursors_need_values_with_an_order(edm_type, is_enum, odata, finops):
    assert ODATA.orderable_comparison(edm_type, is_enum) is odata
    assert FINOPS.orderable_comparison(edm_type, is_enum) is finops


def test_guid_order_lets_cursors_compare_guids():
    ordering = replace(ODATA, guid_order=True)

    assert ordering.orderable_comparison("Edm.Guid")
    assert not ordering.answers("Edm.Guid", WhereOperator.GT)
    assert not ordering.compares("Edm.Boolean", WhereOperator.GT)


def test_a_refusal_names_the_product():
    error = FINOPS.refusal("fly", hint="Walk.")

    assert (error.message, error.hint) == ("Finance & Operations cannot fly.", "Walk.")


def test_every_flag_is_documented():
    source = Path(dialect_module.__file__).read_text()
    unlinked = {"name", "title", "hosts", "absent", "wildcard_eq", "natural_keys"}
    unlinked |= {"company_property", "company_option"}
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


def test_finops_differences_have_links():
    assert (finops_module.__doc__ or "").count("https://") >= 4
