"""`documents check`: checks trusted documents against the metadata and the roles that the settings name.

A team runs it in CI: with its next manifest against what is served, or with the next metadata or roles against its
manifest. Nothing is sent but the requests for metadata.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.config.document_models import DocumentOptions
from gateway.config.loading import load_settings
from gateway.config.settings import Settings
from gateway.documents.trusted import Release
from gateway.errors import SettingsError
from gateway.manifests.store import open_documents
from gateway.runtime.assembly import Gateway, fresh_copy
from gateway.runtime.document_checks import DocumentCheck, check_document

from .document_report import Change, Finding, Report, changes_between, findings_of, report_of
from .progress import working
from .schema_commands import quiet, with_gateway

BROKEN_EXIT = 3
"""Exit code if a document cannot run, or if the change breaks one."""
DEARER_EXIT = 4
"""Exit code if an operation costs more than ``--max-dearer`` allows."""
_JSON = re.compile(rb"\s*\{")


class CheckOptions(Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    manifest: str | None = None
    against: str | None = None
    max_dearer: float | None = None
    profile: str | None = None
    roles: str | None = None
    as_json: bool = False


def print_check(settings: Settings, options: CheckOptions) -> int:
    """Print what becomes of every document, and return the exit code. Raises SettingsError, SchemaError."""
    settings = _with_manifest(settings, options.manifest)
    if options.max_dearer is not None and options.against is None:
        raise SettingsError("--max-dearer needs --against: nothing is dearer than itself.")
    before = None if options.against is None else _earlier(settings, options, options.against)
    after = _findings(settings, options)
    changes = None if before is None else list(changes_between(before, after))
    report = report_of(after, changes)
    if options.as_json:
        print(msgspec.json.encode(report).decode())
    else:
        print("\n".join(report.lines()))
    return exit_code(report, changes, options.max_dearer)


def exit_code(report: Report, changes: Sequence[Change] | None, max_dearer: float | None) -> int:
    """Return the exit code of a check: 0 if the documents may be released."""
    if changes is None:
        return BROKEN_EXIT if report.broken else 0
    if any(change.change == "broke" for change in changes):
        return BROKEN_EXIT
    if max_dearer is not None and any((c.percent or 0.0) > max_dearer for c in changes):
        return DEARER_EXIT
    return 0


def _with_manifest(settings: Settings, manifest: str | None) -> Settings:
    if manifest is None:
        if settings.documents.manifest is None:
            raise SettingsError(
                "There are no trusted documents to check.",
                hint="Name a manifest, or set documents.manifest.",
            )
        return settings
    values = {**settings.documents.model_dump(), "manifest": manifest}
    try:
        documents = DocumentOptions.model_validate(values)
    except ValueError as error:
        raise SettingsError(f"{manifest}: not a manifest's address.") from error
    return settings.model_copy(update={"documents": documents})


def _earlier(settings: Settings, options: CheckOptions, against: str) -> tuple[Finding, ...]:
    """Return the findings to compare with: those in a file, or those under other metadata or settings."""
    path = Path(against)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}") from error
    if path.suffix == ".toml":
        other = load_settings(dict(os.environ), path)
        return _findings(other.model_copy(update={"documents": settings.documents}), options)
    if _JSON.match(raw):
        try:
            return msgspec.json.decode(raw, type=Report).operations
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{path} is not the output of documents check: {error}",
                hint="Write it with --json.",
            ) from error
    return _findings(settings.model_copy(update={"metadata": str(path)}), options)


def _findings(settings: Settings, options: CheckOptions) -> tuple[Finding, ...]:
    async def check(gateway: Gateway) -> tuple[Finding, ...]:
        release = await _release(settings)
        with working("Checking the documents"):
            return findings_of(_checks(gateway, release))

    return with_gateway(settings, check, profile=options.profile, roles=options.roles)


async def _release(settings: Settings) -> Release:
    store = open_documents(settings, quiet)
    assert store is not None
    async with store.running():
        return store.release


def _checks(gateway: Gateway, release: Release) -> list[DocumentCheck]:
    checks = []
    # A copy for so many types, so that the check of thousands of documents takes the memory of some.
    checked_by = gateway if gateway.view is not None else fresh_copy(gateway)
    for document in release.documents:
        if gateway.view is None and checked_by.schema.made_types > gateway.settings.max_types:
            checked_by = fresh_copy(gateway)
        checks.append(check_document(checked_by, document))
    return checks
