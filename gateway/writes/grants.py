"""Which roles of a caller give a write, and what it becomes by their presets. Pure.

    create   a role with the right gives every column that is sent, and its rule admits the new row
    update   a role with the right gives the row as it is, the changed columns, and the row as it will be;
             several roles may give a column each
    delete   a role with the right gives the row

Roles count in the order of their names, those last whose presets replace a value that the caller sent. A rule that the
values do not decide exactly counts as not passed (``gateway.planning.local_rules``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.identity.references import MissingValue
from gateway.odata.error_details import Problem
from gateway.odata.query import Expr, Some
from gateway.odata.simplify import leaves, paths
from gateway.planning.joins import join_of
from gateway.planning.local_rules import decide
from gateway.planning.row_bounds import RowBounds
from schema.catalog.records import FieldKind
from schema.policy import Grant, Right
from schema.policy.records import ALL_NAMES

from .presets import Presets

FORBIDDEN = "FORBIDDEN"
NO_RIGHT = Problem(FORBIDDEN, "None of the caller's roles gives this write.")
NO_PRESET = Problem(FORBIDDEN, "A value that the row must have is not known of the caller.")
_OUTSIDE = "The row would be outside of what its caller may write."
_NEEDED = "The field must be set: it decides whether the caller may write the row."
_NOT_GIVEN = "None of the caller's roles lets this field be written in this row."
_TWO_PRESETS = "The roles that give these fields preset different values."


UNKNOWN = object()
"""Stands for a value that is not known: no rule is decided by it."""


class Choice(Struct, frozen=True):
    """A write that some roles give."""

    body: Mapping[str, Any]
    """What is sent, with the presets of these roles."""
    presets: frozenset[str] = frozenset()
    """Properties whose values are presets."""


class _Candidate(Struct, frozen=True):
    """A role that may give a write."""

    grant: Grant
    rule: Expr | None
    """Filter for its rows; None if it gives all."""
    presets: Mapping[str, Any]

    def gives_column(self, name: str, *, declared: bool) -> bool:
        """Return whether it gives a column in plain. Nothing is known of columns that are not declared."""
        grant = self.grant.grant
        if not declared:
            return grant.columns == ALL_NAMES and not grant.masks
        return grant.columns.holds(name) and grant.mask_of(name) is None


class WriteGrants:
    """What the roles of one caller give of writes."""

    def __init__(self, bounds: RowBounds, presets: Presets) -> None:
        self.bounds = bounds
        self._presets = presets
        self._catalog = bounds.rules.catalog
        self._dialect = bounds.rules.dialect
        self._company = self._dialect.company_property
        self._known: dict[tuple[Right, str], tuple[tuple[_Candidate, ...], bool]] = {}

    @property
    def update_may_create(self) -> bool:
        """Whether an update may create a row that is not there."""
        return self._dialect.update_may_create

    # Rights

    def rules(self, right: Right, set_name: str) -> dict[str, Expr | None]:
        """Return role → filter for the rows on which it gives a right; None: all rows."""
        grants = self.bounds.view.having(right, set_name)
        return {g.role: self.bounds.rule_of(g, set_name) for g in grants}

    def _candidates(self, right: Right, set_name: str) -> tuple[tuple[_Candidate, ...], bool]:
        """Return the roles with a right, and whether one cannot be used because a preset has no value."""
        known = self._known.get((right, set_name))
        if known is None:
            found: list[_Candidate] = []
            grants = self.bounds.view.having(right, set_name)
            for grant in grants:
                try:
                    presets = self._presets.of(grant.grant, set_name, right, self.bounds.caller)
                except MissingValue:
                    continue
                found.append(_Candidate(grant, self.bounds.rule_of(grant, set_name), presets))
            known = self._known[right, set_name] = tuple(found), len(found) < len(grants)
        return known

    def _ordered(self, right: Right, set_name: str, own: Mapping[str, Any]) -> list[_Candidate]:
        candidates, _ = self._candidates(right, set_name)
        return sorted(candidates, key=lambda c: _replaces(own, c.presets))

    def _none_of(self, right: Right, set_name: str) -> Problem:
        _, lacks_preset = self._candidates(right, set_name)
        return NO_PRESET if lacks_preset else NO_RIGHT

    # New rows

    def new_row(
        self, set_name: str, own: Mapping[str, Any], pending: Collection[str] = ()
    ) -> Choice | Problem:
        """Return a new row as it is sent, or why no role gives it.

        ``own`` is what the caller sends, ``pending`` are properties whose values are not known yet.
        """
        first: Problem | None = None
        for candidate in self._ordered(Right.CREATE, set_name, own):
            problem = self._problem_of_new(candidate, set_name, own, pending)
            if problem is None:
                body = {**own, **candidate.presets}
                return Choice(body, frozenset(candidate.presets))
            first = first or problem
        return first or self._none_of(Right.CREATE, set_name)

    def with_presets(self, set_name: str, own: Mapping[str, Any]) -> Choice:
        """Return a new row with the presets of the role that gives it; if none does, with those of the first."""
        choice = self.new_row(set_name, own)
        if isinstance(choice, Choice):
            return choice
        ordered = self._ordered(Right.CREATE, set_name, own)
        presets = ordered[0].presets if ordered else {}
        return Choice({**own, **presets}, frozenset(presets))

    def _problem_of_new(
        self,
        candidate: _Candidate,
        set_name: str,
        own: Mapping[str, Any],
        pending: Collection[str],
    ) -> Problem | None:
        for name in own:
            if name not in candidate.presets and not self._gives(candidate, set_name, name):
                return self._problem(_NOT_GIVEN, set_name, name)
        rule = candidate.rule
        if rule is None:
            return None
        body = {**own, **candidate.presets}
        passes = self._decide(rule, body)
        if passes or (passes is None and self._depends(rule, set_name, pending)):
            return None
        names = [path.segments[0] for path in paths(rule) if len(path.segments) == 1]
        missing = next((n for n in names if n not in body), None)
        if missing is not None:
            return self._problem(_NEEDED, set_name, missing)
        return self._problem(_OUTSIDE, set_name, self._culprit(rule, body, names))

    def _depends(self, rule: Expr, set_name: str, names: Collection[str]) -> bool:
        """Return whether a rule may depend on any of these columns."""
        columns = self._columns(rule, set_name)
        return bool(names) and (columns is None or not columns.isdisjoint(names))

    def _culprit(self, rule: Expr, values: Mapping[str, Any], names: Sequence[str]) -> str | None:
        """Return the column of the first test that a row does not pass."""
        failed = (
            t.path.segments[0]
            for t in leaves(rule)
            if len(t.path.segments) == 1 and not self._decide(t, values)
        )
        return next(failed, next(iter(names), None))

    # Changes

    def change(
        self,
        set_name: str,
        row: Mapping[str, Any],
        inside: Collection[str],
        own: Mapping[str, Any],
    ) -> Choice | Problem:
        """Return a change of a row as it is sent, or why no roles give it.

        ``row`` holds the columns of the rules as they are, ``inside`` the roles that give the row as it is.
        """
        ordered = [c for c in self._ordered(Right.UPDATE, set_name, own) if c.grant.role in inside]
        if not ordered:
            return self._none_of(Right.UPDATE, set_name)
        first: Problem | None = None
        for group in self._groups(ordered, set_name, own):
            result = self._change_by(group, set_name, row, own)
            if isinstance(result, Choice):
                return result
            first = first or result
        if first is not None:
            return first
        refused = (n for n in own if not any(self._gives(c, set_name, n) for c in ordered))
        return self._problem(_NOT_GIVEN, set_name, next(refused, None))

    def _groups(
        self, ordered: Sequence[_Candidate], set_name: str, own: Mapping[str, Any]
    ) -> Iterator[tuple[_Candidate, ...]]:
        """Yield the roles that together give all columns: first each one that gives all, then several."""
        for candidate in ordered:
            if all(n in candidate.presets or self._gives(candidate, set_name, n) for n in own):
                yield (candidate,)
        group: dict[str, _Candidate] = {}
        for name in own:
            giver = next((c for c in ordered if self._gives(c, set_name, name)), None)
            if giver is None:
                return
            group[giver.grant.role] = giver
        if len(group) > 1:
            yield tuple(group.values())

    def _change_by(
        self,
        group: Sequence[_Candidate],
        set_name: str,
        row: Mapping[str, Any],
        own: Mapping[str, Any],
    ) -> Choice | Problem:
        presets: dict[str, Any] = {}
        for candidate in group:
            for name, value in candidate.presets.items():
                if presets.setdefault(name, value) != value:
                    return Problem(FORBIDDEN, _TWO_PRESETS)
        body = {**own, **presets}
        for candidate in group:
            moved = self.moves(candidate.rule, set_name, row, body)
            if moved is not None:
                return self._problem(_OUTSIDE, set_name, moved or None)
        return Choice(body, frozenset(presets))

    def moves(
        self, rule: Expr | None, set_name: str, row: Mapping[str, Any], body: Mapping[str, Any]
    ) -> str | None:
        """Return the property by which a change may move a row out of a rule that it passes; None if none does.

        Empty if it may be any.
        """
        if rule is None:
            return None
        read = self._columns(rule, set_name)
        touched = next((n for n in body if read is None or n in read), None)
        if touched is None or self.passes(rule, {**row, **body}):
            return None
        return "" if read is None else touched

    def passes(self, rule: Expr | None, row: Mapping[str, Any]) -> bool | None:
        """Return whether a row that exists passes a rule; None if the values that are known do not decide it."""
        if rule is None:
            return True
        unknown = {p.segments[0]: UNKNOWN for p in paths(rule) if p.segments[0] not in row}
        return self._decide(rule, {**unknown, **row})

    def _decide(self, rule: Expr, values: Mapping[str, Any]) -> bool | None:
        return decide(rule, values, self._dialect, self._catalog.model)

    # Columns

    def _columns(self, rule: Expr, set_name: str) -> frozenset[str] | None:
        """Return the columns on which a rule depends, of relations those of their joins; None if it may be any."""
        columns: set[str] = set()
        info = self._catalog.object(self._csdl(set_name))
        for leaf in leaves(rule):
            name = leaf.path.segments[0]
            if len(leaf.path.segments) == 1 and not isinstance(leaf, Some):
                columns.add(name)
                continue
            try:
                field = info.by_source(name)
            except KeyError:
                return None
            if field.kind is FieldKind.COMPLEX:
                columns.add(name)
                continue
            join = (
                None if field.navigation is None else join_of(field, self._catalog, self._dialect)
            )
            if join is None:
                return None
            columns.update(f.source for f in join.parent)
        return frozenset(columns)

    def columns(self, set_name: str) -> tuple[str, ...]:
        """Return the own columns of rows that exist on which the rules of any right depend."""
        names = (
            path.segments[0]
            for right in (Right.UPDATE, Right.DELETE)
            for rule in self.rules(right, set_name).values()
            if rule is not None
            for path in paths(rule)
            if len(path.segments) == 1
        )
        info = self._catalog.object(self._csdl(set_name))
        declared = {f.source for f in info.fields.values() if f.prop is not None}
        return tuple(n for n in dict.fromkeys(names) if n in declared)

    def _gives(self, candidate: _Candidate, set_name: str, name: str) -> bool:
        csdl = self._csdl(set_name)
        if name == self._company or name in self._catalog.key_of(csdl):
            return True
        declared = any(p.name == name for p in self._catalog.model.properties_of(csdl))
        return candidate.gives_column(name, declared=declared)

    def _csdl(self, set_name: str) -> str:
        return self._catalog.model.entity_sets[set_name].type

    def _problem(self, message: str, set_name: str, name: str | None) -> Problem:
        """Return a problem of a property, without a word about it if the caller does not see it."""
        if name is not None:
            is_key = name in self._catalog.key_of(self._csdl(set_name))
            if self.bounds.view.column(set_name, name, is_key=is_key).is_visible:
                return Problem(FORBIDDEN, message, property=name)
        return Problem(FORBIDDEN, _OUTSIDE)


def _replaces(own: Mapping[str, Any], presets: Mapping[str, Any]) -> bool:
    """Return whether presets replace a value that the caller sent."""
    return any(name in own and own[name] != value for name, value in presets.items())
