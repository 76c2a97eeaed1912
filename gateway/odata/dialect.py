"""What one product's OData can answer: documented flags, and ``lower``, which rewrites a query into that or refuses it.

A product is an *instance*, not a class: its flags show every difference from other products, and no code depends on a
product's name. ``ODATA`` is the specification read cautiously; a product's module states its differences with evidence.

Specification: OData 4.01, https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html and
part 2, URL Conventions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from gateway.config.write_models import Service
from gateway.errors import UnsupportedQuery
from schema.model.relations import Relation
from schema.operators import OperatorKind, WhereOperator, operators_of

from .account import AccountSets
from .error_details import GENERIC_ERRORS, ErrorDetails
from .literals import kind_of
from .lower import Lowered, lower_query
from .packages import PackageActions
from .query import KeyPart, Operator, Query, Resource, Value
from .render import resource_path

EQUALITY = operators_of(OperatorKind.EQUALITY)
LISTS = operators_of(OperatorKind.LIST)
ORDERING = operators_of(OperatorKind.ORDER)
TEXT = operators_of(OperatorKind.TEXT)
NULL = operators_of(OperatorKind.NULL)
FLAGS = operators_of(OperatorKind.FLAGS)
NullOrder: TypeAlias = Literal["first", "last", "unknown"]
EnvironmentKind: TypeAlias = Literal["production", "test", "development"]
UnkeyedPaging: TypeAlias = Literal["auto", "links", "skip"]


@dataclass(frozen=True)
class Dialect:
    """One product's OData. Flags read "Whether …"; the links lead to the page that says so."""

    name: str
    """Value of the setting ``D365_DIALECT``."""

    title: str
    """The product's name in messages to callers."""

    operators: Mapping[str, tuple[WhereOperator, ...]] = field(hash=False)
    """Kind of value (``literals.kind_of``, and ``flags``) → operators of ``where`` that are answered for it.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_LogicalOperators"""

    absent: Mapping[str, tuple[Operator, Value]] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    """Edm type → the test for "not filled in", for a product that stores no nulls; empty if it stores them."""

    null_order: NullOrder = "unknown"
    """Where nulls are in ascending ``$orderby``; descending order is the reverse. The specification says first, but
    services on PostgreSQL or Oracle sort them last. ``unknown``: first is assumed, and answers are checked.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_SystemQueryOptionorderby"""

    guid_order: bool = False
    """Whether ``gt`` and ``lt`` compare Guids in the order in which ``$orderby`` sorts them, so that a cursor can hold
    one. SQL Server, .NET and text order Guids differently, and not every service compares them at all.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_LogicalOperators"""

    unkeyed_paging: UnkeyedPaging = "auto"
    """How a list continues whose order no cursor can hold. ``links``: ``Prefer: odata.maxpagesize`` and the
    ``$skiptoken`` of the next link, for services that refuse ``$skip``, or ignore the preference
    if there is a ``$top``. ``skip``: positions. ``auto``: ``$top`` with the preference, and the next link if one comes,
    else positions.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_ServerDrivenPaging"""

    page_limit: int | None = None
    """Maximum rows of a page, if that is documented: a ``$top`` of one row more costs a second request.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_ServerDrivenPaging"""

    apply: bool = False
    """Whether ``$apply`` answers ``filter``, ``groupby`` and ``aggregate`` with the standard methods: an extension that
    few services have.
    https://docs.oasis-open.org/odata/odata-data-aggregation-ext/v4.0/odata-data-aggregation-ext-v4.0.html"""

    change_tracking: bool = False
    """Whether ``Prefer: odata.track-changes`` gives delta links, for entity sets that state it (``ChangeTracking``).
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_RequestingChanges"""

    has_in: bool = False
    """Whether ``in`` is answered; new in 4.01, so not counted on.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_In"""

    has_has: bool = True
    """Whether ``has`` tests flags.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_Has"""

    has_text_functions: bool = True
    """Whether ``contains``, ``startswith`` and ``endswith`` are answered.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_StringandCollectionFunctions"""

    wildcard_eq: bool = False
    """Whether a ``*`` in ``eq`` stands for any text, and cannot be escaped; OData itself has no wildcards."""

    has_any_all: bool = True
    """Whether ``any`` is answered on collections.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_LambdaOperators"""

    filter_to_one: bool = True
    """Whether a filter may read through a single-valued navigation.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_PathExpressions"""

    filter_depth: int = 8
    """How many single-valued navigations in a row a filter may read through.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_PathExpressions"""

    expand_depth: int = 8
    """How many levels of ``$expand`` are answered; the specification sets no limit, services do.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_SystemQueryOptionexpand"""

    expand_options: bool = True
    """Whether ``$expand`` takes other options than ``$select`` and ``$expand``.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_ExpandOptions"""

    namespaces: frozenset[str] = frozenset()
    """Namespaces of a metadata document that only this product has: they show the dialect if no setting names it.
    https://docs.oasis-open.org/odata/odata-csdl-xml/v4.01/odata-csdl-xml-v4.01.html#sec_Namespace"""

    hosts: re.Pattern[str] | None = None
    """Host names that only this product has: they show the dialect as well."""

    environment_kinds: tuple[tuple[re.Pattern[str], EnvironmentKind], ...] = ()
    """Host names → what the environment is for; the first that matches counts.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/deployment/deploy-demo-environment"""

    service_suffix: str = ""
    """End of the service root's path that the environment's other services do not share: ``/data`` of
    ``https://x.operations.dynamics.com/data``, beside which are ``/metadata`` and ``/api/services``.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/services-home-page"""

    has_label_service: bool = False
    """Whether the environment has the texts of label ids, under ``/metadata/Labels``.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/odata#metadata"""

    display_values: bool = False
    """Whether texts that are called display values hold accounts and dimensions, in segments whose order the service
    tells.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/entity-vendor-invoice-header-vendorinvoiceheader"""
    has_entity_categories: bool = False
    """Whether the environment lists the categories of its entity sets, under ``/metadata/DataEntities``.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/odata#metadata"""

    errors: ErrorDetails = GENERIC_ERRORS
    """How the product's error texts are read: the reasons of a refused write, the entity, what status 500 means.
    https://docs.oasis-open.org/odata/odata-json-format/v4.0/odata-json-format-v4.0.html (section 19)"""

    account: AccountSets | None = None
    """Entity sets with the user, roles and companies of a registered application; None if the product has none.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/services-home-page#register-your-external-application"""

    company_property: str | None = None
    """Property that holds a row's company; None if rows have none."""

    company_columns: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    """Entity set without the company property → other properties that name a row's legal entity; all of them count.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/data-entities"""

    company_parameters: frozenset[str] = frozenset()
    """Names of parameters of operations and services that name a company, in lower case, without ``_`` in front.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/services-home-page"""

    company_option: tuple[str, str] | None = None
    """Query option of every request, with which rows of all companies are read that the account may see."""

    case_insensitive: bool = False
    """Whether text compares without case and without trailing blanks.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_LogicalOperators
    leaves it to the service."""

    alphanumeric_order: bool = False
    """Whether text of ASCII letters and digits sorts by its characters, digits first, letters without case; how other
    characters sort is the database's own.
    https://learn.microsoft.com/en-us/sql/relational-databases/collations/collation-and-unicode-support"""

    key_hazards: str = "/\\%&#+?"
    """Characters in a key that make it a filter: proxies and servers unescape, fold or refuse them in a path.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_URLParsing"""

    batches_hazards: bool = False
    """Whether a row with such a key is written by a batch, because web servers do not check addresses in its parts.
    https://learn.microsoft.com/en-us/iis/configuration/system.webserver/security/requestfiltering/"""

    prefers_representation: bool = True
    """Whether a create requests the new row (``Prefer: return=representation``): a service may answer with its address
    alone. https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_HeaderPrefer"""

    update_may_create: bool = True
    """Whether a PATCH of a missing row creates it, so that an update needs ``If-Match: *``.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_UpsertanEntity"""

    max_segment_length: int = 260
    """Encoded characters of one segment of a URL's path: a longer key becomes a filter, because HTTP.sys
    (IIS, and all that Microsoft hosts) answers 400 above 260 by default.
    https://learn.microsoft.com/en-us/troubleshoot/developer/webapps/iis/iisadmin-service-inetinfo/httpsys-registry-windows"""

    batches_reads: bool = False
    """Whether a ``$batch`` is known to answer several reads; if not, only an address that is too long is sent in one.
    The specification requires it at the advanced conformance level only.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_BatchRequests"""

    batch_writes: int = 0
    """The most writes of a ``$batch`` that do not depend on each other, in changesets or by themselves; 0 if such
    batches are not known to be answered. Overridden by the setting ``writes.batch_size``. The specification requires
    them at the advanced conformance level only, and has no limit.
    https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_BatchRequests"""

    relations: tuple[Relation, ...] = ()
    """Relations that the product has but does not publish; those are added whose sets and fields exist.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/odata"""

    twins: tuple[str, ...] = ()
    """Sets over the same table that have the time of the last change, as in the setting ``changes.twins``; those are
    used whose sets and fields exist.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/odata"""

    services: tuple[Service, ...] = ()
    """Services that are not in the metadata; those are offered that the environment describes.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/custom-services"""

    packages: PackageActions | None = None
    """The actions by which whole entity sets are exported as data packages; None if the product has none.
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/data-management-api"""

    natural_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Entity set → the properties that senders of such rows make unique; those count whose set and properties exist."""

    @property
    def has_nulls(self) -> bool:
        """Whether the product stores nulls."""
        return not self.absent

    @property
    def nulls_last(self) -> bool:
        """Whether nulls come after all values in ascending order."""
        return self.null_order == "last"

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """Query options of every request, for ``render``."""
        return () if self.company_option is None else (self.company_option,)

    def answers(self, edm_type: str, operator: WhereOperator) -> bool:
        """Return whether a type supports an operator of ``where``: ``("Edm.Boolean", WhereOperator.GT)`` → no."""
        return operator in self.operators.get(kind_of(edm_type), ())

    def compares(self, edm_type: str, operator: WhereOperator) -> bool:
        """Return whether the service answers the comparison, from ``where`` or from a cursor."""
        by_order = self.guid_order and edm_type == "Edm.Guid" and operator in ORDERING
        return by_order or self.answers(edm_type, operator)

    def orderable_comparison(self, edm_type: str, is_enum: bool = False) -> bool:
        """Return whether the type supports ``gt`` and ``lt``, so that a keyset page can start after a value of it."""
        return not is_enum and self.compares(edm_type, WhereOperator.GT)

    def key_is_safe(self, key: tuple[KeyPart, ...], entity_set: str = "") -> bool:
        """Return whether the key is safe in a URL's path, after the name of its set."""
        texts = (str(part.value.value) for part in key if part.value.type == "Edm.String")
        return not any(
            text == "" or text.endswith(".") or any(c in self.key_hazards for c in text)
            for text in texts
        ) and self.path_fits(resource_path(Resource(entity_set, key)))

    def path_fits(self, path: str) -> bool:
        """Return whether no segment of an encoded path is longer than web servers allow."""
        most = self.max_segment_length
        return len(path) <= most or all(len(segment) <= most for segment in path.split("/"))

    def environment_root(self, root: str) -> str:
        """Return the address that the environment's other services start with.

        ``https://x.operations.dynamics.com/data`` → ``https://x.operations.dynamics.com``
        """
        return root.rstrip("/").removesuffix(self.service_suffix)

    def environment_kind(self, host: str) -> EnvironmentKind | None:
        """Return what an environment of that host is for; None if the host does not show it."""
        return next((k for pattern, k in self.environment_kinds if pattern.fullmatch(host)), None)

    def is_shown_by(self, host: str, namespace: str) -> bool:
        """Return whether a host, or the namespace of a metadata document, belongs to this product only."""
        has_host = self.hosts is not None and self.hosts.fullmatch(host) is not None
        return has_host or namespace in self.namespaces

    def refusal(self, what: str, *, hint: str | None = None) -> UnsupportedQuery:
        """Return the error for what the product cannot do: ``"expand beyond level 1"``."""
        return UnsupportedQuery(f"{self.title} cannot {what}.", hint=hint)

    def lower(self, query: Query) -> Lowered:
        """Return the query as the product can answer it. Raises UnsupportedQuery."""
        return lower_query(self, query)


ODATA = Dialect(
    name="odata",
    title="This OData service",
    change_tracking=True,
    operators=MappingProxyType(
        {
            "string": EQUALITY + ORDERING + LISTS + TEXT + NULL,
            "number": EQUALITY + ORDERING + LISTS + NULL,
            "temporal": EQUALITY + ORDERING + LISTS + NULL,
            "date": EQUALITY + ORDERING + LISTS + NULL,
            "duration": EQUALITY + ORDERING + LISTS + NULL,
            "boolean": EQUALITY + NULL,
            "enum": EQUALITY + LISTS + NULL,
            "flags": EQUALITY + LISTS + FLAGS + NULL,
            "guid": EQUALITY + LISTS + NULL,
            "binary": NULL,
            "other": (),
        }
    ),
)
"""OData v4 as specified, minus what many services leave out (``in``, the order of Guids)."""
