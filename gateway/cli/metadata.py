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
    """Fetch the document without the cache and write it to a file. Raises SettingsError if that is not possible."""

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
    """Print counts and findings of the metadata document."""
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
        counts = {name.replace(" ", "_"): number for name, number in rows.items()}
        print(msgspec.json.encode({**counts, "findings": findings}).decode())
        return
    print_counts(rows, findings)


def print_suggestions(settings: Settings, entity_set: str | None, limit: int) -> None:
    """Print candidates for relations as TOML. Raises SettingsError for an unknown entity set."""
    model = _model(settings)
    if entity_set is not None and entity_set not in model.entity_sets:
        raise SettingsError(
            f"There is no entity set {entity_set}.{did_you_mean(entity_set, model.entity_sets)}",
            hint="Use the name in the metadata, such as CustomersV3.",
        )
    company = dialect_of(settings, model).company_property
    suggestions = [
        s
        for s in suggest(model, company_property=company)
        if entity_set in (None, s.relation.from_set)
    ]
    for suggestion in islice(suggestions, limit):
        print(f"{suggestion}\n")
    if len(suggestions) > limit:
        print(f"# {len(suggestions) - limit:,} more; see --limit and --set.")
    elif not suggestions:
        print("# No candidates.")


def _model(settings: Settings) -> Model:
    async def read() -> Model:
        async with open_client(settings, observe=quiet) as client:
            with reading_metadata() as report:
                document = await load_metadata(settings, client, progress=report, observe=quiet)
                return read_model(settings, document)

    return asyncio.run(read())
