"""From unified objects to resources: ids, the fields that an attribute needs, and the attributes of an object."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from scim2_models import Meta, Reference, ResponseParameters

from .models import (
    Email,
    EnterpriseUser,
    Group,
    GroupMembership,
    Manager,
    Member,
    Name,
    PhoneNumber,
    User,
)

Node = Mapping[str, Any]
"""A unified object, as JSON types."""
USER = "user"
_MEMBER = "user { userId name }"
USER_FIELDS: Mapping[str, str] = {
    "username": "username",
    "externalid": "externalId",
    "name": "name firstName lastName middleName",
    "displayname": "name",
    "title": "title",
    "usertype": "type isExternal",
    "preferredlanguage": "language",
    "timezone": "timeZone",
    "active": "status",
    "emails": "emails { value type isPrimary }",
    "phonenumbers": "phones { value extension type }",
    "groups": "roles { roleId name } groups { groupId name }",
    "employeenumber": "employeeId",
    "department": "department { name }",
    "manager": "manager { userId name }",
    "meta": "createdAt updatedAt",
}
"""Fields of the unified user by the attributes that they make, in lower case."""
_EXTENSION = ("employeenumber", "department", "manager")


class GroupKind(msgspec.Struct, frozen=True):
    """One of the lists that groups are made of."""

    prefix: str
    """Of their ids."""
    list: str
    key: str
    """Field of the unified type with its own id."""
    set: str
    """Entity set of its members."""
    member: str
    """Column of that with the user."""
    of: str
    """Column of that with the group."""

    @property
    def select(self) -> str:
        """Fields of a group without its members."""
        return f"id {self.key} name"

    def members(self, first: int, after: str | None = None) -> str:
        """Return the field with so many members, after a cursor."""
        more = f', after: "{after}"' if after else ""
        return f"members(first: {first}{more}) {{ nodes {{ {_MEMBER} }} pageInfo {{ hasNextPage endCursor }} }}"


ROLES = GroupKind(
    "role", "roles", "roleId", "SecurityUserRoles", "UserId", "SecurityRoleIdentifier"
)
GROUPS = GroupKind("group", "groups", "groupId", "UserGroupUserLists", "userId", "groupId")
KINDS = (ROLES, GROUPS)


def encode_id(kind: str, key: str) -> str:
    """Return the id of a resource, which stands in addresses as it is: ``user.dXNlcjAx``."""
    return f"{kind}.{base64.urlsafe_b64encode(key.encode()).decode().rstrip('=')}"


def decode_id(kind: str, id_: str) -> str | None:
    """Return the key in the id of a resource of a kind; None if it is none."""
    prefix, _, encoded = id_.partition(".")
    if prefix != kind:
        return None
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        return key.decode() if encode_id(kind, key.decode()) == id_ else None
    except (binascii.Error, ValueError):
        return None


def needed(parameters: ResponseParameters[Any] | None, names: Collection[str]) -> frozenset[str]:
    """Return those of the attributes (in lower case) that a response holds."""
    if parameters is None:
        return frozenset(names)
    if parameters.attributes:
        return frozenset(n for path in parameters.attributes for n in _heads(path, names))
    # Without a part of an attribute the rest of it is there.
    out = {
        n for path in parameters.excluded_attributes or () for n in _heads(path, names, whole=True)
    }
    return frozenset(names) - out


def _heads(path: Any, names: Collection[str], *, whole: bool = False) -> Iterable[str]:
    parts = [part.lower() for part in path.parts]
    schema = str(path).lower()
    if schema.startswith("urn:") and schema.endswith((":user", ":group")):
        is_extension = "enterprise" in schema
        return [n for n in names if (n in _EXTENSION) == is_extension]
    if whole and len(parts) > 1:
        return ()
    return [parts[0]] if parts[0] in names else ()


def user_fields(parameters: ResponseParameters[Any] | None) -> str:
    """Return the fields of the unified user that a response needs."""
    names = needed(parameters, USER_FIELDS)
    return " ".join(["id", "userId", *(f for n, f in USER_FIELDS.items() if n in names)])


def user_of(node: Node) -> User[EnterpriseUser]:
    """Return the resource of a unified user, of which some fields may be missing."""
    get = node.get
    user = User[EnterpriseUser](
        id=encode_id(USER, node["userId"]),
        external_id=get("externalId"),
        user_name=get("username"),
        name=_name(node) if "firstName" in node else None,
        display_name=get("name"),
        title=get("title"),
        user_type=_type(node) if "type" in node else None,
        preferred_language=get("language"),
        timezone=get("timeZone"),
        active=node["status"] == "ACTIVE" if get("status") else None,
        emails=[_email(each) for each in get("emails") or ()] or None,
        phone_numbers=[_phone(each) for each in get("phones") or ()] or None,
        groups=list(_groups(node)) or None,
        meta=_meta("User", node, created=get("createdAt"), updated=get("updatedAt")),
    )
    manager, department = get("manager"), get("department")
    if get("employeeId") or manager or department:
        user[EnterpriseUser] = EnterpriseUser(
            employee_number=get("employeeId"),
            department=department["name"] if department else None,
            manager=_manager(manager) if manager else None,
        )
    return user


def group_of(kind: GroupKind, node: Node, members: Sequence[Node] | None) -> Group:
    """Return the resource of a role or a user group; ``members``: those that are users, None if not needed."""
    users = sorted((m["user"] for m in members or () if m["user"]), key=lambda user: user["userId"])
    return Group(
        id=encode_id(kind.prefix, node[kind.key]),
        display_name=node["name"] or node[kind.key],
        members=[_member(user) for user in users] or None,
        meta=_meta("Group", [node[kind.key], node["name"], users]),
    )


def _meta(name: str, node: object, created: Any = None, updated: Any = None) -> Meta:
    digest = hashlib.blake2b(msgspec.json.encode(node), digest_size=12).hexdigest()
    return Meta(resource_type=name, created=created, last_modified=updated, version=f'W/"{digest}"')


def _name(node: Node) -> Name | None:
    parts = (node["name"], node["lastName"], node["firstName"], node["middleName"])
    if not any(parts):
        return None
    formatted, family, given, middle = parts
    return Name(formatted=formatted, family_name=family, given_name=given, middle_name=middle)


def _type(node: Node) -> str:
    if node["type"] == "SERVICE_ACCOUNT":
        return "ServiceAccount"
    return "External" if node["isExternal"] else "User"


def _email(node: Node) -> Email:
    return Email(
        value=node["value"],
        type=(node["type"] or "").lower() or None,
        primary=bool(node["isPrimary"]),
    )


def _phone(node: Node) -> PhoneNumber:
    number = node["value"]
    if node["extension"]:
        number = f"{number};ext={node['extension']}"
    return PhoneNumber(value=number, type=(node["type"] or "work").lower())


def _groups(node: Node) -> Iterable[GroupMembership]:
    for kind in KINDS:
        for group in node.get(kind.list) or ():
            id_ = encode_id(kind.prefix, group[kind.key])
            yield GroupMembership(
                value=id_, ref=Reference(f"Groups/{id_}"), display=group["name"], type="direct"
            )


def _manager(node: Node) -> Manager:
    id_ = encode_id(USER, node["userId"])
    return Manager(value=id_, ref=Reference(f"Users/{id_}"), display_name=node["name"])


def _member(node: Node) -> Member:
    id_ = encode_id(USER, node["userId"])
    return Member(value=id_, ref=Reference(f"Users/{id_}"), display=node["name"], type="User")
