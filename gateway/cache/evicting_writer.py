"""Sends writes, and evicts the answers that they make wrong: before a write leaves, and again when it has ended.

A write of a row evicts what was read of its set, a ``$batch`` that of all its parts; an action or a service may write
any table, so it evicts everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.odata.batch import is_batch
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.odata.upstream import OutcomePart, PassingOn, WriteUpstream, whole_response

from .environment_answers import EnvironmentAnswers

_SET = re.compile(r"(\w+)(?:\([^/]*\))?")
_PART = re.compile(rb"^(?:POST|PATCH|PUT|DELETE) (\S+) HTTP/1\.1", re.MULTILINE)


class EvictingWriter(PassingOn[WriteUpstream]):
    """The upstream of the writes of one operation."""

    def __init__(self, upstream: WriteUpstream, answers: EnvironmentAnswers) -> None:
        super().__init__(upstream)
        self._answers = answers

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        """Return the answer to a write; see ``WriteUpstream.write``."""
        sets = written_sets(request)
        self._answers.wrote(sets)
        try:
            return await self._upstream.write(request, outcome_part, begins)
        finally:
            # Whatever came of it: of a lost answer nobody knows.
            self._answers.wrote(sets)


def written_sets(request: Request) -> frozenset[str] | None:
    """Return the entity sets that a write changes; None if it may change any."""
    if not is_batch(request):
        name = _set_of(request.url)
        return None if name is None else frozenset({name})
    sets = [_set_of(found.decode()) for found in _PART.findall(request.body or b"")]
    names = frozenset(name for name in sets if name is not None)
    return names if sets and None not in sets else None


def _set_of(url: str) -> str | None:
    """``Vendors(dataAreaId='usmf',…)`` → Vendors; None for an action or a service."""
    match = _SET.fullmatch(url.partition("?")[0])
    return None if match is None else match[1]
