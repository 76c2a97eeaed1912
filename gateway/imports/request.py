"""An import as it is requested: a list, a mode, options; and the mutation that writes its rows over one API.

Rows are written by the mutation of the list that any client could send, so that rights, rules, presets, limits, the
price and the audit log are those of mutations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct, structs

from gateway.admission.work import Lane
from gateway.errors import BadArgument
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from schema.catalog.records import Verb

from .rows import CsvReader, NdjsonReader, RowReader
from .targets import ImportTarget, RowFields, find_target

Format: TypeAlias = Literal["ndjson", "csv"]
PARAMETERS = ("mode", "uniqueBy", "validate", "maxErrors", "empty", "trailer", "companies")
_VERBS = {"create": Verb.CREATE, "upsert": Verb.UPSERT}
_FLAG = ("true", "false")


class ImportRequest(Struct, frozen=True, kw_only=True):
    """The options of an import."""

    format: Format
    mode: Literal["create", "upsert"] = "create"
    unique_by: tuple[str, ...] | None = None
    """Fields whose values no other row has: rows that are there are not created. None: what the settings say."""
    validates: bool = False
    """Whether rows are only checked, and nothing is sent."""
    max_errors: int | None = None
    """Rows that may be refused; the import ends with the next one."""
    empties: bool = False
    """Whether an empty cell of CSV is null; else its field is not set."""
    has_trailer: bool = False
    """Whether a last line counts the rows."""


class Import(Struct, frozen=True, kw_only=True):
    """An import that can run over one API."""

    set: str
    request: ImportRequest
    document: str
    fields: RowFields
    row_name: str
    """Name of the field of a payload with the row."""
    chunk: int
    """Rows of one mutation, with those below them."""
    max_row: int
    """Bytes of a row."""

    def first(self, request: GraphQLRequest) -> GraphQLRequest:
        """Return the request of the mutations, without their rows, with the caller and scope of ``request``."""
        return structs.replace(
            request,
            query=self.document,
            operation_name=None,
            lane=Lane.EXPORT,
            independent=True,
        )

    def reader(self) -> RowReader:
        """Return what reads its rows."""
        return (NdjsonReader if self.request.format == "ndjson" else CsvReader)(self.max_row)


def read_import(parameters: Mapping[str, str], form: Format) -> ImportRequest:
    """Return the request in the parameters of an address. Raises BadArgument."""
    for name in parameters:
        if name not in PARAMETERS:
            raise BadArgument(
                f"There is no parameter {name}.", hint=f"There are: {', '.join(PARAMETERS)}."
            )
    mode = _choice(parameters, "mode", tuple(_VERBS))
    unique_by = parameters.get("uniqueBy")
    if unique_by is not None and mode != "create":
        raise BadArgument("uniqueBy is for mode=create only.")
    empty = _choice(parameters, "empty", ("absent", "null"))
    if empty == "null" and form != "csv":
        raise BadArgument("empty=null is for CSV only.")
    return ImportRequest(
        format=form,
        mode="upsert" if mode == "upsert" else "create",
        unique_by=None if unique_by is None else tuple(filter(None, unique_by.split(","))),
        validates=_choice(parameters, "validate", _FLAG[::-1]) == "true",
        max_errors=_number(parameters, "maxErrors"),
        empties=empty == "null",
        has_trailer=_choice(parameters, "trailer", _FLAG[::-1]) == "true",
    )


def _choice(parameters: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """Return the value of a parameter; the first choice is the default."""
    value = parameters.get(name, choices[0])
    if value not in choices:
        raise BadArgument(f"{name} is none of {', '.join(choices)}.")
    return value


def _number(parameters: Mapping[str, str], name: str) -> int | None:
    value = parameters.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise BadArgument(f"{name} is no number.")
    return int(value)


def prepare(gateway: Gateway, name: str, request: ImportRequest) -> Import:
    """Return an import over the API of a gateway. Raises UnknownSet, Forbidden, BadArgument."""
    target = find_target(gateway.schema, name, _VERBS[request.mode])
    settings = gateway.settings
    return Import(
        set=target.name,
        request=request,
        document=_document(target, _unique_by(target.fields, request)),
        fields=target.fields,
        row_name=target.row_name,
        chunk=min(settings.writes.import_rows, settings.writes.max_rows),
        max_row=settings.max_body_bytes,
    )


def _unique_by(fields: RowFields, request: ImportRequest) -> str:
    """Return the argument with the fields of the natural key. Raises BadArgument."""
    if request.unique_by is None:
        return ""
    names = ", ".join(f'"{fields.unique_name(name)}"' for name in request.unique_by)
    return f", uniqueBy: [{names}]"


def _document(target: ImportTarget, unique_by: str) -> str:
    """Return the operation that writes rows; ``unique_by`` is an argument of its mutation."""
    selected = f"{target.row_name} {{ id }} " if target.has_id else ""
    selected += "created " if target.verb is Verb.CREATE else ""
    errors = "userErrors { code message field path }"
    return (
        f"mutation Import($input: [{target.input_type}!]!) {{"
        f" rows: {target.mutation}(input: $input{unique_by})"
        f" {{ results {{ {selected}{errors} }} {errors} }} }}"
    )
