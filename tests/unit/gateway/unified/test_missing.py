"""What an environment lacks, names that are taken, and lists that are too long."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from schema.types.build import ODataSchema, build_schema
from schema.types.resolvers import NEVER_EXECUTED
from schema.unified.load import read_models
from tests.support.cases import engine

pytestmark = pytest.mark.anyio
MAPPING = """
namespace = "NAMESPACE"
version = 2
description = "A club."
[enums.Mood]
values = { GOOD = "" }
[types.Member]
sets = ["ClubMembers", "UserGroups"]
list = "members"
[types.Member.joins]
nowhere = { set = "ClubHouses", on = "GroupId" }
users = { set = "UserGroupUserLists", on = "GroupId=groupId", many = true }
wrong = { set = "SystemUsers", on = "GroupId=Enabled" }
[types.Member.fields]
id = { type = "ID" }
name = ["Title", "name"]
house = "nowhere.Name"
age = { column = "name", type = "Int" }
mood = { column = "Colour", type = "Mood", values = { a = "GOOD" } }
all = { column = "users.userId" }
other = { column = "wrong.UserID" }
friend = { type = "Nobody" }
[types.Nobody]
set = "ClubGhosts"
list = "nobodies"
single = "nobody"
[types.Nobody.fields]
id = { type = "ID" }
"""


def schema_of(gateway: Gateway, folder: Path, namespace: str = "club") -> ODataSchema:
    file = folder / "club.toml"
    file.write_text(MAPPING.replace("NAMESPACE", namespace), "utf-8")
    return build_schema(gateway.catalog, NEVER_EXECUTED, unified=read_models([file]))


def test_what_is_missing_is_null_and_said(assembled: Gateway, tmp_path: Path) -> None:
    unified = schema_of(assembled, tmp_path).unified
    bound = unified.type("Member")

    assert bound.set_name == "UserGroups"
    assert {name: field.missing for name, field in bound.fields.items() if field.missing} == {
        "name": ("UserGroup has no Title",),
        "house": ("no entity set ClubHouses",),
        "age": ("UserGroups.name is String, not Int",),
        "mood": ("UserGroup has no Colour",),
        "all": ("UserGroupUserLists.userId is a list: see `many` of its join",),
        "other": ("GroupId and Enabled of SystemUsers are of different types",),
        "friend": ("no entity set ClubGhosts",),
    }
    assert "Not available here: no entity set ClubHouses." in bound.fields["house"].description
    assert list(unified.namespaces["club"].fields) == ["members", "membersById"]
    assert unified.type("Nobody").missing == ("no entity set ClubGhosts",)


def test_a_root_field_of_the_metadata_keeps_its_name(assembled: Gateway, tmp_path: Path) -> None:
    schema = schema_of(assembled, tmp_path, "userGroups")

    assert list(schema.unified.namespaces) == ["unifiedUserGroups"]
    query = schema.core.query_type
    assert query is not None
    assert str(query.fields["unifiedUserGroups"].type) == "UnifiedUserGroups!"
    assert str(query.fields["userGroups"].type) == "UserGroupConnection!"


async def test_a_list_that_is_too_long_is_an_error(sandboxed: Gateway) -> None:
    query = """{ directory { users(first: 1, where: { userId: { eq: "user01" } }) {
        nodes { userId roles { name } licenses } } } }"""

    answer = await engine(sandboxed, max_page_size=1, default_page_size=1).execute(
        GraphQLRequest(query=query)
    )

    assert {error["extensions"]["code"] for error in answer.errors} == {"PAGE_LIMIT_EXCEEDED"}
    assert "assignments has more than 1 rows, the largest page." in answer.errors[0]["message"]
    (user,) = answer.to_builtins()["data"]["directory"]["users"]["nodes"]
    assert user == {"userId": "user01", "roles": None, "licenses": None}
