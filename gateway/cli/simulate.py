"""``schema simulate``: how large a profile is, or an API that is exposed by other patterns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import msgspec
from graphql import OperationDefinitionNode, get_introspection_query, parse

from gateway.config.settings import Settings
from gateway.documents.collect_fields import Selection, fragments_of
from gateway.errors import SettingsError
from gateway.introspection.introspection_selection import selected
from gateway.introspection.writer_process import whole_answer
from gateway.metadata.document_loader import load_metadata
from gateway.metadata.preset_services import with_preset_services
from gateway.runtime.assembly import open_client, read_labels, read_profiles
from gateway.storage.content_coding import compress_pieces
from schema.compare.sizes import sizes_of
from schema.introspection import Selected
from schema.types.build import ODataSchema

from .offline_schema import model_of, part_of, schema_of
from .progress import reading_metadata, working
from .schema_commands import print_counts, quiet, with_profile


def print_simulation(
    settings: Settings,
    profile: str | None,
    include: Sequence[str],
    exclude: Sequence[str],
    *,
    as_json: bool,
) -> None:
    """Print counts and sizes of a profile, or of what the patterns leave.

    Raises what reading the metadata raises, SettingsError for a profile and SchemaError for patterns.
    """
    if profile is not None and (include or exclude):
        raise SettingsError("A profile has its own patterns: give either it or patterns.")
    given = {"include": tuple(include), "exclude": tuple(exclude)}
    chosen = settings.model_copy(update=given if include or exclude else {})
    schema = _schema(with_profile(chosen, profile), profile)
    with working("Counting types and writing introspection"):
        sizes = sizes_of(schema)
        raw, packed = _introspection(schema)
    in_use = min(sizes.types, settings.max_types)
    rows = {
        "entity sets": sizes.entity_sets,
        "singletons": sizes.singletons,
        "queries": sizes.queries,
        "mutations": sizes.mutations,
        "types": sizes.types,
        "fields": sizes.fields,
        "input fields": sizes.input_fields,
        "enum values": sizes.enum_values,
        "bytes of SDL": sizes.sdl_bytes,
        "bytes of introspection": raw,
        "bytes of introspection compressed": packed,
        "bytes of memory": sizes.type_bytes * in_use,
    }
    if as_json:
        told = {name.replace(" ", "_").lower(): number for name, number in rows.items()}
        print(msgspec.json.encode({**told, "findings": sizes.findings}).decode())
        return
    print_counts({**rows, "findings": len(sizes.findings)}, sizes.findings)
    print(
        f"Memory is about that of {in_use:,} types in use (max_types = {settings.max_types:,}), "
        "beside what every gateway takes."
    )


def _schema(settings: Settings, profile: str | None) -> ODataSchema:
    async def schema() -> ODataSchema:
        async with open_client(settings, observe=quiet) as client:
            with reading_metadata() as report:
                document = await load_metadata(settings, client, progress=report, observe=quiet)
                known = model_of(settings, document)
            # Labels that cannot be had are no error, here as at a start.
            labels = await read_labels(settings, client, known, quiet)
            served = await with_preset_services(settings, client, known)
            if profile is None:
                return schema_of(served, known, labels)
            profiles = await read_profiles(served, client, known, document.digest, quiet)
            return part_of(profiles[profile], served, known, labels)

    return asyncio.run(schema())


def _introspection(schema: ODataSchema) -> tuple[int, int]:
    """Return the bytes of what tools ask for, plain and as they are kept."""
    raw = packed = 0

    def pieces() -> Iterator[bytes]:
        nonlocal raw
        for piece in whole_answer(schema, _everything()):
            raw += len(piece)
            yield piece

    for piece in compress_pieces(pieces(), "zstd"):
        packed += len(piece)
    return raw, packed


def _everything() -> tuple[Selected, ...]:
    query = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
        one_of=True,
    )
    document = parse(query)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    asked = selected(Selection(operation, fragments_of(document), {}), {})
    assert asked is not None
    return asked
