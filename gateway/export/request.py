"""An export as it is requested: a list, a filter, fields, a format; and the plan of it over one API.

What a caller may export is what those of its roles give that have the right ``export`` on the set, and no more: a role
without it adds neither rows nor columns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct, structs

from gateway.admission.work import Lane
from gateway.errors import BadArgument, Forbidden
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from schema.policy.records import Right
from schema.policy.view import RoleView

from .formats import CsvWriter, NdjsonWriter, RowWriter
from .reading import Documents, documents_of, read_where
from .selection import Column
from .sources import ListSource

Format: TypeAlias = Literal["ndjson", "csv", "parquet", "arrow"]
ENDINGS: Mapping[Format, str] = {
    "ndjson": "ndjson",
    "csv": "csv",
    "parquet": "parquet",
    "arrow": "arrows",
}
"""Endings of files."""
_FILES_A_PAGE = 10
"""Rows of a page if they hold files: a page is in memory, and files may have many megabytes."""
PARAMETERS = ("where", "fields", "format", "companies", "formulas", "trailer")


class ExportRequest(Struct, frozen=True, kw_only=True):
    """What is to be exported, and how it is written."""

    where: str | None = None
    fields: str | None = None
    format: Format = "ndjson"
    neutralizes: bool = False
    """Whether CSV has no formulas."""
    has_trailer: bool = False
    """Whether the last line of NDJSON has the number of rows."""


class Export(Struct, frozen=True, kw_only=True):
    """An export that may run."""

    source: ListSource
    request: ExportRequest
    columns: tuple[Column, ...]
    selected: str
    """The selection set of a row, without braces."""
    documents: Documents
    variables: Mapping[str, Any]

    @property
    def set(self) -> str:
        """The name of the list: its entity set, or ``accounting.vendors``."""
        return self.source.name

    @property
    def document(self) -> str:
        """The operation that reads a page."""
        return self.documents.page

    def first(self, request: GraphQLRequest) -> GraphQLRequest:
        """Return the request for the first page, with the caller and scope of ``request``."""
        return structs.replace(
            request,
            query=self.document,
            variables=self.variables,
            operation_name=None,
            allow_mutation=False,
            lane=Lane.EXPORT,
        )

    def writer(self) -> RowWriter:
        """Return what writes its rows. Raises NotInstalled if the format needs an extra that is not there."""
        match self.request.format:
            case "parquet" | "arrow" as form:
                from .arrow import ArrowWriter  # noqa: PLC0415 - it imports an extra

                return ArrowWriter(self.columns, form)
            case "csv":
                return CsvWriter(self.columns, neutralize=self.request.neutralizes)
            case "ndjson":
                return NdjsonWriter(trailer=self.request.has_trailer)


def read_export(parameters: Mapping[str, str]) -> ExportRequest:
    """Return the request in the parameters of an address. Raises BadArgument."""
    for name in parameters:
        if name not in PARAMETERS:
            raise BadArgument(
                f"There is no parameter {name}.", hint=f"There are: {', '.join(PARAMETERS)}."
            )
    requested = _choice(parameters, "format", "ndjson", tuple(ENDINGS))
    of_name: Format = next(name for name in ENDINGS if name == requested)
    neutralizes = _choice(parameters, "formulas", "keep", ("keep", "neutralize")) == "neutralize"
    has_trailer = _choice(parameters, "trailer", "false", ("true", "false")) == "true"
    if neutralizes and of_name != "csv":
        raise BadArgument("formulas=neutralize is for CSV only.")
    if has_trailer and of_name != "ndjson":
        raise BadArgument("trailer=true is for NDJSON only.")
    return ExportRequest(
        where=parameters.get("where"),
        fields=parameters.get("fields"),
        format=of_name,
        neutralizes=neutralizes,
        has_trailer=has_trailer,
    )


def _choice(
    parameters: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]
) -> str:
    value = parameters.get(name, default)
    if value not in choices:
        raise BadArgument(f"{name} is none of {', '.join(choices)}.")
    return value


def exporting_view(gateway: Gateway, source: ListSource) -> RoleView | None:
    """Return the view of the caller's roles without those that give the rows of a list, but not to be exported.

    None if there are no roles. Raises Forbidden if no role gives the right.
    """
    view, of_set = gateway.view, source.entity_set
    if view is None or not of_set:
        return None
    giving = {grant.role for grant in view.having(Right.EXPORT, of_set)}
    if not giving:
        raise Forbidden(
            f"None of your roles may export {of_set}.",
            hint="Roles give it as a right of the set: export = true.",
        )
    return view_of_roles(view, of_set, giving)


def view_of_roles(view: RoleView, of_set: str, giving: Collection[str]) -> RoleView:
    """Return a view without those of its roles that give rows of a set, and are not among ``giving``."""
    denying = {grant.role for grant in view.readers(of_set)} - set(giving)
    if not denying:
        return view
    # A role may inherit one of them; its own right then covers what it inherits.
    return RoleView(
        view.policy,
        [
            role
            for role in view.roles
            if role in giving or denying.isdisjoint(RoleView(view.policy, (role,)).roles)
        ],
    )


def prepare(gateway: Gateway, source: ListSource, request: ExportRequest) -> Export:
    """Return an export over the API of a gateway. Raises BadArgument, Forbidden."""
    schema, name = gateway.schema, source.root.name
    selection = source.select(schema, request.fields)
    first = gateway.settings.max_page_size
    if any(column.field.type_name == "Base64" for column in selection.columns):
        first = min(first, _FILES_A_PAGE)
    variables: dict[str, Any] = {"first": first}
    where_type = None
    if request.where is not None:
        variables["where"] = read_where(request.where)
        where_type = source.where_type(schema)
        if where_type is None:
            raise BadArgument(f"where: nothing can filter {name}.")
    return Export(
        source=source,
        request=request,
        columns=selection.columns,
        selected=selection.text,
        documents=documents_of(name, selection, where_type=where_type, model=source.model),
        variables=variables,
    )
