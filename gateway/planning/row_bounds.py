"""What bounds the rows of one caller: ``company_limit`` and the row rules of their roles, joined.

The planner asks it for every set that a plan reads, at every door: lists, rows by key, relations, filters over
relations, ``node``, ``_entities``, counts, and the reads of writes and subscriptions. A gateway without roles is
bounded by :class:`CompanyLimit` itself, which has the same methods.

Ids are not sealed, and stay the same for every caller: an id only names a row, and each look-up passes the rule.

    rows of a set must pass       company_limit and (rule of a role or rule of another role …)
    rule of a role                its companies (by the columns of company_limit) and its where
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from gateway.documents.lru_cache import LRUCache
from gateway.errors import Forbidden, UnsupportedQuery
from gateway.identity.caller import Caller
from gateway.identity.references import MissingValue, Reference, reference_of
from gateway.odata.query import FALSE, TRUE, Expr, Or, Rule
from gateway.odata.simplify import paths, simplify, with_prefix
from schema.catalog.records import Field, ObjectInfo
from schema.policy import Grant, RoleView
from schema.policy.records import ALL_NAMES, Right

from .company_limit import Companies, CompanyLimit
from .filters import all_of
from .local_rules import decide
from .row_rules import RowRules

if TYPE_CHECKING:
    from gateway.storage.sealing import Sealer

CACHED_BOUNDS = 200
"""Callers of one role view, by the values that its rules use, whose bounds are kept."""
_NO_VALUES = b"[]"
"""Of rules that use no claims."""
_NO_COMPANY: Companies = ("\0",)
"""A limit to no company at all."""


class ViewRules(Struct, frozen=True):
    """What a role view adds to the plans of its engine."""

    view: RoleView
    rules: RowRules
    sealer: Sealer


class ViewBounds:
    """The bounds of one role view, for each of its callers."""

    def __init__(self, rules: ViewRules, limit: CompanyLimit) -> None:
        self.view = rules.view
        self.sealer = rules.sealer
        self.rules = rules.rules
        self._limit = limit
        references = (r for role in self.view.definitions for r in self.rules.references(role))
        self._references: tuple[Reference, ...] = tuple(dict.fromkeys(references))
        self._cached: LRUCache[bytes, RowBounds] = LRUCache(CACHED_BOUNDS)

    def of(self, caller: Caller) -> RowBounds:
        """Return the bounds of a caller; callers whose claims are equal, as far as rules use them, share theirs."""
        values = _NO_VALUES
        if self._references:
            known = [_known(r, caller) for r in self._references]
            values = msgspec.json.encode(known, enc_hook=str, order="sorted")
        bounds = self._cached.get(values)
        if bounds is None:
            bounds = RowBounds(self, self._limit, caller, values)
            self._cached.put(values, bounds)
        return bounds


def _known(reference: Reference, caller: Caller) -> Any:
    """Return the value of a reference in a list, an empty list if it has none."""
    try:
        return [reference.value(caller)]
    except MissingValue:
        return []


class RowBounds:
    """The bounds of one caller. It has the methods of :class:`CompanyLimit` that plans use."""

    def __init__(
        self, view: ViewBounds, limit: CompanyLimit, caller: Caller, values: bytes
    ) -> None:
        """``values`` are those of the claims that the view's rules use."""
        self.view = view.view
        self.rules = view.rules
        self.scope = (self.view.key, values)
        """Equal for callers who see the same rows and values."""
        self.sealer = view.sealer
        self._limit = limit
        self.caller = caller
        self._catalog = view.rules.catalog
        self._companies: dict[str, Companies | None] = {}
        self._by_set: dict[str, Expr | None] = {}
        self._by_type: dict[str, Expr | None] = {}
        self._plain: dict[tuple[str, str | None], bool] = {}
        self.cells: dict[Hashable, Any] = {}
        """What ``cells`` has found out for this caller."""

    def __bool__(self) -> bool:
        return True

    # Rules

    def rule(self, csdl: str, set_name: str | None) -> Expr | None:
        """Return the rule for rows of a set; None if they have none.

        Without a set, rows of the type may come from any set that holds such rows: they pass the rules of all.
        """
        if set_name is not None:
            return self._rule_of_set(set_name)
        if csdl not in self._by_type:
            terms = [self._rule_of_set(name) for name in self.sets_of(csdl)]
            self._by_type[csdl] = all_of(*terms)
        return self._by_type[csdl]

    def sets_of(self, csdl: str) -> tuple[str, ...]:
        """Return the sets that may hold rows of a type."""
        model = self._catalog.model
        types = dict.fromkeys((*(t.name for t in model.lineage(csdl)), *model.family(csdl)))
        return tuple(name for t in types for name in model.sets_of_type.get(t, ()))

    def _rule_of_set(self, set_name: str) -> Expr | None:
        if set_name not in self._by_set:
            self._by_set[set_name] = self._union(set_name)
        return self._by_set[set_name]

    def _union(self, set_name: str, right: Right = Right.READ) -> Expr | None:
        terms = []
        for grant in self.view.readers(set_name):
            if right not in grant.grant.rights:
                continue
            term = self.rule_of(grant, set_name)
            if term is None:
                return None
            terms.append(term)
        # Without a reader no row shows.
        union = simplify(Or(tuple(terms)))
        if union == TRUE:
            return None
        return FALSE if union == FALSE else Rule(union)

    def rule_of(self, grant: Grant, set_name: str) -> Expr | None:
        """Return the filter for the rows that one grant gives; None if it gives all."""
        if grant.is_whole:
            return None
        if set_name not in self._catalog.model.entity_sets:  # a singleton, which cannot be filtered
            return FALSE
        company = self._company_rule(grant, set_name)
        if company == FALSE or grant.grant.where is None:
            return company
        return all_of(company, self.rules.filter_of(grant.grant, set_name, self.caller))

    def _company_rule(self, grant: Grant, set_name: str) -> Expr | None:
        if not grant.companies:
            return None
        companies = self.companies_of(grant.role, grant.companies)
        # A role that is bound to no company at all gives nothing, not even what companies share.
        if not companies:
            return FALSE
        limit = CompanyLimit(self._catalog, self.rules.dialect, companies)
        csdl = self._catalog.model.entity_sets[set_name].type
        return limit.predicate(self._catalog.object(csdl), set_name)

    def companies_of(self, role: str, declared: Companies) -> Companies:
        """Return the companies to which a role is bound for this caller; claims that are no companies add none."""
        companies = self._companies.get(role)
        if companies is None:
            companies = companies_in(declared, self.caller)
            # What the upstream would read as a pattern names no company either.
            companies = self._companies[role] = tuple(filter(self.rules.is_exact, companies))
        return companies

    # The methods of CompanyLimit

    def predicate(
        self, info: ObjectInfo, set_name: str | None = None, prefix: Iterable[str] = ()
    ) -> Expr | None:
        """Return the predicate that rows of a set must pass; None if they are not bounded."""
        prefix = tuple(prefix)
        rule = self.rule(info.csdl, set_name)
        if rule is not None and prefix:
            rule = self._behind(rule, prefix)
        return all_of(self._limit.predicate(info, set_name, prefix), rule)

    def _behind(self, rule: Expr, prefix: tuple[str, ...]) -> Expr:
        """Return a rule for rows behind navigations. Raises UnsupportedQuery, without a word about the rule."""
        dialect = self.rules.dialect
        longest = max((len(path.segments) - 1 for path in paths(rule)), default=0)
        # A filter that is too deep by itself is refused in its own words.
        if len(prefix) <= dialect.filter_depth < len(prefix) + longest:
            raise UnsupportedQuery(
                f"Rows cannot be filtered through {'/'.join(prefix)}.",
                hint="Filter the nearer rows, and read the others by their keys.",
            )
        return with_prefix(rule, prefix)

    def relation_predicate(self, field: Field, prefix: Iterable[str] = ()) -> Expr | None:
        """Return the predicate for rows of a relation."""
        prefix = tuple(prefix)
        rule = self.rule(field.target, field.target_set)
        if rule is not None and prefix:
            rule = self._behind(rule, prefix)
        return all_of(self._limit.relation_predicate(field, prefix), rule)

    def scoped_predicate(
        self,
        info: ObjectInfo,
        set_name: str | None,
        requested: Companies | None,
        *,
        right: Right = Right.READ,
    ) -> Expr | None:
        """Return the predicate for rows of a set if a request names these companies; None: it names none.

        ``right``: only rows that a role with this right gives.
        """
        scope = self._limit.scoped_predicate(info, set_name, requested)
        if right is Right.READ or set_name is None:
            return all_of(scope, self.rule(info.csdl, set_name))
        return all_of(scope, self._union(set_name, right))

    def check_readable(self, info: ObjectInfo, set_name: str | None, what: str) -> None:
        """Raise Forbidden for rows that need a predicate, but are read in a way that takes none."""
        self._limit.check_readable(info, set_name, what)
        if self.rule(info.csdl, set_name) is not None:
            raise Forbidden(
                f"{what} cannot be read here.",
                hint="Read the rows by the root field of their own entity set.",
            )

    def check_singleton(self, info: ObjectInfo, name: str, what: str) -> None:
        """Raise Forbidden for a singleton that is bounded: it cannot be filtered."""
        self._limit.check_singleton(info, name, what)
        if self._rule_of_set(name) is not None:
            raise Forbidden(f"{what} cannot be read here.")

    def admits(self, info: ObjectInfo, set_name: str | None, row: Mapping[str, Any]) -> bool:
        """Return whether a row (decoded JSON) is inside the bounds; False if its values do not tell."""
        if not self._limit.admits(info, set_name, row):
            return False
        rule = self.rule(info.csdl, set_name)
        return rule is None or self.passes(rule, row)

    def passes(self, rule: Expr, row: Mapping[str, Any]) -> bool:
        """Return whether a row (decoded JSON) passes a rule; False if its values do not tell."""
        return decide(rule, row, self.rules.dialect, self._catalog.model) is True

    def is_plain(self, csdl: str, set_name: str | None) -> bool:
        """Return whether every value of the rows of a set shows in plain."""
        place = (csdl, set_name)
        plain = self._plain.get(place)
        if plain is None:
            sets = self.sets_of(csdl) if set_name is None else (set_name,)
            grants = (reader.grant for name in sets for reader in self.view.readers(name))
            plain = self._plain[place] = all(
                grant.columns == ALL_NAMES and not grant.masks for grant in grants
            ) and all(map(self.view.shows_set, sets))
        return plain

    def columns_of(self, csdl: str, set_name: str) -> tuple[str, ...]:
        """Return the properties that tell whether a row of a set is inside, as far as a row tells that."""
        rule = self.rule(csdl, set_name)
        own = () if rule is None else paths(rule)
        names = (path.segments[0] for path in own if len(path.segments) == 1)
        limited = self._limit.columns_of(csdl, set_name) if self._limit else ()
        return tuple(dict.fromkeys((*limited, *names)))

    def shows(self, field: Field, set_name: str) -> bool:
        """Return whether every value of a column of a set shows in plain."""
        csdl = self._catalog.model.entity_sets[set_name].type
        is_key = field.source in self.always_shown(csdl)
        return self.view.column(set_name, field.source, is_key=is_key).is_plain

    def always_shown(self, csdl: str) -> frozenset[str]:
        """Return the columns that show wherever a row of a type does: its key, and its company."""
        company = self.rules.dialect.company_property
        return frozenset((*self._catalog.key_of(csdl), *(() if company is None else (company,))))

    @property
    def serves_calls(self) -> bool:
        """Whether calls that name no company are served."""
        return self._limit.serves_calls

    def check_arguments(
        self,
        arguments: Mapping[str, Any],
        *,
        is_bound: bool = False,
        names: Iterable[str] = (),
    ) -> None:
        """Raise Forbidden if a parameter of a call names a company outside, or must name one and does not.

        ``names`` are those of the call: only the roles that give it count.
        """
        try:
            self._limit.check_arguments(arguments, is_bound=is_bound)
            self._check_arguments(arguments, tuple(names), is_bound=is_bound)
        except Forbidden:  # whose hint names companies that the roles may not give
            raise Forbidden(
                "The call names no company, or one outside of what its caller may use."
            ) from None

    def _check_arguments(
        self, arguments: Mapping[str, Any], names: tuple[str, ...], *, is_bound: bool
    ) -> None:
        roles = self.view.definitions
        roles = tuple(r for r in roles if any(map(r.actions.holds, names))) or roles
        if not all(role.companies for role in roles):
            return
        bounds = (self.companies_of(role.name, role.companies) for role in roles)
        companies = tuple(dict.fromkeys(c for bound in bounds for c in bound)) or _NO_COMPANY
        limit = CompanyLimit(self._catalog, self.rules.dialect, companies)
        limit.check_arguments(arguments, is_bound=is_bound)


def companies_in(declared: Iterable[str], caller: Caller) -> Companies:
    """Return companies whose names may be references; claims that are missing or no texts add none."""
    companies: dict[str, None] = {}
    for name in declared:
        reference = reference_of(name)
        try:
            value = name if reference is None else reference.value(caller)
        except MissingValue:
            continue
        values = value if isinstance(value, list | tuple) else [value]
        companies.update((v, None) for v in values if isinstance(v, str) and v.strip())
    return tuple(companies)
