"""Checks of settings that depend on other settings. A ``ValueError`` says what is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from schema.errors import did_you_mean

from .admission_models import AdmissionOptions
from .document_models import DocumentOptions
from .inbound_models import InboundOptions
from .sandbox_roles import has_sandbox_roles, sandbox_roles
from .setting_models import Profiles


def derived_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that depend on other values."""
    derived: dict[str, Any] = {}
    if values.get("auth") is None:
        # A tenant shows that credentials are meant, also if one of them is missing, which is then an error.
        signs_in = bool(values.get("url") and values.get("tenant_id"))
        derived["auth"] = "client_credentials" if signs_in else "none"
    # Absent, not None: "none" switches labels off. Real environments may need a request per label.
    if "language" not in values and not values.get("url"):
        derived["language"] = "en-US"
    if values.get("scope") is None and isinstance(values.get("url"), str):
        parts = urlsplit(values["url"].strip())
        derived["scope"] = f"{parts.scheme}://{parts.netloc.lower()}/.default"
    if not values.get("roles") and has_sandbox_roles(values.get("sandbox")):
        derived["roles"] = sandbox_roles()
    return derived


def check_companies(data: Mapping[str, Any]) -> None:
    """Raise ValueError if a company that is read by default is outside of ``company_limit``.

    ``data``, here and below, are the fields before the checked one; one that was invalid is missing and has its own
    error.
    """
    inside = {company.casefold() for company in data.get("company_limit", ())}
    companies = data.get("companies", ())
    outside = [c for c in companies if inside and c.casefold() not in inside]
    if outside:
        raise ValueError(f"companies contains {', '.join(outside)}, which company_limit does not")


def check_profiles(profiles: Profiles, data: Mapping[str, Any]) -> None:
    """Raise ValueError if a profile allows what the service does not."""
    pages = [data.get(name) for name in ("default_page_size", "max_page_size")]
    bound = data.get("company_limit", ()) or data.get("companies", ())
    companies = {company.casefold() for company in bound}
    for name, profile in profiles.items():
        default, most = profile.default_page_size or pages[0], profile.max_page_size or pages[1]
        if default is not None and most is not None and most < default:
            raise ValueError(
                f"{name}: max_page_size {most} is less than default_page_size {default}"
            )
        requested = (*profile.companies, *profile.company_limit)
        unknown = [c for c in requested if companies and c.casefold() not in companies]
        if unknown:
            raise ValueError(f"{name}: {', '.join(unknown)} is not in companies or company_limit")


def check_lane_credentials(options: AdmissionOptions, data: Mapping[str, Any]) -> None:
    """Raise ValueError if lanes have credentials of their own and the gateway does not sign in as itself."""
    if not options.credentials:
        return
    auth = data.get("auth", "client_credentials")
    if auth != "client_credentials" or data.get("identity", "app") != "app":
        raise ValueError("credentials needs auth = client_credentials and identity = app")


def check_documents(options: DocumentOptions, data: Mapping[str, Any]) -> None:
    """Raise ValueError if trusted documents are required and there are none, or a role of theirs does not exist."""
    roles = data.get("roles", {})
    if options.manifest is None:
        for group in ("profiles", "roles"):
            for name, each in data.get(group, {}).items():
                if each.documents == "only":
                    raise ValueError(f"{group}.{name}.documents is only, which needs manifest")
    for pattern, policy in options.policy.items():
        for role in policy.roles:
            if role not in roles:
                raise ValueError(
                    f"policy.{pattern}.roles: there is no role {role}.{did_you_mean(role, roles)}"
                )


def check_certificates(inbound: InboundOptions, data: Mapping[str, Any]) -> None:
    """Raise ValueError if client certificates are accepted and no proxy is named that has verified them."""
    proxies = data.get("trusted_proxies", ())
    # Anybody can write the header, and a proxy that is not named may pass on its client's own.
    if inbound.client_certificates and (not proxies or "*" in proxies):
        raise ValueError("client_certificates needs trusted_proxies, with addresses and not *")


def check_environments(setting: str | None, value: Any, data: Mapping[str, Any]) -> None:
    """Raise ValueError if one of the settings about environments does not fit those before it."""
    has_stored = data.get("stored_environments", True)
    match setting:
        case "default_environment":
            if not value and not has_stored and not data.get("environments", {"": None}):
                raise ValueError("false needs environments: nothing else would be served")
        case "stored_environments":
            if value:
                _check_store(data)
        case "linking":
            if value.public_url is not None and not has_stored:
                raise ValueError("public_url needs stored_environments = true")


def _check_store(data: Mapping[str, Any]) -> None:
    """Raise ValueError if environments cannot be stored, or no key for their secrets is shared by all replicas."""
    store = data.get("store")
    if store == "none":
        raise ValueError("true needs a store, and store is none")
    if store == "sqlite" and "data_dir" in data and data["data_dir"] is None:
        raise ValueError("true needs data_dir, the folder of the store")
    if isinstance(store, SecretStr) and data.get("encryption_key", True) is None:
        raise ValueError("true needs encryption_key, for replicas with PostgreSQL share no folder")
