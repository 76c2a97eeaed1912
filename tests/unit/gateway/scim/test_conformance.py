"""scim2-tester, the conformance tests of SCIM servers: all that needs no creation is green."""

from __future__ import annotations

import pytest

from gateway.config.settings import Settings
from tests.support.app_client import calling, serving

pytestmark = pytest.mark.anyio


async def test_the_service_conforms() -> None:
    from tests.support.scim_conformance import checked  # takes two seconds: see there

    settings = Settings.model_validate({"language": None, "scim": {"writes": True}})
    async with serving(settings) as (app, events), calling(app, events) as client:
        green, others = await checked(client)

    assert [(r.title, r.status, r.reason) for r in others] == []
    assert green >= 10
