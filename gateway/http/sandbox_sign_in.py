"""Where the page signs in to the sandbox: choose a user, without a password. Served with ``sandbox.roles`` only.

    GET  /sandbox/authorize   a list of the users; each link leads back to the page with a code    RFC 6749, section 4.1
    POST /sandbox/token       a code with its PKCE verifier, or a refresh token, for a token       RFC 7636

Codes lead back to the page's own address on this host only, so they reach nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.identity.sandbox_issuer import CLIENT_ID, HOUR, SandboxIssuer, challenge_of
from gateway.identity.sandbox_users import USERS, SandboxUser, user_of
from gateway.identity.sign_in import AUTHORIZE, TOKEN

MAX_BODY = 16_384
"""Bytes of a request for a token."""
MAX_VALUE = 2_000
"""Characters of a parameter."""
NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none';"
    " form-action 'none'"
)
_HEADERS = {
    **NO_STORE,
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class _Invalid(Exception):
    """A request that is not as OAuth wants it: an error code, and why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def sandbox_routes(issuer: SandboxIssuer, callback: str) -> list[BaseRoute]:
    """Return the routes of the issuer; ``callback`` is the path of the page that takes the codes."""

    async def authorize(request: Request) -> Response:
        parameters = {name: value[:MAX_VALUE] for name, value in request.query_params.items()}
        try:
            redirect = _checked(request, parameters, callback)
        except _Invalid as error:
            return HTMLResponse(_page("<p>" + escape(str(error)) + "</p>"), 400, headers=_HEADERS)
        # The page goes on with the same user when it is loaded anew.
        chosen = [parameters.pop(name, "") for name in ("user", "login_hint")]
        user = next((u for u in map(user_of, chosen) if u is not None), None)
        if user is None:
            return HTMLResponse(_page(_choices(parameters)), headers=_HEADERS)
        code = issuer.grant("code", user, challenge=parameters["code_challenge"], redirect=redirect)
        answer = urlencode({"code": code, "state": parameters["state"]})
        return RedirectResponse(f"{redirect}?{answer}", 303, headers=NO_STORE)

    async def token(request: Request) -> Response:
        try:
            form = await _form(request)
            user = _redeemed(issuer, form)
        except _Invalid as error:
            content = {"error": error.code, "error_description": str(error)}
            return JSONResponse(content, 400, headers=NO_STORE)
        answer: dict[str, str | int] = {
            "access_token": issuer.token(user),
            "token_type": "Bearer",
            "expires_in": int(HOUR),
            "refresh_token": issuer.grant("refresh", user),
        }
        return JSONResponse(answer, headers=NO_STORE)

    return [Route(AUTHORIZE, authorize), Route(TOKEN, token, methods=["POST"])]


def _checked(request: Request, parameters: Mapping[str, str], callback: str) -> str:
    """Return the address that the code is sent to. Raises _Invalid."""
    if parameters.get("client_id") != CLIENT_ID or parameters.get("response_type") != "code":
        raise _Invalid("invalid_request", "Sign in on the GraphiQL page: this address is for it.")
    if not (parameters.get("code_challenge") and parameters.get("code_challenge_method") == "S256"):
        raise _Invalid("invalid_request", "A code needs a code_challenge (S256).")
    if not parameters.get("state"):
        raise _Invalid("invalid_request", "A code needs a state.")
    redirect = parameters.get("redirect_uri", "")
    own = f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"
    if redirect != f"{own}{callback}":
        raise _Invalid("invalid_request", "The redirect_uri is not that of the GraphiQL page.")
    return redirect


async def _form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form. Raises _Invalid."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise _Invalid("invalid_request", "The request is too long.")
    try:
        fields = parse_qs(body.decode(), strict_parsing=True, max_num_fields=20)
    except ValueError as error:
        raise _Invalid("invalid_request", "The body is no form.") from error
    return {name: values[0] for name, values in fields.items()}


def _redeemed(issuer: SandboxIssuer, form: Mapping[str, str]) -> SandboxUser:
    """Return the user whose code or refresh token a form has. Raises _Invalid."""
    kind = form.get("grant_type")
    if kind == "authorization_code":
        claims = issuer.read_grant("code", form.get("code", ""))
        is_meant = claims is not None and (
            claims.get("challenge") == challenge_of(form.get("code_verifier", ""))
            and claims.get("redirect") == form.get("redirect_uri")
        )
    elif kind == "refresh_token":
        claims = issuer.read_grant("refresh", form.get("refresh_token", ""))
        is_meant = claims is not None
    else:
        raise _Invalid("unsupported_grant_type", "Accepted: authorization_code, refresh_token.")
    user = user_of(claims["sub"]) if claims is not None and is_meant else None
    if user is None:
        raise _Invalid("invalid_grant", "The code or refresh token is not valid, or has expired.")
    return user


def _choices(parameters: Mapping[str, str]) -> str:
    """Return the list of users, each a link that signs in as this user."""
    items = []
    for user in USERS:
        address = escape(f"?{urlencode({**parameters, 'user': user.id})}")
        facts = ", ".join(user.roles)
        if user.companies:
            facts += f" · {', '.join(user.companies)}"
        items.append(
            f'<li><a href="{address}"><b>{escape(user.name)}</b><span>{escape(facts)}</span></a></li>'
        )
    return f"<p>Sign in to the sandbox as</p><ul>{''.join(items)}</ul>"


def _page(content: str) -> str:
    return _PAGE.replace("CONTENT", content)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in to the sandbox</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 24rem; margin: 12vh auto; padding: 0 1rem; }
h1 { font-size: 1.25rem; }
ul { padding: 0; list-style: none; }
a { display: flex; flex-direction: column; margin: 0.5rem 0; padding: 0.5rem 1rem; border: 1px solid GrayText;
  border-radius: 8px; color: inherit; text-decoration: none; }
a:hover, a:focus-visible { outline: 2px solid Highlight; }
span, small { opacity: 0.75; }
</style>
</head>
<body>
<h1>D365 GraphQL</h1>
CONTENT
<small>These users exist in the embedded sandbox only, with generated data, so there are no passwords.</small>
</body>
</html>
"""
