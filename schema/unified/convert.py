"""Conversions of text that mapping files may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

_SCRIPT = 4
_REGION = 2


def language_tag(text: str) -> str:
    """Return a language as BCP 47 writes it (RFC 5646, section 2.1.1): ``zh-hans-cn`` → ``zh-Hans-CN``."""
    first, *rest = text.strip().replace("_", "-").split("-")
    parts = [first.lower()]
    for part in rest:
        if len(part) == _SCRIPT and part.isalpha():
            parts.append(part.title())
        else:
            parts.append(part.upper() if len(part) == _REGION else part.lower())
    return "-".join(parts)


CONVERSIONS: Mapping[str, Callable[[str], str]] = {
    "language": language_tag,
    "lower": str.lower,
    "upper": str.upper,
}
