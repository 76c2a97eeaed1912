"""What one GraphQL request asks, and its answer: what every door hands to the engine and gets back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from gateway.execution.fast_path import encode
from gateway.introspection.answers import LongAnswer
from gateway.odata.query import Request


class GraphQLRequest(Struct, frozen=True, kw_only=True):
    """The parameters of a GraphQL request, and whose it is."""

    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation_name: str | None = None
    companies: tuple[str, ...] | None = None
    """Company scope of the request (header X-D365-Company)."""
    allow_mutation: bool = True
    timeout: float | None = None
    """Seconds that it may take, where that is less than the setting (header X-D365-Timeout)."""
    trace: bool = False
    """Whether the answer tells what was asked upstream (header X-D365-Trace)."""


class Answer(Struct):
    """The answer: ``data`` is absent where nothing was run."""

    data: Any = msgspec.UNSET
    errors: list[dict[str, Any]] = field(default_factory=list)
    requests: tuple[Request, ...] = ()
    rows: int = 0
    written: bytes | LongAnswer | None = None
    """The whole response where it is there as JSON, or kept; there is no ``data`` then."""
    extensions: Any = msgspec.UNSET
    changed: bool = False
    """Whether a mutation has run."""

    def encode(self) -> bytes:
        """Return the response's JSON."""
        if self.written is not None:
            return self.written if isinstance(self.written, bytes) else self.written.encode()
        return encode(_Response(self.data, self.errors or msgspec.UNSET, self.extensions))

    def to_builtins(self) -> dict[str, Any]:
        """Return the response as plain Python values."""
        found: dict[str, Any] = msgspec.json.decode(self.encode())
        return found


class _Response(msgspec.Struct, omit_defaults=True):
    data: Any = msgspec.UNSET
    errors: Any = msgspec.UNSET
    extensions: Any = msgspec.UNSET
