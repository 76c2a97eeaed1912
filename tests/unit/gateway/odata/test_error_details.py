"""Reading the errors of services of which nothing special is known."""

from __future__ import annotations

import pytest

from gateway.odata.error_details import GENERIC_ERRORS, Problem, one_line
from gateway.odata.error_envelope import Envelope

SILENT = Problem("BUSINESS_RULE", "The upstream refused the row without saying why.")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("", SILENT),
        ("An error has occurred.", SILENT),
        ("Property 'Qty' is invalid.", Problem("INVALID_VALUE", "Property 'Qty' is invalid.", "Qty")),
        ("No property named 'X'", Problem("INVALID_VALUE", "No property named 'X'", "X")),
        ("Infolog: Info: No.", Problem("INVALID_VALUE", "Infolog: Info: No.")),
    ],
)  # fmt: skip
def test_the_message_is_the_problem(message: str, problem: Problem) -> None:
    assert GENERIC_ERRORS.problems(Envelope(message=message)) == (problem,)


def test_status_500_is_a_failure_and_no_entity_is_named() -> None:
    envelope = Envelope(inner_message="Write failed for table row of type 'X'. Infolog: Info: No.")

    assert not GENERIC_ERRORS.is_refusal(envelope)
    assert GENERIC_ERRORS.entity(envelope) is None


@pytest.mark.parametrize(
    ("text", "line"), [("a\n  b", "a b"), ("No...", "No."), ("No", "No"), ("No.", "No.")]
)
def test_a_text_becomes_one_line_with_one_full_stop(text: str, line: str) -> None:
    assert one_line(text) == line
