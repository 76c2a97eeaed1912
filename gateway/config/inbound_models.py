"""Settings of callers: the issuers whose tokens are accepted, API keys, client certificates.

[[inbound.issuers]]
entra = "7f2c…-tenant-id"
audiences = ["api://erp-graphql", "0b1d…-client-id"]
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from .value_types import LOOPBACK, Authority, Json, Names, Text

Algorithm: TypeAlias = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
MANY_TENANTS = frozenset({"organizations", "common"})
_TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_MIN_SECRET = 32
"""Bytes of a secret: an HMAC key must be as long as its digest (RFC 7518, section 3.2)."""
SANDBOX_ISSUER = "urn:d365-graphql:sandbox"
"""Issuer of the tokens for users of the embedded sandbox: see the setting ``sandbox.roles``."""
ENTRA_USER = ("upn", "preferred_username", "unique_name")
"""Claims in which Entra names a user of the directory; ``email`` is what anybody may have written into a profile."""
SOURCES = ("discovery", "jwks_url", "jwks_file", "jwks", "secret")
"""Where the keys of an issuer come from; one of them."""


def _key_address(value: str) -> str:
    parts = urlsplit(value.strip())
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not is_safe or not parts.hostname or parts.username or parts.password or parts.fragment:
        raise ValueError("expected an https:// address (http is allowed for 127.0.0.1)")
    return value.strip()


def _tenant(value: str) -> str:
    tenant = value.strip().lower()
    if tenant not in MANY_TENANTS and not _TENANT.fullmatch(tenant):
        raise ValueError(
            "expected the id of the tenant, such as 7f2c9a1e-…, or organizations or common"
        )
    return tenant


def _tenants(values: tuple[str, ...]) -> tuple[str, ...]:
    tenants = tuple(value.strip().lower() for value in values)
    for tenant in tenants:
        if not _TENANT.fullmatch(tenant):
            raise ValueError(f"{tenant!r} is not the id of a tenant, such as 7f2c9a1e-…")
    return tenants


def _fingerprint(value: str) -> str:
    digest = value.replace(":", "").strip().lower()
    if not _FINGERPRINT.fullmatch(digest):
        raise ValueError("expected the SHA-256 of the certificate: 64 hexadecimal digits")
    return digest


KeyAddress: TypeAlias = Annotated[str, AfterValidator(_key_address)]


class Issuer(BaseModel):
    """An issuer whose tokens are accepted, its keys, and what its claims mean."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    issuer: str | None = None
    """The claim ``iss``, exactly. Not with ``entra``."""
    entra: Annotated[str, AfterValidator(_tenant)] | None = None
    """Id of a Microsoft Entra tenant (its v1 and v2 tokens), or ``organizations`` or ``common`` (of ``tenants``)."""
    authority: Authority = "https://login.microsoftonline.com"
    """Login host of ``entra``. Sovereign clouds have their own."""
    tenants: Annotated[Names, AfterValidator(_tenants)] = ()
    """The only tenants of ``organizations`` or ``common`` whose tokens are accepted."""
    audiences: Annotated[Names, Field(min_length=1)]
    """The claim ``aud`` must be one of them."""
    discovery: KeyAddress | None = None
    """Address of the OpenID configuration. None: the issuer's, + /.well-known/openid-configuration."""
    jwks_url: KeyAddress | None = None
    jwks_file: Path | None = None
    jwks: Annotated[dict[str, Any] | None, NoDecode, Json] = None
    """A JWK set: ``{ keys = […] }``."""
    secret: SecretStr | None = None
    """Shared secret of HS256, HS384 and HS512: tokens are accepted with these algorithms only."""
    algorithms: Annotated[tuple[Algorithm, ...], NoDecode, Json] = ()
    """Empty: those that the discovery document names, otherwise all that fit the key."""
    subject_claims: Names = ("oid", "sub")
    """The first of these claims that is present is the caller's subject. A path has dots: ``realm_access.roles``."""
    role_claims: Names = ("roles",)
    group_claims: Names = ("groups",)
    scope_claims: Names = ("scp", "scope")
    name_claims: Names = ("name", "preferred_username", "upn", "email")
    user_claims: Names | None = None
    """Claims with the name by which the environment knows its user (``$user``). None: Entra's, and none of others."""
    role_map: dict[str, Names] = {}
    """Roles by value of the role, group and scope claims. Other values of role claims are roles by their own name."""
    required: dict[str, Names] = {}
    """Claims that must be present, each with one of these values; an empty list: with any."""
    skew: float = Field(default=30.0, ge=0, le=60)
    """Seconds by which clocks may differ."""
    client_id: str | None = None
    """Public client with which the page signs in."""
    scopes: Names = ()
    """Scopes that the page requests when it signs in."""

    @property
    def names_users_in(self) -> tuple[str, ...]:
        """The claims that name a user of the environment; none if the issuer does not know these."""
        if self.user_claims is not None:
            return self.user_claims
        return () if self.entra is None else ENTRA_USER

    @model_validator(mode="after")
    def _fits_together(self) -> Issuer:
        if (self.issuer is None) == (self.entra is None):
            raise ValueError("expected either issuer or entra")
        if (self.entra in MANY_TENANTS) != bool(self.tenants):
            raise ValueError(
                "organizations and common need tenants, the list of the accepted ones; a single tenant has none"
            )
        if len(sources := [name for name in SOURCES if getattr(self, name) is not None]) > 1:
            raise ValueError(f"expected one source of keys, not {' and '.join(sources)}")
        if self.secret is not None and self.algorithms:
            raise ValueError("a secret is used with HS256, HS384 and HS512 only: omit algorithms")
        if self.secret and len(self.secret.get_secret_value().encode()) < _MIN_SECRET:
            raise ValueError(f"the secret must have {_MIN_SECRET} bytes or more")
        if self.issuer is not None and not sources:
            _key_address(self.issuer)
        return self


class ClientCertificate(BaseModel):
    """Roles of callers with a client certificate that a trusted proxy has verified; all patterns must match."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    subject: str | None = None
    """Pattern of the distinguished name: ``CN=erp-*,OU=Integration,O=Contoso``."""
    issuer: str | None = None
    """Pattern of the issuer's distinguished name, if the proxy passes on the certificate itself (``Cert``)."""
    uri: str | None = None
    """Pattern of a URI among the alternative names: ``spiffe://contoso.example/erp/*``."""
    fingerprint: Annotated[str, AfterValidator(_fingerprint)] | None = None
    """SHA-256 of the certificate."""
    name: str | None = None
    """Name of the caller for people."""
    roles: Names = ()

    @model_validator(mode="after")
    def _names_something(self) -> ClientCertificate:
        patterns = (self.subject, self.issuer, self.uri, self.fingerprint)
        if not any(patterns):
            raise ValueError("expected at least one of subject, issuer, uri and fingerprint")
        return self


class InboundOptions(BaseModel):
    """Callers: who may call, and how they prove who they are."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    issuers: Annotated[tuple[Issuer, ...], NoDecode, Json] = Field(
        default=(),
        description="Issuers whose tokens (JWT) are accepted: issuer or entra, audiences, and what their claims mean.",
    )
    api_keys: bool = Field(
        default=False,
        description="Whether API keys are accepted (Authorization: Bearer d365_…).",
    )
    client_certificates: Annotated[tuple[ClientCertificate, ...], NoDecode, Json] = Field(
        default=(),
        description="Client certificates that trusted_proxies pass on in X-Forwarded-Client-Cert, and their roles.",
    )
    environment_claim: Text = Field(
        default=None,
        description="Claim of tokens with the environments that their callers may use: a name, a pattern or a list;"
        " default is that of the settings. Callers with tokens that lack it, and anonymous ones, may use none. Not"
        " set: tokens do not restrict environments.",
    )
    anonymous: bool = Field(
        default=False,
        description="Whether requests without credentials are answered. Without issuers, keys and certificates all"
        " are; a real environment is then served to other machines only if this is true.",
    )
    cache_size: int = Field(
        default=10_000,
        ge=1,
        description="Maximum verified tokens and certificates in memory, per worker: some 5 kB each.",
    )

    @property
    def knows_callers(self) -> bool:
        """Whether there is any way to sign in."""
        return bool(self.issuers or self.api_keys or self.client_certificates)

    @model_validator(mode="after")
    def _has_distinct_issuers(self) -> InboundOptions:
        seen: set[str] = set()
        for issuer in self.issuers:
            name = issuer.issuer or f"{issuer.authority}/{issuer.entra}"
            if name == SANDBOX_ISSUER:
                raise ValueError("issuers: tokens of the sandbox need sandbox.roles, and no url")
            if name in seen:
                raise ValueError(f"issuers: {name} is there twice; list all its audiences in one")
            seen.add(name)
        return self
