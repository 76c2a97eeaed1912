"""Checks writes by the roles of their caller, just before they are sent, when every value is known.

    create   FORBIDDEN if no role gives the new row
    update   the row is read first, under the rule of the right; NOT_FOUND if that gives none, which is the same for a
             row outside and for none at all; FORBIDDEN if no role gives the change
    delete   the same
    upsert   an update if the rule of ``update`` gives the row, else a create: whether there is another row with this
             key is not looked up
    a call   NOT_FOUND if it is bound to a row that the caller cannot read

A row that was read is written with its version in ``If-Match``, so that it is still the row that was checked. Rows of
one changeset are checked in their order, each as the ones before leave it. If the key of a row decides which roles give
it (its company, for example), and one of them gives the write, nothing is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.odata.error_details import CONFLICT, Problem
from gateway.odata.query import FALSE, TRUE, Expr, KeyPart, Or, Rule
from gateway.odata.simplify import simplify
from schema.catalog.records import Verb
from schema.policy import Right

from .bounds import CompanyBounds, FindExisting
from .grants import NO_RIGHT, WriteGrants
from .outcome import ABSENT
from .plan import CallWrite, Identity, RowWrite
from .rows_before import RowsBefore

KeyOf = Callable[[str, Mapping[str, Any]], tuple[KeyPart, ...] | None]
"""Returns the key of a new row of a type; None if its body does not hold all of it."""
Checked = tuple[RowWrite, Problem | None]
_CHANGED = Problem(CONFLICT, "The row has been changed since the version that was given.")
_RIGHTS = {Verb.UPDATE: Right.UPDATE, Verb.UPSERT: Right.UPDATE, Verb.DELETE: Right.DELETE}


@dataclass(frozen=True, slots=True)
class RowState:
    """A row as it is when a write comes to it."""

    values: Mapping[str, Any]
    inside: Mapping[Right, frozenset[str]]
    """Right → roles that give it on the row."""
    version: str | None = None
    """Its etag; None after a write of the same changeset."""


class RoleBounds:
    """Checks the writes of one operation. Has the methods of :class:`CompanyBounds`."""

    def __init__(
        self,
        grants: WriteGrants,
        company: CompanyBounds,
        before: RowsBefore,
        find_readable: FindExisting,
        key_of: KeyOf,
    ) -> None:
        """``find_readable`` returns the rows that the caller may read."""
        self.grants = grants
        self._company = company
        self._before = before
        self._find_readable = find_readable
        self._key_of = key_of

    async def check_rows(self, writes: Sequence[RowWrite]) -> list[Checked]:
        """Return each write as it is sent, and why it must not be; None if it may.

        Raises GatewayError if rows cannot be read.
        """
        states = await self._states(writes)
        checked = [self._check(write, states) for write in writes]
        allowed = [write for write, problem in checked if problem is None]
        company = iter(await self._company.check_rows(allowed))
        return [next(company) if problem is None else (w, problem) for w, problem in checked]

    async def check_call(self, call: CallWrite) -> Problem | None:
        """Return why a call must not be sent; None if it may. Raises Forbidden for its parameters."""
        row, bounds = call.row, self.grants.bounds
        is_ruled = row is not None and bounds.rule(row.csdl, row.entity_set) is not None
        if row is not None and is_ruled:
            readable = await self._find_readable([row])
            if not (readable or self._before.assumes_rows):
                return ABSENT
        # First, as its refusals name no companies.
        bounds.check_arguments(call.body, is_bound=row is not None, names=call.names)
        return await self._company.check_call(call)

    async def find_existing(self, writes: Sequence[RowWrite]) -> frozenset[Identity]:
        """Return the identities of those rows that exist and may be changed. Raises GatewayError."""
        found: set[Identity] = set()
        for group in _by_set_and_right(writes).values():
            rules = self.grants.rules(Right.UPDATE, group[0].entity_set)
            found.update(await self._before.read(group, _union(rules.values()), ()))
        return frozenset(found)

    def check_below(self, write: RowWrite) -> list[tuple[RowWrite, Problem]]:
        """Return the rows below a new row that no role gives, whatever its key will be, and why."""
        refused = []
        for children in write.children:
            known = {t: write.body[s] for s, t in children.join if write.body.get(s) is not None}
            pending = {target for _, target in children.join} - known.keys()
            for row in children.rows:
                own = {**known, **row.body}
                choice = self.grants.new_row(row.entity_set, own, pending)
                if isinstance(choice, Problem):
                    refused.append((row, choice))
        return refused

    # Rows as they are

    async def _states(self, writes: Sequence[RowWrite]) -> dict[Identity, RowState | None]:
        """Return the rows that must be known before they are written; None for those that are not there."""
        states: dict[Identity, RowState | None] = {}
        needed = [w for w in writes if not w.takes_back and self._needs_row(w)]
        for (set_name, right), group in _by_set_and_right(needed).items():
            rules = self.grants.rules(right, set_name)
            rows = await self._before.read(
                group, _union(rules.values()), self.grants.columns(set_name)
            )
            inside = await self._inside(group, rules, rows)
            for identity in {w.identity for w in group}:
                row, state = rows.get(identity), states.get(identity)
                if row is None:
                    states.setdefault(identity, None)
                elif state is None:
                    version = self._before.version_of(row)
                    states[identity] = RowState(row, {right: inside[identity]}, version)
                else:
                    rights = {**state.inside, right: inside[identity]}
                    states[identity] = replace(state, inside=rights)
        return states

    def _needs_row(self, write: RowWrite) -> bool:
        """Return whether it depends on the row as it is who may do this write."""
        right = _RIGHTS.get(write.verb)
        if right is None:
            return False
        rules = self.grants.rules(right, write.entity_set)
        # A PATCH that creates the row if there is none would create one that was not checked.
        if write.verb is Verb.UPSERT and self.grants.update_may_create:
            return bool(rules)
        inside, is_decided = self._by_key(write, rules)
        if is_decided:
            return False
        if right is Right.DELETE or not inside:
            return not inside
        choice = self.grants.change(write.entity_set, write.key_values, inside, _sent(write))
        return isinstance(choice, Problem)

    def _by_key(
        self, write: RowWrite, rules: Mapping[str, Expr | None]
    ) -> tuple[frozenset[str], bool]:
        """Return the roles whose rules the key of a row passes, and whether it decides all rules.

        A key never changes, so such a row need not be read.
        """
        key = write.key_values
        answers = {role: self.grants.passes(rule, key) for role, rule in rules.items()}
        inside = frozenset(role for role, passes in answers.items() if passes)
        return inside, None not in answers.values()

    async def _inside(
        self,
        writes: Sequence[RowWrite],
        rules: Mapping[str, Expr | None],
        rows: Mapping[Identity, Mapping[str, Any]],
    ) -> dict[Identity, frozenset[str]]:
        """Return the roles that give each row that was read under any of their rules."""
        if len(rules) == 1:
            return dict.fromkeys(rows, frozenset(rules))
        inside: dict[Identity, set[str]] = {identity: set() for identity in rows}
        for role, rule in rules.items():
            answers = {i: self.grants.passes(rule, row) for i, row in rows.items()}
            for identity in (i for i, passes in answers.items() if passes):
                inside[identity].add(role)
            unclear = [w for w in writes if w.identity in answers and answers[w.identity] is None]
            if unclear:
                for identity in await self._before.read(unclear, rule, ()):
                    inside[identity].add(role)
        return {identity: frozenset(roles) for identity, roles in inside.items()}

    # Writes

    def _check(self, write: RowWrite, states: dict[Identity, RowState | None]) -> Checked:
        if write.takes_back:
            return write, None
        right = _RIGHTS.get(write.verb)
        needs_row = right is not None and self._needs_row(write)
        state = states.get(write.identity) if needs_row else None
        if write.verb is Verb.UPSERT:
            if state is None and needs_row:
                write = replace(write, verb=Verb.CREATE)
            elif needs_row:
                write = replace(write, verb=Verb.UPDATE, body=write.change)
        if write.verb is Verb.CREATE:
            write, problem = self._create(write)
        elif write.verb is Verb.UPSERT:
            write, problem = self._upsert(write)
        else:
            assert right is not None
            write, problem = self._existing(write, right, state, needs_row=needs_row)
        if problem is None:
            self._note(write, states)
        return write, problem

    def _create(self, write: RowWrite) -> Checked:
        own = write.body if write.own is None else write.own
        choice = self.grants.new_row(write.entity_set, own)
        if isinstance(choice, Problem):
            return write, choice
        key = self._key_of(write.csdl, choice.body)
        return replace(write, key=key, body=choice.body, own=own, presets=choice.presets), None

    def _existing(
        self, write: RowWrite, right: Right, state: RowState | None, *, needs_row: bool
    ) -> Checked:
        rules = self.grants.rules(right, write.entity_set)
        if not rules:
            return write, NO_RIGHT
        row: Mapping[str, Any] = write.key_values
        if needs_row:
            inside = frozenset() if state is None else state.inside.get(right, frozenset())
        else:
            inside, _ = self._by_key(write, rules)
        if not inside:
            return write, ABSENT
        if needs_row and state is not None:
            row = state.values
            if not _names_version(write.if_match, state.version):
                return write, _CHANGED
            write = replace(write, version=state.version)
        if right is Right.DELETE:
            return write, None
        choice = self.grants.change(write.entity_set, row, inside, write.body)
        if isinstance(choice, Problem):
            return write, choice
        return replace(write, body=choice.body, own=write.body, presets=choice.presets), None

    def _upsert(self, write: RowWrite) -> Checked:
        """Return an upsert whose key decides which roles give it; what they do not give of it is left out."""
        rules = self.grants.rules(Right.UPDATE, write.entity_set)
        if not rules:
            return write, NO_RIGHT
        created, no_create = self._create(write)
        changed, no_change = self._existing(
            replace(write, verb=Verb.UPDATE, body=write.change), Right.UPDATE, None, needs_row=False
        )
        if no_change is not None:
            return replace(created, verb=Verb.CREATE), no_create
        if no_create is not None:
            return changed, None
        return replace(created, change=changed.body), None

    def _note(self, write: RowWrite, states: dict[Identity, RowState | None]) -> None:
        """Note what a row is after a write, for later writes of the same changeset."""
        if write.key is None or write.verb is Verb.UPSERT:
            return
        identity = write.identity
        if write.verb is Verb.DELETE:
            states[identity] = None
            return
        state = states.get(identity)
        if write.verb is Verb.UPDATE and state is None:
            return  # it need not be known
        before = {} if state is None else state.values
        values = {**before, **write.body, **write.key_values}
        inside = {
            right: frozenset(
                role
                for role, rule in self.grants.rules(right, write.entity_set).items()
                if self.grants.passes(rule, values) or self._stays(role, rule, right, state, write)
            )
            for right in (Right.UPDATE, Right.DELETE)
        }
        states[identity] = RowState(values, inside)

    def _stays(
        self, role: str, rule: Expr | None, right: Right, state: RowState | None, write: RowWrite
    ) -> bool:
        """Return whether a role that gives a row gives it after a change, which its rule does not depend on."""
        if state is None or role not in state.inside.get(right, ()):
            return False
        return self.grants.moves(rule, write.entity_set, state.values, write.body) is None


def _by_set_and_right(writes: Sequence[RowWrite]) -> dict[tuple[str, Right], list[RowWrite]]:
    groups: dict[tuple[str, Right], list[RowWrite]] = {}
    for write in writes:
        groups.setdefault((write.entity_set, _RIGHTS[write.verb]), []).append(write)
    return groups


def _union(rules: Iterable[Expr | None]) -> Expr | None:
    """Return the filter for rows that any of these rules gives; None if one gives all."""
    terms: list[Expr] = []
    for rule in rules:
        if rule is None:
            return None
        terms.append(rule)
    union = simplify(Or(tuple(terms)))
    return union if union in (TRUE, FALSE) else Rule(union)


def _sent(write: RowWrite) -> Mapping[str, Any]:
    """Return what a write changes of a row that exists."""
    return write.change if write.verb is Verb.UPSERT else write.body


def _names_version(etag: str | None, version: str | None) -> bool:
    """Return whether an etag of the caller, if there is one, is that of the row."""
    if etag is None or version is None or etag.strip() == "*":
        return True
    return _opaque(etag) == _opaque(version)


def _opaque(etag: str) -> str:
    return etag.strip().removeprefix("W/")
