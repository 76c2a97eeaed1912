"""Where it shows whether a call of a custom service was done: in a Boolean field of a row (setting ``done``).

``done = "ledgerJournalHeader.isPosted"`` names a by-key field of ``Query`` and a field of its row. The key comes from
the parameters of the call: those of the same names, as in GraphQL or, without a ``_`` in front, as in X++.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.errors import SettingsError
from gateway.odata.dialect import Dialect
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind, RootKind, ServiceInfo


class DoneCheck(Struct, frozen=True):
    """A field that shows whether a call was done."""

    entity_set: str
    csdl: str
    key: tuple[Field, ...]
    flag: Field
    parameters: Mapping[str, str]
    """Field of the key → parameter of the call; the company may come from the scope."""

    def key_values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the key, by GraphQL name."""
        return {name: arguments.get(own) for name, own in self.parameters.items()}


def find_done_check(catalog: Catalog, dialect: Dialect, service: ServiceInfo) -> DoneCheck | None:
    """Return where a call shows whether it was done; None if nothing is declared. Raises SettingsError."""
    if not service.done:
        return None
    root_name, _, name = service.done.partition(".")
    root = catalog.roots.get(root_name)
    if root is None or root.kind is not RootKind.BY_KEY or root.entity_set is None:
        raise _error(service, f"there is no by-key field {root_name}")
    info = catalog.object(root.csdl)
    flag = info.fields.get(name)
    is_flag = flag is not None and flag.kind is FieldKind.VALUE and flag.type_name == "Boolean"
    if flag is None or not is_flag:
        raise _error(service, f"{root_name} has no Boolean field {name}")
    parameters = {}
    for field in info.key:
        own = _parameter_of(field, service, dialect)
        if own is not None:
            parameters[field.name] = own
        elif field.source != dialect.company_property:
            raise _error(
                service, f"no parameter gives {field.name}, which is part of the row's key"
            )
    return DoneCheck(root.entity_set.name, root.csdl, info.key, flag, parameters)


def _parameter_of(field: Field, service: ServiceInfo, dialect: Dialect) -> str | None:
    """Return the GraphQL name of the parameter that gives a part of the key."""
    is_company = field.source == dialect.company_property
    for parameter in service.input:
        wire = parameter.wire.lstrip("_").casefold()
        if is_company and wire in dialect.company_parameters:
            return parameter.name
        if parameter.name == field.name or wire == field.source.casefold():
            return parameter.name
    return None


def _error(service: ServiceInfo, reason: str) -> SettingsError:
    return SettingsError(
        f"writes.services: {service.name}: done = {service.done!r}: {reason}.",
        hint='Name a by-key field of Query and a Boolean field of its row: "ledgerJournalHeader.isPosted".',
    )
