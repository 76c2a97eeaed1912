"""Arguments of mutations in request bodies: every type of value, keys, and what is refused unsent."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.render import readable_url
from gateway.request import GraphQLRequest
from schema.catalog import Catalog
from schema.types.build import build_schema
from schema.writes import Writes
from tests.support.faulty_writes import Recorder
from tests.support.observers import raise_bugs
from tests.support.zoo_model import DIALECTS, model

pytestmark = pytest.mark.anyio
ORDER = 'key: {area: "A", orderId: 1}'


@cache
def schema(dialect: str) -> Any:
    catalog = Catalog(model(), abilities_of(DIALECTS[dialect]))
    return build_schema(catalog, LoadedResolvers(catalog), writes=Writes(catalog))


async def run(
    query: str, dialect: str = "finops", companies: tuple[str, ...] | None = None, **variables: Any
) -> tuple[Recorder, dict[str, Any]]:
    """Run a mutation, and give what was sent and answered."""
    recorder = Recorder()
    engine = Engine(schema(dialect), recorder, DIALECTS[dialect], ExecutionSettings(), raise_bugs)
    request = GraphQLRequest(query=query, variables=variables, companies=companies)
    return recorder, (await engine.execute(request)).to_builtins()


def update(patch: str) -> str:
    return f"mutation {{ updateOrder({ORDER}, patch: {{{patch}}}) {{ userErrors {{ code }} }} }}"


DIGITS = "123456789012345678901234567890.123456789012345678901234567890"
VALUES: dict[str, tuple[str, str, str]] = {
    # name: (patch, body for F&O, body for plain OData)
    "text": ('text: "O\'N \\"x\\" ü\\n"', r'{"Text":"O' + r"'N \"x\" ü\n" + '"}', ""),
    "Int32": ("number: -2147483648", '{"Number":-2147483648}', ""),
    "Int16": ("small: 5", '{"Small":5}', ""),
    "Int64": ('big: "9223372036854775807"', '{"Big":9223372036854775807}', ""),
    "Int64 as a number": ("big: 12345678901", '{"Big":12345678901}', ""),
    "Decimal": (f'amount: "{DIGITS}"', f'{{"Amount":{DIGITS}}}', ""),
    "Decimal with zeros": ('amount: "10.50"', '{"Amount":10.50}', ""),
    "Decimal that is small": ('amount: "0.000000000001"', '{"Amount":1E-12}', ""),
    "Double": ("ratio: 1.5", '{"Ratio":1.5}', ""),
    "Boolean": ("flag: false", '{"Flag":false}', ""),
    "NoYes": ("open: true", '{"Open":"Yes"}', ""),
    "NoYes that is no": ("open: false", '{"Open":"No"}', ""),
    "enum": ("colour: DARK_GREEN", '{"Colour":"DarkGreen"}', ""),
    "flags": ("rights: [READ, ADMIN]", '{"Rights":"Read,Admin"}', ""),
    "one flag": ("rights: READ", '{"Rights":"Read"}', ""),
    "X++ date": ('due: "2024-02-29"', '{"Due":"2024-02-29T12:00:00Z"}', ""),
    "moment": ('moment: "2024-02-29T13:00:00+01:00"', '{"Moment":"2024-02-29T12:00:00Z"}', ""),
    "Date": ('day: "2024-02-29"', '{"Day":"2024-02-29"}', ""),
    "TimeOfDay": ('clock: "23:59:59.5"', '{"Clock":"23:59:59.5"}', ""),
    "Duration": ('span: "P1DT2H"', '{"Span":"P1DT2H"}', ""),
    "Guid": (
        'uid: "6F1A4B0E-8D1C-4F0E-9B59-0D4B3C7A2F10"',
        '{"Uid":"6f1a4b0e-8d1c-4f0e-9b59-0d4b3c7a2f10"}',
        "",
    ),
    "Binary": ('blob: "AQID"', '{"Blob":"AQID"}', ""),
    "geography": (
        "any: {type: \"Point\", coordinates: [1.25, 2]}",
        '{"Any":{"type":"Point","coordinates":[1.25,2]}}',
        "",
    ),
    "complex": (
        'home: {city: "Ulm", zone: BLUE, spot: {north: 1.5, label: "x"}}',
        '{"Home":{"City":"Ulm","Zone":"Blue","Spot":{"North":1.5,"Label":"x"}}}',
        "",
    ),
    "complex, partly": ('home: {city: "Ulm"}', '{"Home":{"City":"Ulm"}}', ""),
    "texts": ('labels: ["a", ""]', '{"Labels":["a",""]}', ""),
    "no texts": ("labels: []", '{"Labels":[]}', ""),
    "enums": ("colours: [RED, RED]", '{"Colours":["Red","Red"]}', ""),
    "Decimals": ('amounts: ["1.10", "2"]', '{"Amounts":[1.10,2]}', ""),
    "complex values": ('places: [{city: "a"}, {city: "b"}]', '{"Places":[{"City":"a"},{"City":"b"}]}', ""),
    "text set to null": ("text: null", '{"Text":""}', '{"Text":null}'),
    "X++ date set to null": ("due: null", '{"Due":"1900-01-01T12:00:00Z"}', ""),
    "moment set to null": ("moment: null", '{"Moment":"1900-01-01T12:00:00Z"}', '{"Moment":null}'),
    "only what is given": ('text: "a", number: 1', '{"Text":"a","Number":1}', ""),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("dialect", ["finops", "odata"])
async def test_a_value_is_sent_as_the_upstream_wants_it(name: str, dialect: str) -> None:
    patch, finops, odata = VALUES[name]

    recorder, result = await run(update(patch), dialect)

    assert result == {"data": {"updateOrder": {"userErrors": []}}}
    (sent,) = recorder.sent
    assert (sent.body or b"").decode() == (odata or finops if dialect == "odata" else finops)
    assert readable_url(sent).startswith("Orders(Area='A',OrderId=1)")


NULLS = (
    *("number", "big", "amount", "ratio", "flag", "open"),
    *("colour", "rights", "uid", "blob", "home"),
)


@pytest.mark.parametrize("name", NULLS)
async def test_types_without_an_empty_value_cannot_be_null(name: str) -> None:
    recorder, result = await run(update(f"{name}: null"))

    (error,) = result["errors"]
    assert error["extensions"]["code"] == "BAD_ARGUMENT"
    assert f"patch.{name} cannot be null" in error["message"]
    assert recorder.sent == []


@pytest.mark.parametrize("name", NULLS)
async def test_null_is_sent_where_the_product_knows_it(name: str) -> None:
    recorder, _ = await run(update(f"{name}: null"), "odata")

    assert (recorder.sent[0].body or b"").decode() == f'{{"{name[0].upper()}{name[1:]}":null}}'


@pytest.mark.parametrize("dialect", ["finops", "odata"])
@pytest.mark.parametrize("name", ["labels", "colours", "amounts", "places"])
async def test_a_list_is_empty_and_never_null(name: str, dialect: str) -> None:
    recorder, result = await run(update(f"{name}: null"), dialect)

    assert result["errors"][0]["message"] == f"patch.{name} is a list and cannot be null."
    assert recorder.sent == []


DELETE = "mutation {{ deleteOrder({}) {{ userErrors {{ code }} }} }}"
REFUSED: dict[str, tuple[str, str, str]] = {
    "nothing to change": (update(""), "BAD_ARGUMENT", "patch changes nothing."),
    "a key of null": (
        "mutation { deleteOrder(key: {area: null, orderId: 1}) { userErrors { code } } }",
        "GRAPHQL_VALIDATION_FAILED",
        "Expected value of non-null type 'String!'",
    ),
    "an etag with a line break": (
        DELETE.format(ORDER + r', ifMatch: "W/\"1\"\r\nX: y"'),
        "BAD_ARGUMENT",
        "ifMatch is not an etag.",
    ),
    "an etag with a tab": (DELETE.format(ORDER + r', ifMatch: "a\tb"'), "BAD_ARGUMENT", "ifMatch is not an etag."),
    "an etag in Greek": (DELETE.format(ORDER + ', ifMatch: "Ω"'), "BAD_ARGUMENT", "ifMatch is not an etag."),
    "a blank etag": (DELETE.format(ORDER + ', ifMatch: " "'), "BAD_ARGUMENT", "ifMatch is not an etag."),
    "an upsert without its key": (
        "mutation { upsertOrder(input: {orderId: 1}) { userErrors { code } } }",
        "BAD_ARGUMENT",
        "",
    ),
    "a number that is too large": (update("small: 40000"), "BAD_ARGUMENT", "patch.small"),
    "a moment that is none": (update('moment: "yesterday"'), "", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_invalid_arguments_are_refused_unsent(name: str) -> None:
    query, code, message = REFUSED[name]

    recorder, result = await run(query)

    assert recorder.sent == []
    assert result["errors"][0]["extensions"]["code"].startswith(code)
    assert message in result["errors"][0]["message"]


@pytest.mark.parametrize(
    ("given", "header"),
    [('"*"', "*"), (r'"W/\"JzEn\""', 'W/"JzEn"'), ("null", None)],
    ids=["any", "one", "none"],
)
async def test_an_etag_is_sent_as_it_is(given: str, header: str | None) -> None:
    recorder, _ = await run(DELETE.format(f"{ORDER}, ifMatch: {given}"))

    assert recorder.sent[0].headers.get("If-Match") == header


# References


REFERRED = """mutation ($x: {kind} @valueFrom(path: "a.{field}")) {{
  a: updateOrder({order}, patch: {{{patch}}}) {{ userErrors {{ code }} }}
  b: updateOrder(key: {{area: "A", orderId: 2}}, patch: {{{name}: $x}}) {{ userErrors {{ code }} }}
}}"""
REFERENCES = {
    "text": ("String", 'text: "a"', "text"),
    "Int": ("Int", "number: 5", "number"),
    "Int64": ("Long", 'big: "9223372036854775807"', "big"),
    "Decimal": ("Decimal!", f'amount: "{DIGITS}"', "amount"),
    "Double": ("Float", "ratio: 1.5", "ratio"),
    "Boolean": ("Boolean!", "flag: false", "flag"),
    "NoYes": ("Boolean", "open: true", "open"),
    "enum": ("Colour", "colour: DARK_GREEN", "colour"),
    "flags": ("[Rights!]", "rights: [READ, ADMIN]", "rights"),
    "X++ date": ("Date", 'due: "2024-02-29"', "due"),
    "moment": ("DateTime", 'moment: "2024-02-29T12:00:00Z"', "moment"),
    "Date": ("Date", 'day: "2024-02-29"', "day"),
    "TimeOfDay": ("TimeOfDay", 'clock: "23:59:59"', "clock"),
    "Duration": ("Duration", 'span: "P1D"', "span"),
    "Guid": ("UUID", 'uid: "6f1a4b0e-8d1c-4f0e-9b59-0d4b3c7a2f10"', "uid"),
    "Binary": ("Base64", 'blob: "AQID"', "blob"),
    "geography": ("JSON", 'any: {type: "Point"}', "any"),
}


@pytest.mark.parametrize("atomic", [False, True], ids=["in turn", "atomic"])
@pytest.mark.parametrize("name", REFERENCES)
async def test_a_value_of_an_earlier_row_is_sent_as_it_was_given(name: str, atomic: bool) -> None:
    kind, patch, field_name = REFERENCES[name]
    query = REFERRED.format(kind=kind, field=field_name, order=ORDER, patch=patch, name=field_name)

    recorder, result = await run(
        query.replace(") {\n  a:", ") @atomic {\n  a:") if atomic else query
    )

    assert "errors" not in result
    body = b"".join(request.body or b"" for request in recorder.sent).decode()
    sent = [line for line in body.replace("}{", "}\n{").splitlines() if line.startswith("{")]
    assert len(sent) == 2
    assert sent[0] == sent[1]


@pytest.mark.parametrize("name", REFERENCES)
async def test_a_reference_without_a_value_sends_nothing_more(name: str) -> None:
    kind, _, field_name = REFERENCES[name]
    query = REFERRED.format(
        kind=kind, field=field_name, order=ORDER, patch='buyer: "x"', name=field_name
    )

    recorder, result = await run(query)

    assert "errors" not in result
    assert [e["code"] for e in result["data"]["b"]["userErrors"]] == ["NOT_SENT"]
    assert len(recorder.sent) == 1


PATHS = {
    "no dot": ("a", "is not a path of the form alias.field"),
    "two dots": ("a.b.c", "is not a path of the form alias.field"),
    "nothing": ("", "is not a path of the form alias.field"),
    "no alias": (".text", "is not a path of the form alias.field"),
    "another alias": ("z.text", "the operation has no mutation z"),
    "a later mutation": ("b.text", "is used before b has written its row"),
    "a field that is not there": ("a.nothing", "NOT_SENT"),
}


@pytest.mark.parametrize("name", PATHS)
async def test_a_reference_that_cannot_be_is_told(name: str) -> None:
    path, message = PATHS[name]
    query = REFERRED.format(
        kind="String", field="text", order=ORDER, patch='text: "a"', name="text"
    ).replace('"a.text"', f'"{path}"')

    recorder, result = await run(query)

    assert message in str(result)
    assert len(recorder.sent) == (1 if message == "NOT_SENT" else 0)


BELOW = {
    "an argument of its row": "order { lines(first: $x) { nodes { note } } }",
    "a condition": "userErrors @include(if: $x) { code }",
}


@pytest.mark.parametrize("name", BELOW)
async def test_a_reference_stands_in_arguments_of_mutations_only(name: str) -> None:
    kind, patch = ("Int", "number: 1") if "first" in BELOW[name] else ("Boolean!", "flag: true")
    recorder, result = await run(
        f"""mutation ($x: {kind} @valueFrom(path: "a.{patch.partition(":")[0]}")) {{
          a: updateOrder({ORDER}, patch: {{{patch}}}) {{ userErrors {{ code }} }}
          b: updateOrder({ORDER}, patch: {{text: "a"}}) {{ {BELOW[name]} }}
        }}"""
    )

    assert (
        result["errors"][0]["message"]
        == "$x is used below a mutation, where its value comes too late."
    )
    assert recorder.sent == []
