"""Reports of one environment, as JSON for people and programs: its status, and the drift of its metadata.

``scope`` says whose numbers they are: ``deployment``, summed over all processes by the store, at most some seconds old;
or ``process``, of the one that serves, since its start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import msgspec

from gateway.store.status_rows import DriftEntry, StatusRow, StatusRows

from .drift import decoded
from .records import DAY, SLOT, Calls, ErrorNote, Facts, percentile, total_of

Scope: TypeAlias = Literal["deployment", "process"]
ALIVE = 180.0
"""Seconds after which a process that has written nothing counts as gone."""
ERRORS = 20
HOUR = 3_600.0
_COMPARING = 900.0
"""Seconds after which a comparison counts as given up."""
_WORST_FIRST = ("failed", "open", "opening", "closed")


def first_slot(now: float, seconds: float = DAY) -> int:
    """Return the slot in which a period began that ends now."""
    return int((now - seconds) // SLOT)


def status_report(
    name: str, rows: StatusRows, scope: Scope, now: float, born: float = 0.0
) -> dict[str, Any]:
    """Return the status of an environment from the rows of processes.

    What was before ``born`` is left out: it may be of another environment that had the name.
    """
    told = [(row, _facts(row, born)) for row in rows.statuses if row.updated >= born]
    alive = [(row, facts) for row, facts in told if row.updated >= now - ALIVE]
    slots = [
        (row.slot, msgspec.json.decode(row.counts, type=Calls))
        for row in rows.calls
        if (row.slot + 1) * SLOT > born
    ]
    states = {facts.state for _, facts in alive}
    state = next((state for state in _WORST_FIRST if state in states), "closed")
    report = {
        "environment": name,
        "scope": scope,
        "at": iso(now),
        "state": state,
        "problem": _problem([facts for _, facts in alive]) if state == "failed" else None,
        "metadata": _metadata([facts for _, facts in alive], now),
        "last_throttled": iso_or_none(_latest(facts.throttled for _, facts in told)),
        "calls": {
            "hour": _calls(slots, first_slot(now, HOUR)),
            "day": _calls(slots, first_slot(now)),
        },
        "errors": _errors([facts for _, facts in told], now),
        "processes": [
            {
                "host": facts.host,
                "pid": facts.pid,
                "state": facts.state,
                "since": iso(facts.since),
                "updated": iso(row.updated),
            }
            for row, facts in sorted(alive, key=lambda each: (each[1].host, each[1].pid))
        ],
    }
    return {key: fact for key, fact in report.items() if fact is not None}


def _facts(row: StatusRow, born: float) -> Facts:
    facts = msgspec.json.decode(row.facts, type=Facts)
    facts.errors = [error for error in facts.errors if error.first >= born]
    return facts


def _problem(facts: Sequence[Facts]) -> dict[str, Any] | None:
    failed = max((f for f in facts if f.state == "failed"), key=lambda f: f.since)
    return {"message": failed.problem or "", "retry_at": iso_or_none(failed.retry_at)}


def _metadata(facts: Sequence[Facts], now: float) -> dict[str, Any] | None:
    """Return which document is served: the newest one, if processes differ for a moment."""
    serving = [f for f in facts if f.state == "open" and f.metadata is not None]
    if not serving:
        return None
    newest = max(serving, key=lambda f: f.served_since or 0.0)
    fetched = newest.fetched
    document = {
        "sha256": newest.metadata,
        "served_since": iso_or_none(newest.served_since),
        "fetched": iso_or_none(fetched),
        "age_seconds": None if fetched is None else round(max(0.0, now - fetched)),
        "checked": iso_or_none(
            _latest(f.checked for f in serving if f.metadata == newest.metadata)
        ),
        "documents": len({f.metadata for f in serving}),
    }
    return {key: fact for key, fact in document.items() if fact is not None}


def _calls(slots: Iterable[tuple[int, Calls]], first: int) -> dict[str, Any]:
    """Return the sum of the slots of a period, which begins with a whole one."""
    total = total_of(calls for slot, calls in slots if slot >= first)
    numbers = {
        name: getattr(total, name) for name in Calls.__struct_fields__ if name != "latencies"
    }
    times = {
        "p50_ms": percentile(total.latencies, 0.5),
        "p95_ms": percentile(total.latencies, 0.95),
    }
    return {
        "since": iso(first * SLOT),
        **numbers,
        **{name: None if time is None else round(time * 1_000, 1) for name, time in times.items()},
    }


def _errors(facts: Iterable[Facts], now: float) -> list[dict[str, Any]]:
    """Return the last errors of a day, the newest first; those of several processes that are equal are one."""
    united: dict[tuple[str, str, str], ErrorNote] = {}
    for error in (error for f in facts for error in f.errors if error.last >= now - DAY):
        key = (error.source, error.code, error.message)
        other = united.get(key)
        united[key] = error if other is None else _united(error, other)
    newest = sorted(united.values(), key=lambda error: error.last, reverse=True)[:ERRORS]
    return [
        {
            "source": error.source,
            "code": error.code,
            "message": error.message,
            "count": error.count,
            "first": iso(error.first),
            "last": iso(error.last),
        }
        for error in newest
    ]


def _united(one: ErrorNote, other: ErrorNote) -> ErrorNote:
    first, last = min(one.first, other.first), max(one.last, other.last)
    count = one.count + other.count
    return msgspec.structs.replace(one, first=first, last=last, count=count)


def drift_report(
    name: str, entries: Iterable[DriftEntry], scope: Scope, since: float, now: float
) -> dict[str, Any]:
    """Return the changes of an environment's metadata since a time, the newest first."""
    changes = [_drift(entry, now) for entry in entries if entry.before is not None]
    return {
        "environment": name,
        "scope": scope,
        "since": iso(since),
        "at": iso(now),
        "documents": changes,
    }


def _drift(entry: DriftEntry, now: float) -> Mapping[str, Any]:
    facts: dict[str, Any] = {"at": iso(entry.at), "before": entry.before, "after": entry.after}
    drift = decoded(entry)
    if drift is None:
        is_running = now < entry.at + _COMPARING
        return {**facts, "state": "comparing" if is_running else "unknown"}
    stored = len(drift.changes)
    return {
        **facts,
        "state": "compared",
        "breaking": drift.breaking,
        "dangerous": drift.dangerous,
        "safe": drift.safe,
        "changes": list(msgspec.to_builtins(drift.changes)),
        "left_off": drift.breaking + drift.dangerous + drift.safe - stored,
        "broken_operations": [
            {"id": broken.id, "errors": list(broken.errors)} for broken in drift.operations
        ],
    }


def _latest(times: Iterable[float | None]) -> float | None:
    return max((time for time in times if time is not None), default=None)


def iso(seconds: float) -> str:
    """Return a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def iso_or_none(seconds: float | None) -> str | None:
    """Return a time in UTC, if there is one."""
    return None if seconds is None else iso(seconds)
