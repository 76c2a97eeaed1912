"""What the login host's refusals mean, and what to do about each.

https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from gateway.errors import TokenRefused

HINTS: Mapping[int, str] = {
    7000215: "Is client_secret the secret's value (not its id), and of this application?",
    7000222: "The secret has expired: make a new one and set client_secret.",
    700016: "Is client_id right, and is the application registered in this tenant?",
    700027: "Is credentials.certificate registered for this application, and has it not expired?",
    700024: "The token in credentials.federated_token_file has expired: is it still projected?",
    70021: "No federated credential of the application has the issuer and subject of the workload's token.",
    700213: "No federated credential of the application has the subject of the workload's token.",
    90002: "Is tenant_id right?",
    900023: "tenant_id is neither a tenant's id nor one of its domains.",
    500011: "The scope names no service of this tenant: is the url that of an environment of the tenant?",
    70011: "The scope is malformed: it is the environment's address + /.default.",
    1002012: "The scope is malformed: it is the environment's address + /.default.",
    7000112: "The application is disabled in this tenant.",
    53003: "A conditional access policy of the tenant forbids this sign-in.",
    65001: "Consent is missing: grant the application the delegated permissions of Dynamics ERP, for all users.",
    50013: "Are callers' tokens issued for client_id itself (their aud), by the tenant of tenant_id?",
    50105: "The caller is not assigned to the application, which requires assignment.",
}
"""What to check, by AADSTS number."""
OUTDATED_CREDENTIAL = "invalid_client"
"""The error that a newer secret or certificate may mend."""


def codes_of(result: Mapping[str, Any]) -> list[int]:
    """Return the AADSTS numbers of a refusal."""
    return [code for code in result.get("error_codes") or () if isinstance(code, int)]


def name_of(result: Mapping[str, Any]) -> str:
    """``AADSTS7000215``, else the error's name."""
    codes = codes_of(result)
    return f"AADSTS{codes[0]}" if codes else str(result.get("error", "no reason given"))


def refused(result: Mapping[str, Any], hidden: Iterable[str], otherwise: str) -> TokenRefused:
    """Return the error for a refusal, without the texts in ``hidden``; ``otherwise`` is the hint for unknown ones."""
    hint = next((HINTS[code] for code in codes_of(result) if code in HINTS), otherwise)
    return TokenRefused(
        f"The login host refused to issue a token ({without(name_of(result), hidden)}).",
        hint=hint,
        detail=without(str(result.get("error_description", ""))[:2_000], hidden),
    )


def without(text: str, hidden: Iterable[str]) -> str:
    """Return a text in which secrets are blanked, in case an answer echoes the form of the request."""
    for secret in hidden:
        for form in {secret, quote(secret, safe=""), quote_plus(secret)} - {""}:
            text = text.replace(form, "********")
    return text
