"""Parts of display values, as they are read and written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dimensions.formats import Formats
from gateway.dimensions.parts import Dimension, Parts, compose, divide
from gateway.errors import BadArgument, UpstreamMalformed

FORMATS = Formats("-", ("MainAccount", "BU", "Dept"), ("BU", "CC"))
LATE = Formats("-", ("BU", "MainAccount"))
NAMES = {"BU": "001", "Dept": "022"}


def parts(main_account: str | None = None, account: str | None = None, **dimensions: str) -> Parts:
    items = tuple(Dimension(name, value) for name, value in dimensions.items())
    return Parts(main_account, items, account)


DIVIDED: dict[str, tuple[str, dict[str, Any], Parts | None]] = {
    "nothing": ("", {}, None),
    "blank segments": ("--", {}, None),
    "an account": ("600150-001-022", {}, parts("600150", **NAMES)),
    "blank in the middle": ("600150--022", {}, parts("600150", Dept="022")),
    "no blank ones at the end": ("600150", {}, parts("600150")),
    "default dimensions": ("001-", {"kind": "default"}, parts(BU="001")),
    "a vendor": (r"US\-101", {"of_ledger": False}, parts(account="US-101")),
    "a vendor without escapes": ("US-101", {"of_ledger": False}, parts(account="US-101")),
    "the end of a masked value": ("****0-22", {"may_be_masked": True}, parts(account="****0-22")),
    "a digest": ("0123456789abcdef", {"may_be_masked": True}, parts(account="0123456789abcdef")),
    "a plain value that may be masked": (
        "6-1-2",
        {"may_be_masked": True},
        parts("6", BU="1", Dept="2"),
    ),
    "dimensions before the account": ("1-6", {"formats": LATE}, parts("6", BU="1")),
}
NOT_DIVIDED: dict[str, tuple[str, dict[str, Any]]] = {
    "too many segments": ("1-2-3-4", {}),
    "too few before the account": ("600150", {"formats": LATE}),
    "two readings": (r"1\\-2", {}),
    "no format": ("1-2", {"kind": "default", "formats": LATE}),
}


@pytest.mark.parametrize(("text", "facts", "expected"), DIVIDED.values(), ids=DIVIDED)
def test_a_value_is_divided(text: str, facts: dict[str, Any], expected: Parts | None) -> None:
    assert divide(text, **{"kind": "ledger", "formats": FORMATS, **facts}) == expected


@pytest.mark.parametrize(("text", "facts"), NOT_DIVIDED.values(), ids=NOT_DIVIDED)
def test_a_value_is_never_divided_wrongly(text: str, facts: dict[str, Any]) -> None:
    with pytest.raises(UpstreamMalformed):
        divide(text, **{"kind": "ledger", "formats": FORMATS, **facts})


def dimensions(**values: str | None) -> list[dict[str, str | None]]:
    return [{"name": name, "value": value} for name, value in values.items()]


COMPOSED: dict[str, tuple[Mapping[str, Any], dict[str, Any], str]] = {
    "an account": ({"mainAccount": "6", "dimensions": dimensions(dept="2")}, {}, "6--2"),
    "no dimensions": ({"mainAccount": "6"}, {"of_ledger": None}, "6--"),
    "an escaped value": ({"mainAccount": "6", "dimensions": dimensions(BU="a-b")}, {}, r"6-a\-b-"),
    "default dimensions": ({"dimensions": dimensions(CC="1")}, {"kind": "default"}, "-1"),
    "none": ({"dimensions": []}, {"kind": "default"}, ""),
    "blank ones": ({"dimensions": dimensions(CC="")}, {"kind": "default"}, ""),
    "a vendor": ({"account": "US-1"}, {"of_ledger": False}, r"US\-1"),
    "an account of unknown type": ({"account": "US-1"}, {"of_ledger": None}, r"US\-1"),
}
REFUSED: dict[str, tuple[Mapping[str, Any], dict[str, Any], str]] = {
    "an unknown dimension": (
        {"mainAccount": "6", "dimensions": dimensions(Region="1")},
        {},
        "no dimension Region",
    ),
    "a dimension twice": (
        {"mainAccount": "6", "dimensions": [*dimensions(BU="1"), *dimensions(bu="2")]},
        {},
        "is there twice",
    ),
    "no main account": ({"dimensions": dimensions(BU="1")}, {}, "mainAccount is required"),
    "a main account of defaults": ({"mainAccount": "6"}, {"kind": "default"}, "cannot be set"),
    "an account and parts": ({"mainAccount": "6", "account": "V"}, {}, "account as a whole"),
    "an account of the ledger as a whole": ({"account": "V"}, {}, "cannot be set here"),
    "parts of a vendor": ({"mainAccount": "6"}, {"of_ledger": False}, "another account"),
    "what cannot be written": (
        {"mainAccount": "6", "dimensions": dimensions(BU="1\\")},
        {},
        "cannot be written clearly",
    ),
}


def composed(values: Mapping[str, Any], facts: dict[str, Any]) -> str:
    return compose(
        values, **{"kind": "ledger", "formats": FORMATS, "what": "p", "of_ledger": True, **facts}
    )


@pytest.mark.parametrize(("values", "facts", "expected"), COMPOSED.values(), ids=COMPOSED)
def test_parts_are_joined(values: Mapping[str, Any], facts: dict[str, Any], expected: str) -> None:
    assert composed(values, facts) == expected


@pytest.mark.parametrize(("values", "facts", "why"), REFUSED.values(), ids=REFUSED)
def test_parts_that_make_no_value_are_refused(
    values: Mapping[str, Any], facts: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadArgument, match=why):
        composed(values, facts)


VALUES = st.text("aB1-. &/", max_size=5)


@given(VALUES.filter(bool), VALUES, VALUES)
def test_parts_come_back_as_they_were_written(account: str, unit: str, department: str) -> None:
    given_values = {"mainAccount": account, "dimensions": dimensions(BU=unit, Dept=department)}
    present = {n: v for n, v in (("BU", unit), ("Dept", department)) if v}

    assert divide(composed(given_values, {}), "ledger", FORMATS) == parts(account, **present)


@given(VALUES.filter(bool))
def test_another_account_comes_back_as_it_was_written(account: str) -> None:
    text = composed({"account": account}, {"of_ledger": False})

    assert divide(text, "ledger", FORMATS, of_ledger=False) == Parts(account=account)
