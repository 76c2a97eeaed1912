"""``gateway.operations.interpreted_pages``: pages without compiled code are those of the compiled functions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from graphql import OperationDefinitionNode, parse

from gateway.execution.decimal_text import decode_small_page, text_type
from gateway.execution.fast_path import encode
from gateway.operations.completion_compiler import FastPathMiss, RootCompletion
from gateway.operations.interpreted_pages import Interpreter, json_page
from gateway.operations.pages import Page
from gateway.operations.prepared_operation import prepare
from gateway.operations.row_types import RowType, RowTypes
from tests.support.zoo_model import FO, KINDS, LISTS, schema_of

CATALOG = schema_of(FO).catalog
MISS = b"miss"
MISSING = ""
VALUES = (
    *(MISSING, "null", "true", "1", "-1", "2147483648", "9223372036854775808", "1.50", "3.0"),
    *("0.0000001", "1E+2", "1e400", '"1.50"', '"NaN"', '"INF"', '"x"', '"Yes"', '"Red"', '"Blau"'),
    *('"0"', '"Read, Write"', '"Read,Nothing"', '"\\u00e9"', "[]", "{}", "[1]"),
    *('"2024-01-31T12:00:00Z"', '"1900-01-01T12:00:00Z"', '"2024-01-31T01:00:00+02:00"'),
    '"2024-01-31T12:00:00"',
)
READ = [f"{n}{s}" for n in KINDS if n not in ("Any", "Home") for s in ("", "Must")]


def shaped(text: str) -> tuple[RootCompletion, RowType]:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    (root,) = prepare(CATALOG, document, operation, {}).roots
    assert root.level is not None
    assert isinstance(root.complete, RootCompletion)
    return root.complete, RowTypes(CATALOG).get(root.level)


def interpreted(complete: RootCompletion, row_type: RowType, body: bytes) -> bytes:
    try:
        page = json_page(body)
        value = Page(page.value, has_next=True, total=page.count)
        return encode(Interpreter(complete, row_type).complete(value))
    except Exception:
        return MISS


def compiled(complete: RootCompletion, row_type: RowType, body: bytes) -> bytes:
    page = decode_small_page(row_type, body)
    if page is None:
        return MISS
    try:
        text_type(row_type).convert(page.value)
        return encode(complete.of(texts=True)(Page(page.value, has_next=True, total=page.count)))
    except Exception:
        return MISS


def graphql(name: str) -> str:
    return name[0].lower() + name[1:]


@pytest.mark.parametrize("name", READ)
def test_values_are_read_and_converted_alike(name: str) -> None:
    complete, row_type = shaped(f"{{ orders {{ nodes {{ v: {graphql(name)} }} }} }}")
    ways: list[tuple[str, bytes, bytes]] = []
    for value in VALUES:
        row = f'{{"{name}":{value}}}' if value else "{}"
        body = f'{{"value":[{row}]}}'.encode()
        ways.append(
            (value, interpreted(complete, row_type, body), compiled(complete, row_type, body))
        )

    assert [(value, one) for value, one, _ in ways] == [(value, other) for value, _, other in ways]
    assert {one for _, one, _ in ways} > {MISS}


ROW = '{"Area":"A","OrderId":7,"Text":"t","TextMust":"m"%s}'
ALL = """{ orders(first: 2) {
  __typename totalCount
  pageInfo { __typename more: hasNextPage hasPreviousPage }
  some: nodes { t: text id __typename orderId }
  edges { __typename node { id again: id text } }
} }"""
PAGES = {
    "rows": f"[{ROW % ''}]",
    "no rows": "[]",
    "no value": "null",
    "a null": "[null]",
    "a row twice": f"[{ROW % ''},{ROW % ''}]",
    "its type": f"""[{ROW % ',"@odata.type":"#Zoo.Order"'}]""",
    "no type": f"""[{ROW % ',"@odata.type":null'}]""",
    "another type": f"""[{ROW % ',"@odata.type":"#Zoo.Person"'}]""",
    "a type that is no text": f"""[{ROW % ',"@odata.type":7'}]""",
    "a name twice": f"""[{ROW % ',"Text":"u"'}]""",
    "no key": '[{"Text":"t"}]',
    "half a key": '[{"Area":"A","OrderId":null,"Text":"t"}]',
}


@pytest.mark.parametrize("rows", PAGES.values(), ids=PAGES.keys())
@pytest.mark.parametrize("count", ["", ',"@odata.count":12', ',"@odata.count":-1'])
def test_pages_are_completed_alike(rows: str, count: str) -> None:
    body = f'{{"value":{rows}{count}}}'.encode()
    complete, row_type = shaped(ALL)
    known = interpreted(complete, row_type, body)

    # That a row is there twice is found elsewhere, of rows that are decoded.
    assert known == (MISS if rows == PAGES["a row twice"] else compiled(complete, row_type, body))
    assert (known != MISS) == (
        count == ',"@odata.count":12'
        and rows
        in {PAGES[name] for name in ("rows", "no rows", "its type", "no type", "a name twice")}
    )


@pytest.mark.parametrize(
    "selected",
    [
        *(graphql(name) for name in LISTS),
        *("any", "home { city }", "party { name }", "lines { totalCount }"),
        "... on Node { id }",
    ],
)
def test_what_is_not_interpreted_is_compiled(selected: str) -> None:
    complete, row_type = shaped(f"{{ orders {{ nodes {{ {selected} }} }} }}")
    if selected.startswith("..."):
        Interpreter(complete, row_type)
        return

    with pytest.raises(FastPathMiss):
        Interpreter(complete, row_type)


@pytest.mark.parametrize(
    "query",
    [
        "{ parties { nodes { name } } }",
        "{ orders { edges { cursor } } }",
        "{ orders { pageInfo { endCursor } } }",
    ],
)
def test_neither_are_families_and_cursors(query: str) -> None:
    with pytest.raises(FastPathMiss):
        Interpreter(*shaped(query))


def test_keys_may_be_decimals() -> None:
    complete, row_type = shaped("{ lines { nodes { id price } } }")
    rows = [{"Area": "A", "OrderId": 1, "LineNo": n, "Price": 1} for n in (1.5, 2)]
    body = msgspec.json.encode({"value": rows})

    known: Any = interpreted(complete, row_type, body)

    assert known == compiled(complete, row_type, body) != MISS
