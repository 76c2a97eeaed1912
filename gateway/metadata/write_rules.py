"""From the settings to the schema's rules for writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.config.profiles import ProfileSettings
from gateway.config.settings import Settings
from gateway.config.write_models import Service, ServiceValue
from gateway.errors import SettingsError
from gateway.odata.dialects import SANDBOX
from schema.catalog.records import ServiceField, ServiceInfo, Verb
from schema.errors import did_you_mean
from schema.writes import Patterns, WriteRules


def write_rules(settings: Settings) -> WriteRules | None:
    """Return the rules; None if the gateway is read-only. Raises SettingsError for an unknown service of a profile."""
    if settings.read_only:
        return None
    writes = settings.writes
    services = writes.services
    if settings.is_sandbox:
        # The embedded sandbox is known to have them; other environments are asked (``preset_services``).
        services = (*services, *undeclared(services, SANDBOX.services))
    if isinstance(settings, ProfileSettings):
        services = tuple(_named(services, settings))
    return WriteRules(
        verbs={
            Verb.CREATE: Patterns(writes.create, writes.deny_create),
            Verb.UPDATE: Patterns(writes.update, writes.deny_update),
            Verb.DELETE: Patterns(writes.delete, writes.deny_delete),
            Verb.ACTION: Patterns(writes.actions, writes.deny_actions),
        },
        given_by_service=frozenset(writes.numbered),
        if_match_required=writes.if_match == "required",
        services=tuple(map(service_info, services)),
    )


def undeclared(declared: Iterable[Service], presets: Iterable[Service]) -> Iterator[Service]:
    """Yield the presets whose name and path no declared service has."""
    declared = tuple(declared)
    names = {service.name for service in declared}
    paths = {service.path for service in declared}
    yield from (s for s in presets if s.name not in names and s.path not in paths)


def _named(services: tuple[Service, ...], settings: ProfileSettings) -> Iterator[Service]:
    """Yield the services of a profile. Raises SettingsError for an unknown name."""
    by_name = {service.name: service for service in services}
    for name in settings.services:
        if name not in by_name:
            raise SettingsError(
                f"profiles.{settings.profile}.services: there is no service {name}."
                + did_you_mean(name, by_name),
                hint="Services are declared in writes.services.",
            )
        yield by_name[name]


def service_info(declared: Service) -> ServiceInfo:
    """Return the record of a declared service."""
    return ServiceInfo(
        declared.name,
        declared.path,
        tuple(_value(n, v) for n, v in declared.input.items()),
        tuple(_value(n, v) for n, v in declared.output.items()),
        declared.description,
        declared.done,
    )


def _value(name: str, declared: ServiceValue) -> ServiceField:
    text = declared.type
    return ServiceField(
        name,
        declared.wire or name,
        text.strip("[]!"),
        nullable=not text.endswith("!"),
        many=text.startswith("["),
    )
