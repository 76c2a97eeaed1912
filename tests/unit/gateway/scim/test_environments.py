"""SCIM below the address of an environment."""

from __future__ import annotations

import pytest

from tests.support.environments import deployed, path_of, settings_of

pytestmark = pytest.mark.anyio


async def test_each_environment_has_its_own_scim() -> None:
    async with deployed(settings_of("alpha")) as deployment:
        config = await deployment.http.get(path_of("alpha", "/scim/v2/ServiceProviderConfig"))
        users = await deployment.http.get(path_of("alpha", "/scim/v2/Users"))
        unknown = await deployment.http.get(path_of("nowhere", "/scim/v2/Users"))

    location = config.json()["meta"]["location"]
    assert location.endswith(path_of("alpha", "/scim/v2/ServiceProviderConfig"))
    # These environments have no users.
    assert (users.status_code, users.json()["detail"]) == (404, "There are no users here")
    assert unknown.json()["detail"] == "There is no such environment."
