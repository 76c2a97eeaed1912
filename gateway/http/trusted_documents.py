"""Finds the document of a request: the one that it sends, or the trusted one that it names.

    /graphql/documents/{id}                                the appendix "Persisted Documents" of GraphQL over HTTP
    documentId                                             likewise; Hive's clients
    extensions.persistedQuery.sha256Hash                   Apollo's clients, urql
    doc_id                                                 Relay's network layers

What may run depends on the mode: that of the caller's roles, else that of the profile, else that of the deployment.
``only`` lets nothing pass but the documents of the release, on every way in; one that is sent word for word is one of
them. Who has the admin token may send others, so that GraphiQL and explain stay of use.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config.document_models import DocumentMode
from gateway.documents.trusted import SHA256, TrustedDocument
from gateway.identity.caller import Caller
from gateway.manifests.store import TrustedStore
from schema.policy.view import RoleView

from .admin_access import AccessCheck, deny_all
from .refusals import (
    HttpError,
    persisted_query_error,
    unknown_document_error,
    untrusted_document_error,
)

PATH_PARAMETER = "document"
"""Name of the path parameter with the id of a document."""
NAMES = ("documentId", "doc_id", "extensions")
"""Parameters of a URL by which a request without a document may still be one to the API."""
_MODES: Mapping[str, DocumentMode] = {"off": "off", "prefer": "prefer", "only": "only"}


@dataclass(frozen=True, slots=True)
class DocumentAccess:
    """Which documents a request may run."""

    mode: DocumentMode = "off"
    store: TrustedStore | None = None
    """None: there are no trusted documents."""
    is_admin: AccessCheck = deny_all
    """Tells by its headers whether a request is the administrator's."""
    roles: Collection[str] = ()
    """The caller's roles, with those that they inherit."""

    def of_caller(self, caller: Caller, view: RoleView | None) -> DocumentAccess:
        """Return what a caller may run."""
        if self.store is None:
            return self
        if view is None:
            return DocumentAccess(self.mode, self.store, self.is_admin, caller.roles)
        mode = self.mode if view.documents is None else _MODES[view.documents]
        return DocumentAccess(mode, self.store, self.is_admin, view.roles)

    def find(
        self,
        parameters: Mapping[str, Any],
        headers: Mapping[str, str],
        path_name: str | None = None,
    ) -> tuple[str, TrustedDocument | None]:
        """Return the text of a request's document, and the trusted document if it is one. Raises HttpError."""
        query, store = query_of(parameters), self.store
        if store is None or (self.mode == "off" and store.automatic is None):
            if query is None:
                raise no_document(has_name=_has_name(parameters, path_name))
            return query, None
        name, hash_name = _names_of(parameters, path_name)
        text, document = self._choose(store, query, name, hash_name, in_path=path_name is not None)
        if document is not None:
            if document.policy.roles and not set(document.policy.roles).intersection(self.roles):
                raise HttpError(403, "FORBIDDEN", "None of your roles may run this document.")
            store.usage.note(document)
            return text, document
        if self.mode == "only" and not self.is_admin(headers):
            raise untrusted_document_error()
        store.usage.others += 1
        return text, None

    def _choose(
        self,
        store: TrustedStore,
        query: str | None,
        name: str | None,
        hash_name: str | None,
        *,
        in_path: bool,
    ) -> tuple[str, TrustedDocument | None]:
        """Return the text of a request's document, and the trusted document if it is one. Raises HttpError."""
        release = store.release
        is_trusting = self.mode != "off"
        if query is not None:
            document = release.of_text(query) if is_trusting else None
            if name is not None:
                document = release.get(name) if is_trusting else None
                if document is None or document.text != query:
                    message = "The request names a document, and sends another one."
                    raise HttpError(400, "BAD_REQUEST", message, "Send one of the two.")
            elif document is None and hash_name is not None:
                self._register(store, hash_name, query)
            return query, document
        if name is not None and hash_name not in (None, name):
            raise HttpError(400, "BAD_REQUEST", "The request names two documents.", "Name one.")
        requested = name if name is not None else hash_name
        if requested is None:
            raise no_document(has_name=False)
        if is_trusting and (document := release.get(requested)) is not None:
            return document.text, document
        registered = self._registered(store, requested)
        if registered is not None:
            return registered, None
        store.usage.unknown += 1
        raise unknown_document_error(in_path=in_path, registers=self._registers(store))

    def _registers(self, store: TrustedStore) -> bool:
        return store.automatic is not None and self.mode != "only"

    def _registered(self, store: TrustedStore, name: str) -> str | None:
        if store.automatic is None or self.mode == "only":
            return None
        return store.automatic.get(name.removeprefix(SHA256))

    def _register(self, store: TrustedStore, name: str, text: str) -> None:
        """Keep a text under its hash, if clients may register documents. Raises HttpError if it is not its hash."""
        if store.automatic is None or self.mode == "only":
            return
        if not store.automatic.register(name.removeprefix(SHA256), text):
            message = "The hash of the persisted query is not that of the document."
            raise HttpError(400, "BAD_REQUEST", message, "It is the SHA-256 of the text in UTF-8.")


UNTRUSTED = DocumentAccess()
"""Every document may run, and none has a name."""


def no_document(*, has_name: bool) -> HttpError:
    """Return the error of a request without a document; ``has_name``: it names one, and there are none."""
    if has_name:
        return persisted_query_error()
    return HttpError(400, "BAD_REQUEST", "The request has no query.", 'Send {"query": "…"}.')


def query_of(parameters: Mapping[str, Any]) -> str | None:
    """Return the document that a request sends; None: none. Raises HttpError."""
    query = parameters.get("query")
    if query is None or query == "":
        return None
    if not isinstance(query, str):
        raise HttpError(400, "BAD_REQUEST", "The query is not a string.", 'Send {"query": "…"}.')
    return query


def _has_name(parameters: Mapping[str, Any], path_name: str | None) -> bool:
    """Return whether a request names a document, in whatever form."""
    named = path_name or parameters.get("documentId") or parameters.get("doc_id")
    extensions = parameters.get("extensions")
    return bool(named) or (isinstance(extensions, dict) and "persistedQuery" in extensions)


def _names_of(
    parameters: Mapping[str, Any], path_name: str | None
) -> tuple[str | None, str | None]:
    """Return the id that a request has for its document, and the hash of Apollo's extension. Raises HttpError."""
    names = {
        _text(value, place)
        for place, value in (
            ("The path", path_name),
            ("documentId", parameters.get("documentId")),
            ("doc_id", parameters.get("doc_id")),
        )
        if value is not None and value != ""
    }
    if len(names) > 1:
        raise HttpError(400, "BAD_REQUEST", "The request names two documents.", "Name one.")
    extensions = parameters.get("extensions")
    persisted = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    hash_name = None
    if persisted is not None:
        value = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
        hash_name = _text(value, "extensions.persistedQuery.sha256Hash")
    return (names.pop() if names else None), hash_name


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise HttpError(400, "BAD_REQUEST", f"{place} is not the id of a document.")
    return value
