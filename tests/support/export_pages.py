"""Pages of exports: as JSON, and as the completed rows that the engine hands to a writer."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.export.formats import RowWriter
from gateway.export.pages import Rows
from gateway.operations.completion_compiler import response_attribute


def json_page(text: str) -> Rows:
    """Return the page of a JSON array."""
    return Rows(nodes=msgspec.Raw(text.encode()))


def completed_page(writer: RowWriter, text: str) -> Rows:
    """Return the page of a JSON array, whose rows a writer has collected in two slices."""
    rows = [_completed(row) for row in msgspec.json.decode(text)]
    middle = len(rows) // 2
    return Rows(slices=tuple(map(writer.collect, (rows[:middle], rows[middle:]))))


def written(writer: RowWriter, *pages: str, completed: bool = False) -> bytes:
    """Return the file of these pages."""
    try:
        pieces = [writer.begin()]
        for text in pages:
            pieces += writer.page(completed_page(writer, text) if completed else json_page(text))
        return b"".join([*pieces, writer.end()])
    finally:
        writer.close()


def _completed(value: Any) -> Any:
    """Return a JSON object as a response object."""
    if not isinstance(value, dict):
        return value
    attributes = {key: response_attribute(number) for number, key in enumerate(value)}
    fields = [(attribute, Any) for attribute in attributes.values()]
    names = {attribute: key for key, attribute in attributes.items()}
    made = msgspec.defstruct("Answer", fields, rename=names)
    # Below a row, objects of one key hold plain JSON in these tests.
    return made(*(_completed(item) for item in value.values()))
