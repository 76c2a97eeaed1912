"""The resources that are served, with the attributes that the directory has, and what the service can do.

The models of the library have attributes that nobody has here (passwords, photos) and refuse addresses that they
take for wrong; an attribute that is read-only here is one in ``/Schemas`` as well.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field
from scim2_models import (
    URN,
    AnyExtension,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Extension,
    Filter,
    Mutability,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

Text = Annotated[str | None, Mutability.read_only]
Flag = Annotated[bool | None, Mutability.read_only]
Exact = Annotated[str | None, Mutability.read_only, CaseExact.true]


class Name(ComplexAttribute):
    """The parts of a name."""

    formatted: Text = None
    family_name: Text = None
    given_name: Text = None
    middle_name: Text = None


class Email(ComplexAttribute):
    """An address."""

    value: Text = None
    type: Text = None
    primary: Flag = None


class PhoneNumber(ComplexAttribute):
    """A phone number."""

    value: Text = None
    type: Text = None


class GroupMembership(ComplexAttribute):
    """A group of a user: a security role, or a user group."""

    value: Exact = None
    ref: Annotated[Reference[Group] | None, Mutability.read_only] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    display: Text = None
    type: Text = None


class Manager(ComplexAttribute):
    """The user to whom another one reports."""

    value: Exact = None
    ref: Annotated[Reference[User] | None, Mutability.read_only] = Field(  # type: ignore[type-arg]
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    display_name: Text = None


class EnterpriseUser(Extension):
    """What the worker of a user adds."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: Text = None
    department: Text = None
    manager: Annotated[Manager | None, Mutability.read_only] = None


class User(Resource[AnyExtension]):
    """A user of the directory."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    external_id: Exact = None
    user_name: Annotated[str | None, Mutability.read_only, Uniqueness.server, Required.true] = None
    name: Annotated[Name | None, Mutability.read_only] = None
    display_name: Text = None
    title: Text = None
    user_type: Text = None
    preferred_language: Text = None
    timezone: Text = None
    active: bool | None = None
    emails: Annotated[list[Email] | None, Mutability.read_only] = None
    phone_numbers: Annotated[list[PhoneNumber] | None, Mutability.read_only] = None
    groups: Annotated[list[GroupMembership] | None, Mutability.read_only] = None


class Member(ComplexAttribute):
    """A user of a group."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    ref: Annotated[Reference[User] | None, Mutability.immutable] = Field(  # type: ignore[type-arg]
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    display: Annotated[str | None, Mutability.immutable] = None
    type: Annotated[str | None, Mutability.immutable] = None


class Group(Resource[Any]):
    """A security role, or a user group."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    external_id: Exact = None
    display_name: Annotated[str | None, Mutability.read_only, Required.true] = None
    members: list[Member] | None = None


TYPES = ("User", "Group")


@lru_cache(maxsize=16)
def provider_of(most: int, *, writes: bool) -> ScimProvider:
    """Return the description of the service: ``most`` resources in a page, and whether PATCH is served."""
    config = ServiceProviderConfig(
        patch=Patch(supported=writes),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=most),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer",
                description="The same tokens and keys as for the GraphQL API.",
                primary=True,
            )
        ],
    )
    return ScimProvider(
        models=[User, EnterpriseUser, Group],
        resource_types=[
            ResourceType.from_resource(User[EnterpriseUser]),
            ResourceType.from_resource(Group),
        ],
        config=config,
        # As Entra ID sends it: {"op": "Remove", "path": "members", "value": [{"value": "…"}]}.
        policy=ScimPolicy(remove_value_as_filter=ScimPolicy.RemoveValue.apply),
    )
