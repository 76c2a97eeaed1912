"""Entity sets and settings of profiles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.config.profiles import profile_settings, settings_from_json
from gateway.config.setting_models import Profile
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.metadata.profile_sets import sets_of_profile
from schema.errors import ExposureError
from tests.support.small_models import entity, model, prop

MODEL = model(
    entity("Customer", prop("Id")),
    entity("Vendor", prop("Id")),
    entity("Group", prop("Id")),
    sets={"Customers": "Customer", "Vendors": "Vendor", "VendorGroups": "Group", "Groups": "Group"},
)
CATEGORIES = {"Customers": "Master", "Vendors": "Master", "Groups": "Reference"}


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({}, ("Customers", "Vendors", "VendorGroups", "Groups")),
        ({"include": ["Vendor*"]}, ("Vendors", "VendorGroups")),
        ({"exclude": ["Vendor*"]}, ("Customers", "Groups")),
        ({"categories": ["MASTER"]}, ("Customers", "Vendors")),
        ({"categories": ["Master", "Reference"]}, ("Customers", "Vendors", "Groups")),
        ({"categories": ["Master"], "include": ["V*"]}, ("Vendors",)),
        ({"categories": ["Master"], "exclude": ["V*"]}, ("Customers",)),
        ({"sets": ["Groups"]}, ("Groups",)),
        ({"sets": ["Groups"], "include": ["V*"]}, ("Vendors", "VendorGroups", "Groups")),
        ({"sets": ["Groups"], "categories": ["Master"], "exclude": ["*"]}, ("Groups",)),
    ],
)
def test_patterns_and_categories_narrow_and_sets_add(
    given: Mapping[str, Any], chosen: Sequence[str]
) -> None:
    assert sets_of_profile("p", Profile(**given), MODEL, CATEGORIES) == chosen


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"include": ["Vendro*"]},
            'profiles.p.include: no entity set or singleton matches "Vendro*"',
        ),
        ({"exclude": ["X"]}, 'profiles.p.exclude: no entity set or singleton matches "X"'),
        ({"sets": ["Vendor"]}, 'profiles.p.sets: no entity set or singleton matches "Vendor"'),
        (
            {"categories": ["Mister"]},
            "profiles.p.categories: no entity set has the category Mister",
        ),
        (
            {"include": ["V*"], "categories": ["Reference"]},
            "profiles.p: the profile has no entity set",
        ),
    ],
)
def test_patterns_without_match_are_reported_with_their_place(
    given: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ExposureError) as caught:
        sets_of_profile("p", Profile(**given), MODEL, CATEGORIES)

    assert message in str(caught.value)


def test_unset_fields_are_those_of_the_service() -> None:
    settings = Settings.model_validate(
        {"read_only": True, "max_depth": 9, "max_rows": 7, "profiles": {"p": {"max_depth": 3}}}
    )
    profiles = profile_settings(settings, "p")

    assert (profiles.max_depth, profiles.max_rows, profiles.read_only) == (3, 7, True)
    assert profiles.introspection is True
    with pytest.raises(SettingsError, match="no profile q"):
        profile_settings(settings, "q")


def test_another_process_reads_the_same_settings() -> None:
    settings = Settings.model_validate({"profiles": {"p": {"max_depth": 3, "title": "P"}}})
    profiles = profile_settings(settings, "p").model_copy(update={"chosen": ("Vendors",)})

    assert settings_from_json(profiles.model_dump(mode="json")) == profiles
    assert settings_from_json(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"graphiql": "admin"}, "admin needs the setting admin_token"),
        ({"graphiql": "yes please"}, "accepted: true, false or admin"),
        ({"serve_all": False}, "false needs profiles"),
        ({"profiles": {"AP": {}}}, "'AP' is not a profile name"),
        ({"profiles": {"explain": {}}}, "'explain' is part of the gateway's own addresses"),
        ({"profiles": {"p": {"max_page_size": 10}}}, "p: max_page_size 10 is less than"),
        (
            {"companies": ["usmf"], "profiles": {"p": {"companies": ["USMF", "demf"]}}},
            "p: demf is not in companies or company_limit",
        ),
    ],
)
def test_invalid_profile_settings_are_refused(values: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.model_validate(values)


def test_profiles_can_come_from_the_environment() -> None:
    text = json.dumps({"p": {"include": "Vend*, Purch*"}})

    found = Settings.model_validate({"profiles": text})

    assert found.profiles == {"p": Profile(include=("Vend*", "Purch*"))}
