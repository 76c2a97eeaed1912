"""Writes a file: a mutation with a text that stands for the bytes, in whose place they are sent while they arrive.

So rights, rules, presets, natural keys, idempotency keys, the price, the lane and the audit log are those of any
mutation, and a mutation that is refused reads nothing of the file.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from msgspec import Struct, structs

from gateway.odata.long_values import SentText, WrittenValue
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.generations import GenerationManager

from .coding import Encoder, encoded_size
from .targets import FileWrite

_DIGITS = 33
"""Bytes of a stand-in: 44 characters of base64, without padding."""


def stand_in(*facts: object) -> str:
    """Return the text that stands for a file of which only these facts are known.

    It is the same each time, so that a repeated request is equal to the first one for its idempotency key.
    """
    digest = hashlib.sha512(repr(("file", *facts)).encode()).digest()
    return base64.urlsafe_b64encode(digest[:_DIGITS]).decode()


class WrittenFile(Struct, frozen=True):
    """What became of a file."""

    id: str | None
    created: bool | None
    """Whether a new row was created; None: a row was changed."""


class FileRefused(Exception):
    """A file was not written, or it is not known whether it was."""

    def __init__(self, code: str, errors: list[dict[str, Any]], answer: Answer) -> None:
        super().__init__(code)
        self.code = code
        self.errors = errors
        self.answer = answer


async def write_file(
    live: GenerationManager,
    write: FileWrite,
    text: str,
    request: GraphQLRequest,
    pieces: Callable[[], AsyncIterator[bytes]],
    size: int | None,
) -> tuple[WrittenFile, Answer]:
    """Write a file, and return what became of it, with the answer of the mutation. Raises FileRefused.

    ``text`` stands for the bytes in ``write``; ``pieces`` yields them, and raises GatewayError if they do not come as
    a whole. ``size``: how many there are, if that is known.
    """

    async def encoded() -> AsyncIterator[bytes]:
        encoder = Encoder()
        async for piece in pieces():
            if some := encoder.feed(piece):
                yield some
        if rest := encoder.end():
            yield rest

    long = None if size is None else encoded_size(size)
    file = WrittenValue(write.column, SentText(text.encode(), encoded, long))
    request = structs.replace(request, query=write.document, variables=write.variables, file=file)
    with live.serving() as gateway:
        # Unlogged: the event of the file says how it ended, and the mutation would be one more that is "ok".
        answer = await gateway.engine.execute_unlogged(request)
    payload: dict[str, Any] | None = (answer.to_builtins().get("data") or {}).get("file")
    if payload is None:
        raise FileRefused(answer.code, answer.errors, answer)
    if payload["userErrors"]:
        errors = [_error(each) for each in payload["userErrors"]]
        raise FileRefused(Answer(errors=errors).code, errors, answer)
    row = payload.get("row")
    id_ = write.id if row is None else row["id"]
    return WrittenFile(id_, payload.get("created")), answer


def _error(error: dict[str, Any]) -> dict[str, Any]:
    extensions = {name: error[name] for name in ("code", "field") if error[name] is not None}
    return {"message": error["message"], "extensions": extensions}
