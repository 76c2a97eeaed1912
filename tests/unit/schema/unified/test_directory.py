"""The directory over the sandbox's metadata: every field that unified APIs know is mapped, or marked as absent."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from gateway.runtime.assembly import Gateway
from schema.errors import SchemaError
from schema.unified.convert import language_tag
from schema.unified.fields import value_tables
from schema.why.reads import reasons

USER = {
    "id, username": ("id", "userId", "username"),
    "external_id": ("externalId",),
    "name, first_name, last_name, middle": ("name", "firstName", "lastName", "middleName"),
    "emails": ("emails",),
    "phones": ("phones",),
    "status": ("status",),
    "roles": ("roles",),
    "groups": ("groups",),
    "licenses": ("licenses",),
    "title": ("title",),
    "department": ("department",),
    "manager": ("manager",),
    "employee_id, hire_date, employment_status": ("employeeId", "hireDate", "employmentStatus"),
    "organizations": ("organizations",),
    "start and end at each legal entity": ("employments",),
    "language, timezone": ("language", "timeZone"),
    "is_external, type": ("isExternal", "type"),
    "created_at, updated_at": ("createdAt", "updatedAt"),
    "remote data": ("raw", "sources"),
}
ABSENT = ("lastLoginAt", "is2faEnabled", "avatarUrl")


@pytest.mark.parametrize("names", USER.values(), ids=USER)
def test_a_field_of_users_is_mapped(names: tuple[str, ...], assembled: Gateway) -> None:
    fields = assembled.schema.unified.type("User").fields

    assert [name for name in names if name not in fields or fields[name].missing] == []


@pytest.mark.parametrize("name", ABSENT)
def test_a_field_of_users_is_marked_as_absent(name: str, assembled: Gateway) -> None:
    field = assembled.schema.unified.type("User").fields[name]

    assert field.missing
    assert "Not available here: the product" in field.description


def test_no_type_of_the_models_lacks_anything_else(assembled: Gateway) -> None:
    unified = assembled.schema.unified
    lacking = {
        f"{short}.{name}": field.missing
        for short in [t for m in unified.models if m.namespace == "directory" for t in m.types]
        for name, field in unified.type(short).fields.items()
        if field.missing and name not in ABSENT
    }

    assert lacking == {}


def test_every_time_zone_exists_and_is_mapped(assembled: Gateway) -> None:
    table = value_tables()["timezones"]
    (members,) = (
        {m.name for m in enum.members}
        for name, enum in assembled.catalog.model.enum_types.items()
        if name.endswith(".Timezone")
    )

    assert members - table.keys() == set()
    assert [zone for zone in table.values() if not ZoneInfo(zone).key] == []


@pytest.mark.parametrize(
    ("text", "tag"),
    [("en-us", "en-US"), ("DE", "de"), ("zh-hans", "zh-Hans"), ("zh_HANT_tw", "zh-Hant-TW")],
)
def test_languages_are_tags_of_bcp_47(text: str, tag: str) -> None:
    assert language_tag(text) == tag


@pytest.mark.parametrize(
    ("name", "heading", "text"),
    [
        ("directory", "fields", "users, user, groups"),
        ("Query.directory", "what it is", "version 1"),
        ("directory.users", "only rows with", "AccountType nin"),
        ("UnifiedDirectory.user", "what it is", "a row by its id of UnifiedUser"),
        ("UnifiedUser", "not complete here", "lastLoginAt"),
        ("UnifiedUser.name", "from", "PersonUsers.PersonName (SystemUsers → PersonUsers by"),
        ("UnifiedUser.status", "values", "True → ACTIVE"),
        ("UnifiedUser.username", "where", "alias of the rows, orderBy alias"),
        ("UnifiedUser.groups", "from", "SystemUsers → UserGroupUserLists by UserGroupUserList →"),
        ("UnifiedUser.avatarUrl", "missing here", "Entra ID has"),
        ("UnifiedUserStatus", "what it is", "enum"),
    ],
)
def test_why_says_where_a_name_comes_from(
    name: str, heading: str, text: str, assembled: Gateway
) -> None:
    details = reasons(assembled.catalog, name, unified=assembled.schema.unified).details

    assert [t for h, t in details if h == heading and text in t]


@pytest.mark.parametrize("name", ["directory.user_s", "UnifiedUser.nmae", "UnifiedUsr"])
def test_why_refuses_unknown_names(name: str, assembled: Gateway) -> None:
    with pytest.raises(SchemaError, match="There is no"):
        reasons(assembled.catalog, name, unified=assembled.schema.unified)
