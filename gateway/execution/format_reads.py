"""Reads the formats of display values from the environment, if an operation needs them and they are not there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.dimensions.formats import (
    FORMATS,
    PARAMETERS,
    EnvironmentFormats,
    delimiter_of,
    may_be_part_of_names,
    read_formats,
)
from gateway.errors import GatewayError, UpstreamMalformed
from gateway.odata.query import Query, Resource
from gateway.odata.response_check import malformed_answer

from .fetcher import Fetcher
from .field_attribution import current_fields, set_fields
from .page_decoder import decode_untyped

DIMENSIONS = "DimensionAttributes"
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    FORMATS: ("DimensionFormatType", "FinancialDimensionFormat", "IsActive"),
    PARAMETERS: ("DimensionSegmentDelimiter",),
    DIMENSIONS: ("DimensionName",),
}


async def load_formats(
    fetcher: Fetcher, formats: EnvironmentFormats, *, again: bool = False
) -> None:
    """Read the formats of the environment if they are not there, or ``again``; an error stays with them."""
    if formats.is_fresh and not again:
        return
    fields = current_fields()
    # They are of the environment, and of no field.
    set_fields(())
    try:
        rows, parameters = await asyncio.gather(_rows(fetcher, FORMATS), _rows(fetcher, PARAMETERS))
        known: tuple[str, ...] = ()
        if may_be_part_of_names(delimiter_of(parameters)):
            known = tuple(str(row["DimensionName"]) for row in await _rows(fetcher, DIMENSIONS))
        formats.put(read_formats(rows, parameters, known))
    except GatewayError as error:
        formats.fail(_explained(error))
    finally:
        set_fields(fields)


async def _rows(fetcher: Fetcher, name: str) -> list[dict[str, Any]]:
    """Return all rows of a set, of which there are few. Raises GatewayError."""
    query = Query(resource=Resource(name), select=_COLUMNS[name])
    request = fetcher.requests.to_request(fetcher.dialect.lower(query))
    response = await fetcher.requests.send(request)
    answer = decode_untyped(response)
    rows = answer.get("value") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise malformed_answer(response, f"rows of {name} were requested")
    fetcher.pages.count(request, len(rows))
    return rows


def _explained(error: GatewayError) -> GatewayError:
    """Return the error of a field whose display value cannot be divided."""
    if isinstance(error, UpstreamMalformed):
        return error
    explained = error.fresh_copy()
    explained.message = (
        "The order of the dimensions could not be read from the environment, so that display values are not divided:"
        f" {error.message}"
    )
    explained.args = (explained.message,)
    explained.hint = error.hint or f"Whoever reads needs {FORMATS} and {PARAMETERS}."
    return explained
