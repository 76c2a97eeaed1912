"""The next page's request for an ``@odata.nextLink``, to our own origin only.

    root      https://x.example/data
    link      http://internal:8080/data/CustomersV3?$skip=10000
    request   CustomersV3?$skip=10000&cross-company=true

On proxied and on-premises systems the link's host is not the one that was called, so only the part after the service's
path counts; it is appended to our own root. A token therefore never travels anywhere else. Links are otherwise opaque
(OData JSON 4.01 section 4.5.5, https://docs.oasis-open.org/odata/odata-json-format/v4.01/).
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, quote, unquote, unquote_plus, urljoin, urlsplit

from gateway.errors import UpstreamMalformed

from .query import Request

PORTS = {"http": 80, "https": 443}
_SKIP_TOKEN = re.compile(r"(?:[A-Za-z0-9._~!$'()*+,;=:@/?-]|%[0-9A-Fa-f]{2}){0,4000}")
"""A percent-encoded value of a query option: nothing in it ends the option or the query."""
_REPEATED = frozenset({"$filter", "$orderby", "$select", "$expand"})
"""Options without which a skip token may mean something else."""
_CONTINUING = frozenset({"$skiptoken", "$top", "$count"})
"""Options that a next link may change."""


def next_request(
    current: Request,
    link: str,
    *,
    root: str,
    keep: tuple[tuple[str, str], ...] = (),
    may_repeat: bool = False,
) -> Request:
    """Return the request for the next page.

    ``root`` is the service root; ``keep`` are query options that are added again if the link has lost them. Raises
    UpstreamMalformed for a link that leads to another service or, unless it ``may_repeat``, back to the same page.
    """
    # urlsplit removes some control characters silently, so that a link could mean another address than it shows.
    if not link or any(ch < " " for ch in link):
        raise _refused("is not an address", link)
    path, query = _behind_root(_resolve(current, link, root), link, root)
    # A server would resolve dot segments to a path beside the service root.
    if any(unquote(segment) in {".", ".."} for segment in path.split("/")):
        raise _refused("leaves the service", link)
    url = _with_lost_options(f"{path}?{query}" if query else path, current.url, keep)
    if not may_repeat and _meaning(url) == _meaning(current.url):
        raise _refused("leads back to the same page", link)  # else it would be followed for ever
    # The link repeats the filter, and how is the service's choice: callers see the first page's address.
    return Request("GET", url, current.headers, None, current.shown)


def is_skip_token(text: str) -> bool:
    """Return whether a text can stand in an address as the value of ``$skiptoken`` and as nothing else."""
    return _SKIP_TOKEN.fullmatch(text) is not None


def skip_token_of(
    sent: Request, link: str, *, root: str, keep: tuple[tuple[str, str], ...] = ()
) -> str | None:
    """Return the ``$skiptoken`` of a next link, percent-encoded, if the rest of the link repeats the request.

    None for any other link: then only following it is certain to give the next rows. Raises UpstreamMalformed for a
    link that leads to another service or back to the same page.
    """
    following = next_request(sent, link, root=root, keep=keep).url
    before, after = _values(sent.url), _values(following)
    token = after.get("$skiptoken")
    names = (after.keys() - _CONTINUING) | (before.keys() & _REPEATED)
    repeats = all(
        name in before and name in after and unquote_plus(before[name]) == unquote_plus(after[name])
        for name in names
    )
    same_path = unquote(sent.url.partition("?")[0]) == unquote(following.partition("?")[0])
    if not token or not repeats or not same_path:
        return None
    encoded = quote(token, safe="%._~!$'()*+,;=:@/?-")
    return encoded if is_skip_token(encoded) else None


def with_skip_token(request: Request, token: str) -> Request:
    """Return the request for the rows after a skip token."""
    separator = "&" if "?" in request.url else "?"
    added = f"{separator}$skiptoken={token}"
    shown = None if request.shown is None else request.shown + added
    return Request(request.method, request.url + added, request.headers, request.body, shown)


def _values(url: str) -> dict[str, str]:
    """Return query option → value, still percent-encoded; names in lower case."""
    pairs = (part.partition("=") for part in url.partition("?")[2].split("&") if part)
    return {unquote(name).lower(): value for name, _, value in pairs}


def origin(parts: SplitResult) -> tuple[str, str, int | None]:
    """Return scheme, host and port; the scheme's default port if none is written."""
    return parts.scheme, (parts.hostname or "").lower(), parts.port or PORTS.get(parts.scheme)


def _resolve(current: Request, link: str, root: str) -> SplitResult:
    """Return a link as absolute: relative to the root if it names the requested resource, else to the request."""
    resource = current.url.split("?")[0]
    relative_to_root = link.split("?", maxsplit=1)[0] == resource
    try:
        absolute = urlsplit(
            urljoin(f"{root}/" if relative_to_root else f"{root}/{current.url}", link)
        )
        origin(absolute)
    except ValueError as exc:
        raise _refused("is not an address", link) from exc
    if absolute.scheme not in PORTS or not absolute.hostname:
        raise _refused("is not a web address", link)
    return absolute


def _behind_root(absolute: SplitResult, link: str, root: str) -> tuple[str, str]:
    """Return path and query after the service root; a link to another origin must contain the service's path."""
    ours = urlsplit(root)
    service = ours.path.rstrip("/")
    path = absolute.path
    relative = path.removeprefix(f"{service}/")
    if relative not in {path, ""} and (service or origin(absolute) == origin(ours)):
        return relative, absolute.query
    last = f"/{service.rpartition('/')[2]}/"
    # Behind a proxy the service's path may stand after another one, or have lost its beginning.
    for prefix in (f"{service}/", last):
        _, is_there, relative = path.partition(prefix)
        if service and is_there and relative:
            return relative, absolute.query
    raise _refused("leads to another service", link)


def _with_lost_options(url: str, sent: str, keep: tuple[tuple[str, str], ...]) -> str:
    present, before = _options(url), _options(sent)
    for name, value in keep:
        if name.lower() in before and name.lower() not in present:
            url += f"{'&' if '?' in url else '?'}{quote(name)}={quote(value)}"
    return url


def _options(url: str) -> frozenset[str]:
    query = url.partition("?")[2]
    return frozenset(name.lower() for name, _ in parse_qsl(query, keep_blank_values=True))


def _meaning(url: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what an address requests, however it is encoded."""
    path, _, query = url.partition("?")
    return unquote(path), sorted(parse_qsl(query, keep_blank_values=True))


def _refused(why: str, link: str) -> UpstreamMalformed:
    return UpstreamMalformed(
        f"The link to the next page {why}.",
        hint="Is the service root (D365_URL) the address by which the service knows itself?",
        detail=f"@odata.nextLink: {link[:2_000]}",
    )
