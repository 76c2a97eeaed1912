"""Which options an environment of the store may have: those of a table of settings, but none of the server itself.

Whoever adds an environment at run time does not run the server. So an address follows the rules of
``config.environment_addresses``, and options that name files of the server are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from gateway.config.environment_addresses import (
    LOGIN_HOSTS,
    environment_address,
    is_login_host,
    is_own_scope,
)
from gateway.config.environment_models import NAME, OWN, EnvironmentOptions
from gateway.config.environments import option_problems
from gateway.config.settings import Settings
from gateway.config.vault_reference import is_vault_reference
from gateway.errors import EnvironmentExists, InvalidOption
from schema.errors import did_you_mean

OF_SERVER = ("metadata", "sandbox")
"""Options that only the settings have: files of the server, or its memory."""
_FILES = "credentials.federated_token_file"
_TENANT = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.-]{0,252}[0-9A-Za-z])?")
_CLIENT = re.compile(r"[0-9A-Za-z-]{1,64}")
_WHERE = "Only the settings of the deployment can set it."


def check_name(settings: Settings, name: object) -> str:
    """Return the name of a new environment. Raises InvalidOption, EnvironmentExists."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == OWN:
        raise InvalidOption(
            "name",
            "expected lower-case letters, digits, - and _, starting with a letter, at most 40;"
            f" {OWN} is taken",
        )
    if name in settings.environments:
        raise EnvironmentExists(f"The settings declare an environment {name}.")
    return name


def checked_options(
    settings: Settings,
    name: str,
    values: Mapping[str, Any],
    *,
    current: EnvironmentOptions | None = None,
    by_customer: bool = False,
) -> EnvironmentOptions:
    """Return the options of an environment. Raises InvalidOption.

    ``current`` are those that it has so far. ``by_customer``: they come from the link page, where secrets are what was
    typed, and refer to nothing.
    """
    for field in OF_SERVER:
        if values.get(field) is not None and not _is_as_before(field, values, current):
            raise InvalidOption(field, f"{field} cannot be set at run time.", hint=_WHERE)
    is_sandbox = values.get("sandbox") is not None and values.get("url") is None
    place = {} if is_sandbox else {"url": _address(settings, values.get("url"))}
    try:
        options = EnvironmentOptions.model_validate({**values, **place})
    except ValidationError as error:
        raise _invalid(error.errors(include_url=False)) from None
    for wrong, problem in _problems(settings, name, options, by_customer=by_customer):
        raise InvalidOption(wrong, problem)
    return options


def _is_as_before(
    field: str, values: Mapping[str, Any], current: EnvironmentOptions | None
) -> bool:
    before = None if current is None else current.model_dump(mode="json", exclude_defaults=True)
    return before is not None and before.get(field) == values[field]


def _address(settings: Settings, url: object) -> str:
    if not isinstance(url, str):
        raise InvalidOption("url", "url is missing: the address of the environment.")
    try:
        return environment_address(url, settings.linking.allowed_hosts)
    except ValueError as error:
        raise InvalidOption("url", f"url: {error}.") from None


def _invalid(errors: list[ErrorDetails]) -> InvalidOption:
    """Return the error for the first of several problems; the text has all, and no values: they may be secrets."""
    problems = [(".".join(map(str, error["loc"])), _text(error)) for error in errors]
    text = "; ".join(f"{field}: {problem}" if field else problem for field, problem in problems)
    return InvalidOption(problems[0][0] or None, f"{text}.")


def _text(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return (
            f"no such option{did_you_mean(str(error['loc'][-1]), EnvironmentOptions.model_fields)}"
        )
    return error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")


def _problems(
    settings: Settings, name: str, options: EnvironmentOptions, *, by_customer: bool
) -> Iterator[tuple[str | None, str]]:
    for field, value, grammar in (
        ("tenant_id", options.tenant_id, _TENANT),
        ("client_id", options.client_id, _CLIENT),
    ):
        if value is not None and not grammar.fullmatch(value):
            yield field, f"{field} is not that of Microsoft Entra."
    authority, own = options.authority, settings.authority
    if authority is not None and not is_login_host(authority, own):
        hosts = ", ".join(sorted({*LOGIN_HOSTS, own}))
        yield "authority", f"Credentials are not sent there; accepted: {hosts}."
    if options.scope is not None and not is_own_scope(options.scope, options.url or ""):
        # Its token would be sent to this environment.
        yield "scope", "The scope is that of another service than url."
    yield from _credential_problems(options, by_customer=by_customer)
    for place, problem in option_problems(settings, name, options):
        yield place.removeprefix(".") or None, problem if problem.endswith(".") else f"{problem}."


def _credential_problems(
    options: EnvironmentOptions, *, by_customer: bool
) -> Iterator[tuple[str, str]]:
    credentials = options.credentials
    if credentials is not None and credentials.federated_token_file is not None:
        yield _FILES, f"{_FILES} cannot be set at run time. {_WHERE}"
    certificate = None if credentials is None else credentials.certificate
    if certificate is not None and (by_customer or not is_vault_reference(certificate)):
        yield (
            "credentials.certificate",
            "A file of the server cannot be named at run time; a Key Vault reference can.",
        )
    secret = options.client_secret
    if (
        by_customer
        and isinstance(secret, SecretStr)
        and is_vault_reference(secret.get_secret_value())
    ):
        # The gateway would read it with rights that this customer lacks.
        yield "client_secret", "A Key Vault reference cannot be used here."
