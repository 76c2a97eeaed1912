"""Settings of ``company_limit``: parsing and contradictions."""

from __future__ import annotations

import pytest

from gateway.config.loading import load_settings
from gateway.errors import SettingsError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"D365_COMPANIES": "usmf,demf", "D365_COMPANY_LIMIT": "usmf"}, "demf"),
        (
            {"D365_COMPANY_LIMIT": "usmf", "D365_PROFILES": '{"ap": {"companies": ["demf"]}}'},
            "demf",
        ),
        (
            {"D365_COMPANY_LIMIT": "usmf", "D365_PROFILES": '{"ap": {"company_limit": ["demf"]}}'},
            "demf",
        ),
    ],
)
def test_contradicting_limits_stop_the_start(values: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(values)


def test_the_settings_are_read() -> None:
    found = load_settings(
        {"D365_COMPANY_LIMIT": "usmf, ussi", "D365_COMPANY_LIMIT_SHARED": "Curr*,Dir*"}
    )
    assert (found.company_limit, found.company_limit_shared) == (
        ("usmf", "ussi"),
        ("Curr*", "Dir*"),
    )
    assert load_settings({"D365_COMPANY_LIMIT_SHARED": "false"}).company_limit_shared is False
    assert load_settings({}).company_limit_shared is True
