"""Addresses as they are logged: without their literals, passwords and secret query options."""

from __future__ import annotations

import re

import msgspec

LONGEST = 500
"""Maximum characters of a field in a log line; ``detail`` of an error is not cut off."""
_SPACE = r"(?: |%20|\+)"
_BLANKED = (
    (re.compile(r"//[^/@?]*@"), "//"),
    (re.compile(r"([?&](?:\$skiptoken|code|sig|token|access_token)=)[^&]*", re.IGNORECASE), r"\1…"),
    (re.compile(r"(?:'|%27).*?(?:'|%27)", re.DOTALL), "'…'"),
    (re.compile(rf"({_SPACE}(?:eq|ne|gt|ge|lt|le){_SPACE})(?!\S*'…')[^ )&+%]+"), r"\1…"),
    (re.compile(r"(?<=[(,=])-?\d[\w.:-]*(?=[,)])"), "…"),
)
"""Passwords; opaque and secret query options; quoted literals; bare literals after an operator; those in a key."""


def loggable(url: str) -> str:
    """Return a URL without its literals.

    ``https://me:pw@x/data/Set?$filter=Name eq 'Ann'`` → ``https://x/data/Set?$filter=Name eq '…'``.
    """
    blanked = url
    for pattern, blank in _BLANKED:
        blanked = pattern.sub(blank, blanked)
    return blanked if len(blanked) <= LONGEST else f"{blanked[: LONGEST - 1]}…"


class Address(msgspec.Struct, frozen=True, gc=False):
    """A URL whose literals are blanked when it is printed: most are never logged."""

    _raw: str

    def below(self, root: str) -> str | None:
        """Return the path behind a service root that ends in a slash, without its query; None if it is elsewhere."""
        raw = self._raw
        return raw[len(root) :].partition("?")[0] if raw.startswith(root) else None

    def __str__(self) -> str:
        return loggable(self._raw)

    def __repr__(self) -> str:
        return repr(str(self))
