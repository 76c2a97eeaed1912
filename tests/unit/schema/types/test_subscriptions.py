"""The subscription type of a schema."""

from __future__ import annotations

from graphql import parse, validate

from schema.catalog import Catalog
from schema.types.build import build_schema
from tests.support.metadata_documents import CUSTOMERS, TRADERS, model_of
from tests.support.small_models import FINOPS, GENERIC, DictResolvers


def test_one_field_tells_the_changes_of_any_set() -> None:
    core = build_schema(
        Catalog(model_of(CUSTOMERS), FINOPS), DictResolvers(), subscriptions=True
    ).core

    assert core.subscription_type is not None
    [(name, field)] = core.subscription_type.fields.items()
    assert (name, str(field.type)) == ("entityChanged", "EntityChanged!")
    assert {a: str(given.type) for a, given in field.args.items()} == {
        "set": "String!",
        "companies": "[String!]",
        "where": "JSON",
    }


def test_rows_without_companies_have_no_scope_of_companies() -> None:
    catalog = Catalog(model_of(TRADERS), GENERIC)
    core = build_schema(catalog, DictResolvers(), subscriptions=True).core

    assert core.subscription_type is not None
    assert list(core.subscription_type.fields["entityChanged"].args) == ["set", "where"]


def test_rows_of_any_type_can_be_selected_of_a_change() -> None:
    core = build_schema(
        Catalog(model_of(CUSTOMERS), FINOPS), DictResolvers(), subscriptions=True
    ).core
    operation = """subscription {
      entityChanged(set: "customersV3", where: { dataAreaId: { eq: "usmf" } }) {
        kind set id etag node { id ... on CustomerV3 { organizationName } }
      }
    }"""

    assert validate(core, parse(operation)) == []


def test_without_the_option_there_are_no_subscriptions() -> None:
    core = build_schema(Catalog(model_of(CUSTOMERS), FINOPS), DictResolvers()).core

    assert core.subscription_type is None
    assert not {"Subscription", "EntityChanged", "ChangeKind"} & set(core.type_map)
