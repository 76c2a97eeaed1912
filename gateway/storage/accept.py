"""What a client accepts: lists of preferences with quality values (RFC 9110, sections 12.4.2, 12.5.1 and 12.5.3).

Accept: text/html, application/json;q=0.9, */*;q=0.1
Accept-Encoding: br, gzip;q=0.5, *;q=0
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+', re.DOTALL)
_PARAMETER = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*"?)+', re.DOTALL)
_QUALITY = re.compile(r"[01](?:\.\d*)?|\.\d+", re.ASCII)


class Preference(Struct, frozen=True):
    """One item of a list: a media range, a content coding or a wildcard."""

    name: str
    """In lower case."""
    quality: float
    """0, not acceptable, to 1; 0 as well if it is not a number in this range."""
    parameters: tuple[str, ...] = ()
    """In lower case and without quotes, such as ``charset=utf-8``."""


@lru_cache(maxsize=256)
def preferences(header: str) -> tuple[Preference, ...]:
    """Return the items of a header in their order; empty ones are left out (section 5.6.1)."""
    return tuple(_preferences(header))


def _preferences(header: str) -> Iterator[Preference]:
    for item in _ITEM.findall(header):
        name, _, rest = item.lower().partition(";")
        if not name.strip():
            continue
        quality, others = 1.0, list[str]()
        for parameter in _PARAMETER.findall(rest):
            key, _, value = (part.strip() for part in parameter.partition("="))
            if key == "q":
                quality = _quality(value)
            else:
                others.append(f"{key}={unquoted(value)}")
        yield Preference(name.strip(), quality, tuple(others))


def _quality(text: str) -> float:
    return min(float(text), 1.0) if _QUALITY.fullmatch(text) else 0.0


def unquoted(value: str) -> str:
    """Return the text of a token or quoted string (section 5.6.4)."""
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' else value


@lru_cache(maxsize=1_024)
def media_quality(header: str, media: str, *, is_named: bool = False) -> float:
    """Return how much a client wants a media type of ours in UTF-8, from 0 to 1; a header that is absent wants all.

    The most specific range that matches decides (section 12.5.1). ``is_named``: wildcards do not count, as the type
    is for those only who know what to do with it. Parameters that no type of ours has are ignored, which the section
    allows: an answer is more use than 406.
    """
    if not header.strip():
        return 0.0 if is_named else 1.0
    ranges = {media: 2}
    if not is_named:
        ranges |= {f"{media.partition('/')[0]}/*": 1, "*/*": 0}
    matches = [
        (ranges[item.name] + (_IN_UTF_8 in item.parameters), item.quality)
        for item in preferences(header)
        if item.name in ranges
    ]
    return max(matches)[1] if matches else 0.0


_IN_UTF_8 = "charset=utf-8"


def coding_quality(header: str, coding: str, *, is_named: bool = False) -> float:
    """Return how much a client wants a content coding, from 0 to 1 (section 12.5.3).

    ``is_named``: the wildcard does not count. ``x-gzip`` is gzip (section 8.4.1.3).
    """
    qualities = {item.name.removeprefix("x-"): item.quality for item in preferences(header)}
    return qualities.get(coding, 0.0 if is_named else qualities.get("*", 0.0))
