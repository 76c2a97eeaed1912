"""Settings of trusted documents: ``[documents]``, and ``[documents.policy."PATTERN"]``."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from .value_types import LOOPBACK, Json, Names

DocumentMode: TypeAlias = Literal["off", "prefer", "only"]
"""Which documents run: those that are sent (off), those and trusted ones by name (prefer), trusted ones (only)."""


def is_address(value: str) -> bool:
    """Return whether a manifest is fetched, not read from a file."""
    return "://" in value


def _manifest(value: str) -> str:
    stripped = value.strip()
    if not stripped:
        raise ValueError("expected a file, a folder or an https address")
    if is_address(stripped):
        parts = urlsplit(stripped)
        is_local = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or is_local):
            # Whoever could answer in its place would choose which documents run.
            raise ValueError("expected an https address; http only on this machine")
        if parts.username or parts.password:
            raise ValueError("expected an address without a password: use documents.token")
    return stripped


class DocumentPolicyOptions(BaseModel):
    """What holds for the documents whose id or operation name matches the pattern."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    roles: Names = ()
    """Roles of the callers who may run them. Empty: all."""
    max_cost: float | None = Field(default=None, gt=0)
    """Maximum points of an operation, as in ``cost.max_cost``."""
    max_age: int | None = Field(default=None, ge=0)
    """Seconds for which answers to GET may be cached."""


class DocumentOptions(BaseModel):
    """Trusted documents: those of a manifest, which clients name instead of sending them."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    mode: DocumentMode = Field(
        default="prefer",
        description="Which documents run: prefer: those of the manifest by name, and all that are sent; only: those"
        " of the manifest; off: none by name. Profiles and roles may set their own.",
    )
    manifest: Annotated[str, AfterValidator(_manifest)] | None = Field(
        default=None,
        description="Manifest of Apollo's, Relay's or Hive's build tools, a folder of manifests and .graphql files,"
        " or an https address.",
    )
    token: SecretStr | None = Field(
        default=None, description="Token for an https address (Authorization: Bearer …)."
    )
    poll: float = Field(
        default=30.0,
        ge=0,
        description="Seconds between checks for a new manifest (±10 % jitter); 0: never.",
    )
    check_hashes: bool = Field(
        default=True,
        description="Whether ids that look like SHA-256, SHA-1 or MD5 must be the hash of their document.",
    )
    max_bytes: int = Field(
        default=50_000_000,
        ge=1_000,
        description="Maximum size of all manifests together, in bytes.",
    )
    automatic: bool = Field(
        default=False,
        description="Whether clients may register documents by their hash (Apollo's automatic persisted queries)."
        " Never in mode only.",
    )
    automatic_size: int = Field(
        default=5_000_000,
        ge=10_000,
        description="Characters of registered documents that are kept per worker; the least recently used go first.",
    )
    max_age: int | None = Field(
        default=None,
        ge=0,
        description="Seconds for which answers to GET of trusted documents may be cached (Cache-Control); 0: not at"
        " all. Not set: cache.ttl for what is read from sets whose answers are cached, else not at all.",
    )
    policy: Annotated[dict[str, DocumentPolicyOptions], NoDecode, Json] = Field(
        default={},
        description="Pattern of ids or operation names = roles, max_cost and max_age of these documents.",
    )

    @model_validator(mode="after")
    def _has_documents(self) -> DocumentOptions:
        if self.mode == "only" and self.manifest is None:
            raise ValueError("mode only needs manifest: nothing else would run")
        return self
