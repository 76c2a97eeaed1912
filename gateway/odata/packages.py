"""Requests of the data management package API, and what its answers say.

    ExportToPackage             starts an execution of a data project, under an id that the caller may choose
    GetExecutionSummaryStatus   how far an execution is
    GetExportedPackageUrl       where its package can be downloaded, with a signature in the address

https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/data-management-api
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

from gateway.errors import UpstreamMalformed

from .query import Request
from .response_check import Response

_HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}


class PackageActions(Struct, frozen=True):
    """The actions of a product, relative to its service root."""

    start: str
    status: str
    address: str


class ExecutionStatus(Enum):
    """Where an execution is."""

    UNKNOWN = "Unknown"
    NOT_RUN = "NotRun"
    EXECUTING = "Executing"
    SUCCEEDED = "Succeeded"
    PARTIALLY_SUCCEEDED = "PartiallySucceeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


ENDED = frozenset(
    {ExecutionStatus.PARTIALLY_SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.CANCELED}
)
"""Statuses of executions without a whole package."""


def start_request(
    actions: PackageActions, *, project: str, execution: str, company: str
) -> Request:
    """Return the request that starts an execution."""
    body = {
        "definitionGroupId": project,
        "packageName": execution,
        "executionId": execution,
        "reExecute": False,
        "legalEntityId": company,
    }
    return Request("POST", actions.start, _HEADERS, msgspec.json.encode(body))


def execution_request(action: str, execution: str) -> Request:
    """Return the request for the status or the address of an execution."""
    return Request("POST", action, _HEADERS, msgspec.json.encode({"executionId": execution}))


def read_text(response: Response) -> str:
    """Return the text in an answer. Raises UpstreamMalformed.

    The page shows both ``{"value": "…"}`` and ``{"value": {"value": "…"}}``.
    """
    try:
        content: Any = msgspec.json.decode(response.body)
        while isinstance(content, dict):
            content = content["value"]
    except (msgspec.DecodeError, KeyError, RecursionError) as error:
        raise _malformed() from error
    if not isinstance(content, str):
        raise _malformed()
    return content


def read_status(response: Response) -> ExecutionStatus:
    """Return the status in an answer. Raises UpstreamMalformed."""
    text = read_text(response)
    for status in ExecutionStatus:
        if status.value.casefold() == text.casefold():
            return status
    raise _malformed()


def _malformed() -> UpstreamMalformed:
    return UpstreamMalformed(
        "The upstream's answer about a data package cannot be read.",
        hint="Its data management package API may have changed.",
    )
