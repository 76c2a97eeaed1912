"""What callers with a set of roles see. Computed on demand: a view of 4,000 sets costs nothing until they are used.

Several roles unite by cell (Hasura's inherited roles, made stricter): a row shows if any role gives it; its value of a
column shows in plain only if one role gives both the row and the column. Filters, orders and keys may use a column
only if every role that gives rows of the set gives it in plain: else they would tell what the answer hides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from .records import ALL_NAMES, Limits, Mask, Policy, Right, Role, SetGrant


class Grant(Struct, frozen=True):
    """What one role gives of an entity set."""

    role: str
    grant: SetGrant
    companies: tuple[str, ...] = ()
    """The role's bound of legal entities."""

    @property
    def is_whole(self) -> bool:
        """Whether it gives every row."""
        return self.grant.where is None and not self.companies

    @property
    def is_local(self) -> bool:
        """Whether a row alone tells if the grant gives it: no part of its rule is about related rows."""
        return self.grant.where is None or _is_about_the_row(self.grant.where)


def _is_about_the_row(where: object) -> bool:
    """Return whether a rule tests columns only: a column's tests are values, a relation's are objects again."""
    if isinstance(where, Mapping):
        return all(
            _is_about_the_row(tests)
            if name in ("and", "or", "not")
            else not (
                isinstance(tests, Mapping) and any(isinstance(t, Mapping) for t in tests.values())
            )
            for name, tests in where.items()
        )
    return not isinstance(where, list | tuple) or all(map(_is_about_the_row, where))


class ColumnAccess(Struct, frozen=True):
    """How a column of an entity set shows.

    A visible column that is not ``is_plain`` keeps its type and becomes nullable; nothing may filter, order or join by
    it. Its values are masked or emptied in the rows as they come in, before anything reads them
    (``gateway.planning.cells``), so completion knows nothing of masks.
    """

    plain: tuple[str, ...] = ()
    """Roles that give it in plain."""
    masked: tuple[tuple[str, Mask], ...] = ()
    """Roles that give it masked."""
    filterable: bool = False
    """Whether every role that gives rows gives it in plain: then filters, orders and keys may use it."""

    @property
    def is_visible(self) -> bool:
        """Whether it exists for these callers."""
        return bool(self.plain or self.masked)

    @property
    def is_plain(self) -> bool:
        """Whether every value shows as it is."""
        return self.filterable


HIDDEN = ColumnAccess()
WILD = frozenset("*?[")
CATEGORY = "*"
"""In the place of a pattern, for grants to a category."""


class RoleView:
    """One set of roles. Equal for all callers who have it; what depends on a caller's claims is bound later."""

    def __init__(self, policy: Policy, roles: Iterable[str]) -> None:
        self.policy = policy
        self._roles: tuple[Role, ...] = tuple(policy.closure(tuple(roles)))
        self.roles = tuple(role.name for role in self._roles)
        """Names of the roles with those that they inherit, sorted; empty: nothing is granted."""
        self._grants: dict[str, tuple[Grant, ...]] = {}
        self._columns: dict[tuple[str, str, bool], ColumnAccess] = {}
        self._alike: dict[Any, Any] = {}
        """Thousands of sets and columns share a few grants and accesses: equal ones are stored once."""

    def __bool__(self) -> bool:
        return bool(self._roles)

    @property
    def definitions(self) -> tuple[Role, ...]:
        """The roles as they are declared, with those that they inherit."""
        return self._roles

    @property
    def has_rules(self) -> bool:
        """Whether what a row shows may depend on the row, or a value is masked: then plans are bounded by the view."""
        return any(
            role.companies
            or any(g.where is not None or g.masks or g.columns != ALL_NAMES for _, g in named)
            for role in self._roles
            for named in ((*role.sets, *role.categories),)
        )

    @property
    def key(self) -> str:
        """Text that identifies the view among those of its policy."""
        return "\n".join(self.roles)

    # Sets

    def grants(self, set_name: str) -> tuple[Grant, ...]:
        """Return what each role gives of an entity set or singleton; none: it does not exist for these callers."""
        grants = self._grants.get(set_name)
        if grants is None:
            grants = self._grants[set_name] = self._grants_of(set_name)
        return grants

    def _grants_of(self, set_name: str) -> tuple[Grant, ...]:
        category = self.policy.categories.get(set_name)
        each = ((role, role.grant_of(set_name, category)) for role in self._roles)
        granted = tuple((role, grant) for role, grant in each if grant is not None)
        key = tuple((role.name, id(grant)) for role, grant in granted)
        grants: tuple[Grant, ...] | None = self._alike.get(key)
        if grants is None:
            grants = self._alike[key] = tuple(
                Grant(role.name, grant, role.companies) for role, grant in granted
            )
        return grants

    def sets_with(self, right: Right, names: Iterable[str]) -> Iterator[str]:
        """Yield the sets among the names on which a right is given, those that roles name exactly first.

        Nothing about the others is remembered, so that a walk through all sets of a service costs no memory.
        """
        giving = [
            (pattern, role)
            for role in self._roles
            for pattern, grant in (*role.sets, *((CATEGORY, g) for _, g in role.categories))
            if right in grant.rights
        ]
        exact = [p for p, _ in giving if p is not CATEGORY and WILD.isdisjoint(p)]
        yield from (name for name in dict.fromkeys(exact) if self.allows(right, name))
        if len(exact) < len(giving):
            for name in names:
                if name not in exact and any(
                    right in g.grant.rights for g in self._grants.get(name) or self._grants_of(name)
                ):
                    yield name

    def readers(self, set_name: str) -> tuple[Grant, ...]:
        """Return the grants that give rows of a set."""
        return self.having(Right.READ, set_name)

    def having(self, right: Right, set_name: str) -> tuple[Grant, ...]:
        """Return the grants of a set with a right."""
        return tuple(g for g in self.grants(set_name) if right in g.grant.rights)

    def allows(self, right: Right, set_name: str) -> bool:
        """Return whether any role gives a right on a set."""
        return any(right in g.grant.rights for g in self.grants(set_name))

    def shows_set(self, set_name: str) -> bool:
        """Return whether a set exists for these callers."""
        return self.allows(Right.READ, set_name)

    # Columns

    def column(self, set_name: str, name: str, *, is_key: bool) -> ColumnAccess:
        """Return how a property of a set shows. Parts of the key show wherever the row does: ids hold them."""
        place = (set_name, name, is_key)
        access = self._columns.get(place)
        if access is None:
            access = self._column(set_name, name, is_key)
            access = self._columns[place] = self._alike.setdefault(access, access)
        return access

    def _column(self, set_name: str, name: str, is_key: bool) -> ColumnAccess:
        readers = self.readers(set_name)
        if not readers:
            return HIDDEN
        if is_key:
            return ColumnAccess(tuple(r.role for r in readers), filterable=True)
        plain: list[str] = []
        masked: list[tuple[str, Mask]] = []
        for reader in readers:
            if reader.grant.columns.holds(name):
                mask = reader.grant.mask_of(name)
                if mask is None:
                    plain.append(reader.role)
                else:
                    masked.append((reader.role, mask))
        return ColumnAccess(tuple(plain), tuple(masked), filterable=len(plain) == len(readers))

    # Rights of the roles as such

    def may_call(self, name: str) -> bool:
        """Return whether an action, a function or a custom service may be called."""
        return any(role.actions.holds(name) for role in self._roles)

    @property
    def may_call_any(self) -> bool:
        """Whether any role names actions, functions or services."""
        return any(role.actions.allow for role in self._roles)

    def may_explain(self, *, by_default: bool) -> bool:
        """Return whether plans and traces show; ``by_default``: for roles that do not say."""
        return any(by_default if r.explain is None else r.explain for r in self._roles)

    @property
    def may_introspect(self) -> bool:
        """Whether the schema shows."""
        return any(role.introspection for role in self._roles)

    @property
    def may_use_graphiql(self) -> bool:
        """Whether the page is served."""
        return any(role.graphiql for role in self._roles)

    @property
    def documents(self) -> str | None:
        """Which documents its callers may run: the most that a role says; None: no role says it."""
        said = {role.documents for role in self._roles}
        return next((mode for mode in ("prefer", "off", "only") if mode in said), None)

    @property
    def default_companies(self) -> tuple[str, ...]:
        """The default company scopes of the roles, which may be references to claims."""
        return tuple(dict.fromkeys(r.company for r in self._roles if r.company is not None))

    @property
    def limits(self) -> Limits:
        """The most generous limit of any role; None if a role has none."""
        names = Limits.__struct_fields__
        values = {name: [getattr(role.limits, name) for role in self._roles] for name in names}
        return Limits(**{n: None if not v or None in v else max(v) for n, v in values.items()})
