"""`env show --status`, `env drift`: how an environment does, and how its metadata changed, as the store has it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

from gateway.administration.known_environments import stored_since
from gateway.administration.opening import RegisterHolder
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.status.durations import duration
from gateway.status.sources import StoredStatus, stored_source

from .tables import print_table

_DIGITS = 12
"""Of a digest that is printed."""
_COUNTS = (
    *("operations", "operations_with_errors", "requests", "answered", "denied", "throttled"),
    *("rejected", "failed", "unanswered", "retried", "p50_ms", "p95_ms"),
)


def print_status(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print the status of an environment. Raises GatewayError."""
    report = _read(settings, name, lambda source, born: source.status(name, born))
    if as_json:
        print(json.dumps(report))
        return
    for line in _status_lines(report):
        print(line)
    calls = report["calls"]
    print()
    rows = [(key, _number(calls["hour"][key]), _number(calls["day"][key])) for key in _COUNTS]
    print_table([("", "HOUR", "DAY"), *rows])
    errors = [
        (e["last"], str(e["count"]), e["code"], " ".join(e["message"].split()))
        for e in report["errors"]
    ]
    if errors:
        print()
        print_table([("LAST", "COUNT", "CODE", "MESSAGE"), *errors])


def print_drift(settings: Settings, name: str, since: str, *, as_json: bool) -> None:
    """Print how the metadata of an environment changed within a period. Raises GatewayError."""
    seconds = duration(since)
    report = _read(settings, name, lambda source, born: source.drift(name, seconds, born))
    if as_json:
        print(json.dumps(report))
        return
    if not report["documents"]:
        print(f"The metadata of {name} did not change since {report['since']}.")
    for document in report["documents"]:
        for line in _drift_lines(document):
            print(line)


def _read(
    settings: Settings, name: str, read: Callable[[StoredStatus, float], dict[str, Any]]
) -> dict[str, Any]:
    with closing(RegisterHolder(settings)) as holder:
        born = stored_since(settings, holder, name)
    source = stored_source(settings)
    if source is None:
        raise SettingsError(
            "There is no status: the processes of this deployment share no store.",
            hint="Processes write it if there are API keys, environments, or a PostgreSQL; see the setting store.",
        )
    with closing(source):
        return read(source, born)


def _status_lines(report: Mapping[str, Any]) -> Iterator[str]:
    processes = len(report["processes"])
    known_to = f", known to {processes} processes" if processes > 1 else ""
    yield f"{report['environment']} is {report['state']}{known_to}."
    if (problem := report.get("problem")) is not None:
        again = f" The next attempt is at {problem['retry_at']}." if problem["retry_at"] else ""
        yield f"It does not open: {problem['message']}{again}"
    if (metadata := report.get("metadata")) is not None:
        facts = [f"served since {metadata['served_since']}"]
        facts += [f"{key} {metadata[key]}" for key in ("fetched", "checked") if key in metadata]
        yield f"Metadata {metadata['sha256'][:_DIGITS]}, {', '.join(facts)}."
    if (throttled := report.get("last_throttled")) is not None:
        yield f"Last throttled at {throttled}."


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"


def _drift_lines(document: Mapping[str, Any]) -> Iterator[str]:
    digests = f"{document['before'][:_DIGITS]} → {document['after'][:_DIGITS]}"
    if document["state"] != "compared":
        yield f"{document['at']}  {digests}  {document['state']}"
        return
    levels = ", ".join(
        f"{document[level]:,} {level}" for level in ("breaking", "dangerous", "safe")
    )
    yield f"{document['at']}  {digests}  {levels}"
    for change in document["changes"]:
        yield f"  {change['level']:<9}  {' '.join(change['description'].split())}"
    if document["left_off"]:
        yield f"  and {document['left_off']:,} more"
    for operation in document["broken_operations"]:
        yield f"  operation {operation['id']} breaks: {operation['errors'][0]}"
