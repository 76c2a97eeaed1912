"""Formats of an environment: read from its rows, refused if they are not clear, used for a while."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dimensions.display_values import DELIMITERS
from gateway.dimensions.formats import (
    DEFAULT,
    LEDGER,
    EnvironmentFormats,
    Formats,
    read_formats,
)
from gateway.errors import GatewayError, UpstreamForbidden, UpstreamMalformed


def row(kind: str, text: str, active: str = "Yes") -> dict[str, Any]:
    return {
        "DimensionFormatType": kind,
        "FinancialDimensionFormat": text,
        "IsActive": active,
    }


HYPHEN = [{"DimensionSegmentDelimiter": "Hyphen"}]
UNDERSCORE = [{"DimensionSegmentDelimiter": "Underscore"}]
READ: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], Formats]] = {
    "both": (
        [row(LEDGER, "MainAccount-BU-Dept"), row(DEFAULT, "BU-CC")],
        HYPHEN,
        Formats("-", ("MainAccount", "BU", "Dept"), ("BU", "CC")),
    ),
    "the active ones": (
        [row(LEDGER, "MainAccount-BU", "No"), row(LEDGER, "mainaccount-CC")],
        HYPHEN,
        Formats("-", ("MainAccount", "CC")),
    ),
    "another place of the account": (
        [row(LEDGER, "BU-MainAccount")],
        HYPHEN,
        Formats("-", ("BU", "MainAccount")),
    ),
    "other kinds": ([row("DataEntityBudgetDimensionFormat", "x")], HYPHEN, Formats("-")),
    "names with the delimiter": (
        [row(DEFAULT, "Cost_center_BU")],
        UNDERSCORE,
        Formats("_", None, ("Cost_center", "BU")),
    ),
}
UNCLEAR: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "two active ones": ([row(LEDGER, "MainAccount-A"), row(LEDGER, "MainAccount-B")], HYPHEN),
    "no main account": ([row(LEDGER, "A-B")], HYPHEN),
    "a name twice": ([row(DEFAULT, "A-a")], HYPHEN),
    "a blank name": ([row(DEFAULT, "A--B")], HYPHEN),
    "no delimiter": ([row(DEFAULT, "A-B")], []),
    "an unknown delimiter": ([row(DEFAULT, "A-B")], [{"DimensionSegmentDelimiter": "Comma"}]),
    "an unknown name": ([row(DEFAULT, "Nobody_BU")], UNDERSCORE),
    "two readings": ([row(DEFAULT, "A_B")], UNDERSCORE),
}


@pytest.mark.parametrize(("formats", "parameters", "expected"), READ.values(), ids=READ)
def test_formats_are_read(
    formats: list[dict[str, Any]], parameters: list[dict[str, Any]], expected: Formats
) -> None:
    assert read_formats(formats, parameters, ("BU", "Cost_center", "Cost")) == expected


@pytest.mark.parametrize(("formats", "parameters"), UNCLEAR.values(), ids=UNCLEAR)
def test_formats_that_are_not_clear_are_refused(
    formats: list[dict[str, Any]], parameters: list[dict[str, Any]]
) -> None:
    with pytest.raises(UpstreamMalformed):
        read_formats(formats, parameters, ("A", "B", "A_B", "BU"))


def test_every_delimiter_of_the_product_is_known() -> None:
    for name, text in DELIMITERS.items():
        parameters = [{"DimensionSegmentDelimiter": name}]
        read = read_formats([row(DEFAULT, text.join(("A", "B")))], parameters, ("A", "B"))
        assert read == Formats(text, None, ("A", "B"))


def test_formats_are_used_for_a_while_and_an_error_ends_them() -> None:
    now = 0.0
    formats = EnvironmentFormats(10, clock=lambda: now)
    with pytest.raises(GatewayError, match="has not been read"):
        formats.require()
    formats.put(Formats("-"))
    now = 9
    assert formats.is_fresh
    formats.fail(UpstreamForbidden("no"))  # others read them meanwhile
    assert formats.require() == Formats("-")
    now = 11
    assert not formats.is_fresh
    assert formats.require() == Formats("-")
    formats.fail(UpstreamForbidden("no rights"))
    with pytest.raises(UpstreamForbidden, match="no rights"):
        formats.require()
    with pytest.raises(UpstreamMalformed, match="no active dimension format for default"):
        Formats("-").of("default")
