"""The settings of each environment: those of the deployment, with ``[environments.NAME]`` over them.

    settings of the deployment + [environments.acme]  →  the settings of acme

What an environment does not set is as in the deployment. It may forbid writing, but not allow what the deployment
forbids. Its profiles and roles are the deployment's that exist there.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from schema.errors import did_you_mean

from .credential_defaults import missing_credentials
from .credential_models import CredentialOptions
from .environment_models import OWN, EnvironmentOptions
from .profiles import EnvironmentSettings
from .role_models import RoleOptions
from .setting_checks import check_companies, check_lane_credentials, check_profiles
from .settings import Settings
from .value_types import LOOPBACK

RENAMED = {"kind": "environment_kind"}
"""Fields of an environment → the settings that they override, if the names differ."""
OF_ENVIRONMENTS_ALONE = frozenset(
    {"title", "profiles", "roles", "relations", "read_only", "sandbox"}
)
"""Fields of an environment that choose or add instead of overriding."""
_TAG_BYTES = 6
MIN_SNAPSHOTS = 16


def tag_of(name: str) -> str:
    """Return the tag in the ids and cursors of an environment."""
    digest = hashlib.blake2b(name.encode(), digest_size=_TAG_BYTES).digest()
    return base64.urlsafe_b64encode(digest).decode()


def environment_settings(settings: Settings, name: str) -> EnvironmentSettings:
    """Return the settings of a declared environment. Raises KeyError if there is none of that name."""
    return overlaid(settings, name, settings.environments[name])


def overlaid(
    settings: Settings, name: str, options: EnvironmentOptions, *, stored: bool = False
) -> EnvironmentSettings:
    """Return the settings of an environment with these options. They have been validated.

    ``stored``: it was added at run time, and the settings do not declare it.
    """
    values = {
        RENAMED.get(key, key): getattr(options, key)
        for key in EnvironmentOptions.model_fields
        if key not in OF_ENVIRONMENTS_ALONE
    }
    overrides: dict[str, Any] = {k: v for k, v in values.items() if v not in (None, ())}
    overrides |= _place(settings, options)
    profiles, roles = options.profiles, options.roles
    if options.admission is None and signs_in_otherwise(options):
        # Those of the deployment's lanes are applications of its own tenant.
        overrides["admission"] = settings.admission.model_copy(update={"credentials": {}})
    return EnvironmentSettings.model_construct(
        **{
            **dict(settings),
            **overrides,
            "read_only": settings.read_only or bool(options.read_only),
            "relations": (*settings.relations, *options.relations),
            "profiles": {
                n: p for n, p in settings.profiles.items() if not profiles or n in profiles
            },
            "roles": roles_in(settings.roles, name, roles),
            "environment": name,
            "tag": tag_of(name),
            "environment_title": options.title,
            "is_stored": stored,
            # The one in use and the one before, even if no two environments have the same document.
            "kept_snapshots": max(MIN_SNAPSHOTS, 2 * len(settings.environments)),
        }
    )


def _place(settings: Settings, options: EnvironmentOptions) -> dict[str, Any]:
    """Return where the environment is, and how the gateway signs in there."""
    if options.url is None:
        return {
            "url": None,
            "auth": "none",
            "identity": "app",
            "metadata": options.metadata,
            "sandbox": options.sandbox,
            "language": options.language or settings.language or "en-US",
        }
    parts = options.url.split("/")
    place: dict[str, Any] = {
        "url": options.url,
        # The deployment's are of another service.
        "metadata": options.metadata,
        "scope": options.scope or f"{parts[0]}//{parts[2].lower()}/.default",
        "language": options.language or (settings.language if settings.url else None),
    }
    if options.auth is None and settings.url is None:
        has_tenant = bool(options.tenant_id or settings.tenant_id)
        place["auth"] = "client_credentials" if has_tenant else "none"
    if options.client_id is not None or options.credentials is not None:
        # No secret of the deployment's application is sent for another one.
        place["client_secret"] = options.client_secret
        place["credentials"] = options.credentials or CredentialOptions()
    elif settings.client_id is None and (options.auth or place.get("auth")) != "none":
        place |= linking_application(settings)
    return place


def signs_in_otherwise(options: EnvironmentOptions) -> bool:
    """Return whether an environment has another tenant or application than the deployment, or none."""
    own = (options.tenant_id, options.client_id, options.credentials, options.auth)
    return options.url is None or any(value is not None for value in own)


def linking_application(settings: Settings) -> dict[str, Any]:
    """Return the settings of the application ``linking.client_id``; none if there is none besides the deployment's."""
    linking = settings.linking
    if linking.client_id is None:
        return {}
    return {
        "auth": "client_credentials",
        "client_id": linking.client_id,
        "client_secret": linking.client_secret,
        "credentials": CredentialOptions(
            certificate=linking.certificate, certificate_password=linking.certificate_password
        ),
    }


def roles_in(
    roles: Mapping[str, RoleOptions], environment: str, names: tuple[str, ...] = ()
) -> dict[str, RoleOptions]:
    """Return the roles that exist in an environment, which inherit from no others."""
    there = {
        name: role
        for name, role in roles.items()
        if (not names or name in names) and names_environment(role.environments, environment)
    }
    return {
        name: role
        if all(other in there for other in role.inherits)
        else role.model_copy(update={"inherits": tuple(o for o in role.inherits if o in there)})
        for name, role in there.items()
    }


def names_environment(patterns: tuple[str, ...], environment: str) -> bool:
    """Return whether patterns allow an environment; without any, all are allowed. Its own name is ``""``."""
    return not patterns or any(fnmatchcase(environment or OWN, pattern) for pattern in patterns)


def environment_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of all that is wrong with environments over the deployment's settings."""
    for name, options in settings.environments.items():
        for field, problem in option_problems(settings, name, options):
            yield f"environments.{name}{field}", problem


def option_problems(
    settings: Settings, name: str, options: EnvironmentOptions
) -> Iterator[tuple[str, str]]:
    """Yield option and text of all that is wrong with one over the deployment's settings: ``.roles``, or empty."""
    for field, chosen, known in (
        ("profiles", options.profiles, settings.profiles),
        ("roles", options.roles, settings.roles),
    ):
        for unknown in (n for n in chosen if n not in known):
            word = field.removesuffix("s")
            yield f".{field}", f"there is no {word} {unknown}.{did_you_mean(unknown, known)}"
    own = overlaid(settings, name, options)
    if settings.roles and not own.roles:
        # Without roles everything would be open to all.
        yield ".roles", "none of the roles exists there"
    if not own.profiles and not settings.serve_all:
        yield ".profiles", "serve_all is false, and no profile is served there"
    values = dict(own)
    if own.default_page_size > own.max_page_size:
        yield (
            ".max_page_size",
            f"{own.max_page_size} is less than default_page_size ({own.default_page_size})",
        )
    for check in (
        check_companies,
        lambda data: check_lane_credentials(own.admission, data),
        lambda data: check_profiles(own.profiles, data),
    ):
        try:
            check(values)
        except ValueError as error:
            yield "", str(error)
    credentials = {**values, "credentials": own.credentials.model_dump(exclude_none=True)}
    for problem in missing_credentials(credentials, named=lambda key: key.replace("__", ".")):
        yield "", problem


def real_address(settings: Settings) -> str | None:
    """Return the address of a real environment that the settings serve; None if all are sandboxes.

    Which environments a store has changes at run time, so they are real if their addresses may lead off this machine.
    """
    urls = (settings.url, *(options.url for options in settings.environments.values()))
    if settings.stored_environments and not LOOPBACK.issuperset(settings.linking.allowed_hosts):
        urls = (*urls, "the environments in the store")
    return next((url for url in urls if url), None)


def own_settings(settings: Settings) -> Settings:
    """Return the settings of the environment that is the settings' own: roles of others do not exist in it."""
    there = roles_in(settings.roles, "")
    if not there or len(there) == len(settings.roles):
        return settings
    return settings.model_copy(update={"roles": there})
