"""Which settings decide a model: all that are read while one is made, and each of them changes its identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.config.profiles import (
    NOT_PER_PROFILE,
    OF_PROFILES_ALONE,
    OVERRIDABLE,
    ProfileSettings,
    profile_settings,
)
from gateway.config.rendering import settings_table
from gateway.config.setting_models import FederationOptions, Profile
from gateway.config.settings import GROUPS, Settings
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import SET_FLAGS, find_model, make_model
from gateway.metadata.model_identity import (
    DECIDING,
    NOT_DECIDING,
    deciding_settings,
    introspection_identity,
    model_identity,
)
from gateway.storage.document_cache import digest_of
from tests.support.changing_metadata import csdl

TEXT = csdl("Name").encode()
DOCUMENT = MetadataDocument(TEXT, digest_of(TEXT), "test")
BASE: dict[str, Any] = {"url": "https://fo.example/data", "auth": "none"}
RELATION = {"from_set": "Things", "fields": ["Id"], "to_set": "Things", "name": "Self"}
OTHER_VALUES: dict[str, Any] = {
    "url": "https://other.example/data",
    "metadata": "https://other.example/metadata.xml",
    "dialect": "odata",
    "include": ["Things"],
    "exclude": ["Others"],
    "names": {"Query.Things": "stuff"},
    "relations": [RELATION],
    "relation_presets": False,
    "clean_noyes": False,
    "clean_null_dates": False,
    "clean_dates": False,
    "account_numbers": ["Thing.Name"],
    "federation.prefix": "erp",
    "federation.type_prefix": "Erp",
}
UNRELATED: list[dict[str, Any]] = [
    {"retries": 1, "language": "de", "max_rows": 5, "read_only": True, "host": "::1"},
    {"companies": ["usmf"], "company_limit": ["usmf"], "null_order": "last", "guid_order": False},
    {"federation": {"enabled": False, "tags": {"Things": ["t"]}}, "writes": {"create": ["Things"]}},
]


def settings_of(name: str = "", value: object = None, **more: object) -> Settings:
    group, _, nested = name.partition(".")
    changed = {group: {nested: value} if nested else value} if name else {}
    return Settings.model_validate({**BASE, **changed, **more})


def test_each_setting_is_listed_as_deciding_the_model_or_not() -> None:
    """A new setting: does a model or a name depend on it? Add it to DECIDING, else to NOT_DECIDING."""
    listed = {*DECIDING, *NOT_DECIDING}
    names = {row.name for row in settings_table()}
    fields = {name for name in Settings.model_fields if name not in GROUPS}

    assert {n for n in names if n not in listed and n.partition(".")[0] not in listed} == set()
    assert listed - names - GROUPS.keys() == set()
    assert fields - listed == set()
    assert set(DECIDING) & NOT_DECIDING == set()


@pytest.mark.parametrize("name", DECIDING)
def test_another_value_of_a_deciding_setting_is_another_identity(name: str) -> None:
    key, fingerprint = model_identity(settings_of(), "digest")
    other_key, other_fingerprint = model_identity(settings_of(name, OTHER_VALUES[name]), "digest")

    assert other_key != key
    assert other_fingerprint != fingerprint


@pytest.mark.parametrize("values", UNRELATED, ids=lambda values: next(iter(values)))
def test_other_settings_share_the_model(values: dict[str, Any]) -> None:
    assert model_identity(settings_of(**values), "digest") == model_identity(
        settings_of(), "digest"
    )


def test_a_new_document_has_the_same_key_and_another_fingerprint() -> None:
    old, new = model_identity(settings_of(), "old"), model_identity(settings_of(), "new")

    assert old[0] == new[0]
    assert old[1] != new[1]


class Watched(Settings):
    """Settings that note which of them are read."""

    def __getattribute__(self, name: str) -> Any:
        if name in Settings.model_fields:
            READ.add(name)
        return super().__getattribute__(name)


class WatchedFederation(FederationOptions):
    def __getattribute__(self, name: str) -> Any:
        if name in FederationOptions.model_fields:
            READ.add(f"federation.{name}")
        return super().__getattribute__(name)


READ: set[str] = set()


@pytest.mark.parametrize("other_values", [False, True])
def test_what_is_read_while_a_model_is_made_decides_it(tmp_path: Path, other_values: bool) -> None:
    values: dict[str, Any] = {}
    if other_values:
        values = {name: v for name, v in OTHER_VALUES.items() if "." not in name}
        del values["exclude"]
    settings = Watched.model_validate({**BASE, **values, "cache_dir": tmp_path})
    watched = settings.model_copy(update={"federation": WatchedFederation(prefix="erp")})
    READ.clear()

    made = make_model(watched, DOCUMENT)

    # The folder is where the snapshot goes, and the flags change requests only: no ability, no name.
    read = READ - {"cache_dir", "federation", *SET_FLAGS}
    assert made.naming is not None
    assert read - set(DECIDING) == set()
    assert read >= {"include", "clean_noyes", "account_numbers", "names", "federation.prefix"}


@pytest.mark.parametrize("name", DECIDING)
def test_the_other_process_makes_the_same_identity(name: str) -> None:
    settings = settings_of(name, OTHER_VALUES[name])

    sent = Settings.model_validate(deciding_settings(settings, "cache_dir"))

    assert model_identity(sent, "digest") == model_identity(settings, "digest")


def test_a_snapshot_is_found_by_the_settings_that_made_it(tmp_path: Path) -> None:
    settings = settings_of(cache_dir=tmp_path)
    make_model(settings, DOCUMENT)

    assert find_model(settings, DOCUMENT.digest) is not None
    assert find_model(settings_of(cache_dir=tmp_path, retries=1), DOCUMENT.digest) is not None
    assert find_model(settings_of(cache_dir=tmp_path, clean_dates=False), DOCUMENT.digest) is None


def test_the_sets_of_a_profile_decide_its_model() -> None:
    settings = settings_of(profiles={"ap": {"sets": ["Things"]}})
    profile = profile_settings(settings, "ap")
    chosen = profile.model_copy(update={"chosen": ("Things",)})

    assert len({model_identity(s, "d")[0] for s in (settings, profile, chosen)}) == 3


@pytest.mark.parametrize(
    ("values", "is_same"),
    [
        ({"port": 9}, True),
        ({"log_level": "debug"}, True),
        ({"writes": {"create": ["Things"]}}, False),
        ({"subscriptions": {"enabled": False}}, False),
        ({"clean_dates": False}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_introspection_depends_on_more_settings(values: dict[str, Any], is_same: bool) -> None:
    _, plain = introspection_identity(settings_of(), "digest", {})
    _, other = introspection_identity(settings_of(**values), "digest", {})
    _, labelled = introspection_identity(settings_of(), "digest", {"@A": "a"})

    assert (plain() == other()) is is_same
    assert plain() != labelled()


def test_each_setting_is_overridable_or_listed_as_not() -> None:
    """A new setting: may two profiles differ in it? Add a field to Profile, else its name to NOT_PER_PROFILE."""
    settings = frozenset(Settings.model_fields)

    assert settings - OVERRIDABLE - NOT_PER_PROFILE == set()
    assert OVERRIDABLE - settings == set()
    assert set() == OVERRIDABLE & NOT_PER_PROFILE
    assert NOT_PER_PROFILE - settings == set()
    assert frozenset(Profile.model_fields) == OVERRIDABLE | OF_PROFILES_ALONE


@pytest.mark.parametrize("name", sorted(OVERRIDABLE))
def test_a_profile_overrides_a_setting(name: str) -> None:
    value: Any = {
        "companies": ("usmf",),
        "company_limit": ("usmf",),
        "read_only": True,
        "introspection": False,
    }.get(name, 7)
    settings = settings_of(profiles={"ap": {name: value}}, default_page_size=3, max_page_size=9)

    profile = profile_settings(settings, "ap")

    assert isinstance(profile, ProfileSettings)
    assert getattr(profile, name) == value != getattr(settings, name)
