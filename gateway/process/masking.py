"""Masks credentials in text of other servers, whose error pages and traces echo the headers that they were sent.

Every ``detail`` of an error is masked, so logs of an upstream's body are; so are upstream messages for clients.
"""

from __future__ import annotations

import re

_CREDENTIALS = (
    (
        re.compile(
            r"(?<![a-z])(Bearer|Basic|Digest|Negotiate|NTLM)(\s+|%20|\+|&nbsp;|&#(?:x20|32);)"
            r"[\w.~+/=:-]{4,}",
            re.IGNORECASE,
        ),
        r"\1\2********",
    ),
    (re.compile(r"eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?"), "********"),
    (
        re.compile(
            r"((?:client_secret|client_assertion|access_token|refresh_token|id_token|api[_-]?key"
            r"|password|passwd|pwd|secret|sig|cookie|set-cookie|authorization)"
            r"[\"']?\s*[:=]\s*[\"']?)"
            r"(?!Bearer|Basic|Digest|Negotiate|NTLM|\*)[^\s\"'<>&,;}]{3,}",
            re.IGNORECASE,
        ),
        r"\1********",
    ),
)
"""Schemes with credentials (RFC 9110, section 11.4); JSON Web Tokens (RFC 7519); values of keys that name a secret. The
first two also match text that was encoded for a URL or an HTML page."""


def mask(text: str) -> str:
    """``Authorization: Bearer eyJ…`` → ``Authorization: Bearer ********``."""
    for pattern, replacement in _CREDENTIALS:
        text = pattern.sub(replacement, text)
    return text
