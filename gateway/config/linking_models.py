"""Settings of environments that are added at run time: which addresses they may have, and how customers link theirs.

[linking]
allowed_hosts = ["*.dynamics.com"]
return_urls = ["https://app.example.com/linked"]
webhook_url = "https://app.example.com/hooks/d365"
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from .value_types import LOOPBACK, HostNames, Names

CLOUDS = ("*.dynamics.com", "*.dynamics.us", "*.dynamics.cn")
"""Hosts of environments: those of the public cloud, of the US Government's and of 21Vianet's."""
_PATH = re.compile(r"(?:/[0-9A-Za-z._~-]+)*")
_PREFIX = "whsec_"
"""How secrets of Standard Webhooks begin."""
_MIN_BYTES, _MAX_BYTES = 24, 64
"""https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme"""


def _target(value: str) -> str:
    address = value.strip()
    parts = urlsplit(address)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not is_safe or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise ValueError("expected an https:// address (http is allowed for 127.0.0.1)")
    return address


def _targets(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_target, values))


def _public_url(value: str) -> str:
    address = _target(value).rstrip("/")
    parts = urlsplit(address)
    if parts.query or not _PATH.fullmatch(parts.path):
        raise ValueError(
            "expected an address such as https://erp.example.com, with root_path if there is one"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}"


def _webhook_secret(value: SecretStr) -> SecretStr:
    webhook_key(value)
    return value


def webhook_key(secret: SecretStr) -> bytes:
    """Return the key of a secret of Standard Webhooks: ``whsec_`` and base64. Raises ValueError."""
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith(_PREFIX) or not _MIN_BYTES <= len(key) <= _MAX_BYTES:
        raise ValueError(
            f"expected {_PREFIX} and {_MIN_BYTES} to {_MAX_BYTES} random bytes as base64"
        )
    return key


Targets: TypeAlias = Annotated[Names, NoDecode, AfterValidator(_targets)]


class LinkingOptions(BaseModel):
    """Environments that are added at run time."""

    model_config = ConfigDict(
        frozen=True, defer_build=True, extra="forbid", hide_input_in_errors=True
    )

    allowed_hosts: HostNames = Field(
        default=CLOUDS,
        description="Hosts of environments that may be added at run time: x.example.com, *.example.com. They are called"
        " by https only, and only at public IP addresses. A loopback address, for sandboxes, must be listed itself.",
    )
    public_url: Annotated[str, AfterValidator(_public_url)] | None = Field(
        default=None,
        description="Address at which browsers of customers reach the gateway, such as https://erp.example.com. If set,"
        " the link page is served there, below /link.",
    )
    return_urls: Targets = Field(
        default=(),
        description="Addresses to which the link page may send its visitors back, exactly as a link session names one.",
    )
    webhook_url: Annotated[str, AfterValidator(_target)] | None = Field(
        default=None,
        description="Address that gets a signed POST whenever an environment of the store is linked, updated, disabled,"
        " enabled or removed.",
    )
    webhook_secret: Annotated[SecretStr, AfterValidator(_webhook_secret)] | None = Field(
        default=None,
        description="Secret that signs webhooks (Standard Webhooks): whsec_ and 24 to 64 random bytes as base64.",
    )
    session_minutes: int = Field(
        default=30, ge=1, le=1_440, description="Minutes for which a link session is valid."
    )
    require_administrator: bool = Field(
        default=True,
        description="Whether only a system administrator of an environment may link it.",
    )
    client_id: str | None = Field(
        default=None,
        description="Multi-tenant application with which administrators of customers sign in on the link page. It also"
        " reads linked environments if client_id is not set. Not set: that of the deployment.",
    )
    client_secret: SecretStr | None = Field(
        default=None, description="Client secret of linking.client_id."
    )
    certificate: str | None = Field(
        default=None,
        description="File with the certificate of linking.client_id and its private key, instead of the secret.",
    )
    certificate_password: SecretStr | None = Field(
        default=None, description="Password of that file or private key."
    )

    @model_validator(mode="after")
    def _can_sign(self) -> LinkingOptions:
        if self.webhook_url is not None and self.webhook_secret is None:
            raise ValueError("webhook_url needs webhook_secret")
        if self.return_urls and self.webhook_secret is None:
            raise ValueError("return_urls needs webhook_secret, which signs what they are sent")
        if self.client_id is not None and (self.client_secret is None) == (
            self.certificate is None
        ):
            raise ValueError("client_id needs client_secret or certificate, and not both")
        return self
