"""Where nulls stand in ``$orderby``: a setting."""

from __future__ import annotations

import pytest

from tests.support.changing_metadata import csdl

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("null_order", "direction", "expected"),
    [
        ("first", "asc", [None, "a", "b"]),
        ("first", "desc", ["b", "a", None]),
        ("last", "asc", ["a", "b", None]),
        ("last", "desc", [None, "b", "a"]),
    ],
)
async def test_the_setting_decides_where_nulls_stand(
    sandbox, tmp_path, null_order, direction, expected
):
    path = tmp_path / "metadata.xml"
    path.write_text(csdl("Name"))
    ask = sandbox(metadata=path, null_order=null_order)
    for number, name in enumerate(("b", None, "a")):
        body = {"Id": f"new-{number}", "Name": name}
        assert (await ask("/data/Things", "POST", json=body)).status_code == 201
    url = f"/data/Things?$filter=startswith(Id,'new-')&$orderby=Name {direction}"
    rows = (await ask(url)).json()["value"]

    assert [row["Name"] for row in rows] == expected
