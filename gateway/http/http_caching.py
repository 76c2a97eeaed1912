"""HTTP caching of trusted documents: what clients and caches between may keep of an answer, and for how long.

    GET /graphql/documents/orders     Cache-Control: private, max-age=60 · ETag: "3f2a…" · Age: 12
    If-None-Match: "3f2a…"            304

Only a safe request that names a document is cached, and only its answer without errors. An answer is ``private`` unless
its caller is anonymous; ``Vary`` names the headers that decide an answer. The ETag is the digest of the answer, strong
where the body is sent as it is, and weak where it is compressed (RFC 9110, section 8.8.1).
https://www.rfc-editor.org/rfc/rfc9111
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from msgspec import UNSET

from gateway.identity.caller import ANONYMOUS
from gateway.request import Answer, GraphQLRequest
from gateway.storage.content_coding import IDENTITY

_LENGTH = 16
"""Bytes of a digest: more than anybody finds a second answer for."""


def cache_fields(
    request: GraphQLRequest,
    answer: Answer,
    headers: Mapping[str, str],
    max_age: int | None,
) -> tuple[tuple[bytes, bytes], ...]:
    """Return the header fields that let an answer to a safe request be cached; none if it must not be.

    ``max_age``: the setting, in seconds; None: as the cache of upstream answers says.
    """
    # What a header adds to the body is for this request only.
    is_plain = not request.trace and request.cost is None
    if request.trusted is None or answer.errors or not is_plain:
        return ()
    own = request.trusted.policy.max_age
    seconds = own if own is not None else max_age
    if seconds is None:
        seconds = int(answer.lifetime)
    if seconds <= 0:
        return ()
    is_public = request.caller is ANONYMOUS and "authorization" not in headers
    directive = f"{'public' if is_public else 'private'}, max-age={seconds}"
    fields: tuple[tuple[bytes, bytes], ...] = ((b"cache-control", directive.encode()),)
    if answer.age >= 1:
        fields = (*fields, (b"age", b"%d" % answer.age))
    if answer.extensions is not UNSET and answer.written is None:
        # They tell of this answer, such as its age; the data may be what the client has.
        body = Answer(answer.data).encode()
        fields = (*fields, (b"etag", f'W/"{digest_of(body)}"'.encode()))
    return fields


def digest_of(body: bytes) -> str:
    """Return what is equal for equal bodies."""
    return hashlib.blake2b(body, digest_size=_LENGTH).hexdigest()


def etag_of(body: bytes, coding: str) -> bytes:
    """Return the entity tag of a body that is sent in a coding."""
    return f'{"" if coding == IDENTITY else "W/"}"{digest_of(body)}"'.encode()


def matches(if_none_match: str, etag: bytes) -> bool:
    """Return whether a client has the body already (RFC 9110, section 13.1.2: weak comparison)."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag.decode().removeprefix("W/") in tags
