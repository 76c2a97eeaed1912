"""The full-size document: read once in a run, then opened from its snapshot by every benchmark that needs it.

It is the generated catalogue, or the document that the environment names in ``BENCH_METADATA``.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from functools import cache
from pathlib import Path

from gateway.config.settings import Settings
from gateway.metadata.document_loader import MetadataDocument, load_metadata
from gateway.metadata.model_builder import LoadedModel, open_model
from gateway.odata.client import ODataClient
from tests.support.metadata_documents import CATALOGUE, path_of

_FOLDER = "BENCH_CACHE_FOLDER"


@cache
def source() -> Path:
    """Return the path of the packed document."""
    named = os.environ.get("BENCH_METADATA")
    return Path(named) if named else path_of(CATALOGUE)


@cache
def folder() -> Path:
    """Return the cache folder with its snapshot, which is gone at the end of the run."""
    shared = os.environ.get(_FOLDER)
    if shared:
        return Path(shared)
    made = tempfile.TemporaryDirectory()
    atexit.register(made.cleanup)
    # For the processes that this one starts.
    os.environ[_FOLDER] = made.name
    return Path(made.name)


def settings(**values: object) -> Settings:
    """Return settings that serve it from there, with these others."""
    chosen = {
        "metadata": str(source()),
        "cache_dir": folder(),
        "dialect": "finops",
        "language": None,
    }
    return Settings.model_validate({**chosen, **values})


async def known(settings: Settings) -> tuple[MetadataDocument, LoadedModel]:
    """Return the document and its model, and leave the snapshot that other processes open."""
    root = settings.url or "http://nowhere.invalid/data"
    async with ODataClient(settings, root=root, observe=lambda _: None) as client:
        document = await load_metadata(settings, client, observe=lambda _: None)
    return document, open_model(settings, document, observe=lambda _: None)
