"""An open environment: everything that serves it, from its client to its subscriptions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass

import httpx

from gateway.config.profiles import environment_in
from gateway.config.settings import Settings
from gateway.events import Observer
from gateway.manifests.store import TrustedStore
from gateway.metadata.model_process import BuildModel
from gateway.runtime.assembly import Gateway, fresh_copy, open_client
from gateway.runtime.background_build import gateway_beside
from gateway.runtime.generations import GenerationManager, ProcessParts
from gateway.runtime.metadata_reload import Reloader
from gateway.runtime.profile_instances import ProfileRegistry
from gateway.runtime.ready_documents import ReadyDocuments
from gateway.runtime.role_views import RoleViews, role_views_of
from gateway.subscriptions.hub import Hub
from gateway.subscriptions.shared_polls import WatchLog


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenEnvironment:
    """What serves one environment."""

    name: str
    """Empty: the environment of the settings themselves."""
    live: GenerationManager
    profiles: ProfileRegistry
    views: RoleViews | None
    """None without roles."""
    subscriptions: Hub
    reloader: Reloader
    documents: ReadyDocuments | None = None
    """None: there are no trusted documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedParts(ProcessParts):
    """What all environments of a process share, documents included."""

    documents: TrustedStore | None = None
    """None: clients can name no documents."""
    log_of: Callable[[str, tuple[Hashable, ...]], WatchLog | None] = lambda _environment, _watch: (
        None
    )
    """Returns what the replicas share that watch the same in an environment."""


@asynccontextmanager
async def serving(
    live: GenerationManager,
    observe: Observer,
    build_model: BuildModel,
    changed: Callable[[Gateway, Gateway], None] = lambda _old, _new: None,
    documents: TrustedStore | None = None,
) -> AsyncIterator[OpenEnvironment]:
    """Yield what serves an environment over its generations, and end it.

    ``changed``: see ``Reloader``; ``documents``: the trusted ones, which are checked in the background.
    """
    settings = live.gateway.settings
    profiles = ProfileRegistry(live, observe)
    views = role_views_of(settings, live, profiles, observe)
    hub = Hub(settings.subscriptions, observe)
    reloader = Reloader(
        live, observe, profiles=profiles, views=views, build_model=build_model, changed=changed
    )
    ready = None if documents is None else ReadyDocuments(documents, live, observe)
    async with reloader.running(), nullcontext() if ready is None else ready.running():
        try:
            yield OpenEnvironment(
                name=environment_in(settings),
                live=live,
                profiles=profiles,
                views=views,
                subscriptions=hub,
                reloader=reloader,
                documents=ready,
            )
        finally:
            await hub.close()
            if views is not None:
                await views.close()
            await profiles.close()


@asynccontextmanager
async def open_environment(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None,
    observe: Observer,
    shared: SharedParts,
    build_model: BuildModel,
    changed: Callable[[Gateway, Gateway], None] = lambda _old, _new: None,
) -> AsyncIterator[OpenEnvironment]:
    """Open an environment while others are served, and close it at the end.

    ``transport`` replaces the network in tests; ``changed``: see ``Reloader``. Raises SettingsError, SchemaError,
    AuthError, UpstreamError.
    """
    network = transport if settings.url else None  # a sandbox is in this process
    opened = open_client(
        settings,
        transport=network,
        observe=observe,
        audit=shared.audit,
        answers=shared.answers,
        lasting=shared.lasting,
    )
    async with opened as client, AsyncExitStack() as stack:
        stack.enter_context(shared.join(client, settings))
        live = GenerationManager(
            await gateway_beside(settings, client, observe, build_model),
            fresh_copy,
            budget=settings.max_types,
            observe=observe,
        )
        try:
            async with serving(
                live, observe, build_model, changed, shared.documents
            ) as environment:
                yield environment
        finally:
            await live.close()
