"""Reads manifests of trusted documents, in the forms that clients' build tools write.

    Apollo   {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id", "name", "type", "body"}]}
    Relay    {"<hash>": "query …"}     persistConfig.file; also GraphQL Code Generator's persistedDocuments
    Hive     {"<hash>": "query …"}     in a file SHOP~1.4.0.json; its clients send SHOP~1.4.0~<hash>

Ids that look like a hash must be the hash of their text, so that nobody can put another document in the place of the
one that a team has released: 64 hexadecimal digits are SHA-256, 40 SHA-1, 32 MD5 (Relay's default).

https://www.apollographql.com/docs/graphos/platform/security/persisted-queries#manifest-format
https://relay.dev/docs/guides/persisted-queries/ · https://the-guild.dev/graphql/hive/docs/schema-registry/app-deployments
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from .trusted import NO_POLICY, SHA256, DocumentPolicy, ReleaseError, TrustedDocument

APOLLO = "apollo-persisted-query-manifest"
MAX_ID = 256
"""Characters of an id."""
_HASHES = {64: "sha256", 40: "sha1", 32: "md5"}
_HEX = re.compile(r"[0-9a-f]+")
_ID = re.compile(r"[^\s\x00-\x1f\x7f/?#]+")


class _Policy(Struct, forbid_unknown_fields=True, rename="camel"):
    roles: tuple[str, ...] = ()
    max_cost: float | None = None
    max_age: int | None = None


class _Operation(Struct):
    id: str
    body: str
    name: str | None = None
    d365: _Policy | None = None


class _Apollo(Struct):
    version: int
    operations: list[_Operation]


def read_manifest(
    content: bytes, *, app: str = "", check_hashes: bool = True
) -> Iterator[TrustedDocument]:
    """Yield the documents of a manifest. Raises ReleaseError.

    ``app``: prefix of the ids, as in ``shop~1.4.0``.
    """
    try:
        manifest = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReleaseError("it is not JSON, or not written to its end") from error
    if not isinstance(manifest, dict):
        raise ReleaseError("it is not a JSON object")
    documents = _apollo(manifest) if "format" in manifest else _texts(manifest)
    for document in documents:
        checked(document, check_hashes=check_hashes)
        yield prefixed(document, app) if app else document


def _apollo(manifest: dict[str, object]) -> Iterator[TrustedDocument]:
    if manifest["format"] != APOLLO:
        raise ReleaseError(f"its format is not {APOLLO}")
    try:
        parsed = msgspec.convert(manifest, _Apollo)
    except msgspec.ValidationError as error:
        raise ReleaseError(f"it is not as Apollo defines it: {error}") from error
    if parsed.version != 1:
        raise ReleaseError(f"its version is {parsed.version}; only version 1 is known")
    for operation in parsed.operations:
        policy = NO_POLICY
        if operation.d365 is not None:
            policy = DocumentPolicy(**msgspec.structs.asdict(operation.d365))
        yield TrustedDocument(
            id=operation.id, text=operation.body, name=operation.name, policy=policy
        )


_OPERATION = re.compile(
    r"(?:^|\})\s*(?:query|mutation|subscription)\s+([_A-Za-z]\w*)", re.MULTILINE
)


def name_in(text: str) -> str | None:
    """Return the name of the first operation of a text, for people; None if it has none."""
    match = _OPERATION.search(text)
    return None if match is None else match[1]


def _texts(manifest: dict[str, object]) -> Iterator[TrustedDocument]:
    for name, text in manifest.items():
        if not isinstance(text, str):
            raise ReleaseError(f"the value of {name[:80]} is not the text of a document")
        yield TrustedDocument(id=name, text=text, name=name_in(text))


def prefixed(document: TrustedDocument, app: str) -> TrustedDocument:
    """Return the document under Hive's id of an app: ``shop~1.4.0`` and ``a3f8…`` → ``shop~1.4.0~a3f8…``."""
    return msgspec.structs.replace(document, id=f"{app}~{document.id}")


def checked(document: TrustedDocument, *, check_hashes: bool) -> None:
    """Raise ReleaseError if a document has no usable id or no text, or its id is the hash of another text."""
    name = document.id
    if len(name) > MAX_ID or not _ID.fullmatch(name):
        raise ReleaseError(
            f"{name[:80]!r} is not an id: at most {MAX_ID} characters, no blanks, /, ? and #"
        )
    if not document.text.strip():
        raise ReleaseError(f"the document {name} is empty")
    if check_hashes and not _is_hash_of(name, document.text):
        raise ReleaseError(
            f"the id {name} is not the hash of its document (documents.check_hashes)"
        )


def _is_hash_of(name: str, text: str) -> bool:
    """Return whether an id is the hash of a text, or looks like no hash at all."""
    encoded = text.encode("utf-8", "surrogatepass")
    digest = name.rpartition("~")[2]
    if digest.startswith(SHA256):
        return digest.removeprefix(SHA256) == hashlib.sha256(encoded).hexdigest()
    kind = _HASHES.get(len(digest)) if _HEX.fullmatch(digest) else None
    # MD5 and SHA-1 are what the build tools write; who can write the manifest could write any text anyway.
    return kind is None or hashlib.new(kind, encoded, usedforsecurity=False).hexdigest() == digest
