"""The sandbox's settings: whatever differs between environments, or lacks evidence, is a field here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote_plus

from schema.model.relations import Relation

from .companies import CONTOSO
from .custom_fields import CustomFields
from .data_events import Post, post
from .sign_in import SignInRules

FaultKind = Literal["answer", "half", "empty-page", "hang"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One injected failure, answered in place of (or made from) the real answer."""

    kind: FaultKind = "answer"
    """``answer``: the other fields; ``half``: the real body cut in the middle; ``empty-page``: no rows and a next link
    to the requested rows; ``hang``: no answer for ``seconds``, then the real one."""
    status: int = 500
    body: str = ""
    content_type: str = "application/json; odata.metadata=minimal"
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    seconds: float = 3600.0

    @classmethod
    def html(cls, status: int = 502) -> Fault:
        """Return the error page of a load balancer in front of the service (section 5.3, [R: G4])."""
        title = f"{status} Bad Gateway"
        page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
        return cls(status=status, body=page, content_type="text/html")

    @classmethod
    def throttled(cls, retry_after: int | None = None) -> Fault:
        """Return a 429, unprocessed, with or without ``Retry-After`` (section 4.2)."""
        message = "This request could not be processed at this time."
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return cls(
            status=429, body=f'{{"error":{{"code":"","message":"{message}"}}}}', headers=headers
        )

    @classmethod
    def half(cls) -> Fault:
        return cls(kind="half")

    @classmethod
    def empty_page(cls) -> Fault:
        return cls(kind="empty-page")

    @classmethod
    def hang(cls, seconds: float = 3600.0) -> Fault:
        return cls(kind="hang", seconds=seconds)


FaultPlan = Callable[[int, str], Fault | None]
"""Request number (from 1) and path with query → the fault to inject, or None."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """Answer every ``every``-th request with 429; both kinds, with and without ``Retry-After``, occur (section 4.2)."""

    every: int
    retry_after: int | None = None

    @classmethod
    def parse(cls, text: str) -> Throttle:
        """Return the throttle of ``every=5`` or ``every=5,retry-after=1``. Raises ValueError for other text."""
        pairs = dict(part.strip().partition("=")[::2] for part in text.split(","))
        unknown = sorted(set(pairs) - {"every", "retry-after"})
        if unknown or not pairs.get("every", "").isdigit() or int(pairs["every"]) < 1:
            raise ValueError(
                f"throttle {text!r}: expected 'every=N' or 'every=N,retry-after=SECONDS'"
            )
        after = pairs.get("retry-after")
        if after is not None and not after.isdigit():
            raise ValueError(f"throttle {text!r}: retry-after takes whole seconds")
        return cls(int(pairs["every"]), None if after is None else int(after))


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """How one sandbox behaves."""

    scale: float = 1.0
    """Factor on the number of rows."""
    seed: int = 365
    """Seed of the data; the same seed and scale make the same rows."""
    hostile_rows: bool = True
    """Whether customers, vendors and products with hostile texts (quotes, wildcards, blanks, other scripts) are among
    the rows. The commands and the embedded sandbox leave them out by default: newcomers see ordinary rows first."""
    metadata: Path | None = None
    """A ``$metadata`` document (xml or xml.gz) to serve with generated rows instead of the built-in catalogue."""
    relations: tuple[Relation, ...] = ()
    """Relations that the rows of such a document follow if they fit it; they are no navigations of the service."""
    database: str = ":memory:"
    """Path of a SQLite file that keeps the rows, or ``:memory:``."""

    organization: str = CONTOSO
    """Whose environment it is: part of the names of companies and of users' addresses; other people work in others."""
    companies: tuple[str, ...] = ()
    """Ids of the legal entities, the main one first; empty: four of Contoso's."""
    custom_fields: CustomFields = field(default_factory=dict, hash=False)
    """Fields and sets besides those of the built-in catalogue."""

    default_company: str = "usmf"
    """``SystemUsers.Company`` of the account: the scope of requests without ``cross-company`` (section 1.2)."""
    accessible_companies: tuple[str, ...] | None = None
    """Companies the account may see; None means all. Rows of others do not exist for it."""

    page_limit: int = 10_000
    """Rows per page (section 3, [D])."""
    next_link: Literal["skip", "skiptoken"] = "skip"
    """How a next link continues: unsettled in the evidence (section 3)."""
    next_link_drops_cross_company: bool = False
    """[U]: whether next links lose ``cross-company``."""
    next_link_origin: str | None = None
    """Scheme and host that next links name; they may differ from the called ones behind a proxy ([R: C4])."""
    refuse_skip: bool = False
    """Whether ``$skip`` is refused, as by Dataverse; next links then need ``next_link="skiptoken"``."""
    honour_maxpagesize: bool = False
    """[U]: whether ``Prefer: odata.maxpagesize`` is obeyed."""
    null_order: Literal["first", "last"] = "first"
    """Where nulls stand in ascending order: SQL Server and the specification say first, PostgreSQL and Oracle last."""
    null_logic: Literal["specification", "sql"] = "specification"
    """Whether a comparison with null is false, so that its negation holds, or unknown, as in services that hand
    filters to a database. https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_LogicalOperators"""
    text_case: Literal["ignored", "distinguished"] = "ignored"
    """Whether texts compare without case and trailing blanks, as by SQL Server's collations and so by Dataverse, or by
    every character, as the specification has it. F&O always ignores both (section 1.2)."""
    count_limit: int = 0
    """Greatest value of ``$count``, 0 for no limit: Dataverse answers 5,000 for more rows.
    https://learn.microsoft.com/en-us/power-apps/developer/data-platform/webapi/query/count-rows"""
    empty_last_page: bool = False
    """Whether a full last page carries a next link to an empty one."""

    latency_ms: float = 0
    throttle: str | None = None
    """``every=N`` or ``every=N,retry-after=SECONDS``."""
    capacity: str | None = None
    """Workers that answer at a time: ``8``, or ``8,3,8``, one number after the other; None: no limit. A worker takes
    ``latency_ms`` for a request, and ``ms_per_kib`` for its answer (``capacity``)."""
    capacity_every: float = 60.0
    """Seconds of each number."""
    busy_above: float = 3.0
    """Times the workers: what is more is answered 429."""
    busy_retry_after: int | None = None
    """Seconds that those 429s name; None: they name none."""
    ms_per_kib: float = 0.0
    priorities: Mapping[str, Literal["high", "medium", "low"]] = field(
        default_factory=dict, hash=False
    )
    """Client id of an application = its priority; those that are not listed have medium, if any is."""
    fault: FaultPlan | None = None
    url_limit: int = 0
    """Longest accepted path with query in bytes, 0 for no limit: [U], IIS answers 404.15 above."""
    url_limit_status: Literal[404, 414] = 404
    segment_limit: int = 0
    """Longest accepted segment of a path as sent, 0 for no limit: HTTP.sys answers 400 with a web page above 260.
    https://learn.microsoft.com/en-us/troubleshoot/developer/webapps/iis/iisadmin-service-inetinfo/httpsys-registry-windows
    """
    path_hazards: bool = True
    """Whether ``%2F``, ``%5C``, ``%25`` and ``+`` in a path are refused as by IIS request filtering
    (section 1.1, [U])."""
    batch_limit: int = 1_000
    """Most parts of one ``$batch`` (section 4.3, doubtful)."""

    batch_status: Literal[200, 202] = 200
    """Status of a ``$batch`` whose parts were answered ([R: G1]: 200)."""
    batch_needs_crlf: bool = True
    """Whether a batch whose lines end in a bare LF is refused (section 4.3)."""
    batch_stops: Literal["never", "unless-preferred", "always"] = "never"
    """[U]: whether a ``$batch`` ends at the first part that is refused, as OData requires without the preference
    ``odata.continue-on-error``; BatchWithIndependentOperations ([D: S14]) shows no such preference."""
    changeset_error_id: Literal["first", "culprit", "none"] = "first"
    """Content-ID of the one error part of a failed changeset: it does not point at the culprit ([R: G1])."""
    content_id_references: bool | None = None
    """[U]: whether ``$1`` in a changeset names the row of its part 1; None: not by F&O, by others."""

    write_error_status: Literal[400, 500] = 400
    """Status of write errors: 500 in 2020, 400 in 2026 (section 5.3)."""
    conflict: Literal["412", "infolog"] = "412"
    """How a stale ``If-Match`` is answered (section 5.2)."""
    put: Literal["merge", "replace"] = "merge"
    """What PUT does with properties that the body lacks ([R: G1]: it merges)."""
    upsert: bool | None = None
    """Whether PATCH and PUT to a missing key create the row; None: not by F&O ([I]), by others."""
    null_in_body: Literal["refuse", "unset"] = "refuse"
    """[U]: null for a property that is not nullable."""
    read_only_fields: Literal["refuse", "ignore"] = "refuse"
    """[U]: properties in a body that may not be edited, and other values for keys."""
    long_strings: Literal["refuse", "truncate"] = "refuse"
    """[U]: texts longer than the metadata's MaxLength."""
    foreign_keys: bool = True
    """Whether references must exist in the related sets."""
    honour_return_preference: bool | None = None
    """[U]: whether ``Prefer: return=minimal`` and ``return=representation`` are obeyed; None: not by F&O, by others."""
    created: Literal["representation", "minimal"] = "representation"
    """What a POST answers if no preference applies: 201 with the row, or 204 with its address
    (OData 4.0 Protocol, section 8.3.3; Dataverse)."""
    created_headers: bool = True
    """[U]: whether a 201 has ``Location`` and ``OData-EntityId``."""
    etag_on_update: bool = False
    """[U]: whether a 204 of an update has the new ``ETag``."""
    hours_east: float = 0
    """Time zone of the account: the day a moment falls on is what a date-only property keeps (section 5.4)."""

    events: str | None = field(default=None, repr=False)
    """Address to which a data event is sent for each row that is written; None: none are sent."""
    post: Post = field(default=post, hash=False)
    """Sends them; tests replace it."""

    unknown_set_body: Literal["empty", "json", "html"] = "empty"
    """[U]: body of the 404 for an unknown set."""
    auth: Literal["none", "bearer"] = "none"
    bearer_token: str | None = None
    """The accepted token; None accepts any bearer token."""
    forbidden_tokens: tuple[str, ...] = ()
    """Tokens of applications that F&O does not know: 403."""
    sign_in: SignInRules | None = None
    """Whose tokens are accepted, if users must sign in; each sees its own rows and sets."""
    auth_body: Literal["empty", "json", "html"] = "empty"
    """[U]: body of 401 and 403."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """A request that was sent to the sandbox, for tests: see ``app.state.requests``."""

    number: int
    method: str
    path: str
    """Path as sent, still percent-encoded."""
    query: str
    """Query string as sent."""
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    in_batch: bool = False
    body: bytes = field(default=b"", repr=False)

    @property
    def url(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def decoded(self) -> str:
        """``/data/CustomersV3?$filter=Name eq 'x'``: readable, no longer a URL."""
        return unquote_plus(self.url)

    @property
    def options(self) -> dict[str, str]:
        """The query options, decoded."""
        parts = (part.partition("=") for part in self.query.split("&") if part)
        return {unquote_plus(name): unquote_plus(value) for name, _, value in parts}
