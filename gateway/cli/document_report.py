"""What `documents check` finds, as records, JSON and text; and what changed between two findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from gateway.runtime.document_checks import DocumentCheck, OperationCheck

NOTICEABLE = 5.0
"""Percent by which a price must differ to be listed: less is the noise of what was learned."""


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one operation of a document."""

    id: str
    operation: str | None = None
    kind: str = ""
    code: str | None = None
    """Code of its errors; absent: it can run."""
    messages: tuple[str, ...] = ()
    requests: float | None = None
    rows: float | None = None
    seconds: float | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        if self.operation is None or self.operation == self.id:
            return self.id
        return f"{self.operation} ({self.id})"

    @property
    def price(self) -> str:
        """Its price, for people."""
        if self.requests is None or self.seconds is None:
            return ""
        plural = "" if round(self.requests, 1) == 1 else "s"
        return f"{self.requests:.3g} request{plural}, {self.seconds:.2g} s"


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a finding differs from an earlier one."""

    change: Literal["broke", "mended", "dearer", "cheaper"]
    after: Finding
    before: Finding | None = None
    percent: float | None = None
    """By how much the price differs."""


class Report(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All findings of a check; ``changes`` if it was compared with another one."""

    documents: int
    broken: int
    operations: tuple[Finding, ...]
    changes: tuple[Change, ...] | None = None

    def lines(self) -> Iterator[str]:
        """Yield the report for people."""
        if self.changes is None:
            for each in self.operations:
                if each.code is not None:
                    yield f"broken   {each.name}: {_reason(each)}"
            priced = [each for each in self.operations if each.seconds is not None]
            for each in sorted(priced, key=lambda e: -(e.seconds or 0)):
                yield f"runs     {each.name}: {each.price}"
        else:
            for change in self.changes:
                yield f"{change.change:8} {change.after.name}: {_difference(change)}"
            if not self.changes:
                yield "No change."
        yield f"{self.documents:,} documents, {self.broken:,} broken."


def _reason(finding: Finding) -> str:
    return f"{finding.code}: {finding.messages[0]}" if finding.messages else f"{finding.code}"


def _difference(change: Change) -> str:
    if change.percent is None or change.before is None:
        return _reason(change.after) if change.change == "broke" else "it can run"
    return f"{change.before.price} → {change.after.price} ({change.percent:+.0f} %)"


def findings_of(checks: Iterable[DocumentCheck]) -> tuple[Finding, ...]:
    """Return the findings of checks."""
    return tuple(
        _finding(check.document.id, operation) for check in checks for operation in check.operations
    )


def _finding(name: str, check: OperationCheck) -> Finding:
    price = check.price
    return Finding(
        id=name,
        operation=check.operation,
        kind=check.kind,
        code=check.code,
        messages=check.messages,
        requests=None if price is None else round(price.requests, 3),
        rows=None if price is None else round(price.rows, 3),
        seconds=None if price is None else round(price.seconds, 6),
    )


def report_of(findings: Sequence[Finding], changes: Sequence[Change] | None = None) -> Report:
    """Return the report of findings."""
    return Report(
        documents=len({each.id for each in findings}),
        broken=len({each.id for each in findings if each.code is not None}),
        operations=tuple(findings),
        changes=None if changes is None else tuple(changes),
    )


def changes_between(before: Iterable[Finding], after: Iterable[Finding]) -> Iterator[Change]:
    """Yield what changed: broken ones first, then by how much dearer they are.

    A document that was not there before counts as broken if it cannot run.
    """
    earlier = {(each.id, each.operation): each for each in before}
    by_id = {each.id: each for each in earlier.values()}
    changes: list[Change] = []
    for each in after:
        old = earlier.get((each.id, each.operation)) or by_id.get(each.id)
        change = _change(old, each)
        if change is not None:
            changes.append(change)
    order = ("broke", "dearer", "cheaper", "mended")
    yield from sorted(changes, key=lambda c: (order.index(c.change), -abs(c.percent or 0)))


def _change(before: Finding | None, after: Finding) -> Change | None:
    was_broken = before is not None and before.code is not None
    if after.code is not None:
        return None if was_broken else Change(change="broke", after=after, before=before)
    if was_broken:
        return Change(change="mended", after=after, before=before)
    percent = _percent(before, after)
    if before is None or percent is None or abs(percent) < NOTICEABLE:
        return None
    kind: Literal["dearer", "cheaper"] = "dearer" if percent > 0 else "cheaper"
    return Change(change=kind, after=after, before=before, percent=round(percent, 1))


def _percent(before: Finding | None, after: Finding) -> float | None:
    """Return by how many percent an operation costs more: seconds of the upstream, or requests without them."""
    if before is None:
        return None
    for old, new in ((before.seconds, after.seconds), (before.requests, after.requests)):
        if old and new is not None:
            return 100.0 * (new / old - 1.0)
    return None
