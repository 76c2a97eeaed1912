"""What decides a model and its names: the settings that do, the document, and this program.

A snapshot on disk is used only if all of it is equal. ``DECIDING`` and ``NOT_DECIDING`` together name every setting: a
test fails for a new one that is in neither, and for one that is read while a model is made and is not in ``DECIDING``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.config.profiles import ProfileSettings, tag_in
from gateway.config.settings import Settings
from gateway.odata.dialects import dialect_for
from gateway.storage.model_snapshots import fingerprint_of

from .unified_models import models_digest

DECIDING = (
    *("url", "metadata", "dialect", "include", "exclude", "names"),
    *("relations", "relation_presets"),
    *("clean_noyes", "clean_null_dates", "clean_dates", "account_numbers"),
    *("federation.prefix", "federation.type_prefix"),
)
"""Settings on which a model or a name depends; one of a group as ``group.name``."""

NOT_DECIDING = frozenset(
    {
        # how the service is called, and flags of the dialect that say nothing about its model
        *("auth", "tenant_id", "client_id", "client_secret", "authority", "scope", "language"),
        *("identity", "credentials", "secrets_dir"),
        *("null_order", "guid_order", "unkeyed_paging", "page_limit", "apply", "expand"),
        "concurrency",
        "admission",
        *("connect_timeout", "read_timeout", "answer_timeout", "retries", "retry_wait_max"),
        *("cache_dir", "metadata_max_age", "metadata_poll", "max_upstream_bytes", "max_url_length"),
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
        # what requests may do
        *("companies", "company_limit", "company_limit_shared", "default_page_size"),
        *(
            "max_page_size",
            "max_rows",
            "long_list_rows",
            "max_filtered_rows",
            "operation_timeout",
            "max_types",
        ),
        *("max_query_tokens", "max_depth", "max_root_fields", "max_selections", "max_aliases"),
        *("max_directives", "read_only", "writes", "subscriptions", "introspection", "explain"),
        *("aggregates", "changes", "jobs", "unified", "scim", "packages", "hooks", "webhooks"),
        "cost",
        *("federation.enabled", "federation.version", "federation.node", "federation.tags"),
        "federation.unified",
        # the part that a profile serves has a snapshot of its own, by the names of its sets
        *("profiles", "serve_all"),
        # they hide, and name nothing
        *("roles", "roles_file"),
        # who calls, and what they may run
        *("inbound", "documents"),
        # which environments there are; the settings of one say where it is
        *("environments", "environment_host", "environment_idle", "default_environment"),
        "linking",
        # the cache of answers
        "cache",
        # what replicas share
        "replicas",
        # the server
        *("host", "port", "root_path", "allowed_hosts", "trusted_proxies", "cors_origins"),
        *("keep_alive", "send_timeout", "max_connections", "max_connections_per_peer"),
        *(
            "max_operations",
            "max_loop_lag",
            "max_waiting_bytes",
            "max_body_bytes",
            "compression",
            "compress_over",
        ),
        *("admin_token", "graphiql", "environment_kind", "docs_url", "log_format", "log_level"),
        # its document decides, by the digest
        "sandbox",
    }
)
"""Settings with which the model and its names stay as they are; a group as a whole, or a setting of it."""


OF_ENVIRONMENT = ("environment", "tag", "kept_snapshots")
"""What the settings of an environment of a deployment have besides, and another process needs to find its snapshot."""

_NOT_SHOWN = {
    *("host", "port", "log_level", "log_format", "roles", "roles_file"),
    *("environments", "environment_host", "environment_idle", "default_environment", "linking"),
    *("stored_environments", "is_stored"),
    "documents",
}
"""Settings that no answer of introspection depends on; views of roles say what theirs depend on."""


def deciding_settings(settings: Settings, *more: str) -> dict[str, Any]:
    """Return the deciding settings as JSON types, from which ``Settings`` can be made again; ``more`` are added."""
    include: dict[str, Any] = {}
    for name in (*DECIDING, *more):
        group, _, nested = name.partition(".")
        if nested:
            include.setdefault(group, set()).add(nested)
        else:
            include[group] = True
    return settings.model_dump(mode="json", include=include)


def model_identity(settings: Settings, digest: str) -> tuple[str, bytes]:
    """Return the key of the settings, and the fingerprint of everything that decides a model and its names.

    ``digest`` is that of the metadata document. The key leaves it out, so a new document replaces the old snapshot;
    but environments of a deployment share the snapshots of equal documents, wherever these come from.
    """
    decided = deciding_settings(settings)
    decided_by: list[object] = [decided]
    if tag_in(settings):
        # Of its address only the product matters that this shows.
        decided["url"] = dialect_for(settings.dialect, settings.url or "").name
        decided["metadata"] = None
        decided_by.append(digest)
    if isinstance(settings, ProfileSettings):
        decided_by.append(settings.chosen)
    key = msgspec.json.encode(decided_by)
    return key.decode(), fingerprint_of(digest, key)


def snapshot_folder(settings: Settings) -> Path | None:
    """Return the folder of snapshots and what is made of them; None for the sandbox, or if nothing is cached."""
    # The sandbox makes another document with each of its options, and answers about it quickly.
    configured = settings.url or settings.metadata
    folder = settings.cache_dir if configured else None
    return None if folder is None else folder / "models"


def introspection_identity(
    settings: Settings, digest: str, labels: Mapping[str, str]
) -> tuple[Path | None, Callable[[], bytes]]:
    """Return the cache folder for introspection answers (None: no cache) and a way to their identity."""
    snapshots = snapshot_folder(settings)

    def identity() -> bytes:
        _, fingerprint = model_identity(settings, digest)
        # Descriptions hold labels, and mutations depend on further settings: nearly all of them are taken.
        rest = settings.model_dump_json(exclude=_NOT_SHOWN)
        models = models_digest(settings)
        decided_by = msgspec.json.encode([fingerprint, rest, models, sorted(labels.items())])
        return hashlib.sha256(decided_by).digest()

    return None if snapshots is None else snapshots.parent / "introspection", identity
