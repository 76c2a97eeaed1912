"""`audit verify`: checks the chains of the audit log, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

from gateway.audit.opening import audit_folder
from gateway.audit.sinks import PATTERN
from gateway.audit.verify import ChainState, Report, verify
from gateway.config.settings import Settings
from gateway.errors import BadArgument, SettingsError

_MAX_OPEN = 10
"""Writes without an outcome that are printed of a chain."""


def print_verification(
    settings: Settings, files: Sequence[Path], heads: Sequence[str], *, as_json: bool
) -> None:
    """Check files and print what was found; exits with 1 if there is a problem. Raises SettingsError, BadArgument."""
    try:
        report = verify(files or _configured(settings), heads)
    except OSError as error:
        raise BadArgument(f"{error.filename}: cannot be read: {error.strerror}.") from error
    if as_json:
        print(json.dumps(_to_json(report)))
    else:
        print("\n".join(_text(report)))
    if report.problems:
        raise typer.Exit(1)


def _configured(settings: Settings) -> Sequence[Path]:
    folder = audit_folder(settings)
    if folder is None:
        raise SettingsError(
            "There is no folder of audit files.", hint="Name the files, or set audit.path."
        )
    files = sorted(folder.glob(PATTERN))
    if not files:
        raise BadArgument(f"There are no audit files in {folder}.")
    return files


def _text(report: Report) -> Iterator[str]:
    for problem in report.problems:
        yield f"{problem.place}: {problem.message}"
    for state in report.chains.values():
        yield (
            f"chain {state.chain}: lines {state.first:,} to {state.last.number:,},"
            f" {state.since} to {state.until}, last digest {state.last.digest}"
        )
        yield from (f"  {note}" for note in _notes(state))
    lines = sum(state.lines for state in report.chains.values())
    checked = f"{report.files:,} files, {len(report.chains):,} chains, {lines:,} lines"
    count = len(report.problems)
    yield f"{checked}: {f'{count:,} problems' if count else 'no problem'}."


def _notes(state: ChainState) -> Iterator[str]:
    if state.open_writes:
        numbers = sorted(state.open_writes)
        more = ", …" if len(numbers) > _MAX_OPEN else ""
        yield (
            f"{len(numbers):,} writes without an outcome (check whether they happened): numbers"
            f" {', '.join(map(str, numbers[:_MAX_OPEN]))}{more}"
        )
    if state.lost:
        yield f"{state.lost:,} entries could not be written"
    if not state.has_end:
        yield "no last line: its process is running, was killed, or the end was cut off"


def _to_json(report: Report) -> dict[str, object]:
    return {
        "problems": [{"place": p.place, "message": p.message} for p in report.problems],
        "files": report.files,
        "chains": [
            {
                "chain": state.chain,
                "first": state.first,
                "last": state.last.number,
                "digest": state.last.digest,
                "since": state.since,
                "until": state.until,
                "lines": state.lines,
                "openWrites": sorted(state.open_writes),
                "lost": state.lost,
                "hasEnd": state.has_end,
            }
            for state in report.chains.values()
        ],
    }
