"""Parses the query string, with the refusals of section 2.1.

In F&O ``$expand`` goes one level deep and takes only ``$select`` inside; unknown options that begin with ``$`` are
refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NoReturn
from urllib.parse import unquote_plus

from .refusal import Refusal

_KNOWN = frozenset(
    {"$filter", "$select", "$orderby", "$top", "$skip", "$count", "$expand", "$format"}
)
_GENERIC = frozenset({"$skiptoken", "$search", "$compute", "$levels"})
_ORDER = re.compile(r"([\w/]+)(?:\s+(asc|desc))?")


@dataclass(frozen=True, slots=True)
class Order:
    """One term of ``$orderby``."""

    path: tuple[str, ...]
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Expand:
    """One navigation of ``$expand`` with its own options."""

    navigation: str
    options: Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a query string."""

    filter: str | None = None
    select: tuple[str, ...] = ()
    """Empty means everything."""
    expand: tuple[Expand, ...] = ()
    order: tuple[Order, ...] = ()
    top: int | None = None
    skip: int = 0
    count: bool = False
    skip_token: str | None = None
    cross_company: bool = False


def query_items(query: str) -> list[tuple[str, str]]:
    """Return the decoded items of a query string; ``+`` means a blank, as in .NET."""
    items = (part.partition("=") for part in query.split("&") if part)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in items]


def parse_options(
    query: str, *, finops: bool, skip_tokens: bool, refuse_skip: bool = False
) -> Options:
    """Return the options of a query string."""
    given: dict[str, str] = {}
    for name, value in query_items(query):
        if name.startswith("$"):
            if name in given:
                raise Refusal(
                    400,
                    f"Query option '{name}' was specified more than once, but it must be specified at most once.",
                )
            _check_name(name, finops=finops, skip_tokens=skip_tokens)
            if name == "$skip" and refuse_skip:
                raise Refusal(400, "The query parameter '$skip' is not supported.")
        given.setdefault(name, value)
    _check_format(given.get("$format", "json"))
    options = _options(given, finops=finops, depth=0)
    return replace(options, cross_company=given.get("cross-company") == "true")


def _check_name(name: str, *, finops: bool, skip_tokens: bool) -> None:
    if (
        name in _KNOWN
        or (name == "$skiptoken" and skip_tokens)
        or (not finops and name in _GENERIC)
    ):
        return
    raise Refusal(400, f"The query parameter '{name}' is not supported.")


def _check_format(value: str) -> None:
    if value != "json" and not value.startswith("application/json"):
        raise Refusal(
            400, f"The query parameter '$format' has the value '{value}', which is not supported."
        )


def _options(given: dict[str, str], *, finops: bool, depth: int) -> Options:
    return Options(
        filter=given.get("$filter"),
        select=_names(given.get("$select", "")),
        expand=_expands(given.get("$expand", ""), finops=finops, depth=depth),
        order=_orders(given.get("$orderby", "")),
        top=_natural("$top", given["$top"]) if "$top" in given else None,
        skip=_natural("$skip", given["$skip"]) if "$skip" in given else 0,
        count=_flag("$count", given.get("$count", "false")),
        skip_token=given.get("$skiptoken"),
    )


def _natural(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > 2**31 - 1:
        raise Refusal(
            400,
            f"Invalid value '{text}' for {name} query option found. It must be a non-negative integer.",
        )
    return int(text)


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise Refusal(400, f"'{text}' is not a valid value for {name}.")
    return text == "true"


def _names(text: str) -> tuple[str, ...]:
    if not text.strip():
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise Refusal(400, f"Syntax error in '{text}': a name is expected.")
    return () if "*" in names else names


def _orders(text: str) -> tuple[Order, ...]:
    if not text.strip():
        return ()
    return tuple(_order(part.strip(), text) for part in text.split(","))


def _order(part: str, text: str) -> Order:
    match = _ORDER.fullmatch(part)
    if match is None:
        raise Refusal(400, f"Syntax error in '{text}'.")
    return Order(tuple(match[1].split("/")), match[2] == "desc")


def _expands(text: str, *, finops: bool, depth: int) -> tuple[Expand, ...]:
    if not text.strip():
        return ()
    if depth > 10:
        raise Refusal(400, "The request includes a $expand path which is too deep.")
    return tuple(_expand(part.strip(), finops=finops, depth=depth) for part in _split(text, ","))


def _expand(text: str, *, finops: bool, depth: int) -> Expand:
    name, opening, rest = text.partition("(")
    if not name or (opening and not rest.endswith(")")):
        _syntax(text)
    inner: dict[str, str] = {}
    for item in _split(rest[:-1], ";") if opening else ():
        option, _, value = item.strip().partition("=")
        inner[option] = value
    if finops:
        _check_expand(name, inner)
    return Expand(name, _options(inner, finops=finops, depth=depth + 1))


def _check_expand(name: str, inner: dict[str, str]) -> None:
    """Raise Refusal unless ``$expand`` has one level with nothing but ``$select`` (section 2.1; the rest is [U])."""
    if "/" in name or "$expand" in inner or "$levels" in inner:
        raise Refusal(
            400,
            "The request includes a $expand path which is too deep. The maximum depth allowed is 1.",
        )
    for option in inner:
        if option != "$select":
            raise Refusal(400, f"The query option '{option}' is not supported inside $expand.")


def _split(text: str, separator: str) -> list[str]:
    """Return the parts of a text between separators outside parentheses and quotes."""
    parts = [""]
    depth, quoted = 0, False
    for char in text:
        quoted ^= char == "'"
        depth += 0 if quoted else (char == "(") - (char == ")")
        if char == separator and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    if depth or quoted:
        _syntax(text)
    return parts


def _syntax(text: str) -> NoReturn:
    raise Refusal(400, f"Syntax error in '{text}'.")


def without_paging(query: str) -> list[str]:
    """Return the raw items of a query string that a next link keeps."""
    dropped = {"$skip", "$skiptoken", "$top"}
    return [
        part
        for part in query.split("&")
        if part and unquote_plus(part.partition("=")[0]) not in dropped
    ]
