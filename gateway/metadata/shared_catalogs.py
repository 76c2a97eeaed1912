"""Catalogues that environments of a deployment share: what is equal in their metadata and settings is there once.

    equal documents     one catalogue, of which each environment has a copy
    different ones      the names, labels and records of the first one, and what differs from it

Environments of one product differ by a few custom fields, so that another one takes little more memory. What an
environment gets is a copy that shares tables and snapshots, and decodes every record for itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from weakref import WeakValueDictionary

import msgspec

from gateway.config.profiles import ProfileSettings, tag_in
from gateway.config.settings import Settings
from gateway.odata.dialect import Dialect
from schema.catalog import Catalog
from schema.model.sharing import layered, open_like

from .model_builder import LoadedModel, make_catalog
from .model_identity import model_identity

_BASES: WeakValueDictionary[Hashable, Catalog] = WeakValueDictionary()
"""What decides a catalogue → one that serves nothing itself, kept by its copies."""
_FIRST: WeakValueDictionary[Hashable, Catalog] = WeakValueDictionary()
"""What decides a catalogue besides the document → the first one, kept by those that share with it."""


def catalog_of(
    settings: Settings,
    loaded: LoadedModel,
    dialect: Dialect,
    labels: Mapping[str, str],
    digest: str,
) -> Catalog:
    """Return the catalogue of a model. ``digest``: of its document. May run in any thread."""
    tag = tag_in(settings)
    if not tag or isinstance(settings, ProfileSettings):
        return make_catalog(settings, loaded.model, dialect, labels, loaded.naming, loaded.tables)
    _, fingerprint = model_identity(settings, digest)
    key = (fingerprint, dialect.name, _digest_of(labels))
    base = _BASES.get(key)
    if base is None:
        base = _BASES[key] = _base(settings, loaded, dialect, labels)
    copy = base.fresh_copy()
    copy.tag, copy.origin = tag, base
    return copy


def _base(
    settings: Settings, loaded: LoadedModel, dialect: Dialect, labels: Mapping[str, str]
) -> Catalog:
    kind = (model_identity(settings, "")[1], dialect.name)
    first = _FIRST.get(kind)
    if first is None or loaded.naming is None:
        base = make_catalog(settings, loaded.model, dialect, labels, loaded.naming, loaded.tables)
        if loaded.naming is not None:
            _FIRST[kind] = base
        return base
    model = open_like(loaded.model, first.model)
    texts = layered(labels, first.labels)
    base = make_catalog(settings, model, dialect, texts, loaded.naming, first.name_tables)
    base.origin = first
    return base


def _digest_of(labels: Mapping[str, str]) -> bytes:
    """Return a value that is equal for equal labels: their texts take megabytes."""
    if not labels:
        return b""
    return hashlib.blake2b(msgspec.msgpack.encode(sorted(labels.items()))).digest()
