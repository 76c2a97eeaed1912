"""A real environment on loopback: a sandbox that users sign in to, and the login host that issues their tokens."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gateway.config.loading import load_settings
from gateway.config.settings import Settings
from gateway.sandbox import SandboxSettings, create_sandbox
from gateway.sandbox.app import SandboxApp
from gateway.sandbox.sign_in import SignInRules

from .login_host import SECRET, LoginHost, login_host, public_keys
from .threaded import free_port, threaded

CLIENT = str(uuid.uuid5(uuid.NAMESPACE_URL, "client 1"))
"""A client that the sandbox knows."""


@dataclass(frozen=True)
class Environment:
    """What runs."""

    host: LoginHost
    sandbox: SandboxApp
    address: str
    step_up: dict[str, str]
    """User of the sandbox → claims that it requires of the user's tokens."""

    def settings(self, **variables: str) -> Settings:
        """Return the settings of a gateway that acts with the rights of its callers, changed by variables."""
        issuer = {
            "issuer": self.host.issuer,
            "audiences": [CLIENT],
            "user_claims": ["upn"],
            "jwks_url": f"{self.host.authority}/{self.host.tenant}/discovery/v2.0/keys",
        }
        environ = {
            "URL": f"{self.address}/data",
            "DIALECT": "finops",
            "IDENTITY": "caller",
            "TENANT_ID": self.host.tenant,
            "CLIENT_ID": CLIENT,
            "CLIENT_SECRET": SECRET,
            "AUTHORITY": self.host.authority,
            "INBOUND__ISSUERS": json.dumps([issuer]),
            "CACHE_DIR": "none",
            "DATA_DIR": "none",
            **variables,
        }
        return load_settings({f"D365_{name}": value for name, value in environ.items() if value})

    def token(self, user: str, **claims: Any) -> str:
        """Return the token with which a user of the sandbox calls the gateway."""
        return self.host.token_of(user, audience=CLIENT, **claims)


@contextmanager
def environment() -> Iterator[Environment]:
    """Run both while the block does."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with login_host() as host:
        host.signs = True
        step_up: dict[str, str] = {}
        rules = SignInRules(
            issuer=host.issuer, audience=address, keys=public_keys(), claims=step_up
        )
        sandbox = create_sandbox(SandboxSettings(hostile_rows=False, sign_in=rules))
        assert isinstance(sandbox, SandboxApp)
        with threaded(sandbox, port):
            yield Environment(host, sandbox, address, step_up)
