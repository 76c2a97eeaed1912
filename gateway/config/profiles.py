"""Profiles: slices of the served catalogue, each an API of its own with settings of its own.

    settings of the service + [profiles.ap]  →  the settings that hold for ap
    names of the sets that are served        →  the sets of ap

A profile is a part of what the service serves and is called as it is there: its model is taken from the served model
(``models.narrowed``), so one document is read for all, and ids of one API are those of another. What leads out of the
part (a navigation, an operation) is not there, as where ``include`` narrows the service itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_settings import SettingsConfigDict

from gateway.errors import SettingsError
from schema.errors import did_you_mean

from .setting_models import Profile
from .settings import Settings

OF_PROFILES_ALONE = frozenset(
    {"title", "description", "include", "exclude", "categories", "sets", "services"}
)
"""Fields of a profile that override no setting: ``include`` and ``exclude`` choose among the sets that are served."""
OVERRIDABLE = frozenset(Profile.model_fields) - OF_PROFILES_ALONE
"""Settings that a profile may override."""
NOT_PER_PROFILE = frozenset(
    {
        # One model, client and connection pool are shared by all profiles.
        *("url", "dialect", "null_order", "guid_order", "unkeyed_paging", "page_limit"),
        *("metadata", "auth", "tenant_id", "client_id", "client_secret", "authority", "scope"),
        *("company_limit_shared", "max_url_length", "max_filtered_rows", "max_upstream_bytes"),
        *("concurrency", "connect_timeout", "read_timeout", "answer_timeout", "retries"),
        *("retry_wait_max", "expand", "cache_dir", "metadata_max_age", "metadata_poll"),
        # Names and ids are the same in each API.
        *("clean_noyes", "clean_null_dates", "clean_dates", "account_numbers", "language"),
        *("names", "include", "exclude", "relations", "relation_presets"),
        # They belong to the process, or to every API alike.
        *("admin_token", "max_types", "host", "port", "keep_alive", "send_timeout"),
        *("max_connections", "max_connections_per_peer", "max_waiting_bytes", "allowed_hosts"),
        *("trusted_proxies", "root_path", "compression", "compress_over", "graphiql"),
        *("environment_kind", "explain", "cors_origins", "log_format", "log_level"),
        *("max_body_bytes", "max_query_tokens", "profiles", "serve_all"),
        *("writes", "subscriptions", "federation", "sandbox"),
    }
)
"""Settings of the service that hold for each profile."""


class ProfileSettings(Settings):
    """The settings that hold for a profile."""

    model_config = SettingsConfigDict(defer_build=True)  # most services have no profiles

    profile: str
    title: str | None = None
    description: str | None = None
    services: tuple[str, ...] = ()
    """Names of its custom services."""
    chosen: tuple[str, ...] = ()
    """Names of its sets and singletons; none before they are known."""


def profile_settings(settings: Settings, name: str) -> ProfileSettings:
    """Return the settings that hold for a profile. Raises SettingsError where there is none of that name."""
    profile = settings.profiles.get(name)
    if profile is None:
        near = did_you_mean(name, settings.profiles)
        known = ", ".join(settings.profiles) or "none"
        raise SettingsError(f"There is no profile {name}.{near}", hint=f"Profiles: {known}.")
    given = {key: getattr(profile, key) for key in OVERRIDABLE}
    over: dict[str, Any] = {k: v for k, v in given.items() if v is not None and v != ()}
    over["read_only"] = settings.read_only or bool(profile.read_only)
    # Everything has been checked: a part of it need not be checked again.
    return ProfileSettings.model_construct(
        **{
            **dict(settings),
            **over,
            "profiles": {},
            "serve_all": True,
            "profile": name,
            "title": profile.title,
            "description": profile.description,
            "services": profile.services,
        }
    )


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Read settings that another process told, be they a profile's."""
    return (ProfileSettings if "profile" in values else Settings).model_validate(values)
