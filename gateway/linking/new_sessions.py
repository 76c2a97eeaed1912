"""What an integrator may make a link session for. The targets of the way back come from the settings only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.administration.option_checks import check_name
from gateway.config.environments import linking_application
from gateway.config.settings import Settings
from gateway.errors import InvalidOption, SettingsError
from schema.errors import did_you_mean

from .session import Application
from .sessions import NewSession

FIELDS = ("name", "title", "return_url", "application")
APPLICATIONS: tuple[Application, ...] = ("deployment", "own")
MAX_TITLE = 100


def new_session(settings: Settings, values: Mapping[str, Any], created_by: str) -> NewSession:
    """Return a new session. Raises InvalidOption, EnvironmentExists, SettingsError if there is no link page."""
    if settings.linking.public_url is None:
        raise SettingsError(
            "There is no link page: linking.public_url is not set.",
            hint="Set it to the address at which browsers of customers reach the gateway, and restart.",
        )
    for field in values:
        if field not in FIELDS:
            message = f"There is no option {field}.{did_you_mean(field, FIELDS)}"
            raise InvalidOption(field, message)
    name, title, return_url = (values.get(field) for field in FIELDS[:3])
    return NewSession(
        application=_application(settings, values.get("application", "deployment")),
        name=None if name is None else check_name(settings, name),
        title=None if title is None else _title(title),
        return_url=None if return_url is None else _return_url(settings, return_url),
        created_by=created_by,
    )


def _application(settings: Settings, value: object) -> Application:
    for application in APPLICATIONS:
        if application == value:
            break
    else:
        raise InvalidOption("application", f"application: accepted: {', '.join(APPLICATIONS)}.")
    if (
        application == "deployment"
        and settings.client_id is None
        and not linking_application(settings)
    ):
        raise InvalidOption(
            "application",
            "The deployment has no application of its own.",
            hint="Set client_id or linking.client_id, or let customers enter theirs: application = own.",
        )
    return application


def _title(value: object) -> str:
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > MAX_TITLE
        or not value.isprintable()
    ):
        raise InvalidOption(
            "title", f"title: expected a text of one line, at most {MAX_TITLE} characters."
        )
    return value.strip()


def _return_url(settings: Settings, value: object) -> str:
    for address in settings.linking.return_urls:
        if address == value:
            return address
    raise InvalidOption(
        "return_url",
        "return_url is none of the setting linking.return_urls.",
        hint="Addresses must be equal, to the last character.",
    )
