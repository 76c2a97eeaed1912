"""Data packages: executions, and addresses that are good for their package alone, for a while, and without a token."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest

pytestmark = pytest.mark.anyio
ACTIONS = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities."
BODY = {
    "definitionGroupId": "Export CustomerGroups",
    "packageName": "p",
    "executionId": "mine",
    "reExecute": False,
    "legalEntityId": "USMF",
}


@pytest.fixture
def ask(sandbox):
    return sandbox()


async def call(ask, action, **body):
    answer = await ask(ACTIONS + action, "POST", json=body)
    return answer.json()["value"] if answer.status_code == 200 else answer.text


async def address(ask):
    await call(ask, "ExportToPackage", **BODY)
    while await call(ask, "GetExecutionSummaryStatus", executionId="mine") != "Succeeded":
        assert await call(ask, "GetExportedPackageUrl", executionId="mine") == ""
    return await call(ask, "GetExportedPackageUrl", executionId="mine")


async def test_a_package_has_the_rows_of_a_company(ask):
    package = await ask(await address(ask))

    with zipfile.ZipFile(io.BytesIO(package.content)) as archive:
        assert set(archive.namelist()) == {
            "PackageHeader.xml",
            "Manifest.xml",
            "CustomerGroups.csv",
        }
        text = archive.read("CustomerGroups.csv").decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(text))
    assert header == [name.upper() for name in header]
    assert "DATAAREAID" not in header
    expected = ask.app.state.store.rows("CustomerGroups", dataAreaId="usmf")
    assert [row[header.index("CUSTOMERGROUPID")] for row in rows] == [
        row["CustomerGroupId"] for row in expected
    ]


async def test_an_address_is_for_its_package_and_without_a_token(ask):
    good = await address(ask)
    for wrong, headers in (
        (good, {"Authorization": "Bearer x"}),
        (good.replace("mine.zip", "other.zip"), {}),
        (good.replace("se=2", "se=3"), {}),
        (good.partition("?")[0], {}),
    ):
        answer = await ask(wrong, headers=headers)
        assert (answer.status_code, b"AuthenticationFailed" in answer.content) == (403, True)
    ask.app.state.packages.lifetime = -1
    expired = await call(ask, "GetExportedPackageUrl", executionId="mine")
    assert (await ask(expired)).status_code == 403
    assert (await ask(good)).status_code == 200


@pytest.mark.parametrize(
    ("action", "body", "message"),
    [
        ("ExportToPackage", {**BODY, "definitionGroupId": "Export Nothing"}, "does not exist"),
        ("ExportToPackage", {"definitionGroupId": "x"}, "Model state is invalid"),
        ("GetExecutionSummaryStatus", {"executionId": "nobody"}, "details were not found"),
        ("GetExportedPackageUrl", {}, "details were not found"),
        ("GetMessageStatus", {}, ""),
    ],
)
async def test_what_does_not_exist_is_refused(ask, action, body, message):
    answer = await ask(ACTIONS + action, "POST", json=body)

    assert answer.status_code >= 400
    assert message in answer.text


async def test_an_execution_is_started_once(ask):
    assert await call(ask, "ExportToPackage", **BODY) == "mine"
    assert "exists already" in await call(ask, "ExportToPackage", **BODY)
    assert await call(ask, "ExportToPackage", **{**BODY, "reExecute": True}) == "mine"
    own = await call(ask, "ExportToPackage", **{**BODY, "executionId": ""})
    assert own.startswith("Export CustomerGroups-")
