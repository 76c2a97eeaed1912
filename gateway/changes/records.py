"""The records of changes: rows that were created or updated, and rows that are gone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, TypeAlias

from msgspec import Raw, Struct

Source: TypeAlias = Literal["DELTA", "STAMP", "TWIN", "ETAGS", "VALUES"]
Guarantee: TypeAlias = Literal["EXACT_DELETES", "DELETES_WITHIN", "NONE"]
Reason: TypeAlias = Literal["DELETED", "FILTERED"]


class Kind(StrEnum):
    """How a row has changed."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    CHANGED = "CHANGED"
    """Created or updated: the row does not say which."""
    DELETED = "DELETED"


class ChangedRow(Struct, frozen=True):
    """A row that was created or updated."""

    kind: Kind
    id: str
    etag: str | None
    nodes: Mapping[str, Raw] = {}
    """Name of a selection of its row → the row as JSON."""


class RemovedRow(Struct, frozen=True):
    """A row that is no longer part of the list."""

    id: str
    reason: Reason
