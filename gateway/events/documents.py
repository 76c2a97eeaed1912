"""Events of trusted documents, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class DocumentsLoaded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The trusted documents of a manifest are served from now on."""

    manifest: str
    documents: int
    added: int
    removed: int


class DocumentsRefused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A manifest cannot be used. The documents of the one before are served."""

    manifest: str
    reason: str


class DocumentBroken(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A trusted document cannot run under the current metadata."""

    environment: str | None
    """None: that of the settings."""
    document: str
    operation: str | None
    code: str
    message: str


class DocumentsChecked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All trusted documents were checked against the metadata that is served."""

    environment: str | None
    documents: int
    broken: int
    ready: int
    """Documents that are parsed, validated and compiled already."""
    seconds: float
