"""The hard limit of legal entities (setting ``company_limit``), as predicates that the planner adds to every plan.

A row belongs to a legal entity by the dialect's company property (``dataAreaId``), or by the properties that the
dialect's table names for its set (``company_columns``: ``LegalEntityId`` …), which must all be inside. Other sets are
shared by all companies: they are served, unless ``company_limit_shared`` says otherwise. In a set of the second kind,
rows without a legal entity are shared data, too.

    rows of …                     must pass
    a set with dataAreaId         dataAreaId eq 'usmf'
    LegalEntities                 (LegalEntityId eq 'usmf' or LegalEntityId eq '')
    a shared set that is served   no predicate
    a shared set that is not      a predicate that no row passes, so that no request is sent

The scope of a request (argument, header, ``companies``) only narrows this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct

from gateway.errors import Forbidden
from gateway.odata.dialect import Dialect
from gateway.odata.query import FALSE, Compare, Expr, In, Literal, Operator, Path
from schema.catalog import Catalog
from schema.catalog.records import Field, ObjectInfo
from schema.policy.records import Right

from .filters import all_of
from .joins import join_of

Companies = tuple[str, ...]
Shared = bool | tuple[str, ...]
"""Whether sets that all companies share are served, or patterns of the names of those that are."""


class LimitCounts(Struct, frozen=True, kw_only=True):
    """Numbers of entity sets by how the limit applies to them."""

    by_company: int
    """Limited by the company property."""
    by_other: int
    """Limited by another property that names a legal entity."""
    shared: int
    """Shared by all companies and served."""
    refused: int
    """Shared by all companies and not served."""


class CompanyLimit:
    """The limit for one catalogue, the whole one; without companies there is none, and the object is false."""

    def __init__(
        self, catalog: Catalog, dialect: Dialect, companies: Companies, shared: Shared = True
    ) -> None:
        self.companies = companies
        self._catalog = catalog
        self._dialect = dialect
        self._shared = shared
        self._folded = frozenset(map(_folded, companies))

    def __bool__(self) -> bool:
        return bool(self.companies)

    def predicate(
        self, info: ObjectInfo, set_name: str | None = None, prefix: Iterable[str] = ()
    ) -> Expr | None:
        """Return the predicate that rows of a set must pass; None if they are not limited.

        ``prefix`` are the navigations that lead to them.
        """
        if not self:
            return None
        info = self._whole(info)
        columns = self._columns(info, set_name)
        if not columns:
            return None if self._serves(info, set_name) else FALSE
        values = self.companies
        if not info.has_company and self._serves(info, set_name):
            # Rows without a legal entity are shared data.
            values = (*values, "")
        return all_of(*(_one_of((*prefix, column), values) for column in columns))

    def relation_predicate(self, field: Field, prefix: Iterable[str] = ()) -> Expr | None:
        """Return the predicate for rows of a relation; None if the join keeps them in the company of their parent."""
        if not self or self.is_kept_by_join(field):
            return None
        return self.predicate(self._catalog.object(field.target), field.target_set, prefix)

    def is_kept_by_join(self, field: Field) -> bool:
        """Return whether both ends of a relation have the same company."""
        join = join_of(field, self._catalog, self._dialect)
        company = self._dialect.company_property
        return join is not None and any(
            parent.source == target.source == company
            for parent, target in zip(join.parent, join.target, strict=True)
        )

    def scoped_predicate(
        self,
        info: ObjectInfo,
        set_name: str | None,
        requested: Companies | None,
        *,
        right: Right = Right.READ,  # noqa: ARG002 - row bounds have it, of which a limit is one
    ) -> Expr | None:
        """Return the predicate for rows of a set if a request names these companies; None: it names none."""
        info, company = self._whole(info), self._dialect.company_property
        if requested is None or company is None or not info.has_company:
            return self.predicate(info, set_name)
        # Companies outside the limit bring no rows, and no error that would tell them from unknown ones.
        companies = self.inside(requested)
        return _one_of((company,), companies) if companies else FALSE

    def inside(self, companies: Companies) -> Companies:
        """Return those of the companies that are inside the limit."""
        if not self:
            return companies
        return tuple(c for c in companies if _folded(c) in self._folded)

    def check_readable(self, info: ObjectInfo, set_name: str | None, what: str) -> None:
        """Raise Forbidden for rows that need a predicate, but are read in a way that takes none."""
        if self.predicate(info, set_name) is not None:
            raise Forbidden(
                f"{what} cannot be read: company_limit cannot be applied to its rows.",
                hint="Read the rows by the root field of their own entity set.",
            )

    def check_singleton(self, info: ObjectInfo, name: str, what: str) -> None:  # noqa: ARG002 - row bounds need it
        """Raise Forbidden for a singleton that needs a predicate."""
        self.check_readable(info, None, what)

    def admits(self, info: ObjectInfo, set_name: str | None, row: Mapping[str, Any]) -> bool:
        """Return whether a row (decoded JSON) is inside the limit."""
        if not self:
            return True
        info = self._whole(info)
        columns = self._columns(info, set_name)
        if not columns:
            return self._serves(info, set_name)
        may_be_shared = not info.has_company and self._serves(info, set_name)
        return all(self.holds(row.get(column), may_be_shared=may_be_shared) for column in columns)

    def holds(self, value: object, *, may_be_shared: bool = False) -> bool:
        """Return whether a value names a company inside the limit, or none if ``may_be_shared``."""
        if not isinstance(value, str):
            return False
        return _folded(value) in self._folded or (may_be_shared and not value.strip())

    def columns_of(self, csdl: str, set_name: str) -> tuple[str, ...]:
        """Return the properties that name the legal entity of a set's rows."""
        return self._columns(self._catalog.object(csdl), set_name)

    def may_be_shared(self, csdl: str, set_name: str) -> bool:
        """Return whether rows of a set that name no legal entity are inside the limit."""
        info = self._catalog.object(csdl)
        return not info.has_company and self._serves(info, set_name)

    @property
    def serves_calls(self) -> bool:
        """Whether calls that name no company are served."""
        return not self or self._shared is True

    def check_arguments(
        self,
        arguments: Mapping[str, Any],
        *,
        is_bound: bool = False,
        names: Iterable[str] = (),  # noqa: ARG002 - row bounds need it
    ) -> None:
        """Raise Forbidden if a parameter names a company outside the limit, or the call must name one and does not.

        A call that ``is_bound`` to a row inside the limit need not name a company.
        """
        if not self:
            return
        named = list(_companies_in(arguments, self._dialect.company_parameters))
        if any(not self.holds(value) for value in named):
            raise Forbidden(
                "The call names a company that is outside company_limit.",
                hint=f"Companies inside the limit: {', '.join(self.companies)}.",
            )
        if not (named or is_bound or self.serves_calls):
            raise Forbidden("The call names no company, which company_limit_shared forbids.")

    def counts(self) -> LimitCounts:
        """Return how many entity sets of the catalogue are limited, shared or not served."""
        kinds = {"company": 0, "other": 0, "shared": 0, "refused": 0}
        for name, entity_set in self._catalog.model.entity_sets.items():
            kinds[self._kind(name, entity_set.type)] += 1
        return LimitCounts(
            by_company=kinds["company"],
            by_other=kinds["other"],
            shared=kinds["shared"],
            refused=kinds["refused"],
        )

    def _kind(self, name: str, csdl: str) -> str:
        model, company = self._catalog.model, self._dialect.company_property
        names = {p.name for kind in model.lineage(csdl) for p in kind.properties}
        if company in names:
            return "company"
        if not names.isdisjoint(self._dialect.company_columns.get(name, ())):
            return "other"
        return "shared" if self._serves_set(name) else "refused"

    def _whole(self, info: ObjectInfo) -> ObjectInfo:
        """Return a type with all of its columns: a role may not see the one that names the company."""
        return self._catalog.object(info.csdl)

    def _columns(self, info: ObjectInfo, set_name: str | None) -> tuple[str, ...]:
        company = self._dialect.company_property
        if info.has_company and company is not None:
            return (company,)
        name = set_name or self._catalog.set_for(info.csdl) or ""
        columns = self._dialect.company_columns.get(name, ())
        known = {f.source for f in info.fields.values()}
        return tuple(column for column in columns if column in known)

    def _serves(self, info: ObjectInfo, set_name: str | None) -> bool:
        return self._serves_set(set_name or self._catalog.set_for(info.csdl) or "")

    def _serves_set(self, name: str) -> bool:
        if isinstance(self._shared, bool):
            return self._shared
        return any(fnmatchcase(name, pattern) for pattern in self._shared)


def _folded(company: str) -> str:
    """Return a company as the database compares it: without case and surrounding blanks."""
    return company.strip().casefold()


def _one_of(path: Iterable[str], companies: Companies) -> Expr:
    values = tuple(Literal(c, "Edm.String") for c in companies)
    where = Path(tuple(path))
    return Compare(where, Operator.EQ, values[0]) if len(values) == 1 else In(where, values)


def _companies_in(arguments: object, names: frozenset[str]) -> Iterable[object]:
    """Yield the values of parameters with these names, at any depth, and each item of lists."""
    if isinstance(arguments, Mapping):
        for name, value in arguments.items():
            # Services spell parameters in any case, often with an underscore in front.
            if str(name).casefold().lstrip("_") in names:
                yield from _scalars(value)
            if isinstance(value, Mapping | list | tuple):
                yield from _companies_in(value, names)
    elif isinstance(arguments, list | tuple):
        for item in arguments:
            yield from _companies_in(item, names)


def _scalars(value: object) -> Iterable[object]:
    """Yield a value, or the items of a list; objects are searched by the names in them instead."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _scalars(item)
    elif not isinstance(value, Mapping):
        yield value
