"""References of a policy to what is known of a caller: ``$claims.NAME`` and ``$user.NAME``.

$claims.groups              the claim ``groups``, a text or a list
$claims.company.id          the claim ``company.id``, or ``id`` in the claim ``company``
$user.company               what the environment knows of its user (``Caller.user``)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Struct

from .caller import Caller

_REFERENCE = re.compile(r"\$([A-Za-z_]+)\.(.*)", re.DOTALL)


class MissingValue(Exception):
    """Nothing is known of the caller under this name, or it is null."""


class Reference(Struct, frozen=True):
    """A reference to a claim, or to a fact of the environment's user."""

    source: Literal["claims", "user"]
    name: str

    def value(self, caller: Caller) -> Any:
        """Return the value. Raises MissingValue."""
        facts = caller.claims if self.source == "claims" else caller.user
        value = _look_up(facts, self.name.split("."))
        try:
            msgspec.json.encode(value, enc_hook=str)
        except ValueError as error:  # half of a surrogate pair, which no request can hold
            raise MissingValue from error
        return value

    def __str__(self) -> str:
        return f"${self.source}.{self.name}"


def reference_of(value: object) -> Reference | None:
    """Return the reference that a value of a policy is; None for any other value.

    Raises ValueError for one that names neither a claim nor a fact of the user: it would never have a value.
    """
    return _reference_in(value) if isinstance(value, str) else None


@lru_cache(maxsize=1_024)
def _reference_in(value: str) -> Reference | None:
    match = _REFERENCE.fullmatch(value)
    if match is None:
        return None
    source, name = match[1], match[2]
    if source == "claims" and name:
        return Reference("claims", name)
    if source == "user" and name:
        return Reference("user", name)
    raise ValueError(f"{value} is no reference: write $claims.NAME or $user.NAME")


def _look_up(facts: Mapping[str, Any], parts: list[str]) -> Any:
    """Return the value at a path, whose names may contain dots themselves (``https://example.com/groups``)."""
    for size in range(len(parts), 0, -1):
        value = facts.get(".".join(parts[:size]))
        if value is None:
            continue
        if size == len(parts):
            return value
        if isinstance(value, Mapping):
            return _look_up(value, parts[size:])
    raise MissingValue
