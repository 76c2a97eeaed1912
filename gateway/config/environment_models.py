"""Settings of environments: ``[environments.NAME]``, each served by the same deployment at ``/e/NAME/graphql``.

[environments.contoso-uat]
url = "https://contoso-uat.sandbox.operations.dynamics.com/data"
tenant_id = "contoso.onmicrosoft.com"
companies = ["usmf"]
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from .admission_models import AdmissionOptions
from .cost_models import CostOptions
from .credential_models import AuthKind, CredentialOptions
from .setting_models import Relation, SandboxOptions
from .value_types import Authority, Json, Names, NamesOrAll, ServiceRoot, Text
from .vault_reference import check_vault_reference

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
"""A name is a path segment and a label of host names."""
OWN = "default"
"""What lists of environments call that of the settings themselves."""
PLACE = "{environment}"
"""Where the name stands in ``environment_host``."""
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")


def _secret(value: SecretStr) -> SecretStr:
    check_vault_reference(value.get_secret_value())
    return value


class EnvironmentOptions(BaseModel):
    """An environment: where it is, how the gateway signs in, and what differs from the deployment's settings."""

    model_config = ConfigDict(
        frozen=True, defer_build=True, extra="forbid", hide_input_in_errors=True
    )

    url: ServiceRoot | None = None
    """Service root. Without it, ``sandbox`` makes it an embedded sandbox."""
    title: str | None = None
    """Name for people."""
    kind: Literal["production", "test", "development"] | None = None
    auth: AuthKind | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    """Not set: the deployment's application, which is then a multi-tenant one."""
    client_secret: Annotated[SecretStr, AfterValidator(_secret)] | None = None
    authority: Authority | None = None
    scope: str | None = None
    credentials: CredentialOptions | None = None
    metadata: str | None = None
    dialect: Literal["finops", "odata"] | None = None
    null_order: Literal["first", "last", "unknown"] | None = None
    guid_order: bool | None = None
    unkeyed_paging: Literal["auto", "links", "skip"] | None = None
    apply: bool | None = None
    page_limit: int | None = Field(default=None, ge=1)
    language: Text = None
    companies: Names = ()
    company_limit: Names = ()
    company_limit_shared: NamesOrAll | None = None
    include: Names = ()
    exclude: Names = ()
    relations: Annotated[tuple[Relation, ...], NoDecode, Json] = ()
    """Besides those of the deployment."""
    profiles: Names = ()
    """Names of the deployment's profiles that it serves. Empty: all."""
    roles: Names = ()
    """Names of the deployment's roles that exist in it. Empty: all."""
    read_only: bool | None = None
    introspection: bool | None = None
    concurrency: int | None = Field(default=None, ge=1, le=52)
    admission: AdmissionOptions | None = None
    connect_timeout: float | None = Field(default=None, gt=0)
    read_timeout: float | None = Field(default=None, gt=0)
    answer_timeout: float | None = Field(default=None, gt=0)
    retries: int | None = Field(default=None, ge=0, le=20)
    retry_wait_max: float | None = Field(default=None, ge=0)
    max_upstream_bytes: int | None = Field(default=None, ge=1_000)
    metadata_poll: float | None = Field(default=None, ge=0)
    max_types: int | None = Field(default=None, ge=1)
    default_page_size: int | None = Field(default=None, ge=1)
    max_page_size: int | None = Field(default=None, ge=1)
    max_rows: int | None = Field(default=None, ge=1)
    max_filtered_rows: int | None = Field(default=None, ge=1)
    operation_timeout: float | None = Field(default=None, gt=0)
    max_depth: int | None = Field(default=None, ge=1)
    max_root_fields: int | None = Field(default=None, ge=1)
    max_selections: int | None = Field(default=None, ge=1)
    max_aliases: int | None = Field(default=None, ge=0)
    max_directives: int | None = Field(default=None, ge=0)
    cost: CostOptions | None = None
    """In the place of the deployment's."""
    sandbox: SandboxOptions | None = None
    """Options of an embedded sandbox of its own, in the place of ``url``."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> EnvironmentOptions:
        if (self.url is None) == (self.sandbox is None):
            raise ValueError("expected url, or the table sandbox for an embedded sandbox")
        return self


def _check_names(environments: dict[str, EnvironmentOptions]) -> dict[str, EnvironmentOptions]:
    for name in environments:
        if not NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is not the name of an environment: lower-case letters, digits, - and _, starting with"
                " a letter, at most 40"
            )
        if name == OWN:
            raise ValueError(f"{name!r} names the environment of the settings themselves")
    return environments


Environments: TypeAlias = Annotated[
    dict[str, EnvironmentOptions], NoDecode, Json, AfterValidator(_check_names)
]
"""Environments by name, which is part of their address."""


def _host_pattern(value: str) -> str:
    pattern = value.strip().lower().rstrip(".")
    beginning, _, domain = pattern.partition(".")
    if beginning != PLACE or not _HOST.fullmatch(domain):
        raise ValueError(f"expected {PLACE} and a domain, such as {PLACE}.erp.example.com")
    return pattern


HostPattern: TypeAlias = Annotated[str, AfterValidator(_host_pattern)]
