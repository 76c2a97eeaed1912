"""Events of metadata, and of what is made of it, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class MetadataLoaded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A metadata document was fetched, or read from a file or the cache."""

    source: str
    seconds: float
    digest: str
    size: int


class MetadataStale(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The upstream does not send its metadata; the cached copy is served."""

    source: str
    age: float
    reason: str


class LabelsUnavailable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The upstream does not send label texts; names are used as descriptions."""

    url: str
    reason: str


class CategoriesStale(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The upstream does not send the categories of its entities; those of earlier metadata are used."""

    url: str
    reason: str


class ModelRead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A metadata document was parsed, as there was no snapshot of its model."""

    metadata: str
    """SHA-256 of the document."""
    seconds: float


class SchemaBuilt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The GraphQL schema was built. ``findings`` lists what had to be left out or corrected."""

    seconds: float
    metadata: str
    """SHA-256 of the metadata document."""
    sets: int
    root_fields: int
    """Fields of Query."""
    findings: tuple[str, ...]


class TypesRenewed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A fresh schema of the same metadata replaced one with too many types in memory."""

    types: int
    """Types in memory before."""
    seconds: float


class TypesNotRenewed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Replacing a schema with too many types failed; it stays and grows."""

    types: int
    reason: str


class MetadataReloaded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """New metadata were looked for. ``metadata`` is the SHA-256 of the document that is served now."""

    reason: str
    metadata: str
    changed: bool
    seconds: float


class ReloadFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """New metadata could not be served; the document ``metadata`` stays."""

    reason: str
    metadata: str
    code: str
    message: str
    hint: str | None


class MetadataDrifted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What new metadata changed in the API, once that was compared."""

    breaking: int
    dangerous: int
    safe: int
    operations: int
    """Registered operations that are broken."""
