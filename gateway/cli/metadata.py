"""``metadata …``: fetch and inspect the metadata document."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path

import msgspec

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.metadata.document_loader import load_metadata
from gateway.metadata.model_builder import dialect_of, read_model
from gateway.runtime.assembly import open_client
from schema.errors import did_you_mean
from schema.model.records import Model
from schema.model.relations import suggest

from .progress import reading_metadata
from .schema_commands import print_counts, quiet


def pull_document(settings: Settings, target: Path) -> None:
    """Fetch the document anew and write it. Raises SettingsError where it cannot be written."""

    async def fetch() -> bytes:
        async with open_client(settings, observe=quiet) as client:
            with reading_metadata() as report:
                document = await load_metadata(
                    settings, client, refresh=True, progress=report, observe=quiet
                )
            return document.text

    text = asyncio.run(fetch())
    try:
        target.write_bytes(text)
    except OSError as error:
        raise SettingsError(f"{target} cannot be written: {error.strerror}.") from error
    print(f"{len(text):,} bytes written to {target}.")


def print_document_stats(settings: Settings, *, as_json: bool = False) -> None:
    model = _model(settings)
    rows = {
        "entity sets": len(model.entity_sets),
        "singletons": len(model.singletons),
        "entity types": len(model.entity_types),
        "complex types": len(model.complex_types),
        "enum types": len(model.enum_types),
        "properties": sum(len(t.properties) for t in model.entity_types.values()),
        "navigations": sum(len(t.navigations) for t in model.entity_types.values()),
        "actions and functions": len(model.operations),
        "findings": len(model.findings),
    }
    findings = tuple(str(finding) for finding in model.findings)
    if as_json:
        named = {name.replace(" ", "_"): number for name, number in rows.items()}
        print(msgspec.json.encode({**named, "findings": findings}).decode())
        return
    print_counts(rows, findings)


def print_suggestions(settings: Settings, entity_set: str | None, limit: int) -> None:
    """Print candidates as TOML, one after the other. Raises SettingsError for an unknown set."""
    model = _model(settings)
    if entity_set is not None and entity_set not in model.entity_sets:
        raise SettingsError(
            f"There is no entity set {entity_set}.{did_you_mean(entity_set, model.entity_sets)}",
            hint="Entity sets have the names of the metadata, as in CustomersV3.",
        )
    company = dialect_of(settings, model).company_property
    found = [
        s
        for s in suggest(model, company_property=company)
        if entity_set in (None, s.relation.from_set)
    ]
    for suggestion in islice(found, limit):
        print(f"{suggestion}\n")
    if len(found) > limit:
        print(f"# {len(found) - limit:,} more; --limit and --set choose.")
    elif not found:
        print("# No candidates.")


def _model(settings: Settings) -> Model:
    async def read() -> Model:
        async with open_client(settings, observe=quiet) as client:
            with reading_metadata() as report:
                document = await load_metadata(settings, client, progress=report, observe=quiet)
                return read_model(settings, document)

    return asyncio.run(read())
