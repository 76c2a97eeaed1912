"""`serve --demo-environments`: sandboxes that a newcomer can tell apart."""

from __future__ import annotations

import pytest

from gateway.cli.check_callers import require_callers
from gateway.cli.serve import MAX_ANNOUNCED, _addresses, require_upstream
from gateway.config.demo_environments import demo_environments, with_demos
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from tests.support.environments import code_of, deployed, settings_of

NAMES = "{ customersV3(first: 1) { nodes { id dataAreaId customerAccount } } }"
PLAIN = Settings(language=None, cache_dir=None)


@pytest.mark.anyio
async def test_each_demo_has_a_company_and_rows_of_its_own() -> None:
    settings = with_demos(Settings(language=None, cache_dir=None), 3)
    async with deployed(settings) as deployment:
        rows = [
            (await deployment.data(NAMES, f"/e/demo-{number}/graphql"))["customersV3"]["nodes"][0]
            for number in (1, 2, 3)
        ]
        foreign = await deployment.post(
            "query N($id: ID!) { node(id: $id) { id } }", variables={"id": rows[0]["id"]}
        )

    assert len({row["dataAreaId"] for row in rows}) == 3
    assert len({row["id"] for row in rows}) == 3
    assert code_of(foreign) == "INVALID_ID"


@pytest.mark.anyio
async def test_each_demo_has_fields_companies_and_users_of_its_own() -> None:
    queries = (
        "{ customersV3(first: 1) { nodes { contosoLoyaltyTier } } contosoLoyaltyPrograms { totalCount } }",
        "{ vendorsV3(first: 1) { nodes { fabrikamRating } } fabrikamAudits { totalCount } }",
        "{ salesOrderHeadersV2(first: 1) { nodes { northwindPriority } } northwindRoutes { totalCount } }",
    )
    who = "{ legalEntities { nodes { legalEntityId } } systemUsers(first: 1) { nodes { email } } }"
    async with deployed(with_demos(PLAIN, 3)) as deployment:
        answered = [
            [
                "errors" not in (await deployment.post(query, f"/e/demo-{number}/graphql")).json()
                for query in queries
            ]
            for number in (1, 2, 3)
        ]
        seen = [await deployment.data(who, f"/e/demo-{number}/graphql") for number in (1, 2, 3)]

    assert answered == [[True, False, False], [False, True, False], [False, False, True]]
    assert len({str(data["legalEntities"]) for data in seen}) == 3
    assert len({str(data["systemUsers"]) for data in seen}) == 3


def test_further_demos_are_told_apart_by_their_titles() -> None:
    titles = [options.title for options in demo_environments(5).values()]

    assert titles == ["Contoso", "Fabrikam", "Northwind", "Contoso 2", "Fabrikam 2"]


def test_without_demos_settings_stay_as_they_are() -> None:
    assert with_demos(PLAIN, 0) is PLAIN


def test_a_name_that_is_in_use_is_not_replaced() -> None:
    with pytest.raises(SettingsError, match="There is an environment demo-2 in the settings"):
        with_demos(settings_of("demo-2"), 2)


def test_the_start_prints_the_addresses_of_environments() -> None:
    lines = list(_addresses(with_demos(PLAIN, 2), "http://x"))
    many = list(_addresses(settings_of(*(f"e{n}" for n in range(MAX_ANNOUNCED + 5))), "http://x"))

    assert lines[:3] == [
        "GraphQL:  http://x/graphql",
        "GraphQL:  http://x/e/demo-1/graphql",
        "GraphQL:  http://x/e/demo-2/graphql",
    ]
    assert any(line.strip() == "and 5 more environments" for line in many)


def test_environments_are_protected_as_the_own_one_is() -> None:
    open_to_all = settings_of("acme", url=None, default_environment=False, host="0.0.0.0")

    require_upstream(open_to_all, sandbox=False)
    with pytest.raises(SettingsError, match=r"anybody could use https://acme\.example/data"):
        require_callers(open_to_all)
    with pytest.raises(SettingsError, match=r"sandbox\.roles"):
        require_callers(settings_of("acme", url=None, sandbox={"roles": True}))
