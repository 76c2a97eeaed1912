"""What callers with some roles see, as records and text: an overview, or one entity set with the roles that give it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from msgspec import Struct

from gateway.runtime.assembly import Gateway
from schema.model.records import short
from schema.policy.records import Right
from schema.policy.view import ColumnAccess, RoleView

_MOST = 40
"""Maximum sets that the overview lists for a right."""


class ViewReport(Struct, frozen=True, kw_only=True):
    """The overview of a view."""

    roles: tuple[str, ...]
    """With those that they inherit."""
    sets: int
    """Entity sets and singletons of the service."""
    rights: dict[str, list[str]]
    """Right → the sets on which it is given."""
    calls: list[str]
    """Actions and functions that may be called."""
    introspection: bool
    graphiql: bool
    explain: bool
    limits: dict[str, float]


class RowsReport(Struct, frozen=True, kw_only=True):
    """Which rows of a set a role gives."""

    role: str
    rows: str
    """``all``, or the rule."""
    companies: tuple[str, ...] = ()


class SetReport(Struct, frozen=True, kw_only=True):
    """What a view shows of an entity set."""

    set: str
    roles: tuple[str, ...]
    rights: dict[str, list[str]]
    """Right → the roles that give it."""
    rows: list[RowsReport]
    columns: dict[str, str]
    """Property → ``plain``, ``hidden``, or how it shows, with the roles that decide."""
    presets: dict[str, dict[str, object]]
    """Role → the values that it presets."""


def describe_view(view: RoleView, gateway: Gateway) -> ViewReport:
    """Describe a view as a whole."""
    model = gateway.catalog.model
    names = (*model.entity_sets, *model.singletons)
    rights = {right.value: [n for n in names if view.allows(right, n)] for right in Right}
    limits = {
        n: v for n in view.limits.__struct_fields__ if (v := getattr(view.limits, n)) is not None
    }
    calls = dict.fromkeys(short(o.name) for o in model.operations)
    return ViewReport(
        roles=view.roles,
        sets=len(names),
        rights=rights,
        calls=[name for name in calls if view.may_call(name)],
        introspection=view.may_introspect,
        graphiql=view.may_use_graphiql,
        explain=view.may_explain(by_default=gateway.is_sandbox),
        limits=limits,
    )


def text_of_view(report: ViewReport) -> str:
    """Return the overview for a terminal."""
    lines = [f"roles: {', '.join(report.roles)}"]
    for right, sets in report.rights.items():
        more = f", … ({len(sets) - _MOST} more)" if len(sets) > _MOST else ""
        names = f": {', '.join(sets[:_MOST])}{more}" if sets else ""
        lines.append(f"{right}: {len(sets)} of {report.sets} sets{names}")
    lines.append(f"calls: {', '.join(report.calls) or 'none'}")
    flags = ("introspection", "graphiql", "explain")
    lines += [f"{flag}: {'yes' if getattr(report, flag) else 'no'}" for flag in flags]
    limits = ", ".join(f"{name} = {value:g}" for name, value in report.limits.items())
    lines.append(f"limits: {limits or 'those of the settings'}")
    return "\n".join(lines)


def describe_set(view: RoleView, gateway: Gateway, name: str) -> SetReport:
    """Describe what a view shows of an entity set or singleton, and which role gives it."""
    readers = view.readers(name)
    return SetReport(
        set=name,
        roles=view.roles,
        rights={right.value: [g.role for g in view.having(right, name)] for right in Right},
        rows=[
            RowsReport(
                role=g.role,
                rows="all"
                if g.grant.where is None
                else json.dumps(g.grant.where, ensure_ascii=False),
                companies=g.companies,
            )
            for g in readers
        ],
        columns=dict(_columns(view, gateway, name)) if readers else {},
        presets={g.role: dict(g.grant.presets) for g in readers if g.grant.presets},
    )


def _columns(view: RoleView, gateway: Gateway, name: str) -> Iterator[tuple[str, str]]:
    catalog = gateway.catalog
    model = catalog.model
    root = model.entity_sets.get(name) or model.singletons[name]
    always = {*model.key_of(root.type), catalog.abilities.company_property}
    for prop in model.properties_of(root.type):
        access = view.column(name, prop.name, is_key=prop.name in always)
        yield prop.name, how_it_shows(access)


def how_it_shows(access: ColumnAccess) -> str:
    """Return how a column shows: ``plain``, ``hidden``, ``last4 (clerk)``, ``plain in rows of: clerk``."""
    if access.is_plain:
        return "plain"
    if not access.is_visible:
        return "hidden"
    masked = ", ".join(f"{mask.value} ({role})" for role, mask in access.masked)
    if not access.plain:
        return masked
    plain = f"plain in rows of: {', '.join(access.plain)}"
    return f"{plain}; {masked}" if masked else f"{plain}; else null"


def text_of_set(report: SetReport) -> str:
    """Return the description of a set for a terminal."""
    lines = [f"{report.set} as {', '.join(report.roles)}"]
    for right, roles in report.rights.items():
        lines.append(f"  {right}: {', '.join(roles) if roles else 'no'}")
    for rows in report.rows:
        bound = f", companies {', '.join(rows.companies)}" if rows.companies else ""
        lines.append(f"  rows by {rows.role}: {rows.rows}{bound}")
    for role, presets in report.presets.items():
        lines.append(f"  presets of {role}: {json.dumps(presets, ensure_ascii=False)}")
    if report.columns:
        lines.append("  columns:")
        width = max(map(len, report.columns))
        lines += [f"    {name:<{width}}  {how}" for name, how in report.columns.items()]
    else:
        lines.append("  It does not exist for these callers.")
    return "\n".join(lines)
