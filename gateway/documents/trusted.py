"""Trusted documents: those of a release, by each of the names that clients have for them.

    id of the manifest         a3f8…  ·  orders  ·  shop~1.4.0~a3f8…
    SHA-256 of the text        71f7…  ·  sha256:71f7…

The prefixed form is that of the appendix "Persisted Documents" of GraphQL over HTTP:
https://github.com/graphql/graphql-over-http/pull/264.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from msgspec import Struct, structs

SHA256 = "sha256:"


class DocumentPolicy(Struct, frozen=True, kw_only=True):
    """What holds for one document besides the limits of its caller."""

    roles: tuple[str, ...] = ()
    """Roles of the callers who may run it; empty: all."""
    max_cost: float | None = None
    """Maximum points of an operation, besides the caller's limit; None: no further one."""
    max_age: int | None = None
    """Seconds for which its answers to GET may be cached; None: as in the settings."""


NO_POLICY = DocumentPolicy()


class TrustedDocument(Struct, frozen=True, kw_only=True):
    """A document of a release."""

    id: str
    text: str
    name: str | None = None
    """Name of its operation, as the manifest says it."""
    policy: DocumentPolicy = NO_POLICY


class ReleaseError(Exception):
    """Documents that cannot be served; the text is the reason, for the log."""


class Release(Struct, frozen=True, kw_only=True, eq=False):
    """The documents of one release. Nothing of it changes: the next one replaces it as a whole."""

    documents: tuple[TrustedDocument, ...] = ()
    digest: str = ""
    """Equal for releases with the same documents."""
    names: dict[str, TrustedDocument] = {}
    texts: dict[str, TrustedDocument] = {}

    def get(self, name: str) -> TrustedDocument | None:
        """Return the document that a client names; None: there is none."""
        return self.names.get(name)

    def of_text(self, text: str) -> TrustedDocument | None:
        """Return the document with exactly this text; None: there is none."""
        return self.texts.get(text)


NO_DOCUMENTS = Release()


def release_of(
    documents: Iterable[TrustedDocument], policies: Iterable[tuple[str, DocumentPolicy]] = ()
) -> Release:
    """Return the release of these documents. Raises ReleaseError if two of them have the same id.

    ``policies``: patterns of ids and operation names with what holds for the documents that match; the first counts,
    and what it leaves open is as the manifest says.
    """
    patterns = tuple(policies)
    names: dict[str, TrustedDocument] = {}
    texts: dict[str, TrustedDocument] = {}
    digest = hashlib.sha256()
    for document in documents:
        applied = _with_policy(document, patterns)
        other = names.get(applied.id)
        if other is None:
            names[applied.id] = applied
        elif other.text != applied.text:
            raise ReleaseError(f"two documents have the id {applied.id}")
        else:
            continue
        texts.setdefault(applied.text, applied)
        digest.update(repr(applied).encode("utf-8", "surrogatepass"))
    listed = tuple(names.values())
    # An id of the manifest counts before the hash of another document's text.
    for document in listed:
        for name in hash_names(document.text):
            names.setdefault(name, document)
    return Release(documents=listed, digest=digest.hexdigest(), names=names, texts=texts)


def hash_names(text: str) -> Iterator[str]:
    """Yield the names that every document has: the SHA-256 of its text, plain and with its prefix."""
    digest = sha256_of(text)
    yield digest
    yield f"{SHA256}{digest}"


def sha256_of(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, as lower-case hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _with_policy(
    document: TrustedDocument, patterns: tuple[tuple[str, DocumentPolicy], ...]
) -> TrustedDocument:
    for pattern, policy in patterns:
        if any(fnmatchcase(name, pattern) for name in (document.id, document.name or "")):
            own = {
                n: value
                for n in policy.__struct_fields__
                if (value := getattr(policy, n)) or value == 0
            }
            return structs.replace(document, policy=structs.replace(document.policy, **own))
    return document
