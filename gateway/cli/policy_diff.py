"""What each role gains and loses between two policies: sets, rights, columns, rows, calls and limits."""

from __future__ import annotations

import json
from collections.abc import Iterator

from msgspec import Struct, field, structs

from gateway.runtime.assembly import Gateway
from schema.model.records import short
from schema.policy.records import Policy, Right, Role
from schema.policy.view import RoleView

from .policy_report import how_it_shows

_RIGHTS = tuple(Right)
_OF_ROLE = ("companies", "company", "explain", "introspection", "graphiql", "documents", "limits")


class SetChange(Struct, frozen=True, kw_only=True):
    """What changes for a role on one entity set."""

    set: str
    gains: tuple[str, ...] = ()
    """Rights."""
    loses: tuple[str, ...] = ()
    rows: tuple[str, str] | None = None
    """Row rule before and after."""
    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Property → how it shows before and after."""
    presets: tuple[str, str] | None = None

    def lines(self) -> Iterator[str]:
        """Yield the change for a terminal."""
        for sign, rights in (("+", self.gains), ("-", self.loses)):
            if rights:
                yield f"  {sign} {self.set}: {', '.join(rights)}"
        for what, change in (("rows", self.rows), ("presets", self.presets)):
            if change is not None:
                yield f"  ~ {self.set}: {what} {change[0]} → {change[1]}"
        for name, (before, after) in self.columns.items():
            yield f"  ~ {self.set}.{name}: {before} → {after}"


class RoleChanges(Struct, frozen=True, kw_only=True):
    """What changes for callers with one role."""

    role: str
    is_new: bool = False
    is_gone: bool = False
    sets: tuple[SetChange, ...] = ()
    calls_gained: tuple[str, ...] = ()
    calls_lost: tuple[str, ...] = ()
    settings: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Setting of the role → text before and after."""

    def __bool__(self) -> bool:
        return self != RoleChanges(role=self.role)

    def lines(self) -> Iterator[str]:
        """Yield the changes for a terminal."""
        yield f"{self.role}{' (new)' if self.is_new else ' (gone)' if self.is_gone else ''}"
        for change in self.sets:
            yield from change.lines()
        for sign, calls in (("+", self.calls_gained), ("-", self.calls_lost)):
            if calls:
                yield f"  {sign} calls {', '.join(calls)}"
        for name, (before, after) in self.settings.items():
            yield f"  ~ {name}: {before} → {after}"

    def to_json(self) -> dict[str, object]:
        """Return the changes as JSON types."""
        return structs.asdict(self)


def changes_of(old: Policy, new: Policy, gateway: Gateway) -> Iterator[RoleChanges]:
    """Yield the changes of each role that has any, by name."""
    for name in sorted({*old.roles, *new.roles}):
        changes = _changes(name, old, new, gateway)
        if changes:
            yield changes


def _changes(name: str, old: Policy, new: Policy, gateway: Gateway) -> RoleChanges:
    before, after = RoleView(old, (name,)), RoleView(new, (name,))
    model = gateway.catalog.model
    calls = list(dict.fromkeys(short(o.name) for o in model.operations))
    sets = (_set_change(s, before, after, gateway) for s in (*model.entity_sets, *model.singletons))
    return RoleChanges(
        role=name,
        is_new=name not in old.roles,
        is_gone=name not in new.roles,
        sets=tuple(change for change in sets if change is not None),
        calls_gained=tuple(c for c in calls if after.may_call(c) and not before.may_call(c)),
        calls_lost=tuple(c for c in calls if before.may_call(c) and not after.may_call(c)),
        settings=_settings(old.roles.get(name), new.roles.get(name)),
    )


def _settings(old: Role | None, new: Role | None) -> dict[str, tuple[str, str]]:
    if old is None or new is None:
        return {}
    values = {n: (_text(getattr(old, n)), _text(getattr(new, n))) for n in _OF_ROLE}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def _text(value: object) -> str:
    if isinstance(value, Struct):
        value = {n: v for n, v in structs.asdict(value).items() if v is not None}
    return json.dumps(value, ensure_ascii=False)


def _set_change(name: str, before: RoleView, after: RoleView, gateway: Gateway) -> SetChange | None:
    # Equal grants need no comparison of columns, which would read every type of the metadata.
    if [g.grant for g in before.grants(name)] == [g.grant for g in after.grants(name)]:
        return None
    had, has = ({r.value for r in _RIGHTS if v.allows(r, name)} for v in (before, after))
    change = SetChange(
        set=name,
        gains=tuple(r.value for r in _RIGHTS if r.value in has - had),
        loses=tuple(r.value for r in _RIGHTS if r.value in had - has),
        rows=_pair(_rows(before, name), _rows(after, name)) if had and has else None,
        columns=_columns(name, before, after, gateway) if had and has else {},
        presets=_pair(_presets(before, name), _presets(after, name)),
    )
    return None if change == SetChange(set=name) else change


def _pair(before: str, after: str) -> tuple[str, str] | None:
    return None if before == after else (before, after)


def _rows(view: RoleView, name: str) -> str:
    rules = [g.grant.where for g in view.readers(name)]
    if any(rule is None for rule in rules):
        return "all"
    return " or ".join(json.dumps(rule, ensure_ascii=False) for rule in rules)


def _presets(view: RoleView, name: str) -> str:
    presets = [dict(g.grant.presets) for g in view.readers(name) if g.grant.presets]
    return json.dumps(presets, ensure_ascii=False) if presets else "none"


def _columns(
    name: str, before: RoleView, after: RoleView, gateway: Gateway
) -> dict[str, tuple[str, str]]:
    model = gateway.catalog.model
    root = model.entity_sets.get(name) or model.singletons[name]
    always = {*model.key_of(root.type), gateway.catalog.abilities.company_property}
    changes = {}
    for prop in model.properties_of(root.type):
        is_key = prop.name in always
        old, new = (how_it_shows(v.column(name, prop.name, is_key=is_key)) for v in (before, after))
        if old != new:
            changes[prop.name] = (old, new)
    return changes
