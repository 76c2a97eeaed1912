"""A token endpoint on a loopback socket: tenant discovery and the client-credentials grant of Microsoft Entra."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

SECRET = "s3cr+t/=&%"


@dataclass
class LoginHost:
    """What the endpoint knows and what it was asked."""

    port: int = 0
    tenant: str = "contoso"
    expires_in: int = 3600
    refuse: dict[str, object] | None = None
    configuration: object = None
    grants: list[dict[str, str]] = field(default_factory=list)

    @property
    def authority(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def discover(self, path: str) -> tuple[int, object]:
        if self.configuration is not None:
            return 200, self.configuration
        if not path.startswith(f"/{self.tenant}/"):
            return 400, {"error": "invalid_tenant", "error_codes": [90002]}
        base = f"https://127.0.0.1:{self.port}/{self.tenant}"
        return 200, {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
        }

    def grant(self, form: dict[str, str]) -> tuple[int, object]:
        self.grants.append(form)
        if self.refuse is not None:
            return 401, self.refuse
        if form.get("client_secret") != SECRET:
            return 401, refusal(7000215, f"Invalid client secret '{form.get('client_secret')}'.")
        token = f"token-{len(self.grants)}"
        return 200, {
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "access_token": token,
        }


def refusal(code: int, text: str) -> dict[str, object]:
    return {
        "error": "invalid_client",
        "error_description": f"AADSTS{code}: {text}",
        "error_codes": [code],
    }


@contextmanager
def login_host() -> Iterator[LoginHost]:
    host = LoginHost()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(*host.discover(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.reply(*host.grant({name: values[0] for name, values in parse_qs(body).items()}))

        def reply(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()
