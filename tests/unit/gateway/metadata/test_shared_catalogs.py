"""Catalogues of environments share what is equal, also label texts, and live as long as one that shares with them."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from gateway.config.environments import environment_settings
from gateway.config.profiles import EnvironmentSettings
from gateway.metadata import shared_catalogs
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import dialect_of, make_model
from gateway.metadata.shared_catalogs import catalog_of
from gateway.storage.document_cache import digest_of
from schema.catalog import Catalog
from schema.model.sharing import Layered
from tests.support.changing_metadata import csdl
from tests.support.environments import settings_of

SETS = tuple(f"Set{number}s" for number in range(20))
LABELS = {f"@X:{number}": f"Text {number}" for number in range(100)}


def settings(folder: Path, name: str = "acme", **more: Any) -> EnvironmentSettings:
    return environment_settings(settings_of(name, cache_dir=folder, **more), name)


def catalog(own: EnvironmentSettings, field: str, labels: dict[str, str]) -> Catalog:
    """Return the catalogue of a document with one more field in its first type."""
    name = '<Property Name="Name"'
    text = csdl("Name", sets=SETS).replace(
        name, f'<Property Name="{field}" Type="Edm.String"/>{name}', 1
    )
    digest = digest_of(text.encode())
    loaded = make_model(own, MetadataDocument(text.encode(), digest, "test"))
    return catalog_of(own, loaded, dialect_of(own, loaded.model), labels, digest)


def test_labels_that_are_equal_are_there_once(tmp_path: Path) -> None:
    own = settings(tmp_path)
    first = catalog(own, "One", LABELS)
    second = catalog(own, "Two", {**LABELS, "@X:5": "Another text", "@Two": "Two"})
    third = catalog(own, "Three", dict(LABELS))

    assert isinstance(second.labels, Layered)
    assert second.labels.differences == 2
    assert second.labels["@X:5"] == "Another text"
    assert third.labels is first.labels


def test_equal_documents_with_other_labels_have_their_own(tmp_path: Path) -> None:
    own = settings(tmp_path)
    first = catalog(own, "One", LABELS)
    other = catalog(own, "One", {**LABELS, "@X:1": "Ein Text"})

    assert first.origin is not other.origin
    assert (first.labels["@X:1"], other.labels["@X:1"]) == ("Text 1", "Ein Text")


def test_settings_that_decide_names_share_nothing(tmp_path: Path) -> None:
    first = catalog(settings(tmp_path), "One", {})
    renamed = catalog(settings(tmp_path, names={"Set1": "First"}), "Two", {})

    assert first.known_names() is not renamed.known_names()
    assert "First" in renamed.known_names()


def test_nothing_outlives_its_last_environment(tmp_path: Path) -> None:
    gc.collect()
    before = len(shared_catalogs._BASES), len(shared_catalogs._FIRST)
    own = settings(tmp_path, exclude=("Set19s",))  # of no other test
    first = catalog(own, "One", LABELS)
    second = catalog(own, "Two", LABELS)
    names = second.known_names()
    del first
    gc.collect()
    third = catalog(own, "Three", LABELS)

    assert third.known_names() is names
    del second, third
    gc.collect()
    assert (len(shared_catalogs._BASES), len(shared_catalogs._FIRST)) == before
