"""Settings for other services: capped counts, text with case; and how configuration and commands set them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from gateway.cli.sandbox import knobs_of
from gateway.config.loading import load_settings
from gateway.config.setting_models import SandboxOptions
from gateway.errors import SettingsError
from gateway.sandbox import SandboxSettings
from tests.support.changing_metadata import csdl

pytestmark = pytest.mark.anyio
LIMIT_EXCEEDED = "@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"


async def test_a_count_may_have_a_cap(sandbox):
    ask = sandbox(count_limit=5)
    url = "/data/CustomersV3?$count=true&$select=CustomerAccount"

    page = (await ask(f"{url}&$top=7")).json()
    assert (page["@odata.count"], len(page["value"])) == (5, 7)
    assert LIMIT_EXCEEDED not in page
    assert (await ask("/data/CustomersV3/$count")).text == "5"

    prefer = {"prefer": 'odata.include-annotations="*"'}
    assert (await ask(url, headers=prefer)).json()[LIMIT_EXCEEDED] is True
    few = (
        await ask("/data/LegalEntities?$count=true&$filter=LegalEntityId eq 'usmf'", headers=prefer)
    ).json()
    assert (few["@odata.count"], few[LIMIT_EXCEEDED]) == (1, False)  # fmt: skip


@pytest.fixture
def names(sandbox, tmp_path):
    path = tmp_path / "metadata.xml"
    path.write_text(csdl("Name"))

    async def make(**settings: object):
        ask = sandbox(metadata=path, **settings)
        for number, name in enumerate(("apple", "Apple", "APPLE ", "50% Æ_ble")):
            body = {"Id": f"new-{number}", "Name": name}
            assert (await ask("/data/Things", "POST", json=body)).status_code == 201
        return ask

    return make


# filter; Ids where case is ignored, as SQL Server's collations do; Ids where it counts, as the specification has it
TEXTS = [
    ("Name eq 'apple'", "012", "0"),
    ("Name ne 'apple'", "3", "123"),
    ("Name in ('APPLE ','x')", "012", "2"),
    ("Name eq 'apple' or Name eq 'Apple'", "012", "01"),
    ("startswith(Name,'App')", "012", "1"),
    ("contains(Name,'pp')", "012", "01"),
    ("contains(Name,'% æ_b')", "3", ""),
    ("contains(Name,'% Æ_b')", "3", "3"),
    ("endswith(Name,'LE ')", "", "2"),
    ("endswith(Name,'')", "0123", "0123"),
    ("tolower(Name) eq 'apple'", "01", "01"),
    ("startswith(toupper(Name),'APP')", "012", "012"),
    ("Name gt 'a'", "012", "0"),
]


@pytest.mark.parametrize(("condition", "ignored", "distinguished"), TEXTS)
async def test_case_is_ignored_or_distinguished(names, condition, ignored, distinguished):
    for text_case, expected in (("ignored", ignored), ("distinguished", distinguished)):
        ask = await names(text_case=text_case)
        params = {"$filter": f"startswith(Id,'new-') and ({condition})", "$orderby": "Id"}
        answer = await ask("/data/Things", params=params)
        assert answer.status_code == 200, answer.text
        result = "".join(row["Id"][-1] for row in answer.json()["value"])
        assert result == expected, text_case


async def test_the_setting_decides_whether_keys_ignore_case(names):
    for text_case, status, created in (("ignored", 200, 400), ("distinguished", 404, 201)):
        ask = await names(text_case=text_case)
        assert (await ask("/data/Things('NEW-0')")).status_code == status
        built = await ask("/data/Things", "POST", json={"Id": "NEW-0"})
        assert built.status_code == created


async def test_finance_always_ignores_case(sandbox):
    answer = await sandbox(text_case="distinguished")(
        "/data/CustomersV3?$filter=dataAreaId eq 'USMF'"
    )

    assert answer.json()["value"]


def test_every_setting_of_the_sandbox_is_a_knob_of_it():
    knobs = {field.name for field in fields(SandboxSettings)}

    assert SandboxOptions().knobs().keys() <= knobs
    assert SandboxSettings(**SandboxOptions().knobs()).database == ":memory:"


def test_settings_come_from_environment_variables(tmp_path):
    environ = {"D365_SANDBOX__NULL_ORDER": "last", "D365_SANDBOX__REFUSE_SKIP": "true"}
    settings = load_settings(environ, None)

    chosen = SandboxSettings(**settings.sandbox.knobs())
    assert (chosen.null_order, chosen.refuse_skip, chosen.created) == (
        "last",
        True,
        "representation",
    )


def test_the_command_sets_knobs_by_name():
    pairs = ["null_order=last", "refuse_skip=true", "url_limit=2000", "database=rows.sqlite"]

    assert knobs_of(pairs) == {
        "null_order": "last",
        "refuse_skip": True,
        "url_limit": 2000,
        "database": "rows.sqlite",
    }
    assert knobs_of([]) == {}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (
            "refuse_skp=true",
            "--set refuse_skp: there is no such setting. Did you mean refuse_skip?",
        ),
        ("null_order=middle", "--set null_order: Input should be 'first' or 'last'."),
        ("url_limit=-1", "--set url_limit: Input should be greater than or equal to 0."),
        ("null_order", "--set null_order: expected NAME=VALUE."),
    ],
)
def test_unknown_settings_and_values_are_refused(pair, message):
    with pytest.raises(SettingsError) as caught:
        knobs_of([pair])

    assert caught.value.message == message
