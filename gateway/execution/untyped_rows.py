"""Builds rows and pages from the untyped JSON of answers that do not fit their types (see ``lenient_rows``)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.odata.response_check import Response, malformed_answer
from gateway.operations.lenient_rows import lenient_row, parse_count
from gateway.operations.row_types import RowType


class Page(Struct):
    """The rows of one answer."""

    value: list[Any]
    count: int | None
    next: str | None
    """Address of the next page, None on the last."""


def row_of(response: Response, raw: object, row_type: RowType) -> Any:
    """Return a row built from untyped JSON, None for null. Raises UpstreamMalformed if it is no entity."""
    if raw is None:
        return None
    names = row_type.own_names
    if not isinstance(raw, dict) or (names and names.isdisjoint(raw)):
        raise malformed_answer(response, "one row was requested, but the answer is something else")
    return lenient_row(row_type, raw)


def page_of(response: Response, raw: object, row_type: RowType) -> Page:
    """Return a page built from untyped JSON. Raises UpstreamMalformed if it is no collection."""
    if not isinstance(raw, dict) or not isinstance(raw.get("value"), list):
        raise malformed_answer(
            response, "a list of rows was requested, but the answer is something else"
        )
    link = raw.get("@odata.nextLink")
    if not isinstance(link, str | None):
        raise malformed_answer(response, "the link to the next page is no text")
    rows = [lenient_row(row_type, item) for item in raw["value"]]
    return Page(rows, parse_count(raw.get("@odata.count")), link)
