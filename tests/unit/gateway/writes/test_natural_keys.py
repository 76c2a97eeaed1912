"""Which natural keys rows may have, and what callers with roles find by them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.metadata.api_schema import check_names
from schema.policy import Mask, Role, SetGrant
from tests.support.role_writes import CATALOG, RoleWrites, role, writing

pytestmark = pytest.mark.anyio
ROWS: dict[str, list[dict[str, Any]]] = {
    "Orders": [{"Area": "A1", "OrderId": 1, "Text": "T*", "Number": 1}],
    "Lines": [
        {"Area": "A1", "OrderId": 1, "LineNo": n, "Article": f"i{n}", "Price": 1} for n in (1, 2)
    ],
}
LINES = 'lines: {create: [{lineNo: "1", article: "i1", price: "1"}, {lineNo: "2", article: "i2", price: "1"}]}'


def create(unique: str, values: str) -> str:
    return (
        f'mutation {{ x: createOrder(input: {{area: "A1", {values}}}, uniqueBy: {unique})'
        " { created order { orderId } userErrors { code message } } }"
    )


BY_TEXT, VALUES = '"text"', 'orderId: 7, text: "T*", number: 2'
WHOLE = role("all", {"Orders": writing(), "Lines": writing()})
MASKED = (
    role("some", {"Orders": writing({"number": {"eq": 2}})}),
    role("others", {"Orders": SetGrant(masks={"Text": Mask.HASH})}),
)
CASES: dict[str, tuple[tuple[Role, ...], str, str, object, int]] = {
    "without roles": ((), BY_TEXT, VALUES, False, 0),
    "another spelling": ((), BY_TEXT, 'orderId: 7, text: "t* "', False, 0),
    "a pattern": ((), BY_TEXT, 'orderId: 7, text: "*"', True, 1),
    "a number": ((), '"number"', "orderId: 7, number: 1", False, 0),
    "two fields": ((), '["number", "text"]', VALUES, True, 1),
    "no field": ((), "[]", VALUES, True, 1),
    "the key": ((), '"orderId"', "orderId: 1", False, 0),
    "unknown": ((), '"texts"', VALUES, "no plain field of a new row. Did you mean text", 0),
    "not plain": ((), '"home"', VALUES, "no plain field of a new row", 0),
    "many values": ((), '"labels"', VALUES, "no plain field of a new row", 0),
    "no value": ((), '"buyer"', VALUES, "input does not set all of uniqueBy: buyer", 0),
    "no text": ((), BY_TEXT, 'orderId: 7, text: ""', "input does not set all of uniqueBy", 0),
    "a role for all rows": ((WHOLE,), BY_TEXT, VALUES, False, 0),
    "a role for other rows": (
        (role("some", {"Orders": writing({"number": {"eq": 2}})}),), BY_TEXT, VALUES, True, 1,
    ),
    "a mask in some rows": (MASKED, BY_TEXT, VALUES, "may not read all of text", 0),
    "a hidden column": (
        (role("some", {"Orders": writing(deny=("Text",))}),), BY_TEXT, "orderId: 7", "no plain field", 0,
    ),
    "hidden lines": (
        (role("some", {"Orders": writing(), "Lines": writing({"article": {"eq": "i9"}})}),),
        BY_TEXT, f"{VALUES}, {LINES}", False, 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_a_row_is_looked_up_with_the_callers_rights(name: str) -> None:
    roles, unique, values, expected, writes = CASES[name]
    world = RoleWrites(ROWS, *roles)

    answer = await world.ask(create(unique, values))

    if isinstance(expected, str):
        (error,) = answer["errors"]
        assert expected in error["message"]
        assert error["extensions"]["code"] in ("BAD_ARGUMENT", "FORBIDDEN")
    else:
        assert answer["data"]["x"]["userErrors"] == []
        assert answer["data"]["x"]["created"] is expected
    assert len(world.tables.writes) == writes


SETTINGS: dict[str, tuple[tuple[Role, ...], str, bool]] = {
    "without roles": ((), VALUES, False),
    "without a value": ((), "orderId: 7", True),
    "a role for all rows": ((WHOLE,), VALUES, False),
    "a mask in some rows": (MASKED, VALUES, True),
}


@pytest.mark.parametrize("name", SETTINGS)
async def test_the_natural_keys_of_settings_apply_where_they_can(name: str) -> None:
    roles, values, expected = SETTINGS[name]
    world = RoleWrites(ROWS, *roles, natural_keys={"Orders": ("Text",)})
    query = create("null", values).replace("order { orderId } ", "")

    answer = await world.ask(query)

    assert answer["data"]["x"] == {"created": expected, "userErrors": []}


@pytest.mark.parametrize(
    ("keys", "packages", "message"),
    [
        ({"Order": ["Text"]}, {}, "keys: there is no entity set Order. Did you mean Orders?"),
        ({"Orders": ["Texts"]}, {}, "keys: Orders has no property Texts. Did you mean Text"),
        ({}, {"Order": {}}, "packages.sets: there is no entity set Order. Did you mean Orders?"),
        ({}, {"Orders": {"Texts": "T"}}, "packages.sets: Orders has no property Texts. Did you"),
    ],
)
def test_unknown_names_in_the_settings_are_refused(
    keys: dict[str, Any], packages: dict[str, Any], message: str
) -> None:
    sets = {name: {"project": "P", "columns": columns} for name, columns in packages.items()}
    values = {"writes": {"natural_keys": keys}, "packages": {"sets": sets}}
    settings = Settings.model_validate(values)

    with pytest.raises(SettingsError) as refused:
        check_names(settings, CATALOG)

    assert message in str(refused.value)
