"""The messages of graphql-transport-ws (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md)."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

SUBPROTOCOL = "graphql-transport-ws"


class ConnectionInit(Struct, tag_field="type", tag="connection_init"):
    """The client's first message."""

    payload: dict[str, Any] | UnsetType | None = UNSET


class Ping(Struct, tag_field="type", tag="ping"):
    """A heartbeat, which the other side answers with ``pong``."""

    payload: dict[str, Any] | UnsetType | None = UNSET


class Pong(Struct, tag_field="type", tag="pong"):
    """The answer to a heartbeat."""

    payload: dict[str, Any] | UnsetType | None = UNSET


class Subscribe(Struct, tag_field="type", tag="subscribe"):
    """An operation of any kind; ``payload`` holds the parameters of a GraphQL request."""

    id: str
    payload: dict[str, Any]


class Complete(Struct, tag_field="type", tag="complete"):
    """The client wants no more results of an operation."""

    id: str


Message: TypeAlias = ConnectionInit | Ping | Pong | Subscribe | Complete
read_message = msgspec.json.Decoder(Message).decode
"""Reads a client's message. Raises msgspec.DecodeError."""

ACK = '{"type":"connection_ack"}'
PING = '{"type":"ping"}'
PONG = '{"type":"pong"}'


def next_message(name: str, result: bytes) -> str:
    """Return the message with one execution result, which is JSON."""
    return _message("next", name, result)


def error_message(name: str, errors: list[dict[str, Any]]) -> str:
    """Return the message that an operation did not run, or ended with errors."""
    return _message("error", name, msgspec.json.encode(errors))


def complete_message(name: str) -> str:
    """Return the message that an operation has no more results."""
    return _message("complete", name, None)


def _message(kind: str, name: str, payload: bytes | None) -> str:
    head = f'{{"id":{msgspec.json.encode(name).decode()},"type":"{kind}"'
    return head + "}" if payload is None else f'{head},"payload":{payload.decode()}}}'
