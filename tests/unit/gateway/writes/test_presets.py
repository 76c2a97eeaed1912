"""Presets of roles are checked at the start, each with its place."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.identity.references import MissingValue
from gateway.writes.presets import Presets, preset_problems
from schema.policy import Policy, Right, Role, SetGrant
from tests.support.role_writes import CATALOG, WHOLE, writing
from tests.support.roles import caller
from tests.support.zoo_model import FO

PLACE = 'roles.clerk.sets."{}".presets'
BAD: dict[str, tuple[str, SetGrant, str]] = {
    "no such property": ("Lines", writing(presets={"Nota": "x"}), ": there is no property Nota."),
    "a pattern": ("Lines", writing(presets={"Not*": "x"}), ": there is no property Not*."),
    "another type": ("Orders", writing(presets={"Number": "x"}), ".Number: "),
    "no such member": ("Lines", writing(presets={"Colour": "Pink"}), ".Colour: "),
    "a complex value": ("Orders", writing(presets={"Home": {}}), ".Home: it is no plain value."),
    "a misspelled reference": ("Lines", writing(presets={"Note": "$user."}), ".Note: $user. is no"),
    "a key that is only changed": (
        "Lines",
        writing(None, Right.UPDATE, presets={"Area": "A1"}),
        ".Area: the metadata says that it cannot be written.",
    ),
    "nothing is written": (
        "Lines",
        SetGrant(presets={"Note": "x"}),
        ": the role neither creates nor updates these rows.",
    ),
}


def problems(pattern: str, grant: SetGrant) -> list[str]:
    policy = Policy({"clerk": Role(name="clerk", sets=((pattern, grant),))})
    return preset_problems(policy, CATALOG, WHOLE.core, FO)


@pytest.mark.parametrize("case", BAD)
def test_a_preset_that_cannot_be_used_is_a_problem(case: str) -> None:
    pattern, grant, text = BAD[case]

    first, *_ = problems(pattern, grant)

    assert first.startswith(PLACE.format(pattern) + text)


@pytest.mark.parametrize(
    ("pattern", "presets"),
    [
        ("Lines", {"Note": "$claims.note", "Colour": "BLUE", "Price": "1.5", "Area": "A1"}),
        ("*", {"Note": "x", "Number": 5}),
        ("Orders", {"Open": True, "Rights": ["READ"], "Labels": ["a"], "Big": "5", "Due": None}),
        ("Orders", {"Rights": "$claims.rights", "Day": "2024-01-31", "Moment": "$claims.now"}),
    ],
)
def test_presets_are_values_of_the_api(pattern: str, presets: dict[str, Any]) -> None:
    assert problems(pattern, writing(presets=presets)) == []


@pytest.mark.parametrize(
    ("preset", "claims", "expected"),
    [
        (True, {}, "Yes"),
        ("$claims.a", {"a": False}, "No"),
        ("$claims.a.b", {"a": {"b": True}}, "Yes"),
        ("$claims.a", {"a": "yes"}, None),
        ("$claims.a", {}, None),
    ],
)
def test_a_preset_is_sent_as_a_json_value(preset: Any, claims: Any, expected: str | None) -> None:
    presets = Presets(CATALOG, WHOLE.core, FO)
    grant = writing(presets={"Open": preset})

    if expected is None:
        with pytest.raises(MissingValue):
            presets.of(grant, "Orders", Right.CREATE, caller(**claims))
    else:
        assert presets.of(grant, "Orders", Right.CREATE, caller(**claims)) == {"Open": expected}


def test_presets_are_written_where_the_column_can_be() -> None:
    presets = Presets(CATALOG, WHOLE.core, FO)
    grant = writing(presets={"Area": "A1", "Note": "x", "Text": "y"})

    assert presets.of(grant, "Lines", Right.CREATE, caller()) == {"Area": "A1", "Note": "x"}
    assert presets.of(grant, "Lines", Right.UPDATE, caller()) == {"Note": "x"}
