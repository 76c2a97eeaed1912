"""Builds a gateway while others serve requests: what takes long is done in a thread or a subprocess."""

from __future__ import annotations

import asyncio
import time

from gateway.config.settings import Settings
from gateway.events import ModelRead, Observer
from gateway.metadata.document_loader import MetadataDocument, load_metadata
from gateway.metadata.model_builder import LoadedModel, find_model, make_model
from gateway.metadata.model_process import BuildModel
from gateway.metadata.preset_services import with_preset_services
from gateway.odata.client import ODataClient

from .assembly import (
    Gateway,
    build,
    choose_cached_sets,
    read_labels,
    read_profiles,
    with_policy,
)


async def gateway_beside(
    settings: Settings, client: ODataClient, observe: Observer, build_model: BuildModel
) -> Gateway:
    """Return the first gateway of an environment. Raises SettingsError, SchemaError, AuthError, UpstreamError."""
    document = await load_metadata(settings, client, observe=observe)
    loaded = await load_model(settings, document, build_model, observe)
    return await build_gateway(settings, client, document, loaded, observe)


async def load_model(
    settings: Settings, document: MetadataDocument, build_model: BuildModel, observe: Observer
) -> LoadedModel:
    """Return the model of a document, from the snapshot of another process or made now. Raises SchemaError."""
    loaded = await asyncio.to_thread(find_model, settings, document.digest)
    if loaded is not None:
        return loaded
    started = time.perf_counter()
    if settings.url or settings.metadata:
        loaded = await build_model(settings, document)
    else:
        loaded = await asyncio.to_thread(make_model, settings, document)
    observe(ModelRead(metadata=document.digest, seconds=time.perf_counter() - started))
    return loaded


async def build_gateway(
    settings: Settings,
    client: ODataClient,
    document: MetadataDocument,
    loaded: LoadedModel,
    observe: Observer,
) -> Gateway:
    """Return the gateway of a loaded model. Raises SettingsError, SchemaError, UpstreamError."""
    settings = await with_preset_services(settings, client, loaded)
    labels = await read_labels(settings, client, loaded, observe)
    profiles = await read_profiles(settings, client, loaded, document.digest, observe)
    fresh = await asyncio.to_thread(
        build, settings, client, document.origin, loaded, labels, observe, profiles
    )
    ready = await with_policy(fresh)
    await choose_cached_sets(ready)
    return ready
