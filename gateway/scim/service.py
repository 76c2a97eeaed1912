"""Answers requests of SCIM: the protocol is the library's, what it reads is the directory of the caller.

Of writes there is PATCH alone, if the settings allow it; what would create, replace or delete answers 501.
"""

from __future__ import annotations

from scim2_models import NotImplementedException, ResourceType, SCIMException
from scim2_server.handler import AsyncScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Target
from scim2_server.service import ScimService

from .directory import Directory
from .models import provider_of

_NOT_HERE = (Operation.create, Operation.replace, Operation.delete)


class Service(ScimService):
    """The protocol, with what this service does not do."""

    def authorize(self, request: ScimRequest, target: Target, resource_type: ResourceType) -> None:  # noqa: ARG002
        """Raise NotImplementedException for what is never done, before a body is read."""
        if target.operation in _NOT_HERE:
            raise NotImplementedException(detail=f"{request.method} is not supported")


async def answer(directory: Directory, request: ScimRequest, *, writes: bool) -> ScimResponse:
    """Return the response to a request of a caller. Raises what reading the directory raises."""
    service = Service(provider_of(directory.most, writes=writes))
    try:
        return await AsyncScimHandler(service, directory).handle(request)
    except SCIMException as error:
        return service.error_response(error)
