"""The pages of the sandbox's login host: who signs in, and consent. They need no script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode

from .directory import Application, Person, Tenant

PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
}


def choices(tenant: Tenant, query: Mapping[str, str]) -> str:
    """Return the page on which somebody chooses who they are."""
    items = "".join(
        f'<li><a href="{_link(query, person=person.oid)}"><b>{escape(person.name)}</b>'
        f"<span>{escape(person.sign_in)}</span><span>{escape(person.title)}</span></a></li>"
        for person in tenant.people
    )
    back = f'<p><a class="plain" href="{_link(query, consent="no")}">Cancel</a></p>'
    return _page("Sign in", f"<p>Sign in to {escape(tenant.name)} as</p><ul>{items}</ul>{back}")


def consent(
    tenant: Tenant, person: Person, application: Application, query: Mapping[str, str]
) -> str:
    """Return the page on which somebody consents to what an application may do."""
    return _page(
        "Permissions requested",
        f"<p>{escape(person.sign_in)}</p>"
        f"<p><b>{escape(application.name)}</b> would like to, in {escape(tenant.name)}:</p>"
        "<ul><li>Access Dynamics ERP as organization users</li><li>Sign you in and read your profile</li></ul>"
        f'<p><a href="{_link(query, person=person.oid, consent="yes")}"><b>Accept</b></a>'
        f'<a href="{_link(query, consent="no")}">Cancel</a></p>',
    )


def problem(text: str) -> str:
    """Return the page for a request that is wrong."""
    return _page("Sign in", f"<p>{escape(text)}</p>")


def _link(query: Mapping[str, str], **more: str) -> str:
    return escape(f"?{urlencode({**query, **more})}")


def _page(title: str, content: str) -> str:
    return _PAGE.replace("TITLE", escape(title)).replace("CONTENT", content)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>TITLE</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 26rem; margin: 10vh auto; padding: 0 1rem; }
h1 { font-size: 1.25rem; }
ul { padding: 0; list-style: none; }
ul li:not(:has(a)) { margin-left: 1rem; list-style: disc; }
a { display: flex; flex-direction: column; margin: 0.5rem 0; padding: 0.5rem 1rem; border: 1px solid GrayText;
  border-radius: 8px; color: inherit; text-decoration: none; overflow-wrap: anywhere; }
a.plain { border: 0; padding: 0; text-decoration: underline; }
a:hover, a:focus-visible { outline: 2px solid Highlight; }
</style>
</head>
<body>
<main>
<h1>TITLE</h1>
CONTENT
<p><small>The login host of the sandbox: these people exist here only, so they have no passwords.</small></p>
</main>
</body>
</html>
"""
