"""Models that one replica makes for all of a deployment: the others take the bytes of its snapshot.

The bytes are checked as those of a file are, and stored in the own cache folder, so the next start needs nobody.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from gateway.config.settings import Settings
from gateway.events import ModelRead, Observer

from .document_loader import MetadataDocument
from .model_builder import (
    LoadedModel,
    Progress,
    content_of,
    find_model,
    install_model,
    make_model,
    open_model,
)
from .model_identity import model_identity
from .model_process import BuildModel

if TYPE_CHECKING:  # it imports the client of Redis, which is optional
    from gateway.replicas.shared_builds import SharedBuilds


def share_builds(builds: SharedBuilds, build_model: BuildModel) -> BuildModel:
    """Return what makes a model if no other replica has made it or makes it now."""
    from gateway.replicas.shared_builds import Build  # noqa: PLC0415 - see above

    async def build(settings: Settings, document: MetadataDocument) -> LoadedModel:
        _, fingerprint = model_identity(settings, document.digest)

        async def install(content: bytes) -> LoadedModel | None:
            return await asyncio.to_thread(install_model, settings, document.digest, content)

        return await builds.once(
            Build[LoadedModel](
                fingerprint=fingerprint,
                make=partial(build_model, settings, document),
                open=install,
                content=lambda loaded: content_of(loaded.model),
            )
        )

    return build


async def first_model(
    settings: Settings,
    document: MetadataDocument,
    progress: Progress | None,
    observe: Observer,
    builds: SharedBuilds | None,
) -> LoadedModel:
    """Return the model with which a process starts, made here or by another replica. Raises SchemaError."""
    # The sandbox makes its document in no time.
    if builds is None or not (settings.url or settings.metadata):
        return open_model(settings, document, progress, observe)
    loaded = await asyncio.to_thread(find_model, settings, document.digest)
    if loaded is not None:
        return loaded

    async def make(settings: Settings, document: MetadataDocument) -> LoadedModel:
        # In a thread, because the lease must be renewed meanwhile.
        return await asyncio.to_thread(make_model, settings, document, progress)

    started = time.perf_counter()
    loaded = await share_builds(builds, make)(settings, document)
    observe(ModelRead(metadata=document.digest, seconds=time.perf_counter() - started))
    return loaded
