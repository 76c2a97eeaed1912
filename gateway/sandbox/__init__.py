"""The embedded Finance & Operations look-alike.

An ASGI application that speaks F&O's OData dialect *with its refusals*, on SQLite. It shares no query code with the
gateway, so the two cannot be wrong together: it reads ``$filter`` with odata-query and writes its own SQL.

    request ─ app ─ urls ─▶ Target ─┐
                    options ─▶ Options ─┤─ reading ─▶ rows ─ answer ─▶ JSON
            catalogue ─▶ Model ─ store ─┘     └ filters (─ grammar)

    POST, PATCH, PUT, DELETE ─ mutations ─ payload ─▶ values ─ writing (checks, numbers, business by rules) ─ store
    $batch ─ multipart ─ batch ─▶ the same for every part, changesets in one transaction
    actions, functions ─ operations;  /api/services ─ services;  injected failures ─ faults

One model describes the data: ``catalogue`` (or a ``$metadata`` file) makes a ``schema.model.records.Model``; tables,
XML and JSON are derived from it. The evidence marks [D] [R] [I] [U] are those of ``d365-odata.md``: documented,
reported, inferred, unknown. What is unknown is a setting.
"""

from .app import create_sandbox
from .faults import ConnectionLost, FaultRule, Faults
from .settings import Fault, RecordedRequest, SandboxSettings, Throttle

__all__ = [
    "ConnectionLost",
    "Fault",
    "FaultRule",
    "Faults",
    "RecordedRequest",
    "SandboxSettings",
    "Throttle",
    "create_sandbox",
]
