"""Settings of federation: what is accepted, and what they do to the printed schema."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema

from gateway.cli.schema_commands import print_sdl
from gateway.config.loading import load_settings
from gateway.config.rendering import to_toml
from gateway.config.setting_models import FederationOptions
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.federation_options import federation_options
from gateway.metadata.model_builder import dialect_of, make_catalog, open_model
from gateway.runtime.assembly import open_gateway
from gateway.storage.document_cache import digest_of
from schema.errors import ExposureError
from schema.types.federation import Federation


def given(**values: str) -> dict[str, str]:
    """Variables of the environment."""
    return {f"D365_FEDERATION__{name.upper()}": value for name, value in values.items()}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, Federation()),
        ({"enabled": "false"}, None),
        ({"version": "2.14"}, Federation(version="2.14")),
        ({"unified": "shared"}, Federation(unified="shared")),
        ({"version": "2.0", "node": "omit"}, Federation(version="2.0", node="omit")),
        (
            {"tags": '{"Cust*": ["sales", "a/b-c_1"], "V*": "buying, public"}'},
            Federation(tags={"Cust*": ("sales", "a/b-c_1"), "V*": ("buying", "public")}),
        ),
    ],
)
def test_options_become_the_subgraph(values: dict[str, str], found: Federation | None) -> None:
    made = federation_options(load_settings(given(**values)))

    assert made == found
    assert made is None or found is None or made.tags == found.tags


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"version": "2.15"}, "accepted: 2.0 to 2.14"),
        ({"version": "1.0"}, "accepted: 2.0 to 2.14"),
        ({"version": "v2.9"}, "accepted: 2.0 to 2.14"),
        ({"prefix": "e-r"}, "accepted: letters and digits, starting with a letter"),
        ({"prefix": "1st"}, "accepted: letters and digits, starting with a letter"),
        ({"prefix": "erp_"}, "accepted: letters and digits, starting with a letter"),
        ({"type_prefix": "eu"}, "accepted: letters and digits, starting with a capital letter"),
        ({"type_prefix": "_Eu"}, "accepted: letters and digits, starting with a capital letter"),
        ({"type_prefix": "E_u"}, "accepted: letters and digits, starting with a capital letter"),
        ({"node": "gone"}, "accepted: 'inaccessible', 'omit' or 'shared'"),
        ({"unified": "mine"}, "accepted: 'own' or 'shared'"),
        ({"tags": '{"Cust*": ["two words"]}'}, "'two words' is not a tag"),
        ({"tags": '{"Cust*": ["1"]}'}, "'1' is not a tag"),
        ({"tags": "{"}, "expected JSON"),
    ],
)
def test_refusals_say_what_is_accepted(values: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(given(**values))

    assert said in raised.value.message
    assert next(iter(given(**values))) in raised.value.message


@pytest.mark.anyio
async def test_tags_of_unserved_sets_stop_the_start() -> None:
    settings = sandbox(tags={"Currencies": ["money"], "Curency*": ["money"]})

    with pytest.raises(ExposureError, match=r"federation\.tags: .*\"Curency\*\"") as raised:
        async with open_gateway(settings, observe=lambda _: None):
            pass
    assert len(raised.value.problems) == 1


def test_effective_settings_load_again() -> None:
    tags: dict[str, tuple[str, ...]] = {"Customer*": ("sales",), 'a "quoted" one': ("x",)}
    chosen = Settings(cache_dir=None, federation=FederationOptions(prefix="erp", tags=tags))

    assert tomllib.loads(to_toml(chosen))["federation"] == {
        "enabled": True,
        "version": "2.9",
        "prefix": "erp",
        "type_prefix": "",
        "node": "inaccessible",
        "unified": "own",
        "tags": {name: list(values) for name, values in tags.items()},
    }


def sandbox(**federation: Any) -> Settings:
    options = FederationOptions(**federation)
    return Settings(cache_dir=None, language="none", include=("Currencies",), federation=options)


def test_the_plain_schema_has_no_federation(capsys: pytest.CaptureFixture[str]) -> None:
    print_sdl(sandbox(prefix="erp"), federation=False)
    printed = capsys.readouterr().out
    print_sdl(sandbox(prefix="erp", enabled=False), federation=False)

    assert capsys.readouterr().out == printed
    assert "erpCurrencies(" in printed
    assert not [word for word in ("_service", "_entities", "_Any", "@key") if word in printed]


def printed(
    capsys: pytest.CaptureFixture[str], include: tuple[str, ...], **federation: Any
) -> GraphQLSchema:
    """Return the types of a subgraph."""
    settings = sandbox(**federation).model_copy(update={"include": include})
    print_sdl(settings, federation=True)
    _, _, types = capsys.readouterr().out.partition("directive @oneOf on INPUT_OBJECT")
    return build_schema(
        "directive @key(fields: String!) repeatable on OBJECT\n" + types, assume_valid_sdl=True
    )


@pytest.mark.parametrize(
    ("federation", "root", "type_name"),
    [
        ({}, "accounting", "UnifiedAccounting"),
        ({"prefix": "eu"}, "euAccounting", "UnifiedAccounting"),
        ({"prefix": "eu", "unified": "shared"}, "accounting", "UnifiedAccounting"),
        ({"prefix": "eu", "type_prefix": "Eu"}, "euAccounting", "EuUnifiedAccounting"),
        (
            {"prefix": "eu", "type_prefix": "Eu", "unified": "shared"},
            "euAccounting",
            "EuUnifiedAccounting",
        ),
    ],
)
def test_root_fields_of_unified_models_have_the_prefix(
    capsys: pytest.CaptureFixture[str], federation: dict[str, Any], root: str, type_name: str
) -> None:
    schema = printed(capsys, ("CustomersV3",), **federation)

    assert schema.query_type
    assert str(schema.query_type.fields[root].type) == f"{type_name}!"


def test_shared_models_have_what_the_gateway_has_rows_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = printed(capsys, ("VendorInvoiceHeaders",))
    shared = printed(capsys, ("VendorInvoiceHeaders",), unified="shared")

    def objects(schema: GraphQLSchema) -> set[str]:
        return {name for name in schema.type_map if name.startswith("Unified")}

    bill: Any = shared.type_map["UnifiedBill"]
    assert {"UnifiedVendor", "UnifiedVendorConnection", "UnifiedCustomer"} <= objects(own)
    assert not {"UnifiedVendor", "UnifiedVendorConnection"} & objects(shared)
    assert {"UnifiedBill", "UnifiedBillWhere", "UnifiedPostalAddress"} <= objects(shared)
    assert {"raw", "sources", "vendorNumber"} <= bill.fields.keys()
    assert not {"vendor", "lines"} & bill.fields.keys()

    def shareable(name: str) -> bool:
        node = shared.type_map[name].ast_node
        return node is not None and [d.name.value for d in node.directives or ()] == ["shareable"]

    assert [shareable(n) for n in ("UnifiedPostalAddress", "UnifiedSource", "UnifiedBill")] == [
        True,
        True,
        False,
    ]


def test_only_a_subgraph_is_printed_as_one() -> None:
    with pytest.raises(SettingsError, match=r"federation\.enabled"):
        print_sdl(sandbox(enabled=False), federation=True)


_CSDL = b"""<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Cat"><Key><PropertyRef Name="Id"/></Key>
<Property Name="Id" Type="Edm.String" Nullable="false"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Cats" EntityType="N.Cat"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


def test_names_in_a_snapshot_have_the_prefixes(tmp_path: Path) -> None:
    document = MetadataDocument(_CSDL, digest_of(_CSDL), "cats.xml")

    def names(**federation: Any) -> tuple[str, str]:
        chosen = Settings(
            url="https://fo.example/data",
            cache_dir=tmp_path,
            federation=FederationOptions(**federation),
        )
        loaded = open_model(chosen, document)
        assert loaded.naming is not None
        dialect = dialect_of(chosen, loaded.model)
        catalog = make_catalog(chosen, loaded.model, dialect, {}, loaded.naming)
        return next(iter(catalog.roots)), catalog.object("N.Cat").name

    assert names() == ("cats", "Cat")
    assert names(prefix="erp") == ("erpCats", "Cat")
    assert names(prefix="crm", type_prefix="Crm") == ("crmCats", "CrmCat")
    assert names(type_prefix="Erp") == ("cats", "ErpCat")
    assert names() == ("cats", "Cat")
