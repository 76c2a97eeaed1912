"""An import as it is requested: a list, a mode, options; and the mutation that writes its rows over one API.

Rows are written by the mutation of the list that any client could send, so that rights, rules, presets, limits, the
price and the audit log are those of mutations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct, structs

from gateway.admission.work import Lane
from gateway.errors import BadArgument, Forbidden, UnknownSet
from gateway.export.selection import find_list
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from schema.catalog.records import FieldKind, MutationField, PayloadRole, RootField, TypeKind, Verb
from schema.writes import Writes

from .fields import ImportFields
from .rows import CsvReader, NdjsonReader, RowReader

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
    fields: ImportFields
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
    root = find_list(gateway.catalog, name)
    if root is None or root.entity_set is None:
        raise UnknownSet(
            f"There is no list called {name}.",
            hint="Name a list of Query, such as customersV3, or its entity set.",
        )
    writes = gateway.schema.writes
    field = None if writes is None else _mutation(writes, root, _VERBS[request.mode])
    if writes is None or field is None:
        raise Forbidden(
            f"Rows of {root.entity_set.name} cannot be written by {request.mode}.",
            hint="The settings, the metadata or your roles do not allow it.",
        )
    settings = gateway.settings
    input_type = writes.name_of(TypeKind.CREATE_INPUT, field.csdl)
    row = _row_name(writes, field)
    fields = ImportFields(writes, input_type)
    return Import(
        set=root.entity_set.name,
        request=request,
        document=_document(writes, field, row, _unique_by(fields, request)),
        fields=fields,
        row_name=row,
        chunk=min(settings.writes.import_rows, settings.writes.max_rows),
        max_row=settings.max_body_bytes,
    )


def _mutation(writes: Writes, root: RootField, verb: Verb) -> MutationField | None:
    """Return the mutation of a list that writes rows in a way; None if the caller has none."""
    assert root.entity_set is not None
    names = dict(writes.of_root(root.name, root.entity_set.name))
    return writes.get(names[verb]) if verb in names else None


def _row_name(writes: Writes, field: MutationField) -> str:
    payload = writes.payload_of(writes.name_of(TypeKind.PAYLOAD, field.csdl))
    return next(f.name for f in payload.values() if f.role is PayloadRole.ROW)


def _unique_by(fields: ImportFields, request: ImportRequest) -> str:
    """Return the argument with the fields of the natural key. Raises BadArgument."""
    if request.unique_by is None:
        return ""
    names = []
    for name in request.unique_by:
        *above, field = fields.path(name)
        if above:
            raise BadArgument(f"uniqueBy: {name} is no plain field of a new row.")
        names.append(f'"{field.name}"')
    return f", uniqueBy: [{', '.join(names)}]"


def _document(writes: Writes, field: MutationField, row: str, unique_by: str) -> str:
    """Return the operation that writes rows; ``unique_by`` is an argument of its mutation."""
    input_type = writes.name_of(TypeKind.CREATE_INPUT, field.csdl)
    fields = writes.catalog.object(field.csdl).fields.values()
    has_id = any(f.kind is FieldKind.ID for f in fields)
    selected = f"{row} {{ id }} " if has_id else ""
    selected += "created " if field.verb is Verb.CREATE else ""
    errors = "userErrors { code message field path }"
    return (
        f"mutation Import($input: [{input_type}!]!) {{ rows: {field.name}(input: $input{unique_by})"
        f" {{ results {{ {selected}{errors} }} {errors} }} }}"
    )
