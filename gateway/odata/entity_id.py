"""Parses the key in the address of a row: ``OData-EntityId`` or ``Location`` of the answer to a create.

    https://x.example/data/Orders(Area='O''Neil%20%26%20Co',OrderId=1) → Area = "O'Neil & Co", OrderId = 1

Only canonical addresses are parsed, with the key in parentheses: OData URL Conventions 4.0, section 4.3.1. Literals:
section 5.1.1.6.1 and the ABNF, https://docs.oasis-open.org/odata/odata/v4.0/errata03/os/complete/abnf/odata-abnf-construction-rules.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from urllib.parse import unquote, urlsplit

from .key_filters import Column
from .literals import parse_value
from .query import KeyPart, Literal

_TOKENS = re.compile(r"'(?:[^']|'')*'|[^']")
_QUOTED = re.compile(r"[\w.]*'(?P<text>(?:[^']|'')*)'", re.DOTALL)
_NAMED = re.compile(r"(?P<name>\w+)=(?P<literal>.*)", re.DOTALL)
_BOOLEANS = {"true": True, "false": False}
_FLOATS = frozenset({"Edm.Double", "Edm.Single"})
_NOT_FINITE = frozenset({"INF", "-INF", "NaN"})


def key_of_address(address: str, columns: Sequence[Column]) -> tuple[KeyPart, ...] | None:
    """Return the key at the end of an address, in the order of ``columns``; None if it has no such key."""
    predicate = _predicate(unquote(urlsplit(address).path))
    if predicate is None:
        return None
    literals = dict(_parts(predicate, columns))
    if literals.keys() != {name for name, _, _ in columns}:
        return None
    try:
        return tuple(
            KeyPart(name, _literal(literals[name], edm_type, is_enum))
            for name, edm_type, is_enum in columns
        )
    except (ValueError, ArithmeticError):
        return None


def _predicate(path: str) -> str | None:
    """Return the text in the last parentheses of a path; quoted text is no syntax."""
    depth = start = 0
    predicate: str | None = None
    at = 0
    for token in _TOKENS.findall(path):
        if token == "(":  # noqa: S105 - a token of the grammar, no secret
            start = at + 1 if depth == 0 else start
            depth += 1
        elif token == ")":  # noqa: S105 - the same
            depth -= 1
            predicate = path[start:at] if depth == 0 else predicate
        at += len(token)
    return predicate


def _parts(predicate: str, columns: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """Yield name and literal of each part; the name of a single part may be left out (section 4.3.1)."""
    parts = [""]
    for token in _TOKENS.findall(predicate):
        if token == ",":  # noqa: S105 - a token of the grammar, no secret
            parts.append("")
        else:
            parts[-1] += token
    for part in parts:
        named = _NAMED.fullmatch(part)
        if named is not None:
            yield named["name"], named["literal"]
        elif len(parts) == len(columns) == 1:
            yield columns[0][0], part


def _literal(text: str, edm_type: str, is_enum: bool) -> Literal:
    """Return the value of a URL literal. Raises ValueError or ArithmeticError if it is none of the type."""
    quoted = _QUOTED.fullmatch(text)
    value: object = text if quoted is None else quoted["text"].replace("''", "'")
    if edm_type == "Edm.String" and quoted is None:
        raise ValueError(f"not a quoted string: {text}")
    if edm_type == "Edm.Boolean":
        value = _BOOLEANS.get(text)
        if value is None:
            raise ValueError(f"not a Boolean: {text}")
    elif edm_type in _FLOATS and text not in _NOT_FINITE:
        value = Decimal(text)
    return Literal(parse_value(edm_type, value), edm_type, is_enum)
