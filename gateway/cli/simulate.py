"""``schema simulate``: the size of a profile, or of an API that other patterns would expose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import msgspec
from graphql import OperationDefinitionNode, get_introspection_query, parse

from gateway.config.settings import Settings
from gateway.documents.collect_fields import Selection, fragments_of
from gateway.errors import SettingsError
from gateway.introspection.introspection_selection import read_selection
from gateway.introspection.writer_process import whole_answer
from gateway.metadata.document_loader import load_metadata
from gateway.metadata.preset_services import with_preset_services
from gateway.runtime.assembly import open_client, read_labels, read_profiles
from gateway.storage.content_coding import compress_pieces
from schema.compare.sizes import sizes_of
from schema.introspection import Selected
from schema.types.build import ODataSchema

from .offline_schema import build_profile_schema, build_schema, load_model
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
    """Print counts and sizes of a profile, or of the API that the patterns expose.

    Raises SettingsError for an unknown profile, SchemaError for patterns without match, and as ``load_metadata`` does.
    """
    if profile is not None and (include or exclude):
        raise SettingsError("A profile has its own patterns: use either a profile or patterns.")
    patterns = {"include": tuple(include), "exclude": tuple(exclude)}
    settings = settings.model_copy(update=patterns if include or exclude else {})
    schema = _schema(with_profile(settings, profile), profile)
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
        figures = {name.replace(" ", "_").lower(): number for name, number in rows.items()}
        print(msgspec.json.encode({**figures, "findings": sizes.findings}).decode())
        return
    print_counts({**rows, "findings": len(sizes.findings)}, sizes.findings)
    print(
        f"Memory is an estimate for {in_use:,} types in use (max_types = {settings.max_types:,}), "
        "in addition to what every gateway takes."
    )


def _schema(settings: Settings, profile: str | None) -> ODataSchema:
    async def build() -> ODataSchema:
        async with open_client(settings, observe=quiet) as client:
            with reading_metadata() as report:
                document = await load_metadata(settings, client, progress=report, observe=quiet)
                loaded = load_model(settings, document)
            labels = await read_labels(settings, client, loaded, quiet)
            complete = await with_preset_services(settings, client, loaded)
            if profile is None:
                return build_schema(complete, loaded, labels)
            profiles = await read_profiles(complete, client, loaded, document.digest, quiet)
            return build_profile_schema(profiles[profile], complete, loaded, labels)

    return asyncio.run(build())


def _introspection(schema: ODataSchema) -> tuple[int, int]:
    """Return the bytes of the answer to the introspection query of tools, plain and compressed."""
    raw = packed = 0

    def pieces() -> Iterator[bytes]:
        nonlocal raw
        for piece in whole_answer(schema, _full_selection()):
            raw += len(piece)
            yield piece

    for piece in compress_pieces(pieces(), "zstd"):
        packed += len(piece)
    return raw, packed


def _full_selection() -> tuple[Selected, ...]:
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
    selection = read_selection(Selection(operation, fragments_of(document), {}), {})
    assert selection is not None
    return selection
