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

from gateway.config.environment_addresses import environment_address
from gateway.config.environment_models import NAME, OWN, EnvironmentOptions
from gateway.config.environments import option_problems
from gateway.config.settings import Settings
from gateway.config.stored_options import unsafe_options
from gateway.config.vault_reference import is_vault_reference
from gateway.errors import EnvironmentExists, InvalidOption
from schema.errors import did_you_mean

OF_SERVER = ("metadata", "sandbox")
"""Options that only the settings have: files of the server, or its memory."""
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
    yield from unsafe_options(settings, options)
    if by_customer:
        yield from _references(options)
    for place, problem in option_problems(settings, name, options):
        yield place.removeprefix(".") or None, problem if problem.endswith(".") else f"{problem}."


def _references(options: EnvironmentOptions) -> Iterator[tuple[str, str]]:
    # The gateway would read them with rights that this customer lacks.
    credentials = options.credentials
    if credentials is not None and credentials.certificate is not None:
        yield "credentials.certificate", "A certificate cannot be named here."
    secret = options.client_secret
    if isinstance(secret, SecretStr) and is_vault_reference(secret.get_secret_value()):
        yield "client_secret", "A Key Vault reference cannot be used here."
