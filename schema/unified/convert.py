"""Conversions of text that mapping files may name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_SCRIPT = 4
_REGION = 2
_ESCAPED = re.compile(r"\\(.)")


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


def account_number(text: str) -> str:
    r"""Return the account number in a display value, whose delimiters are escaped: ``US\-009`` → ``US-009``."""
    return _ESCAPED.sub(r"\1", text)


CONVERSIONS: Mapping[str, Callable[[str], str]] = {
    "language": language_tag,
    "account": account_number,
    "lower": str.lower,
    "upper": str.upper,
}
