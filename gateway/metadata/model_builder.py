"""From a metadata document to the model that is served: read, narrowed, related, named, and kept as a snapshot.

A model whose snapshot can be kept is opened from there even when it has just been read, so that what reading took is
let go, a catalogue costs what is touched of it, and a fresh one can be had from the same bytes at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import msgspec
from msgspec import Struct

from gateway.config.profiles import ProfileSettings
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
from schema.catalog.naming import Naming, decode_naming, encode_naming
from schema.catalog.values import Abilities, Cleaning
from schema.model.exposure import expose, keep
from schema.model.records import ComplexType, EntityType, Model
from schema.model.relations import Relation, declare, preset
from schema.model.snapshot import Unpacked

from .document_loader import MetadataDocument
from .model_identity import model_identity, snapshot_folder

Progress = Callable[[int, int | None], None]

SET_FLAGS = ("null_order", "guid_order", "unkeyed_paging", "page_limit")
"""Flags of the dialect that have a setting of the same name, for what differs between two services of one dialect."""
SMALL = 500
"""Entity sets of a model that may stay in memory as a whole where no folder keeps snapshots."""


class _Sidecar(msgspec.Struct, array_like=True, frozen=True):
    """What is kept beside a model: all that would otherwise have to look at the whole of it."""

    naming: msgspec.Raw
    label_ids: msgspec.Raw


class LoadedModel(Struct, frozen=True):
    """A model with what was decided of it."""

    model: Model
    naming: Naming | None
    """None: the names are yet to be decided."""
    _label_ids: msgspec.Raw | None = None

    def label_ids(self) -> list[str]:
        """Return every label id of the model, in document order."""
        kept = self._label_ids
        return label_ids(self.model) if kept is None else msgspec.msgpack.decode(kept)


def open_model(
    settings: Settings,
    document: MetadataDocument,
    progress: Progress | None = None,
    observe: Observer = log_event,
) -> LoadedModel:
    """Return the model from the snapshot of exactly this document, settings and program.

    Where there is none, the document is read and a snapshot made. Raises SchemaError.
    """
    found = find_model(settings, document.digest)
    if found is not None:
        return found
    started = time.perf_counter()
    made = make_model(settings, document, progress)
    observe(ModelRead(metadata=document.digest, seconds=time.perf_counter() - started))
    return made


def find_model(settings: Settings, digest: str) -> LoadedModel | None:
    """Return the model of the document with that digest; None where no snapshot of it is kept."""
    key, fingerprint = model_identity(settings, digest)
    found = _snapshots(settings).open(key, fingerprint)
    return None if found is None else _known(found)


def make_model(
    settings: Settings, document: MetadataDocument, progress: Progress | None = None
) -> LoadedModel:
    """Read the document and keep a snapshot where there is a folder for it. Raises SchemaError."""
    model = read_model(settings, document, progress)
    if not _snapshots(settings).has_folder and len(model.entity_sets) <= SMALL:
        return LoadedModel(model, None)
    naming = make_catalog(settings, model, dialect_of(settings, model), {}).naming()
    return _kept(settings, document.digest, model, naming)


def subset_for_profile(settings: ProfileSettings, whole: Catalog, digest: str) -> LoadedModel:
    """Return the part of a catalogue that a profile serves, called as it is there; ``digest`` is of its document."""
    large = len(settings.chosen) > SMALL
    found = find_model(settings, digest) if large else None
    if found is not None:
        return found
    # What is looked at for this must not stay with the whole.
    twin = whole.twin()
    model = keep(twin.model, settings.chosen)
    naming = twin.naming_of_part(Catalog(model, whole.abilities, cleaning=whole.cleaning))
    return _kept(settings, digest, model, naming) if large else LoadedModel(model, naming)


def _kept(settings: Settings, digest: str, model: Model, naming: Naming) -> LoadedModel:
    """Put a model and its names into a snapshot, and give them from there."""
    snapshots = _snapshots(settings)
    key, fingerprint = model_identity(settings, digest)
    notes = msgspec.msgpack.encode(
        _Sidecar(
            msgspec.Raw(encode_naming(naming)),
            msgspec.Raw(msgspec.msgpack.encode(label_ids(model))),
        )
    )
    found = None
    if snapshots.write(key, fingerprint, model, notes):
        found = snapshots.open(key, fingerprint)
    # From here on as any later start: what was read is let go.
    found = found or open_anonymous(fingerprint, model, notes)
    known = None if found is None else _known(found)
    return LoadedModel(model, naming) if known is None else known


def _known(found: Unpacked) -> LoadedModel | None:
    try:
        notes = msgspec.msgpack.decode(found.notes, type=_Sidecar)
    except msgspec.MsgspecError:
        return None
    naming = decode_naming(notes.naming)
    found.release()
    return None if naming is None else LoadedModel(found.model, naming, notes.label_ids)


def _snapshots(settings: Settings) -> SnapshotStore:
    folder = snapshot_folder(settings)
    if folder is None or not isinstance(settings, ProfileSettings):
        return SnapshotStore(folder)
    # Many profiles must not push out the model that they are made from.
    return SnapshotStore(folder / "profiles", count=4 * MAX_SNAPSHOTS)


def read_model(
    settings: Settings, document: MetadataDocument, progress: Progress | None = None
) -> Model:
    """Parse the document, then apply exposure, declared relations, and presets. Raises SchemaError."""
    # A start with a snapshot reads none.
    from schema.csdl.parse import parse_csdl  # noqa: PLC0415

    model = parse_csdl(document.pieces(progress), name=document.source)
    exposed = expose(model, include=settings.include, exclude=settings.exclude)
    related = declare(exposed, declared_relations(settings))
    if not settings.relation_presets:
        return related
    dialect = dialect_of(settings, related)
    return preset(related, dialect.relations, company_property=dialect.company_property)


def dialect_of(settings: Settings, model: Model) -> Dialect:
    """Return the configured dialect, or the one that address and metadata show, with the flags that are set."""
    dialect = dialect_for(settings.dialect, settings.url or "", model.namespace)
    flags = {name: value for name in SET_FLAGS if (value := getattr(settings, name)) is not None}
    return replace(dialect, **flags) if flags else dialect


def declared_relations(settings: Settings) -> tuple[Relation, ...]:
    """Return the relations that the settings declare."""
    return tuple(Relation(**declared.model_dump()) for declared in settings.relations)


def sandbox_relations(settings: Settings) -> tuple[Relation, ...]:
    """Return the relations that rows of the sandbox follow: the declared ones, and the presets of its product."""
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
) -> Catalog:
    """Decide every name and operator; with ``naming``, take the names over."""
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
        prefix=settings.federation.prefix,
        type_prefix=settings.federation.type_prefix,
    )
    if isinstance(settings, ProfileSettings):
        texts = (settings.title, settings.description)
        catalog.description = "\n\n".join(text for text in texts if text) or None
    return catalog


def abilities_of(dialect: Dialect) -> Abilities:
    """Say to the schema what the dialect can be asked."""
    return Abilities(
        operators=dialect.operators,
        filter_to_one=dialect.filter_to_one,
        filter_to_many=dialect.has_any_all,
        company_property=dialect.company_property,
        has_nulls=dialect.has_nulls,
    )
