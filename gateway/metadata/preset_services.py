"""Well-known custom services of a product, served if the environment describes them.

Custom services are not in the metadata. F&O describes an operation in answer to ``GET`` at its own address
(https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/services-home-page), so each preset
of the dialect costs one request at a start. Any other answer means that the service does not exist.
"""

from __future__ import annotations

import msgspec

from gateway.config.settings import Settings
from gateway.config.write_models import Service
from gateway.errors import GatewayError
from gateway.odata.client import ODataClient

from .model_builder import LoadedModel, dialect_of
from .write_rules import undeclared

READ_TIMEOUT = 10.0
"""Seconds to wait for a description, so that an environment that describes no services does not delay the start."""


class _Parameter(msgspec.Struct, frozen=True):
    name: str = msgspec.field(name="Name")


class _Description(msgspec.Struct, frozen=True):
    parameters: list[_Parameter] = msgspec.field(name="Parameters")


async def with_preset_services(
    settings: Settings, client: ODataClient, loaded: LoadedModel
) -> Settings:
    """Return the settings with the preset services that the environment describes added to ``writes.services``.

    Sends no request if the gateway is read-only, if the upstream is the embedded sandbox, whose services are known, or
    if the metadata comes from a file.
    """
    if settings.read_only or settings.url is None or settings.metadata is not None:
        return settings
    dialect = dialect_of(settings, loaded.model)
    environment = dialect.environment_root(client.root)
    presets = undeclared(settings.writes.services, dialect.services)
    described = [s for s in presets if await _is_described(client, environment, s)]
    if not described:
        return settings
    services = (*settings.writes.services, *described)
    writes = settings.writes.model_copy(update={"services": services})
    return settings.model_copy(update={"writes": writes})


async def _is_described(client: ODataClient, environment: str, service: Service) -> bool:
    """Return whether the environment describes the operation, with the parameters that the preset sends."""
    try:
        answer = await client.fetch(
            f"{environment}/api/services/{service.path}",
            {"Accept": "application/json"},
            read_timeout=READ_TIMEOUT,
        )
        described = msgspec.json.decode(answer.body, type=_Description)
    except (GatewayError, msgspec.MsgspecError, UnicodeDecodeError):
        return False
    sent = {value.wire or name for name, value in service.input.items()}
    return sent <= {parameter.name for parameter in described.parameters}
