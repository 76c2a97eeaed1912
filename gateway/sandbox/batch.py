"""Answers ``POST /data/$batch``, multipart/mixed (section 4.3).

Parts are answered one by one and independently; the outer status is 200 even if all of them fail. A
changeset is written as a whole or not at all; one that fails is answered by *one* error part.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

from .exchange import Incoming, Outgoing
from .multipart import Part, read_batch, write_answer, write_changeset, write_parts
from .refusal import Refusal
from .settings import SandboxSettings

_TWICE = "The content ID '{}' was found more than once in the same change set."
_WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})


class _RolledBack(Exception):
    """A changeset failed: the part that made it fail, and its answer."""

    def __init__(self, part: Part, answer: Outgoing) -> None:
        super().__init__(answer.status)
        self.part = part
        self.answer = answer


class Batches:
    """Answers batches by answering their parts."""

    def __init__(
        self,
        settings: SandboxSettings,
        part: Callable[[Incoming], Outgoing],
        transaction: Callable[[], AbstractContextManager[None]],
        *,
        references: bool,
    ) -> None:
        self._settings = settings
        self._part = part
        self._transaction = transaction
        self._references = references

    def answer(self, incoming: Incoming, after_part: Callable[[int], None]) -> Outgoing:
        """Return the multipart answer of a batch; ``after_part`` is called with the number of each part, from 1."""
        parts = read_batch(incoming, needs_crlf=self._settings.batch_needs_crlf)
        limit = self._settings.batch_limit
        inner = [part.parts() if part.is_changeset else [part] for part in parts]
        if sum(map(len, inner)) > limit:
            raise Refusal(
                400,
                f"The current batch message contains too many parts: at most {limit} are allowed.",
            )
        answers: list[bytes] = []
        for number, (part, requests) in enumerate(zip(parts, inner, strict=True), 1):
            if part.is_changeset:
                answer, is_refused = self._changeset(incoming, requests)
            else:
                answer, is_refused = self._independent(incoming, part)
            answers.append(answer)
            after_part(number)
            if is_refused and self._stops(incoming):
                break
        boundary = f"batchresponse_{uuid.uuid4()}"
        return Outgoing(
            status=self._settings.batch_status,
            headers={"content-type": f"multipart/mixed; boundary={boundary}"},
            body=write_parts(boundary, answers),
        )

    def _stops(self, incoming: Incoming) -> bool:
        """Return whether a batch ends at a part that is refused (OData 4.0 Protocol, section 8.2.8.3)."""
        stops = self._settings.batch_stops
        prefers = "odata.continue-on-error" in incoming.headers.get("prefer", "")
        return stops == "always" or (stops == "unless-preferred" and not prefers)

    def _independent(self, outer: Incoming, part: Part) -> tuple[bytes, bool]:
        """Return the answer to a part outside of changesets, and whether it is a refusal."""
        answer = self._one(outer, part)
        return write_answer(answer, part.content_id), answer.status >= 400

    def _one(self, outer: Incoming, part: Part) -> Outgoing:
        try:
            return self._part(part.request(outer))
        except Refusal as refusal:
            return Outgoing.of_refusal(refusal)

    def _changeset(self, outer: Incoming, parts: list[Part]) -> tuple[bytes, bool]:
        """Return the answer to a changeset, and whether it is a refusal."""
        boundary = f"changesetresponse_{uuid.uuid4()}"
        try:
            with self._transaction():
                answers = self._write_all(outer, parts)
        except _RolledBack as error:
            content_id = self._error_id(parts, error.part)
            return write_changeset(boundary, [write_answer(error.answer, content_id)]), True
        return write_changeset(boundary, answers), False

    def _error_id(self, parts: list[Part], culprit: Part) -> str | None:
        """Return the Content-ID of the error part of a changeset."""
        match self._settings.changeset_error_id:
            case "first":
                return parts[0].content_id
            case "culprit":
                return culprit.content_id
        return None

    def _write_all(self, outer: Incoming, parts: list[Part]) -> list[bytes]:
        """Answer the requests of a changeset in order. Raises _RolledBack at the first that fails."""
        created: dict[str, str] = {}
        uses = Counter(part.content_id for part in parts)
        answers = []
        for part in parts:
            if part.content_id is not None and uses[part.content_id] > 1:
                raise _RolledBack(part, _refused(_TWICE.format(part.content_id)))
            answer = self._in_changeset(outer, part, created)
            if answer.status >= 400:
                raise _RolledBack(part, answer)
            if part.content_id is not None and answer.created:
                created[part.content_id] = answer.created
            answers.append(write_answer(answer, part.content_id))
        return answers

    def _in_changeset(self, outer: Incoming, part: Part, created: dict[str, str]) -> Outgoing:
        if part.is_changeset:
            return _refused("A changeset cannot hold another one.")
        try:
            request = part.request(outer)
        except Refusal as refusal:
            return Outgoing.of_refusal(refusal)
        if request.method not in _WRITES:
            return _refused(f"An invalid HTTP method '{request.method}' was found in a change set.")
        return self._part(self._resolve_reference(request, created))

    def _resolve_reference(self, request: Incoming, created: dict[str, str]) -> Incoming:
        """Replace ``$1`` in an address by the address of the row that part 1 created, if the service does so."""
        head, _, rest = request.path.removeprefix("/data/").partition("/")
        row = created.get(head.removeprefix("$")) if head.startswith("$") else None
        if row is None or not self._references:
            return request
        return Incoming(
            method=request.method,
            path=f"{row}/{rest}" if rest else row,
            query=request.query,
            headers=request.headers,
            body=request.body,
            origin=request.origin,
        )


def _refused(message: str) -> Outgoing:
    return Outgoing.of_refusal(Refusal(400, message))
