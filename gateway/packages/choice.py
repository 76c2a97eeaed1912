"""Decides whether a list can be exported as a package, and whether it should be.

A package has all rows and the columns of its project, whoever requests it. So nothing that bounds or hides rows is left
to others: with row rules or masks of the caller's roles there is no package, and a filter must be one whose result the
columns of a row decide exactly as the service would. What remains runs through the plan of the list itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, structs

from gateway.config.package_models import PackageSet
from gateway.documents.refusal import OperationRefused
from gateway.engine import Engine
from gateway.errors import BadArgument
from gateway.export.parts import count_rows
from gateway.export.reading import ExportFailed, Read
from gateway.export.request import Export, prepare
from gateway.odata.packages import PackageActions
from gateway.odata.query import And, Compare, Expr, In, IsNull, Literal, Not, Operator, Or, Rule
from gateway.planning.local_rules import is_exact
from gateway.planning.plan import FailedRoot, ListRoot
from gateway.request import Answer, GraphQLRequest, PlannedQuery
from gateway.runtime.assembly import Gateway
from schema.model.edm import EDM
from schema.model.records import Model, Property

from .records import NoPackage, Source, SourceChoice

_UNREADABLE = frozenset({"Edm.Stream", "Edm.Binary", "Edm.Duration"})


class PackagePlan(Struct, frozen=True, kw_only=True):
    """How a list is exported as a package."""

    entity_set: str
    declared: PackageSet
    actions: PackageActions
    engine: Engine
    """What has made the plan, and completes its pages."""
    query: PlannedQuery
    """The list without the filter of the request, for pages whose rows are given."""
    page: int
    """Rows of a page."""
    where: Expr | None
    """Filter, company scope and limits, which are applied here."""
    columns: tuple[Property, ...]
    """What the rows need: for the answer, and for the filter."""
    compared: frozenset[str]
    """Properties that the filter compares."""
    company_property: str | None
    """Property that has the legal entity of a row; None: rows of this set have none."""
    needs_company: bool
    """Whether each row has to say of which legal entity it is: a limit depends on that."""
    companies: frozenset[str] | None
    """Legal entities that the filter leaves; None: all."""


def plan_package(gateway: Gateway, export: Export, reads: GraphQLRequest) -> PackagePlan:
    """Return how a list is exported as a package. Raises NoPackage, ExportFailed if it cannot be exported at all."""
    name = export.set
    actions = gateway.dialect.packages
    if actions is None:
        raise NoPackage(f"{gateway.dialect.title} exports no data packages")
    declared = gateway.settings.packages.sets.get(name)
    if declared is None:
        raise NoPackage(f"no data project is declared for {name}", "Setting: packages.sets.")
    _check_rights(gateway, name)
    if any(len(column.path) > 1 for column in export.columns):
        raise NoPackage(
            "values of other sets, and parts of values, are not in the package of a set"
        )
    _, filtered = _planned(gateway, export, reads)
    where = filtered.plan.query.where
    model = gateway.catalog.model
    for leaf in _leaves(where):
        if not is_exact(leaf, model) or not _compares_everywhere(leaf):
            raise NoPackage("the filter cannot be applied exactly to the rows of a package")
    query, root = _planned(gateway, _without_filter(gateway, export), reads)
    compared = frozenset(_column(leaf) for leaf in _leaves(where))
    needed = {*root.plan.query.select, *compared}
    entity_type = model.entity_sets[name].type
    own = {prop.name: prop for prop in model.properties_of(entity_type)}
    if unknown := sorted(declared.columns.keys() - own.keys()):
        raise NoPackage(
            f"{name} has no property {', '.join(unknown)}",
            f"Setting: packages.sets.{name}.columns.",
        )
    if not root.plan.query.select:
        needed |= own.keys()
    columns = tuple(_readable(own, column, model) for column in own if column in needed)
    if len(columns) < len(needed):
        raise NoPackage("values of derived types are not in a package")
    company = gateway.dialect.company_property
    by_company = company if company in own else None
    return PackagePlan(
        entity_set=name,
        declared=declared,
        actions=actions,
        engine=gateway.engine,
        query=query,
        page=export.first(reads).variables["first"],
        where=where,
        columns=columns,
        compared=compared,
        company_property=by_company,
        needs_company=bool(gateway.settings.company_limit),
        companies=None if by_company is None else _companies(where, by_company),
    )


def _check_rights(gateway: Gateway, name: str) -> None:
    """Raise NoPackage if roles of the caller hide rows of a set, or parts of their values."""
    if gateway.view is None:
        return
    for reader in gateway.view.readers(name):
        if not reader.is_whole or reader.grant.masks:
            raise NoPackage(f"a role bounds the rows of {name}, or masks values")


def _without_filter(gateway: Gateway, export: Export) -> Export:
    return prepare(gateway, export.source, structs.replace(export.request, where=None))


def _planned(
    gateway: Gateway, export: Export, reads: GraphQLRequest
) -> tuple[PlannedQuery, ListRoot]:
    """Return the plan of a page. Raises NoPackage, ExportFailed."""
    try:
        query = gateway.engine.plan(gateway.engine.read(export.first(reads)))
    except OperationRefused as refused:
        raise ExportFailed(Answer(errors=refused.errors)) from refused
    root, *_ = query.roots
    if isinstance(root, FailedRoot):
        raise root.error
    if not isinstance(root, ListRoot) or root.plan.children or root.plan.query.expand:
        raise NoPackage("the list is more than rows of one entity set")
    return query, root


def _leaves(where: Expr | None) -> Iterator[Expr]:
    match where:
        case None:
            return
        case And(terms) | Or(terms):
            for term in terms:
                yield from _leaves(term)
        case Not(term) | Rule(term):
            yield from _leaves(term)
        case _:
            yield where


def _compares_everywhere(leaf: Expr) -> bool:
    """Return whether every collation agrees on what a text of a filter equals."""
    match leaf:
        case Compare(value=literal):
            literals: tuple[Literal, ...] = (literal,)
        case In(values=values):
            literals = values
        case _:
            return True
    texts = (str(each.value) for each in literals if each.type == "Edm.String")
    return all(text.isascii() and text.isprintable() for text in texts)


def _column(leaf: Expr) -> str:
    assert isinstance(leaf, Compare | In | IsNull)
    return leaf.path.segments[0]


def _readable(own: dict[str, Property], name: str, model: Model) -> Property:
    """Return a property whose values a file can hold. Raises NoPackage."""
    prop = own[name]
    type_name = prop.type.name
    enum = model.enum_types.get(type_name)
    is_plain = type_name in EDM and type_name not in _UNREADABLE
    if prop.type.many or not (is_plain or (enum is not None and not enum.flags)):
        raise NoPackage(f"values of {name} are no text in a file")
    return prop


def _companies(where: Expr | None, column: str) -> frozenset[str] | None:
    """Return the legal entities that a filter leaves; None: it leaves all of them."""
    match where:
        case Compare(path=path, operator=Operator.EQ, value=literal) if path.segments == (column,):
            return frozenset({str(literal.value).casefold()})
        case In(path=path, values=values) if path.segments == (column,):
            return frozenset(str(literal.value).casefold() for literal in values)
        case Rule(term):
            return _companies(term, column)
        case And(terms):
            each = [found for term in terms if (found := _companies(term, column)) is not None]
            return frozenset.intersection(*each) if each else None
        case Or(terms):
            any_of = [_companies(term, column) for term in terms]
            if any(found is None for found in any_of):
                return None
            return frozenset().union(*(found for found in any_of if found is not None))
        case _:
            return None


async def choose_source(
    gateway: Gateway, export: Export, read: Read, reads: GraphQLRequest, choice: SourceChoice
) -> tuple[Source, PackagePlan | None]:
    """Return the way that an export takes. Raises NoPackage if ``package`` is requested and impossible, ExportFailed.

    ``auto`` takes a package for lists with many rows, which are counted first.
    """
    if choice == "odata":
        return Source("odata", "as requested"), None
    try:
        plan = plan_package(gateway, export, reads)
    except NoPackage as error:
        if choice == "package":
            raise
        return Source("odata", error.reason), None
    if choice == "package":
        return Source("package", "as requested"), plan
    least = gateway.settings.packages.min_rows
    rows = await count_rows(read, export, export.first(reads))
    if rows is None:
        return Source("odata", "the rows of the list cannot be counted"), None
    if rows < least:
        return Source("odata", f"{rows:,} rows are less than packages.min_rows ({least:,})"), None
    return Source("package", f"{rows:,} rows, packages.min_rows is {least:,}"), plan


def read_source(text: str) -> SourceChoice:
    """Return the source that a request names. Raises BadArgument."""
    match text:
        case "auto" | "package" | "odata":
            return text
        case _:
            raise BadArgument("source is none of auto, package, odata.")


def check_package(gateway: Gateway, export: Export, reads: GraphQLRequest) -> None:
    """Raise BadArgument if an export cannot be a package. What else is wrong with it is said when it runs."""
    try:
        plan_package(gateway, export, reads)
    except NoPackage as error:
        raise no_package_error(error) from error
    except ExportFailed:
        return


def no_package_error(error: NoPackage) -> BadArgument:
    """Return the error of an export for which a package was requested."""
    return BadArgument(
        f"source: this export cannot be a package: {error.reason}.",
        hint=error.hint or "With source auto it is read as OData.",
    )
