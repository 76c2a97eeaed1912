"""Environments of the store as JSON: their options, without secrets, and what the store knows of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gateway.config.environment_models import EnvironmentOptions

if TYPE_CHECKING:  # it imports cryptography
    from gateway.store.stored_environment import StoredEnvironment

ADDRESS = "/e/{name}/graphql"


def options_json(options: EnvironmentOptions) -> dict[str, Any]:
    """Return the options that are set, without secrets."""
    values = options.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    values.pop("client_secret", None)
    credentials = values.get("credentials")
    if credentials is not None:
        credentials.pop("certificate_password", None)
        if not credentials:
            del values["credentials"]
    return values


def environment_json(environment: StoredEnvironment) -> dict[str, Any]:
    """Return an environment as the administration shows it. Of secrets it has the names."""
    linked = environment.linked
    return {
        "name": environment.name,
        **options_json(environment.options),
        "secrets": sorted(environment.secrets),
        "state": environment.state,
        **({} if environment.problem is None else {"problem": environment.problem}),
        "version": environment.version,
        "address": ADDRESS.format(name=environment.name),
        "created": time_text(environment.created),
        "updated": time_text(environment.updated),
        "linked": None
        if linked is None
        else {
            "tenant": linked.tenant,
            "subject": linked.subject,
            "name": linked.name,
            "at": time_text(linked.at),
        },
    }


def time_text(seconds: float) -> str:
    """Return a time as ``2026-11-30T08:23:13+00:00``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with the changes of a patch; null removes (RFC 7396)."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            inner = result.get(name)
            result[name] = merge_patch(inner if isinstance(inner, dict) else {}, value)
        else:
            result[name] = value
    return result
