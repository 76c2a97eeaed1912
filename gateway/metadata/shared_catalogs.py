"""Catalogues that environments of a deployment share: equal metadata and settings have equal names.

What an environment gets is a copy that shares the tables of names and labels, and reads every record for itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from weakref import WeakValueDictionary

from gateway.config.profiles import ProfileSettings, tag_in
from gateway.config.settings import Settings
from gateway.odata.dialect import Dialect
from schema.catalog import Catalog

from .model_builder import LoadedModel, make_catalog
from .model_identity import model_identity

_BASES: WeakValueDictionary[Hashable, Catalog] = WeakValueDictionary()
"""What decides a catalogue → one that serves nothing itself, kept by its copies."""


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
        return make_catalog(settings, loaded.model, dialect, labels, loaded.naming)
    _, fingerprint = model_identity(settings, digest)
    key = (fingerprint, dialect.name, frozenset(labels.items()))
    base = _BASES.get(key)
    if base is None:
        base = make_catalog(settings, loaded.model, dialect, labels, loaded.naming)
        _BASES[key] = base
    copy = base.fresh_copy()
    copy.tag, copy.origin = tag, base
    return copy
