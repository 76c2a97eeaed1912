"""``gateway.writes.binder``: what the rows below a new row must set."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import BadArgument
from gateway.odata.dialect import ODATA
from gateway.writes.binder import Binder
from gateway.writes.plan import Mutation, RowsMutation
from tests.support.small_models import entity, nav, prop
from tests.support.writing import CODE, on, writes

LINES = nav("Lines", "Line", many=True, target_set="Lines", on=on(("Code", "ThingId")))
SHOP = writes(
    entity("Thing", CODE, LINES, key=("Code",)),
    entity(
        "Line",
        CODE,
        prop("ThingId", required=True),
        prop("Text", required=True),
        prop("Number", required=True, allow_edit_on_create=False),
        key=("Code",),
    ),
    sets={"Things": "Thing", "Lines": "Line"},
)


def bound(line: dict[str, Any]) -> Mutation:
    given = {"input": {"code": "A", "lines": {"create": [line]}}}
    return Binder(SHOP, ODATA).bind(SHOP["createThing"], given, None)


def test_a_nested_row_may_omit_what_cannot_be_set() -> None:
    made = bound({"code": "1", "text": "x"})

    assert isinstance(made, RowsMutation)
    (children,) = made.writes[0].children
    assert children.rows[0].body == {"Code": "1", "Text": "x"}


def test_a_nested_row_needs_required_fields_except_the_join() -> None:
    with pytest.raises(BadArgument, match=r"text is required"):
        bound({"code": "1"})
