"""Roles: what 100 of them with row, column and mask rules cost over the full-size document."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Mapping
from typing import Any

from gateway.identity.caller import Caller
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.runtime.role_views import build_view, row_rules
from gateway.storage.sealing import Sealer
from schema.catalog.records import RootKind
from schema.policy.view import RoleView
from tests.bench import whole
from tests.bench.measure import Report, Sample, frozen_gc, memory, ms, percent

ROLES = 100
NAMED = 5
"""Entity sets that a role names, each with a row rule; it has all others by a pattern."""
FIRST, VIEW = "a role's first operation", "its view alone"
"""From a role's first request until its plan is ready, and the part of it that makes the view."""


async def policy(quick: bool) -> list[Report]:
    """Measure memory and time of views, each of which plans an operation over a set with rules.

    With all roles in quick runs, too: the first views load what the others share.
    """
    report = Report(
        "policy", f"{ROLES} roles over the full-size document, from a snapshot; CPU time"
    )
    await whole.known(whole.settings())
    async with open_gateway(whole.settings(), observe=lambda _: None) as plain:
        sets = list(_companies_sets(plain, ROLES * NAMED))
    roles = {f"role-{i:03}": _role(sets[i * NAMED : (i + 1) * NAMED]) for i in range(ROLES)}
    settings = whole.settings(roles=roles)
    started = time.process_time()
    async with open_gateway(settings, observe=lambda _: None) as gateway:
        report.notes.append(
            f"Start, with all rules checked: {time.process_time() - started:.2f} s."
        )
        with frozen_gc():
            await asyncio.to_thread(_views, report, gateway, {n: s[0] for n, s in _named(roles)})
    return [report]


def _companies_sets(gateway: Gateway, count: int) -> list[str]:
    """Return entity sets whose rows belong to companies, spread over the catalogue."""
    catalog = gateway.catalog.fresh_copy()
    names = [of for kind, of, _ in catalog.set_roots() if kind is RootKind.LIST]
    chosen = []
    for name in names:
        properties = {p.name for p in catalog.properties_of(catalog.model.entity_sets[name].type)}
        if "dataAreaId" in properties and any("Name" in p for p in properties):
            chosen.append(name)
    assert len(chosen) >= count
    return chosen[:count]


def _role(sets: list[str]) -> dict[str, Any]:
    rule = {"where": {"dataAreaId": {"in": "$claims.companies"}}, "masks": {"*Name*": "null"}}
    return {
        "companies": ["usmf", "$claims.companies"],
        "sets": {**dict.fromkeys(sets, rule), "*": {"deny_columns": ["*Number*"]}},
    }


def _named(roles: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    return [(name, list(role["sets"])) for name, role in roles.items()]


def _views(report: Report, whole_gateway: Gateway, sets: Mapping[str, str]) -> None:
    assert whole_gateway.policy is not None
    rules, sealer = row_rules(whole_gateway), Sealer(b"bench")
    roots = {of: n for k, of, n in whole_gateway.catalog.set_roots() if k is RootKind.LIST}
    # The index of uses, which all views share, is made with the first.
    _ = whole_gateway.catalog.usage.uses
    caller = Caller(kind="token", subject="bench", claims={"companies": ["usmf", "demf"]})
    gc.collect()
    before = memory(os.getpid())
    views, whole_times, view_times = list[Gateway](), list[float](), list[float]()
    for name, of_set in sets.items():
        started = time.process_time()
        view = build_view(whole_gateway, RoleView(whole_gateway.policy, (name,)), rules, sealer)
        view_times.append(time.process_time() - started)
        rows = f'{roots[of_set]}(first: 1, where: {{ dataAreaId: {{ eq: "usmf" }} }})'
        query = f"{{ {rows} {{ nodes {{ id dataAreaId }} }} }}"
        operation = view.engine.read(GraphQLRequest(query=query, caller=caller))
        view.engine.plan(operation)
        whole_times.append(time.process_time() - started)
        views.append(view)
    gc.collect()
    more = memory(os.getpid()) - before
    for step, values in ((FIRST, whole_times), (VIEW, view_times)):
        sample = Sample(tuple(values))
        report.add(
            step=step,
            roles=len(views),
            median_ms=ms(sample.median),
            spread=percent(sample.spread),
            worst_ms=ms(max(values)),
            more_mib=round(more, 1),
        )
