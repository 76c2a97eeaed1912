"""What F&O's refusals say, row by row: reference d365-odata 5.3."""

import pytest

from gateway.odata.error_details import Problem
from gateway.odata.error_envelope import Envelope
from gateway.odata.infolog import entity_of, is_refusal, problems_of

START = "Write failed for table row of type 'CustCustomerV3Entity'. Infolog: "

ROWS = {
    "foreign key": (
        START
        + "Warning: The value 'Local' in field 'Customer group' is not found in the related table"
        " 'Customer groups'.; Warning: validateField failed on field"
        " 'CustCustomerV3Entity.CustomerGroupId'.",
        [
            Problem(
                "RELATED_RECORD_NOT_FOUND",
                "The value 'Local' in field 'Customer group' is not found in the related table"
                " 'Customer groups'.",
                "CustomerGroupId",
                "Local",
                "Customer group",
            )
        ],
    ),
    "duplicate key": (
        START + "Info: Cannot create a record in Customer groups (CustGroup)."
        " Customer group: 10.\nThe record already exists..",
        [
            Problem(
                "DUPLICATE_KEY",
                "Cannot create a record in Customer groups (CustGroup). Customer group: 10."
                " The record already exists.",
            )
        ],
    ),
    "business rule": (
        START
        + "Warning: Item 'L-100' is blocked for 'Purchase order'.; Warning: validateWrite failed"
        " on data source 'PurchLine (PurchLine)'.",
        [Problem("BUSINESS_RULE", "Item 'L-100' is blocked for 'Purchase order'.")],
    ),
    "mandatory": (
        START
        + "Warning: Inventory dimension Site is mandatory and must consequently be specified.;"
        " Error: Update has been canceled..",
        [
            Problem(
                "MISSING_FIELD",
                "Inventory dimension Site is mandatory and must consequently be specified.",
            )
        ],
    ),
    "mandatory, by its label alone": (
        START + "Warning: Field 'Vendor group id' must be filled in..",
        [
            Problem(
                "MISSING_FIELD",
                "Field 'Vendor group id' must be filled in.",
                label="Vendor group id",
            )
        ],
    ),
    "two reasons": (
        START + "Error: First.; Warning: validateField failed on field 'E.A'.; Error: Second.",
        [Problem("BUSINESS_RULE", "First.", "A"), Problem("BUSINESS_RULE", "Second.")],
    ),
    "a field without a reason": (
        START + "Warning: validateField failed on field 'E.A'.",
        [Problem("INVALID_VALUE", "The value was refused.", "A")],
    ),
    "conflict": (
        START
        + "Error: Cannot edit a record in Customers. An update conflict occurred due to another"
        " user process deleting the record or changing one or more fields in the record.",
        [
            Problem(
                "CONFLICT",
                "Cannot edit a record in Customers. An update conflict occurred due to another user"
                " process deleting the record or changing one or more fields in the record.",
            )
        ],
    ),
    "action": (
        "Exception occurred while executing action submit on Entity MyLeaveRequest: The balance is used up.",
        [Problem("BUSINESS_RULE", "The balance is used up.")],
    ),
    "another language": (
        START + "Warning: Der Wert ist ungültig.",
        [Problem("BUSINESS_RULE", "Der Wert ist ungültig.")],
    ),
    "the service's own check": (
        "The property 'Colour' does not exist on type 'CustomerV3'.",
        [
            Problem(
                "INVALID_VALUE",
                "The property 'Colour' does not exist on type 'CustomerV3'.",
                "Colour",
            )
        ],
    ),
    "an Infolog without entries": (
        START,
        [Problem("BUSINESS_RULE", "The upstream refused the row without saying why.")],
    ),
    "nothing": ("", [Problem("BUSINESS_RULE", "The upstream refused the row without saying why.")]),
}


@pytest.mark.parametrize(("said", "problems"), ROWS.values(), ids=ROWS)
def test_a_refusal_becomes_problems_without_noise(said: str, problems: list[Problem]) -> None:
    assert list(problems_of(Envelope("", "An error has occurred.", said, "X"))) == problems


def test_without_inner_error_the_outer_message_counts() -> None:
    (problem,) = problems_of(Envelope(message="No."))

    assert problem.message == "No."


@pytest.mark.parametrize(
    ("message", "entity"),
    [(f"{START}Info: No.", "CustCustomerV3Entity"), ("An error has occurred.", None)],
)
def test_the_entity_is_the_one_that_the_text_names(message: str, entity: str | None) -> None:
    assert entity_of(Envelope(inner_message=message)) == entity


@pytest.mark.parametrize(
    ("envelope", "expected"),
    [
        (Envelope(inner_message=f"{START}Info: No."), True),
        (Envelope(message="No. Infolog: Info: No."), True),
        (Envelope(cut='{"error": {"message": "Infolog: Info'), True),
        (Envelope(inner_type="Microsoft.Dynamics.Platform.AxODataWriteException"), True),
        (Envelope(message="An error has occurred.", inner_type="System.Exception"), False),
    ],
    ids=["Infolog", "outer Infolog", "malformed", "exception type", "failure"],
)
def test_a_refusal_shows_in_text_or_type(envelope: Envelope, expected: bool) -> None:
    assert is_refusal(envelope) is expected
