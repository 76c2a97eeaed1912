"""The setting ``sandbox.custom_fields``: by which fields and sets one sandbox differs from another.

[sandbox.custom_fields.CustomersV3]
ContosoLoyaltyTier = ["Standard", "Silver", "Gold"]
ContosoLoyaltyPoints = "int32"

[sandbox.custom_fields.ContosoLoyaltyPrograms]      # no set of the catalogue: a set of its own
ProgramId = "text"
StartDate = "date"
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator
from pydantic_settings import NoDecode

from .value_types import Json

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
Kind: TypeAlias = Literal[
    "text", "int32", "int64", "decimal", "date", "moment", "guid", "boolean", "noyes"
]
_Fields: TypeAlias = dict[str, Kind | tuple[str, ...]]


def _check(sets: dict[str, _Fields]) -> dict[str, _Fields]:
    enums: dict[str, tuple[str, ...]] = {}
    for name, fields in sets.items():
        if not fields:
            raise ValueError(f"{name} has no fields")
        for field, kind in fields.items():
            members = kind if isinstance(kind, tuple) else ()
            wrong = [n for n in (name, field, *members) if not _NAME.fullmatch(n)]
            if wrong:
                raise ValueError(f"{wrong[0]!r} is no name: letters, digits and _")
            if isinstance(kind, tuple):
                _check_members(field, members)
                if enums.setdefault(field, members) != members:
                    raise ValueError(f"{field} has other members in another set")
    return sets


def _check_members(field: str, members: tuple[str, ...]) -> None:
    if not members or len(set(members)) < len(members):
        raise ValueError(f"{field} needs members, each of which is named once")


CustomFields: TypeAlias = Annotated[dict[str, _Fields], NoDecode, Json, AfterValidator(_check)]
"""Entity set → field → its kind, or the members of an enum."""
