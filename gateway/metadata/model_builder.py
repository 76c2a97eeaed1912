"""From a metadata document to the served model: parsed, restricted, with declared relations and names, as a snapshot.

If its snapshot can be stored, a model is opened from there even when it has just been parsed, so that parse-time memory
is released, the catalogue decodes records lazily, and a fresh one can be had from the same bytes at any time.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.config.profiles import EnvironmentSettings, ProfileSettings, tag_in
from gateway.config.settings import Settings
from gateway.events import ModelRead, Observer, log_event
from gateway.odata.dialect import Dialect
from gateway.odata.dialects import SANDBOX, dialect_for
from gateway.storage.model_snapshots import (
    MAX_SNAPSHOTS,
    SnapshotStore,
    open_anonymous,
)
from schema.catalog import Catalog
from schema.catalog.naming import NO_TABLES, NameTables, Naming, decode_naming, encode_naming
from schema.catalog.values import Abilities, Cleaning
from schema.model.exposure import expose, keep
from schema.model.records import ComplexType, EntityType, Model
from schema.model.relations import Relation, declare, preset
from schema.model.snapshot import Unpacked, reopen, tables_by_name

from .document_loader import MetadataDocument
from .model_identity import model_identity, snapshot_folder

Progress = Callable[[int, int | None], None]

SET_FLAGS = ("null_order", "guid_order", "unkeyed_paging", "page_limit", "apply")
"""Flags of the dialect that a setting of the same name overrides, because services of one product differ in them."""
SMALL = 500
"""Entity sets up to which a model may stay in memory as a whole if there is no folder for snapshots."""


class _Sidecar(msgspec.Struct, array_like=True, frozen=True):
    """What is stored next to a model, because computing it would decode every record."""

    naming: msgspec.Raw
    label_ids: msgspec.Raw


class SnapshotPlace(Struct, frozen=True):
    """Where the snapshot of a model is."""

    folder: str
    key: str
    fingerprint: bytes


class LoadedModel(Struct, frozen=True):
    """A model with its names and label ids."""

    model: Model
    naming: Naming | None
    """None: the catalog has yet to decide the names."""
    _label_ids: msgspec.Raw | None = None
    tables: NameTables = NO_TABLES
    """Tables of these names that exist already."""

    def label_ids(self) -> list[str]:
        """Return every label id of the model, in document order."""
        stored = self._label_ids
        return label_ids(self.model) if stored is None else msgspec.msgpack.decode(stored)


_INHERITED: dict[tuple[str, bytes], LoadedModel] = {}
"""Key and fingerprint of snapshots → their models, opened before this process was forked. They stay as long as it does:
to free them would copy the memory that forked processes share."""


def snapshot_place(settings: Settings, digest: str) -> SnapshotPlace | None:
    """Return where the snapshot of the document with that digest would be; None if none is stored."""
    folder = snapshot_folder(settings)
    return None if folder is None else SnapshotPlace(str(folder), *model_identity(settings, digest))


def open_for_forks(place: SnapshotPlace) -> None:
    """Open a model for the processes that this one forks; they open one that is no longer there, or is damaged."""
    snapshot = SnapshotStore(Path(place.folder)).open(place.key, place.fingerprint)
    loaded = None if snapshot is None else _load(snapshot)
    if loaded is not None:
        # The tables depend on the names alone.
        catalog = Catalog(loaded.model, abilities_of(SANDBOX), naming=loaded.naming)
        tables = msgspec.structs.replace(catalog.name_tables, of=loaded.naming)
        loaded = msgspec.structs.replace(loaded, tables=tables)
        _INHERITED[place.key, place.fingerprint] = loaded


def open_model(
    settings: Settings,
    document: MetadataDocument,
    progress: Progress | None = None,
    observe: Observer = log_event,
) -> LoadedModel:
    """Return the model from the snapshot of exactly this document, settings and program.

    If there is none, the document is parsed and a snapshot stored. Raises SchemaError.
    """
    loaded = find_model(settings, document.digest)
    if loaded is not None:
        return loaded
    started = time.perf_counter()
    loaded = make_model(settings, document, progress)
    observe(ModelRead(metadata=document.digest, seconds=time.perf_counter() - started))
    return loaded


def find_model(settings: Settings, digest: str) -> LoadedModel | None:
    """Return the model of the document with that digest; None if there is no snapshot of it."""
    key, fingerprint = model_identity(settings, digest)
    inherited = _INHERITED.get((key, fingerprint))
    if inherited is not None:
        return msgspec.structs.replace(inherited, model=reopen(inherited.model))
    snapshot = _snapshots(settings).open(key, fingerprint)
    return None if snapshot is None else _load(snapshot)


def make_model(
    settings: Settings, document: MetadataDocument, progress: Progress | None = None
) -> LoadedModel:
    """Parse the document and store a snapshot, if there is a folder for it. Raises SchemaError."""
    model = read_model(settings, document, progress)
    if not _snapshots(settings).has_folder and len(model.entity_sets) <= SMALL:
        return LoadedModel(model, None)
    # A snapshot holds the names, because deciding them needs the whole model. They depend on no label.
    naming = make_catalog(settings, model, dialect_of(settings, model), {}).naming()
    return _store(settings, document.digest, model, naming)


def subset_for_profile(settings: ProfileSettings, whole: Catalog, digest: str) -> LoadedModel:
    """Return the part of a catalogue that a profile serves, with the same names. ``digest``: of its document."""
    is_large = len(settings.chosen) > SMALL
    loaded = find_model(settings, digest) if is_large else None
    if loaded is not None:
        return loaded
    # The records that this decodes must not stay in memory with the whole catalogue.
    twin = whole.fresh_copy()
    model = keep(twin.model, settings.chosen)
    naming = twin.naming_of_part(Catalog(model, whole.abilities, cleaning=whole.cleaning))
    return _store(settings, digest, model, naming) if is_large else LoadedModel(model, naming)


def _store(settings: Settings, digest: str, model: Model, naming: Naming) -> LoadedModel:
    """Return a model and its names from a snapshot that is stored, or else anonymous."""
    snapshots = _snapshots(settings)
    key, fingerprint = model_identity(settings, digest)
    notes = msgspec.msgpack.encode(
        _Sidecar(
            msgspec.Raw(encode_naming(naming)),
            msgspec.Raw(msgspec.msgpack.encode(label_ids(model))),
        )
    )
    snapshot = None
    if snapshots.write(key, fingerprint, model, notes):
        snapshot = snapshots.open(key, fingerprint)
    snapshot = snapshot or open_anonymous(fingerprint, model, notes)
    loaded = None if snapshot is None else _load(snapshot)
    return LoadedModel(model, naming) if loaded is None else loaded


def install_model(settings: Settings, digest: str, content: bytes) -> LoadedModel | None:
    """Return a model from the bytes of a snapshot that another process made, and store them; None if they are damaged.

    ``digest``: see ``find_model``.
    """
    key, fingerprint = model_identity(settings, digest)
    snapshot = _snapshots(settings).install(key, fingerprint, content)
    return None if snapshot is None else _load(snapshot)


def content_of(model: Model) -> bytes | mmap.mmap | None:
    """Return the bytes of the snapshot that a model was opened from; None if there is none."""
    for _, records in tables_by_name(model):
        for content in records.contents:
            return content if isinstance(content, bytes | mmap.mmap) else None
    return None


def _load(snapshot: Unpacked) -> LoadedModel | None:
    try:
        sidecar = msgspec.msgpack.decode(snapshot.notes, type=_Sidecar)
    except msgspec.MsgspecError:
        return None
    naming = decode_naming(sidecar.naming)
    snapshot.release()
    return None if naming is None else LoadedModel(snapshot.model, naming, sidecar.label_ids)


def _snapshots(settings: Settings) -> SnapshotStore:
    folder = snapshot_folder(settings)
    if folder is None:
        # Of the sandbox: apart, so that it evicts no other.
        own = settings.cache_dir if settings.is_sandbox else None
        return SnapshotStore(None if own is None else own / "models" / "sandbox")
    is_tagged = isinstance(settings, EnvironmentSettings) and settings.tag
    kept = settings.kept_snapshots if isinstance(settings, EnvironmentSettings) else 0
    if isinstance(settings, ProfileSettings):
        # In a folder of their own, many profiles cannot evict the model that they are made from.
        return SnapshotStore(folder / "profiles", count=max(4 * MAX_SNAPSHOTS, kept))
    return (
        SnapshotStore(folder / "environments", count=kept) if is_tagged else SnapshotStore(folder)
    )


def read_model(
    settings: Settings, document: MetadataDocument, progress: Progress | None = None
) -> Model:
    """Return the model of a document with exposure, declared relations and presets applied. Raises SchemaError."""
    from schema.csdl.parse import parse_csdl  # noqa: PLC0415 - a start with a snapshot parses nothing

    model = parse_csdl(document.pieces(progress), name=document.source)
    exposed = expose(model, include=settings.include, exclude=settings.exclude)
    related = declare(exposed, declared_relations(settings))
    if not settings.relation_presets:
        return related
    dialect = dialect_of(settings, related)
    return preset(related, dialect.relations, company_property=dialect.company_property)


def dialect_of(settings: Settings, model: Model) -> Dialect:
    """Return the configured dialect, or that detected by address and metadata, with the flags of the settings."""
    # The namespace of the metadata tells products apart whose addresses are of a customer's own domain.
    dialect = dialect_for(settings.dialect, settings.url or "", model.namespace)
    flags = {name: value for name in SET_FLAGS if (value := getattr(settings, name)) is not None}
    return replace(dialect, **flags) if flags else dialect


def declared_relations(settings: Settings) -> tuple[Relation, ...]:
    """Return the relations that the settings declare."""
    return tuple(Relation(**declared.model_dump()) for declared in settings.relations)


def sandbox_relations(settings: Settings) -> tuple[Relation, ...]:
    """Return the relations that generated rows follow: the declared ones, and the presets of the sandbox's product."""
    return declared_relations(settings) + (SANDBOX.relations if settings.relation_presets else ())


def label_ids(model: Model) -> list[str]:
    """Return every label id of a model, in document order."""
    labels = dict.fromkeys(_labels(model))
    return [label for label in labels if label is not None and label.startswith("@")]


def _labels(model: Model) -> Iterator[str | None]:
    structured: list[EntityType | ComplexType] = [
        *model.entity_types.values(),
        *model.complex_types.values(),
    ]
    for declared in structured:
        yield declared.label
        for navigation in declared.navigations:
            yield navigation.label
        for prop in declared.properties:
            yield prop.label
    for enum in model.enum_types.values():
        yield enum.label
        for member in enum.members:
            yield member.label


def make_catalog(
    settings: Settings,
    model: Model,
    dialect: Dialect,
    labels: Mapping[str, str],
    naming: Naming | None = None,
    like: NameTables = NO_TABLES,
) -> Catalog:
    """Return the catalog, which decides every name and operator.

    With ``naming``, names are taken from there, and shared with ``like`` where they are equal.
    """
    catalog = Catalog(
        model,
        abilities_of(dialect),
        cleaning=Cleaning(
            no_yes=settings.clean_noyes,
            null_dates=settings.clean_null_dates,
            dates=settings.clean_dates,
            account_numbers=frozenset(settings.account_numbers),
        ),
        renames=settings.names,
        labels=labels,
        naming=naming,
        like=like,
        prefix=settings.federation.prefix,
        type_prefix=settings.federation.type_prefix,
    )
    catalog.tag = tag_in(settings)
    if isinstance(settings, ProfileSettings):
        texts = (settings.title, settings.description)
        catalog.description = "\n\n".join(text for text in texts if text) or None
    return catalog


def abilities_of(dialect: Dialect) -> Abilities:
    """Return what the schema needs to know about a dialect."""
    return Abilities(
        operators=dialect.operators,
        filter_to_one=dialect.filter_to_one,
        filter_to_many=dialect.has_any_all,
        company_property=dialect.company_property,
        has_nulls=dialect.has_nulls,
        display_values=dialect.display_values,
    )
