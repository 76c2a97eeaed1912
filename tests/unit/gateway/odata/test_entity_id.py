"""Keys read from the addresses of rows: the inverse of how keys are printed."""

from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.odata.entity_id import key_of_address
from gateway.odata.query import KeyPart, Literal, Query, Resource
from gateway.odata.render import render

ROOT = "https://x.example/data"
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "Edm.String": st.one_of(TEXT, st.sampled_from(["O'Neil", "a,b=c", "(a)", "'", "a/b", "50%", "?#"])),
    "Edm.Int32": st.integers(-(2**31), 2**31 - 1),
    "Edm.Int64": st.integers(-(2**63), 2**63 - 1),
    "Edm.Decimal": st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1000, max_value=1000),
    "Edm.Double": st.floats(allow_nan=False),
    "Edm.Boolean": st.booleans(),
    "Edm.Guid": st.uuids().map(str),
    "Edm.Date": st.dates().map(lambda d: d.isoformat()),
    "Edm.DateTimeOffset": st.sampled_from(["2024-02-29T12:00:00Z", "2024-02-29T12:00:00.5Z"]),
    "Edm.TimeOfDay": st.sampled_from(["23:59:59", "00:00:00.25"]),
    "Edm.Duration": st.sampled_from(["P1D", "-PT1H2M3S"]),
    "Edm.Binary": st.binary(max_size=9).map(lambda b: urlsafe_b64encode(b).decode()),
    "N.Colour": st.sampled_from(["Red", "DarkGreen"]),
}  # fmt: skip


@st.composite
def keys(draw: st.DrawFn) -> tuple[KeyPart, ...]:
    types = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    return tuple(
        KeyPart(f"P{n}", Literal(draw(VALUES[t]), t, t.startswith("N.")))
        for n, t in enumerate(types)
    )


@given(keys())
def test_a_printed_key_is_parsed_again(key: tuple[KeyPart, ...]) -> None:
    address = f"{ROOT}/{render(Query(resource=Resource('Sets', key))).url}"
    columns = [(part.name, part.value.type, part.value.is_enum) for part in key]

    found = key_of_address(address, columns)

    assert found is not None
    again = f"{ROOT}/{render(Query(resource=Resource('Sets', found))).url}"
    assert again == address


A, B = ("A", "Edm.String", False), ("B", "Edm.Int32", False)
TABLE = {
    "one part with its name": ("Sets(A='x')", [A], ["x"]),
    "one part without": ("Sets('x')", [A], ["x"]),
    "another order": ("Sets(B=2,A='x')", [A, B], ["x", 2]),
    "percent-encoded": ("Sets(A=%27x%2Fy%20z%27,B=2)", [A, B], ["x/y z", 2]),
    "quotes and parentheses": ("Sets(A='o''(n),B=3',B=2)", [A, B], ["o'(n),B=3", 2]),
    "below another row": ("Sets('1')/Below(A='x')", [A], ["x"]),
    "with a cast": ("Sets(A='x')/N.Derived", [A], ["x"]),
    "with options": ("Sets(A='x')?cross-company=true", [A], ["x"]),
    "a relative address": ("/data/Sets(A='x')", [A], ["x"]),
    "no key": ("Sets", [A], None),
    "an open quote": ("Sets(A='x)", [A], None),
    "an empty key": ("Sets()", [A], None),
    "a part is missing": ("Sets(A='x')", [A, B], None),
    "an alternate key": ("Sets(C='x')", [A], None),
    "a part too many": ("Sets(A='x',B=2)", [A], None),
    "another type": ("Sets(A='x',B=two)", [A, B], None),
    "text without quotes": ("Sets(x)", [A], None),
    "nothing": ("", [A], None),
}


@pytest.mark.parametrize("name", TABLE)
def test_an_address_names_a_key_or_none(name: str) -> None:
    path, columns, values = TABLE[name]
    address = path if path.startswith("/") or not path else f"{ROOT}/{path}"

    key = key_of_address(address, columns)

    assert (None if key is None else [part.value.value for part in key]) == values
