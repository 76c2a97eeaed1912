"""What ``$claims.NAME`` and ``$user.NAME`` stand for."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.identity.caller import ANONYMOUS, Caller
from gateway.identity.references import MissingValue, reference_of

CALLER = Caller(
    claims={
        "groups": ["10", "20"],
        "company": {"id": "usmf", "none": None},
        "https://x.example/team.name": "red",
        "zero": 0,
    },
    user={"company": "gbsi"},
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$claims.groups", ["10", "20"]),
        ("$claims.company.id", "usmf"),
        ("$claims.https://x.example/team.name", "red"),
        ("$claims.zero", 0),
        ("$user.company", "gbsi"),
    ],
)
def test_a_reference_has_the_value_of_the_claim(text: str, value: Any) -> None:
    reference = reference_of(text)

    assert reference is not None
    assert str(reference) == text
    assert reference.value(CALLER) == value


@pytest.mark.parametrize(
    "text",
    [
        *("$claims.gone", "$claims.company.gone", "$claims.company.none", "$claims.groups.0"),
        *("$claims.zero.x", "$user.id"),
    ],
)
def test_an_absent_claim_has_no_value(text: str) -> None:
    reference = reference_of(text)
    assert reference is not None

    for caller in (CALLER, ANONYMOUS):
        with pytest.raises(MissingValue):
            reference.value(caller)


@pytest.mark.parametrize("value", ["10", "$5", "$", "cost in $.x", 5, None, True, ["$claims.x"]])
def test_other_values_are_no_references(value: object) -> None:
    assert reference_of(value) is None


@pytest.mark.parametrize("text", ["$claim.x", "$claims.", "$Claims.x", "$user.", "$env.HOME"])
def test_a_misspelled_reference_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="no reference"):
        reference_of(text)
