"""Reads client certificates that a trusted proxy has verified, from ``X-Forwarded-Client-Cert`` as Envoy writes it.

    By=spiffe://mesh/gateway;Hash=468ed33b…;Subject="CN=erp-sync,O=Contoso";URI=spiffe://contoso.example/erp/sync

Each proxy appends what it has verified, so only the last element counts. ``gateway.http.edge`` removes the header from
requests that no trusted proxy sends.

https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from gateway.config.inbound_models import ClientCertificate

from .caller import Caller
from .refusals import CredentialsRefused

HEADER = "x-forwarded-client-cert"
MAX_HEADER = 32_768
"""Characters of the header; a certificate with its chain has some 8,000."""
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ELEMENTS = re.compile(rf'(?:[^,"]|{_QUOTED})+')
_PAIR = re.compile(rf'([A-Za-z]+)=({_QUOTED}|[^;"]*)(?:;|$)')


def _refused(
    reason: str, message: str = "The client certificate is not accepted."
) -> CredentialsRefused:
    return CredentialsRefused(reason, message)


def certificate_caller(
    header: str, accepted: Iterable[ClientCertificate], now: float
) -> Caller | None:
    """Return the caller with the certificate in a header; None if it has none. Raises CredentialsRefused."""
    facts = read_header(header)
    if not facts.keys() & {"hash", "subject", "uri", "cert"}:
        return None
    certificate = _Certificate(facts)
    matching = [each for each in accepted if certificate.matches(each)]
    if not matching:
        raise _refused("certificate")
    if certificate.expires_at is not None and certificate.expires_at <= now:
        raise _refused("expired", "The client certificate has expired.")
    named = next((each.name for each in matching if each.name), None)
    return Caller(
        kind="certificate",
        issuer=certificate.issuer or "certificate",
        subject=certificate.subject or (certificate.uris or (certificate.fingerprint,))[0],
        name=named,
        roles=tuple(sorted({role for each in matching for role in each.roles})),
        claims=certificate.claims,
        expires_at=certificate.expires_at,
    )


class _Certificate:
    """What a header says of a certificate."""

    def __init__(self, facts: Mapping[str, tuple[str, ...]]) -> None:
        self.subject = facts.get("subject", ("",))[0]
        self.uris = facts.get("uri", ())
        self.fingerprint = facts.get("hash", ("",))[0].lower()
        self.issuer = ""
        self.expires_at: float | None = None
        if "cert" in facts:
            self._read(facts["cert"][0])

    def _read(self, encoded: str) -> None:
        """Read the certificate itself: it, and not the other facts, says who its subject is."""
        from cryptography import x509  # noqa: PLC0415 - most proxies pass on no certificate
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - likewise

        try:
            certificate = x509.load_pem_x509_certificate(unquote(encoded).encode())
            self.subject = certificate.subject.rfc4514_string()
            self.issuer = certificate.issuer.rfc4514_string()
            self.fingerprint = certificate.fingerprint(SHA256()).hex()
            self.expires_at = certificate.not_valid_after_utc.timestamp()
        except ValueError as error:
            raise _refused("malformed") from error

    def matches(self, accepted: ClientCertificate) -> bool:
        """Return whether the certificate has everything that a setting names."""
        checks = (
            (accepted.subject, (self.subject,)),
            (accepted.issuer, (self.issuer,)),
            (accepted.uri, self.uris),
        )
        if accepted.fingerprint is not None and accepted.fingerprint != self.fingerprint:
            return False
        return all(
            any(value and fnmatchcase(value, pattern) for value in values)
            for pattern, values in checks
            if pattern is not None
        )

    @property
    def claims(self) -> Mapping[str, Any]:
        """What rules may refer to."""
        return {"subject": self.subject, "uri": list(self.uris), "fingerprint": self.fingerprint}


def read_header(header: str) -> Mapping[str, tuple[str, ...]]:
    """Return the facts of the last element by lower-case name. Raises CredentialsRefused if it is malformed."""
    if len(header) > MAX_HEADER:
        raise _refused("too_long")
    elements = _ELEMENTS.findall(header)
    # An unterminated quote, or nothing between two commas.
    if ",".join(elements) != header:
        raise _refused("malformed")
    facts: dict[str, list[str]] = {}
    rest = elements[-1].strip() if elements else ""
    while rest:
        pair = _PAIR.match(rest)
        if pair is None:
            raise _refused("malformed")
        facts.setdefault(pair[1].lower(), []).append(_unquoted(pair[2]))
        rest = rest[pair.end() :]
    return {name: tuple(values) for name, values in facts.items()}


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
