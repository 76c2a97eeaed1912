"""What the settings allow to write, as the schema takes it."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.errors import SettingsError
from gateway.profiles import ProfileSettings
from gateway.setting_groups import Service, ServiceValue
from gateway.settings import Settings
from schema.errors import did_you_mean
from schema.fields import ServiceField, ServiceInfo, Verb
from schema.writes import Patterns, WriteRules

SANDBOX_SERVICES = (
    Service(
        name="postLedgerJournal",
        path="LedgerJournalServices/LedgerJournalService/post",
        description="Posts a journal whose vouchers balance.",
        input={
            "company": ServiceValue(type="String!", wire="_dataAreaId"),
            "journalBatchNumber": ServiceValue(type="String!", wire="_journalBatchNumber"),
        },
        output={
            "isPosted": ServiceValue(type="String", wire="IsPosted"),
            "numberOfLines": ServiceValue(type="Int", wire="NumberOfLines"),
            "vouchers": ServiceValue(type="[String!]", wire="Vouchers"),
        },
    ),
)
"""Custom services of the built-in sandbox, declared for it as a user would in the settings."""


def rules_of(settings: Settings) -> WriteRules | None:
    """Give the rules; None where nothing may be written."""
    if settings.read_only:
        return None
    writes = settings.writes
    services = (*writes.services, *_of_sandbox(settings))
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
        services=tuple(map(_service, services)),
    )


def _of_sandbox(settings: Settings) -> Iterator[Service]:
    """Give the services of the built-in sandbox where it is what answers, but for those that are declared."""
    if not settings.is_sandbox:
        return
    names = {service.name for service in settings.writes.services}
    paths = {service.path for service in settings.writes.services}
    yield from (s for s in SANDBOX_SERVICES if s.name not in names and s.path not in paths)


def _named(services: tuple[Service, ...], settings: ProfileSettings) -> Iterator[Service]:
    """Give the services of a profile. Raises SettingsError for a name that none has."""
    known = {service.name: service for service in services}
    for name in settings.services:
        if name not in known:
            raise SettingsError(
                f"profiles.{settings.profile}.services: there is no service {name}."
                + did_you_mean(name, known),
                hint="Services are declared in writes.services.",
            )
        yield known[name]


def _service(declared: Service) -> ServiceInfo:
    return ServiceInfo(
        declared.name,
        declared.path,
        tuple(_value(n, v) for n, v in declared.input.items()),
        tuple(_value(n, v) for n, v in declared.output.items()),
        declared.description,
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
