"""Faults that tests set while the sandbox runs: ``app.state.faults``.

A rule waits for its request (method, path, number of matching ones before it) and then breaks the connection at some
point, or answers something else. Over ASGI a broken connection is the exception that httpx raises for one; on a socket
the transport is closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal
from urllib.parse import unquote

import httpx

from .exchange import Incoming
from .settings import Fault

Point = Literal["before", "after", "mid-answer", "between-parts"]

_ANSWERING = ("before", "after")


class ConnectionLost(httpx.RemoteProtocolError):
    """The connection ended without an answer, or in the middle of one."""

    def __init__(self, at: Point) -> None:
        super().__init__(f"The sandbox closed the connection ({at}).")
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One fault, for the requests that it matches."""

    at: Point
    """``before``: unread and unprocessed; ``after``: processed but not answered; ``mid-answer``: half of the answer's
    bytes; ``between-parts``: a batch of which ``parts`` parts are processed."""
    method: str = "*"
    path: str = "*"
    """Shell pattern for the decoded path, without the query: ``*LedgerJournal*``."""
    skip: int = 0
    """Matching requests that pass before the first one that it applies to."""
    times: int = 1
    """Requests that it applies to; 0 for all."""
    parts: int = 1
    answer: Fault | None = None
    """Answered in place of breaking the connection (``before`` and ``after``): 429 unprocessed, 502 though written."""
    in_batch: bool = False
    """Whether it is for parts of batches; they are answered, so it needs an ``answer``."""

    def __post_init__(self) -> None:
        if self.answer is not None and (self.answer.kind != "answer" or self.at not in _ANSWERING):
            raise ValueError("a rule can answer only before or after, and only with a plain answer")
        if self.in_batch and (self.answer is None or self.at != "before"):
            raise ValueError(
                "a fault in a batch must be an answer before: the connection belongs to the batch"
            )

    def matches(self, incoming: Incoming, *, in_batch: bool) -> bool:
        """Return whether the rule is for this request."""
        return (
            self.in_batch == in_batch
            and self.method in ("*", incoming.method)
            and fnmatchcase(unquote(incoming.path), self.path)
        )


@dataclass(slots=True)
class Faults:
    """The rules in force; the first that matches and is not used up applies."""

    rules: list[FaultRule] = field(default_factory=list)
    hits: list[tuple[FaultRule, str]] = field(default_factory=list)
    """Where rules applied: rule, and method with path."""
    _seen: dict[int, int] = field(default_factory=dict)

    def add(self, *rules: FaultRule) -> None:
        """Add rules."""
        self.rules.extend(rules)

    def clear(self) -> None:
        """Remove all rules, and the record of their hits."""
        self.rules.clear()
        self.hits.clear()
        self._seen.clear()

    def take(self, incoming: Incoming, *, in_batch: bool = False) -> FaultRule | None:
        """Return the rule that applies to a request, and count it as used; None if no rule does."""
        for number, rule in enumerate(self.rules):
            if not rule.matches(incoming, in_batch=in_batch):
                continue
            seen = self._seen[number] = self._seen.get(number, 0) + 1
            if seen > rule.skip and (not rule.times or seen <= rule.skip + rule.times):
                self.hits.append((rule, f"{incoming.method} {incoming.path}"))
                return rule
        return None
