"""Row rules of the policy: ``where`` of a role's set, checked at the start and bound to each caller.

A rule is a ``where`` argument of the API of the whole catalogue, whose values may refer to the caller
(``$claims.groups``). It becomes part of every plan that reads rows of the set (``row_bounds``), so it must be something
that the upstream answers exactly: what would have to be tested here, or is read as a pattern, stops the start.

    a reference has no value, or one of another type    the rule gives no rows, and nobody is told why
    a text that the upstream would read as a pattern    the same
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from graphql import GraphQLSchema
from msgspec import Struct

from gateway.documents.lru_cache import LRUCache
from gateway.errors import GatewayError, SettingsError
from gateway.identity.caller import Caller
from gateway.identity.references import MissingValue, Reference, reference_of
from gateway.odata.dialect import Dialect
from gateway.odata.query import (
    FALSE,
    Compare,
    Expr,
    Literal,
    Operator,
    Path,
    Query,
    Resource,
    Wildcard,
)
from gateway.odata.simplify import leaves, simplify
from schema.catalog import Catalog
from schema.policy import Policy, Role, SetGrant

from .filters import WhereReader
from .rule_reader import RuleError, RuleReader, references_in, sample_of

MAX_PROBLEMS = 20
"""Problems of rules that are reported at once."""
CACHED_RULES = 5_000
"""Rules of roles and sets that are kept after their first use."""


class RowRule(Struct, frozen=True):
    """A rule for rows of one type."""

    csdl: str
    where: Mapping[str, Any]
    expr: Expr | None = None
    """The filter, if no part of it depends on the caller."""


class RowRules:
    """The rules of one policy for one catalogue."""

    def __init__(
        self, policy: Policy, catalog: Catalog, core: GraphQLSchema, dialect: Dialect
    ) -> None:
        """``catalog`` is the whole one, with the columns that no caller may see; ``core`` is its schema."""
        self.policy = policy
        self.catalog = catalog
        self.core = core
        self.dialect = dialect
        self._reader = RuleReader(catalog, core)
        self._where = WhereReader(catalog)
        self._rules: LRUCache[tuple[int, str], RowRule] = LRUCache(CACHED_RULES)

    # At the start

    def check(self) -> None:
        """Check every rule for every set to which it applies. Raises SettingsError with all problems."""
        problems = list(islice(self._problems(), MAX_PROBLEMS))
        if len(problems) == 1:
            raise SettingsError(problems[0].message, hint=problems[0].hint)
        if problems:
            lines = [f"{problem.message} {problem.hint or ''}".rstrip() for problem in problems]
            raise SettingsError("\n  ".join(["Rules of roles cannot be used:", *lines]))

    def _problems(self) -> Iterator[SettingsError]:
        checked: set[tuple[int, str]] = set()
        for role in self.policy.roles.values():
            yield from self._problems_of_companies(role)
            for set_name, named_by, grant in self._grants_with_rules(role):
                place = (id(grant.where), set_name)
                if place not in checked:
                    checked.add(place)
                    yield from self._problems_of_grant(role, set_name, named_by, grant)

    def _grants_with_rules(self, role: Role) -> Iterator[tuple[str, str, SetGrant]]:
        """Yield (set or singleton, the name or pattern by which the role has it, grant)."""
        named = (*role.sets, *role.categories)
        if all(grant.where is None for _, grant in named):
            return
        model, categories = self.catalog.model, self.policy.categories
        names = {id(grant): name for name, grant in reversed(named)}
        for set_name in (*model.entity_sets, *model.singletons):
            grant = role.grant_of(set_name, categories.get(set_name))
            if grant is not None and grant.where is not None:
                yield set_name, names[id(grant)], grant

    def _problems_of_grant(
        self, role: Role, set_name: str, named_by: str, grant: SetGrant
    ) -> Iterator[SettingsError]:
        assert grant.where is not None
        where = f'roles.{role.name}.sets."{named_by}".where'
        of_set = "" if named_by == set_name else f" ({set_name})"
        try:
            self._check_rule(set_name, grant.where)
        except RuleError as error:
            place = f"{where}.{error.place}" if error.place else where
            yield SettingsError(f"{place}{of_set}: {error.message}", hint=error.hint)

    def _check_rule(self, set_name: str, where: Mapping[str, Any]) -> None:
        entity_set = self.catalog.model.entity_sets.get(set_name)
        if entity_set is None:
            raise RuleError("", "a singleton cannot be filtered.", "Grant it without where.")
        try:
            argument = self._reader.read(entity_set.type, where, sample_of)
            expr = self._where.read(entity_set.type, argument)
            reason = None if expr is None else self._inexact(expr)
        except RuleError:
            raise
        except GatewayError as error:
            raise RuleError("", error.message, error.hint) from error
        if reason is not None:
            raise RuleError("", reason, "Use eq, in or a comparison, of a text without a star.")

    def _inexact(self, expr: Expr) -> str | None:
        """Return why the upstream does not answer a filter exactly; None if it does. Raises UnsupportedQuery."""
        lowered = self.dialect.lower(Query(resource=Resource("_"), where=expr))
        if lowered.residual is not None:
            return f"{self.dialect.title} reads a star in a text as a wildcard."
        where = lowered.query.where
        if where is not None and any(isinstance(leaf, Wildcard) for leaf in leaves(where)):
            return (
                f"{self.dialect.title} searches in texts by patterns, which no rule may depend on."
            )
        return None

    def is_exact(self, text: str) -> bool:
        """Return whether the upstream finds a text as it is: not as a pattern."""
        test = Compare(Path(("_",)), Operator.EQ, Literal(text, "Edm.String"))
        return self._inexact(test) is None

    def _problems_of_companies(self, role: Role) -> Iterator[SettingsError]:
        for setting, values in (("companies", role.companies), ("company", (role.company,))):
            for value in values:
                try:
                    reference_of(value)
                except ValueError as error:
                    yield SettingsError(f"roles.{role.name}.{setting}: {error}.")
        if self.dialect.company_property is None and (role.companies or role.company is not None):
            yield SettingsError(
                f"roles.{role.name}: rows of {self.dialect.title} have no company.",
                hint="Remove companies and company.",
            )

    # For callers

    def references(self, role: Role) -> Iterator[Reference]:
        """Yield what the rules and companies of a role refer to."""
        for _, grant in (*role.sets, *role.categories):
            yield from references_in(grant.where)
        for company in (*role.companies, role.company):
            if (reference := reference_of(company)) is not None:
                yield reference

    def filter_of(self, grant: SetGrant, set_name: str, caller: Caller) -> Expr:
        """Return the filter of a grant's rule for the rows of a set and a caller."""
        assert grant.where is not None
        rule = self._rule(grant.where, set_name)
        return self._bound(rule, caller) if rule.expr is None else rule.expr

    def _rule(self, where: Mapping[str, Any], set_name: str) -> RowRule:
        # The policy lives as long as its rules, so that the id stays that of this rule.
        place = (id(where), set_name)
        rule = self._rules.get(place)
        if rule is None:
            rule = RowRule(self.catalog.model.entity_sets[set_name].type, where)
            if not any(references_in(where)):
                rule = RowRule(rule.csdl, where, self._bound(rule, Caller()))
            self._rules.put(place, rule)
        return rule

    def _bound(self, rule: RowRule, caller: Caller) -> Expr:
        try:
            argument = self._reader.read(rule.csdl, rule.where, lambda r, _: r.value(caller))
            expr = self._where.read(rule.csdl, argument)
            if expr is None or self._inexact(expr) is not None:
                return FALSE
            return simplify(expr)
        # Whatever is wrong with the claims: no rows, and no word about it.
        except (MissingValue, RuleError, GatewayError):
            return FALSE


def check_row_rules(
    policy: Policy, catalog: Catalog, core: GraphQLSchema, dialect: Dialect
) -> None:
    """Check the rules of all roles at the start. Raises SettingsError.

    A pattern with a rule is checked for every set that it matches, by records that do not stay in memory.
    """
    RowRules(policy, catalog.fresh_copy(), core, dialect).check()
