"""The issuers whose tokens are accepted, by the claim ``iss``.

A setting with ``entra`` stands for several values of it: v1 and v2 tokens of one tenant, or of each tenant in its list.

https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-tokens
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from gateway.config.inbound_models import MANY_TENANTS, Issuer
from gateway.errors import SettingsError

_V1_HOSTS = {"login.partner.microsoftonline.cn": "sts.chinacloudapi.cn"}
"""Host of the issuer of v1 tokens by login host; everywhere else ``sts.windows.net``."""
WELL_KNOWN = "/.well-known/openid-configuration"


class AcceptedIssuer(Struct, frozen=True, kw_only=True):
    """One value of ``iss``."""

    iss: str
    name: str
    """The same for all tokens of one issuer: for a tenant of Entra, that of its v2 tokens."""
    options: Issuer
    tenant: str | None = None
    """The tenant, which the claim ``tid`` must name."""
    version: str | None = None
    """Version of Entra's tokens, which the claim ``ver`` must name."""


def accepted_issuers(options: Iterable[Issuer]) -> Mapping[str, AcceptedIssuer]:
    """Return the accepted issuers by ``iss``. Raises SettingsError if two settings are about the same one."""
    accepted: dict[str, AcceptedIssuer] = {}
    for option in options:
        for issuer in _accepted_by(option):
            if issuer.iss in accepted:
                raise SettingsError(
                    f"inbound.issuers: tokens of {issuer.iss} are accepted by two of them.",
                    hint="List all audiences of an issuer in one table.",
                )
            accepted[issuer.iss] = issuer
    return accepted


def _accepted_by(option: Issuer) -> Iterator[AcceptedIssuer]:
    if option.issuer is not None:
        yield AcceptedIssuer(iss=option.issuer, name=option.issuer, options=option)
        return
    assert option.entra is not None
    host = urlsplit(option.authority).hostname or ""
    for tenant in option.tenants or (option.entra,):
        name = f"{option.authority}/{tenant}/v2.0"
        old = f"https://{_V1_HOSTS.get(host, 'sts.windows.net')}/{tenant}/"
        for iss, version in ((name, "2.0"), (old, "1.0")):
            yield AcceptedIssuer(iss=iss, name=name, options=option, tenant=tenant, version=version)


def discovery_of(option: Issuer) -> tuple[str, str]:
    """Return the address of the discovery document of an issuer, and the ``issuer`` that it must name."""
    if option.entra is None:
        assert option.issuer is not None
        return option.discovery or f"{option.issuer.rstrip('/')}{WELL_KNOWN}", option.issuer
    # Literally: the document for several tenants has this placeholder.
    named = "{tenantid}" if option.entra in MANY_TENANTS else option.entra
    address = option.discovery or f"{option.authority}/{option.entra}/v2.0{WELL_KNOWN}"
    return address, f"{option.authority}/{named}/v2.0"


def name_of(option: Issuer) -> str:
    """Return the name of an issuer's keys in the log."""
    return option.issuer or f"{option.authority}/{option.entra}"


def is_key_of(key_issuer: str | None, issuer: AcceptedIssuer, peers: Iterable[str]) -> bool:
    """Return whether a key that is limited to an issuer may sign for this one.

    ``peers`` are all values of ``iss`` of the same name. Entra publishes keys of several tenants in one set, and some
    are of one tenant only: https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-signing-key-issuer.
    """
    if key_issuer is None or issuer.tenant is None:
        return True
    return key_issuer.replace("{tenantid}", issuer.tenant) in {issuer.iss, *peers}
