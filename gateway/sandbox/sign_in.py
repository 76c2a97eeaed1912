"""Signing in to the sandbox as to an environment: bearer tokens of an issuer, users, their companies and their rights.

    token ──▶ user of ``SystemUsers`` (by ``Alias``), or of ``SysAADClients`` (an application) ──▶ enabled? ──▶ User

A token that is missing, forged, for another service, or of nobody that the environment knows is answered 401, as F&O
does; a set that the user's security roles lack is answered 403, and rows of companies that are not the user's do not
exist. https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/services-home-page
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from .exchange import Incoming
from .refusal import Refusal, styled_body
from .store import Store
from .values import fold

ADMINISTRATOR = "-SYSADMIN-"
_SHARED = ("LegalEntities", "Companies", "Currencies", "SystemUsers", "SysAADClients")
_DOCUMENTS = ("*Header*", "*Line*", "ReleasedProducts*", "Warehouses*", "Sites*")
ROLE_SETS: Mapping[str, tuple[str, ...]] = {
    ADMINISTRATOR: ("*",),
    "LEDGERACCOUNTANT": ("*Ledger*", "MainAccounts*", "Dimension*", "Financial*", "Tax*"),
    "LEDGERACCOUNTINGMANAGER": ("*Ledger*", "MainAccounts*", "Fiscal*", "Bank*", "Budget*"),
    "CUSTINVOICEACCOUNTSRECEIVABLECLERK": ("Cust*", "Sales*Invoice*", "PaymentTerms*"),
    "VENDINVOICEACCOUNTSPAYABLECLERK": ("Vend*", "Purchase*Invoice*", "PaymentTerms*"),
    "TRADEPURCHASINGAGENT": ("Vend*", "Purch*", "Product*", *_DOCUMENTS),
    "TRADESALESCLERK": ("Cust*", "Sales*", "Product*", *_DOCUMENTS),
    "WHSWAREHOUSEWORKER": ("Warehouse*", "Invent*", "ReleasedProducts*"),
}
"""Security role → patterns of the sets that it may use; every role may use a few shared ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRules:
    """Which tokens are accepted."""

    issuer: str
    audience: str
    """What tokens must be for (``aud``): the address of the environment."""
    keys: Mapping[str, Any] = field(hash=False)
    """JWK set of the issuer."""
    companies: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """User → companies; for others: all for administrators, else the user's default company."""
    claims: Mapping[str, str] = field(default_factory=dict, hash=False)
    """User → claims request, as JSON, that a token without ``acrs`` is answered with (401)."""
    authorization: str | None = None
    """Address of its tenant's login page, which a 401 names (``authorization_uri``); None: it names none."""


@dataclass(frozen=True, slots=True)
class User:
    """A user who has signed in."""

    id: str
    company: str
    companies: tuple[str, ...] | None
    """None: all."""
    roles: frozenset[str]

    def may_use(self, entity_set: str) -> bool:
        """Return whether one of the user's roles may use a set."""
        patterns = (*_SHARED, *(p for role in self.roles for p in ROLE_SETS.get(role, ())))
        return any(fnmatchcase(entity_set, pattern) for pattern in patterns)


class SignIn:
    """Tells whose request it is."""

    def __init__(self, rules: SignInRules, store: Store, body: str) -> None:
        """``body`` is the style of the 401's body."""
        import jwt  # noqa: PLC0415 - most sandboxes need no tokens

        self._rules = rules
        self._store = store
        self._body = body
        self._jwt = jwt
        self._keys = {key.key_id: key.key for key in jwt.PyJWKSet.from_dict(dict(rules.keys)).keys}

    def user(self, incoming: Incoming) -> User:
        """Return the user of a request. Raises Refusal 401."""
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise self._refusal()
        user = self._known(self._claims(token))
        if user is None:
            raise self._refusal()
        return user

    def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            key = self._keys[self._jwt.get_unverified_header(token).get("kid")]
            claims: Mapping[str, Any] = self._jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                options={"require": ["exp", "aud", "iss"]},
            )
        except (self._jwt.InvalidTokenError, KeyError):
            raise self._refusal() from None
        return claims

    def _known(self, claims: Mapping[str, Any]) -> User | None:
        """Return the enabled user of a token, None if there is none. Raises Refusal 401 if it needs more claims."""
        row = self._row(claims)
        if row is None or not row["Enabled"]:
            return None
        name = str(row["UserID"])
        needed = self._rules.claims.get(name)
        if needed is not None and "acrs" not in claims:
            raise self._refusal(needed)
        found = self._find("SecurityUserRoles", UserId=name)
        roles = frozenset(str(row["SecurityRoleIdentifier"]) for row in found)
        company = fold(str(row["Company"]))
        own = None if ADMINISTRATOR in roles else (company,)
        return User(name, company, self._rules.companies.get(name, own), roles)

    def _row(self, claims: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if "scp" in claims:  # delegated: of a user
            rows = self._find("SystemUsers", Alias=str(claims.get("upn", "")))
        else:
            clients = self._find("SysAADClients", AADClientId=str(claims.get("appid", "")))
            rows = self._find("SystemUsers", UserID=str(clients[0]["UserId"])) if clients else []
        return rows[0] if rows else None

    def _find(self, entity_set: str, **values: str) -> list[dict[str, Any]]:
        storage = self._store.storage(entity_set)
        stored = {name: storage.fields[name].to_stored(value) for name, value in values.items()}
        return list(self._store.find(storage, stored))

    def _refusal(self, claims: str | None = None) -> Refusal:
        parameters = []
        if self._rules.authorization is not None:
            parameters.append(f'authorization_uri="{self._rules.authorization}"')
        if claims is not None:
            encoded = base64.b64encode(claims.encode()).decode()
            parameters.append(f'error="insufficient_claims", claims="{encoded}"')
        header = f"Bearer {', '.join(parameters)}".rstrip()
        return Refusal(
            401,
            "Unauthorized",
            headers={"www-authenticate": header},
            body=styled_body(self._body, 401, "Unauthorized"),
        )
