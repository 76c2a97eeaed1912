"""Profiles: parts of the served catalogue, each with an API and settings of its own.

    settings of the service + [profiles.ap]  →  the settings of ap
    entity sets of the service               →  the entity sets of ap

The model of a profile is a subset of the served model (``model_builder.subset_for_profile``): one document is read for
all of them, and names and ids are the same in each API. Navigations and operations that lead out of the subset are
left out, as they are when ``include`` restricts the service itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_settings import SettingsConfigDict

from gateway.errors import SettingsError
from schema.errors import did_you_mean

from .document_models import DocumentMode, DocumentOptions
from .setting_models import Profile
from .settings import Settings

OF_PROFILES_ALONE = frozenset(
    {
        *("title", "description", "include", "exclude", "categories", "sets", "services", "roles"),
        "documents",
    }
)
"""Fields of a profile that override no setting: ``include`` and ``exclude`` choose among the sets that are served."""
OVERRIDABLE = frozenset(Profile.model_fields) - OF_PROFILES_ALONE
"""Settings that a profile may override."""
NOT_PER_PROFILE = frozenset(
    {
        # One model, client and connection pool are shared by all profiles.
        *("url", "dialect", "null_order", "guid_order", "unkeyed_paging", "page_limit", "apply"),
        *("metadata", "auth", "tenant_id", "client_id", "client_secret", "authority", "scope"),
        *("identity", "credentials", "secrets_dir"),
        *(
            "company_limit_shared",
            "max_url_length",
            "long_list_rows",
            "max_filtered_rows",
            "max_upstream_bytes",
        ),
        *(
            "concurrency",
            "admission",
            "connect_timeout",
            "read_timeout",
            "answer_timeout",
            "retries",
        ),
        *("retry_wait_max", "expand", "cache_dir", "metadata_max_age", "metadata_poll"),
        *(
            "data_dir",
            "store",
            "secret_key",
            "secret_key_old",
            "audit",
            "admin",
            "metrics",
            "tracing",
            "log",
            "shutdown",
        ),
        *("encryption_key", "encryption_key_old", "stored_environments"),
        # Names and ids are the same in each API.
        *("clean_noyes", "clean_null_dates", "clean_dates", "account_numbers", "language"),
        *("names", "include", "exclude", "relations", "relation_presets"),
        # They belong to the process, or to every API alike.
        *("admin_token", "max_types", "host", "port", "keep_alive", "send_timeout"),
        *("max_connections", "max_connections_per_peer", "max_waiting_bytes", "allowed_hosts"),
        "max_operations",
        "max_loop_lag",
        *("trusted_proxies", "root_path", "compression", "compress_over", "graphiql"),
        *("environment_kind", "docs_url", "explain", "cors_origins", "log_format", "log_level"),
        *("max_body_bytes", "max_query_tokens", "profiles", "serve_all"),
        *("writes", "aggregates", "subscriptions", "changes", "jobs", "federation", "sandbox"),
        "unified",
        "scim",
        # One manifest; a profile may choose its mode.
        "documents",
        # A caller has one budget for all of them.
        "cost",
        # A caller has the same roles everywhere; a profile may be bound to some.
        *("roles", "roles_file"),
        "inbound",
        "cache",
        "replicas",
        *("jobs", "hooks", "packages", "webhooks"),
        # Each environment serves the profiles of the deployment.
        *("environments", "environment_host", "environment_idle", "default_environment"),
        "linking",
    }
)
"""Settings of the service that hold for each profile."""


class EnvironmentSettings(Settings):
    """The settings of the deployment with those of an environment over them: see ``environments``."""

    model_config = SettingsConfigDict(defer_build=True)  # most deployments have one environment

    environment: str = ""
    """Name of the environment; empty: that of the settings themselves."""
    tag: str = ""
    """Tag in the ids and cursors of the environment; empty: as if there were no others."""
    environment_title: str | None = None
    is_stored: bool = False
    """Whether it was added at run time: connections then lead to its own origin at public addresses only."""
    kept_snapshots: int = 16
    """Snapshots of models that are kept for all environments together."""


class ProfileSettings(EnvironmentSettings):
    """The settings of the service with those of a profile over them."""

    model_config = SettingsConfigDict(defer_build=True)  # most services have no profiles

    profile: str
    title: str | None = None
    description: str | None = None
    services: tuple[str, ...] = ()
    """Names of its custom services."""
    bound_roles: tuple[str, ...] = ()
    """Roles of the callers who may use it; empty: all callers."""
    chosen: tuple[str, ...] = ()
    """Names of its entity sets and singletons; empty until the metadata is loaded."""


def profile_settings(settings: Settings, name: str) -> ProfileSettings:
    """Return the settings of a profile. Raises SettingsError if there is none of that name."""
    profile = settings.profiles.get(name)
    if profile is None:
        suggestion = did_you_mean(name, settings.profiles)
        names = ", ".join(settings.profiles) or "none"
        raise SettingsError(f"There is no profile {name}.{suggestion}", hint=f"Profiles: {names}.")
    values = {key: getattr(profile, key) for key in OVERRIDABLE}
    overrides: dict[str, Any] = {k: v for k, v in values.items() if v is not None and v != ()}
    # A profile can forbid writing, but not allow what the service forbids.
    overrides["read_only"] = settings.read_only or bool(profile.read_only)
    # All values have been validated as part of ``settings``.
    return ProfileSettings.model_construct(
        **{
            **dict(settings),
            **overrides,
            "profiles": {},
            "serve_all": True,
            "profile": name,
            "title": profile.title,
            "description": profile.description,
            "services": profile.services,
            "bound_roles": profile.roles,
            "documents": _documents(settings.documents, profile.documents),
        }
    )


def _documents(options: DocumentOptions, mode: DocumentMode | None) -> DocumentOptions:
    return options if mode is None else options.model_copy(update={"mode": mode})


def settings_from_json(values: Mapping[str, Any]) -> Settings:
    """Return the settings, or profile settings, that another process has sent as JSON types."""
    if "profile" in values:
        return ProfileSettings.model_validate(values)
    return (EnvironmentSettings if "environment" in values else Settings).model_validate(values)


def tag_in(settings: Settings) -> str:
    """Return the tag of the environment that the settings are of; empty for their own."""
    return settings.tag if isinstance(settings, EnvironmentSettings) else ""


def is_stored(settings: Settings) -> bool:
    """Return whether the settings are of an environment that was added at run time."""
    return isinstance(settings, EnvironmentSettings) and settings.is_stored


def profile_in(settings: Settings) -> str:
    """Return the name of the profile that the settings are of; empty for the whole catalogue."""
    return settings.profile if isinstance(settings, ProfileSettings) else ""


def environment_in(settings: Settings) -> str:
    """Return the name of the environment that the settings are of; empty for their own."""
    return settings.environment if isinstance(settings, EnvironmentSettings) else ""
