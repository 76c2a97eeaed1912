"""Reads the ``$metadata`` document of any service; its rows come from ``generate``."""

from __future__ import annotations

import gzip
from pathlib import Path

from schema.csdl.parse import parse_csdl
from schema.model.records import Model

from .generate import GeneratedRows

__all__ = ["GeneratedRows", "read_document"]


def read_document(path: Path) -> tuple[Model, bytes]:
    """Return the model of a document (xml or xml.gz) and its own bytes, which ``$metadata`` answers."""
    document = path.read_bytes()
    if document.startswith(b"\x1f\x8b"):
        document = gzip.decompress(document)
    return parse_csdl(document, name=path.name), document
