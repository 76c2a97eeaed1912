"""Credentials in what somebody else said: error pages and traces of servers echo the headers that they were sent.

Every ``detail`` of an error passes through here, so whatever is logged of an upstream's body is masked; so does the
sentence of an upstream that reaches clients.
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
"""Schemes with credentials (RFC 9110, section 11.4); JSON Web Tokens; what is called like a secret. The first two are
found in what was encoded for an address or a page, too."""


def masked(text: str) -> str:
    """``Authorization: Bearer eyJ…`` → ``Authorization: Bearer ********``: for what somebody else said."""
    for pattern, blank in _CREDENTIALS:
        text = pattern.sub(blank, text)
    return text
