"""The gateways of role views: what callers with a set of roles see, over the same client and metadata.

    Caller.roles ──▶ known roles ──▶ view ──▶ a ``GenerationManager`` of its own, made at its first request

A view has a catalogue of its own, with lazily made schema, documents and engine (``schema.catalog.role_catalog``), so
nothing that serves it can show what it hides. Views are bounded in number and in types, the least recently used are
dropped, and all are replaced together with the metadata.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from msgspec import Struct

from gateway.config.cost_models import CostOptions
from gateway.config.settings import Settings
from gateway.documents.lru_cache import LRUCache
from gateway.errors import Forbidden
from gateway.events import Observer, RoleViewOpened
from gateway.identity.caller import Caller
from gateway.introspection.answers import view_store
from gateway.planning.row_bounds import ViewRules
from gateway.planning.row_rules import RowRules
from gateway.store.secret_key import open_sealer
from schema.catalog import Catalog
from schema.catalog.role_catalog import RoleCatalog, role_catalog
from schema.policy.records import Limits, Policy
from schema.policy.view import RoleView

from .assembly import Gateway, executable, fresh_copy
from .generations import GenerationManager
from .profile_instances import ProfileRegistry

if TYPE_CHECKING:  # it imports cryptography, which only gateways with roles need
    from gateway.storage.sealing import Sealer

MAX_VIEWS = 200
"""Views that are kept after their last request."""
CHECKED_AFTER = 64
"""Requests after which the types of all views are counted."""
ANONYMOUS_ROLE = "anonymous"
"""Role of callers who have not signed in, if the policy has it."""
NOTHING = "None of your roles grants anything here."


class ViewKey(Struct, frozen=True):
    """A view: the API of which it is one, and its roles with those that they inherit."""

    profile: str | None
    roles: tuple[str, ...]


def role_views_of(
    settings: Settings, whole: GenerationManager, profiles: ProfileRegistry, observe: Observer
) -> RoleViews | None:
    """Return the views of a gateway; None without roles. Raises SettingsError if there is no key to seal with."""
    return RoleViews(whole, profiles, open_sealer(settings), observe) if settings.roles else None


def known_roles(policy: Policy, caller: Caller) -> tuple[str, ...]:
    """Return the roles of a caller that the policy knows."""
    roles = caller.roles
    if not roles and caller.kind == "anonymous":
        roles = (ANONYMOUS_ROLE,)
    return tuple(name for name in roles if name in policy.roles)


def row_rules(whole: Gateway) -> RowRules:
    """Return the row rules of a gateway's policy, over records of their own."""
    assert whole.policy is not None
    copy = fresh_copy(whole)
    return RowRules(whole.policy, copy.catalog, copy.schema.core, whole.dialect)


def build_view(base: Gateway, view: RoleView, rules: RowRules, sealer: Sealer) -> Gateway:
    """Return the gateway of a view of ``base``. Sends no request, and may run in any thread.

    Raises Forbidden if the roles grant nothing of it.
    """
    catalog = role_catalog(base.catalog, view)
    gateway = _over(base, catalog, ViewRules(view, rules, sealer))
    if not any(True for _ in catalog.roots) and gateway.schema.writes is None:
        raise Forbidden(NOTHING)
    return gateway


def _over(base: Gateway, catalog: RoleCatalog, rules: ViewRules) -> Gateway:
    settings = limited(base.settings, rules.view)
    store = base.introspection_store
    if base.view is None:
        store = view_store(settings, base.metadata.digest, catalog, rules.view)
    schema, engine = executable(
        catalog, settings, base.client, base.dialect, base.observe, store, rules
    )
    return replace(
        base,
        settings=settings,
        catalog=catalog,
        schema=schema,
        engine=engine,
        introspection_store=store,
        view=rules.view,
    )


def limited(settings: Settings, view: RoleView) -> Settings:
    """Return the settings with the limits of a view, which only lower theirs."""
    limits = view.limits
    changed: dict[str, object] = {"introspection": settings.introspection and view.may_introspect}
    for name in ("max_page_size", "max_rows", "max_depth", "operation_timeout"):
        limit, value = getattr(limits, name), getattr(settings, name)
        if limit is not None and limit < value:
            changed[name] = limit
    if limits.max_rows is not None and limits.max_rows < settings.aggregates.max_rows:
        lower = {"max_rows": limits.max_rows}
        changed["aggregates"] = settings.aggregates.model_copy(update=lower)
    if cost := _lower_cost(settings.cost, limits):
        changed["cost"] = settings.cost.model_copy(update=cost)
    page = changed.get("max_page_size")
    if isinstance(page, int) and page < settings.default_page_size:
        changed["default_page_size"] = page
    return settings.model_copy(update=changed)


def _lower_cost(options: CostOptions, limits: Limits) -> dict[str, float]:
    """Return the limits of cost that a view lowers, or adds."""
    lowered: dict[str, float] = {}
    for name in ("max_cost", "points_per_minute"):
        limit, own = getattr(limits, name), getattr(options, name)
        if limit is not None and (own is None or limit < own):
            lowered[name] = limit
    return lowered


class RoleViews:
    """The opened views of a running gateway. Belongs to one event loop."""

    def __init__(
        self,
        whole: GenerationManager,
        profiles: ProfileRegistry,
        sealer: Sealer,
        observe: Observer,
        *,
        most: int = MAX_VIEWS,
    ) -> None:
        self._whole = whole
        self._profiles = profiles
        self._sealer = sealer
        self._observe = observe
        self._most = most
        self._managers: OrderedDict[ViewKey, GenerationManager] = OrderedDict()
        # Streams may go on in views that were dropped; new metadata must reach them, too.
        self._in_use: WeakKeyDictionary[GenerationManager, ViewKey] = WeakKeyDictionary()
        self._opening: dict[ViewKey, asyncio.Task[GenerationManager]] = {}
        self._closures: LRUCache[tuple[str, ...], RoleView] = LRUCache(1_000)
        self._empty: LRUCache[ViewKey, bool] = LRUCache(1_000)
        """Views of the current metadata that show nothing, so that not each request finds it out again."""
        self._rules: tuple[Catalog, RowRules] | None = None
        self._requests = 0

    @property
    def policy(self) -> Policy:
        """The policy of the current metadata."""
        policy = self._whole.gateway.policy
        assert policy is not None
        return policy

    @property
    def opened(self) -> tuple[ViewKey, ...]:
        """The views that are kept, the least recently used first."""
        return tuple(self._managers)

    def view_of(self, caller: Caller) -> RoleView:
        """Return the view of a caller's roles. Raises Forbidden if the policy knows none of them."""
        policy = self.policy
        roles = known_roles(policy, caller)
        if not roles:
            raise Forbidden(NOTHING)
        view = self._closures.get(roles)
        if view is None or view.policy is not policy:
            view = RoleView(policy, roles)
            self._closures.put(roles, view)
        return view

    async def live(self, profile: str | None, view: RoleView) -> GenerationManager:
        """Return what serves a view of an API, opened now if necessary. Raises Forbidden, KeyError."""
        manager = self.opened_live(profile, view)
        if manager is not None:
            return manager
        key = ViewKey(profile, view.roles)
        if self._empty.get(key):
            raise Forbidden(NOTHING)
        task = self._opening.get(key)
        if task is None:
            task = self._opening[key] = asyncio.create_task(self._open(key))
            task.add_done_callback(lambda _: self._opening.pop(key, None))
        # Shielded: other requests may wait for the same view.
        return await asyncio.shield(task)

    def opened_live(self, profile: str | None, view: RoleView) -> GenerationManager | None:
        """Return what serves a view of an API if it is open."""
        key = ViewKey(profile, view.roles)
        manager = self._managers.get(key)
        if manager is None:
            return None
        self._managers.move_to_end(key)
        self._requests += 1
        if self._requests % CHECKED_AFTER == 0:
            self._drop()
        return manager

    async def build_opened(
        self, whole: Gateway, profiles: Mapping[str, Gateway]
    ) -> list[tuple[GenerationManager, Gateway]]:
        """Return a gateway for each opened view, over gateways that are not yet served."""
        if whole.policy is None:
            return []
        rules = await asyncio.to_thread(row_rules, whole)
        built: dict[GenerationManager, Gateway] = {}
        # More views may be opened while these are built.
        while missing := [m for m in self._in_use if m not in built]:
            for manager in missing:
                key = self._in_use[manager]
                base = whole if key.profile is None else profiles[key.profile]
                built[manager] = await asyncio.to_thread(
                    self._rebuilt, base, RoleView(whole.policy, key.roles), rules
                )
        return list(built.items())

    def _rebuilt(self, base: Gateway, view: RoleView, rules: RowRules) -> Gateway:
        # New metadata may lack all that the roles grant: then the view is empty, and its operations are not valid.
        return _over(base, role_catalog(base.catalog, view), ViewRules(view, rules, self._sealer))

    def replace(self, gateways: Iterable[tuple[GenerationManager, Gateway]]) -> None:
        """Serve these gateways from now on."""
        self._empty = LRUCache(1_000)
        for manager, gateway in gateways:
            manager.replace(gateway)

    async def close(self) -> None:
        """Cancel background tasks."""
        for task in self._opening.values():
            task.cancel()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        for manager in tuple(self._in_use):
            await manager.close()

    def _current_rules(self) -> RowRules:
        """Return the rules over the current metadata; the records that they read go with the served catalogue."""
        whole = self._whole.gateway
        if self._rules is None or self._rules[0] is not whole.catalog:
            self._rules = (whole.catalog, row_rules(whole))
        return self._rules[1]

    async def _open(self, key: ViewKey) -> GenerationManager:
        started = time.perf_counter()
        base = await self._base(key.profile)
        gateway = await self._built(key, base)
        # Again if the metadata was replaced meanwhile.
        while base.metadata != self._whole.gateway.metadata:
            base = await self._base(key.profile)
            gateway = await self._built(key, base)
        manager = GenerationManager(
            gateway, self._renewed, budget=base.settings.max_types, observe=self._observe
        )
        self._managers[key] = manager
        self._in_use[manager] = key
        self._observe(
            RoleViewOpened(
                roles=key.roles, profile=key.profile, seconds=time.perf_counter() - started
            )
        )
        self._drop()
        return manager

    async def _built(self, key: ViewKey, base: Gateway) -> Gateway:
        view, rules = RoleView(self.policy, key.roles), self._current_rules()
        try:
            return await asyncio.to_thread(build_view, base, view, rules, self._sealer)
        except Forbidden:
            # New metadata, which came meanwhile, may have what these roles grant.
            if base.metadata == self._whole.gateway.metadata:
                self._empty.put(key, True)
            raise

    async def _base(self, profile: str | None) -> Gateway:
        return (self._whole if profile is None else await self._profiles.live(profile)).gateway

    def _renewed(self, gateway: Gateway) -> Gateway:
        """Return the same view without types in memory."""
        assert isinstance(gateway.catalog, RoleCatalog)
        assert gateway.view is not None
        rules = ViewRules(gateway.view, self._current_rules(), self._sealer)
        return _over(gateway, gateway.catalog.fresh_copy(), rules)

    def _drop(self) -> None:
        """Drop the least recently used views until the others are within their number and types."""
        budget = self._whole.gateway.settings.max_types
        types = list(self._types())
        while len(types) > self._most or (len(types) > 1 and sum(types) > budget):
            self._managers.popitem(last=False)
            del types[0]

    def _types(self) -> Iterator[int]:
        return (manager.gateway.schema.made_types for manager in self._managers.values())
