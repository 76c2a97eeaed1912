"""Dynamics 365 Finance & Operations: its delta from OData v4, and how its addresses are told.

Main page: https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/odata (read as
"the OData page" below). Where that page is silent the flag says no. What differs from the specification, and
how it is known:

* no ``in``, no ``has``; enums take only ``eq`` and ``ne``, their literals are fully qualified (the OData page,
  "Filter details");
* no ``contains`` family: ``startswith`` answers 400
  (https://learn.microsoft.com/en-us/answers/questions/5826840/odata-filter-startswith-returning-400-client-error);
  a ``*`` in ``eq`` is a wildcard instead (the OData page;
  https://github.com/MicrosoftDocs/dynamics-365-unified-operations-public/issues/3243), with no escape
  documented;
* ``$expand`` is first level only (the OData page); ``$select`` inside it is seen in captured traffic, other
  options nowhere;
* there are no nulls: text comes back ``""``, dates ``1900-01-01``, numbers ``0``, so that a number's absence
  cannot be asked;
* text compares as the database does, without case and trailing blanks
  (https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/dev-ref/xpp-variables-data-types).
"""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from urllib.parse import urlsplit

from gateway.errors import SettingsError

from .account import AccountSets, Lookup
from .dialect import EQUALITY, LISTS, NULL, ODATA, ORDERING, TEXT, Dialect
from .finops_companies import COMPANY_COLUMNS
from .finops_presets import RELATIONS, SERVICES
from .query import Operator

NAMESPACE = "Microsoft.Dynamics.DataEntities"

FINOPS = replace(
    ODATA,
    name="finops",
    title="Finance & Operations",
    operators=MappingProxyType(
        {
            "string": EQUALITY + ORDERING + LISTS + TEXT + NULL,
            "number": EQUALITY + ORDERING + LISTS,
            "temporal": EQUALITY + ORDERING + LISTS + NULL,
            "date": EQUALITY + ORDERING + LISTS + NULL,
            "duration": (),
            "boolean": EQUALITY,
            "enum": EQUALITY + LISTS,
            "flags": EQUALITY + LISTS,
            "guid": EQUALITY + LISTS,
            "binary": (),
            "other": (),
        }
    ),
    # An X++ date's "unset" is noon, a date-time's is midnight: one test holds for both.
    absent=MappingProxyType(
        {
            "Edm.String": (Operator.EQ, ""),
            "Edm.DateTimeOffset": (Operator.LT, "1900-01-02T00:00:00Z"),
            "Edm.Date": (Operator.LT, "1900-01-02"),
        }
    ),
    null_order="first",  # there are none
    page_limit=10_000,  # the OData page: "the page size limit is 10,000"
    has_has=False,
    has_text_functions=False,
    wildcard_eq=True,
    has_any_all=False,
    # https://github.com/microsoft/Dynamics-AX-Integration, QueryExamples.FilterOnNavigationalProperty
    filter_to_one=True,
    filter_depth=1,
    expand_depth=1,
    expand_options=False,
    has_metadata_service=True,
    account=AccountSets(
        clients=Lookup("SysAADClients", "AADClientId", "UserId"),
        roles=Lookup("SecurityUserRoles", "UserId", "SecurityRoleName"),
        companies=Lookup("LegalEntities", "LegalEntityId", "Name"),
        samples=(
            "CustomersV3",
            "VendorsV2",
            "MainAccounts",
            "LedgerJournalHeaders",
            "SalesOrderHeadersV2",
            "PurchaseOrderHeadersV2",
            "ReleasedProductsV2",
            "SystemUsers",
        ),
    ),
    company_property="dataAreaId",
    company_columns=COMPANY_COLUMNS,
    company_parameters=frozenset(
        (
            "dataareaid",
            "dataarea",
            "company",
            "companyid",
            "legalentity",
            "legalentityid",
            "dataareaids",
            "dataareas",
            "companies",
            "companyids",
            "legalentities",
            "legalentityids",
            "legalentitydataarea",
            "legalentitydataareaid",
            "dataareaidlist",
            "companylist",
        )
    ),
    company_option=("cross-company", "true"),
    case_insensitive=True,
    alphanumeric_order=True,
    # ASP.NET refuses these in a path too, unless told otherwise: see requestPathInvalidCharacters in
    # https://learn.microsoft.com/en-us/dotnet/api/system.web.configuration.httpruntimesection
    key_hazards=ODATA.key_hazards + "*<>",
    batches_hazards=True,
    # A create answers 201 with the whole row, and a PATCH of a row that is not there 404 (reference d365-odata 5.1).
    prefers_representation=False,
    update_may_create=False,
    # https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/odata (Batch requests)
    batches_reads=True,
    relations=RELATIONS,
    services=SERVICES,
)

_DIALECTS = {dialect.name: dialect for dialect in (FINOPS, ODATA)}
_HOST = re.compile(
    r"(?:.+\.)?(?:operations|cloudax|axcloud)\.(?:[a-z0-9-]+\.)*(?:microsoft)?dynamics\.[a-z]+"
)


def dialect_for(name: str | None, url: str, namespace: str) -> Dialect:
    """Return the dialect of that name, else the one that address or namespace show. Raises SettingsError."""
    if name is None:
        host = urlsplit(url).hostname or ""
        known = namespace == NAMESPACE or _HOST.fullmatch(host) is not None
        return FINOPS if known else ODATA
    if name in _DIALECTS:
        return _DIALECTS[name]
    if name in ("dataverse", "businesscentral"):
        raise SettingsError(
            f"D365_DIALECT {name!r} is not available yet.",
            hint="'odata' reaches such a service by what the specification promises.",
        )
    raise SettingsError(
        f"D365_DIALECT is {name!r}.", hint=f"Accepted: {', '.join(sorted(_DIALECTS))}."
    )


_KINDS = (
    (re.compile(r".+\.sandbox\.operations\..+"), "test"),
    (re.compile(r".+\.(?:cloudax|axcloud)\..+"), "development"),
    (re.compile(r".+\.operations\..*dynamics\.[a-z]+"), "production"),
)


def environment_kind(host: str) -> str | None:
    """Return what an environment of that host is for: ``production``, ``test`` or ``development``; None if unknown.

    Sandboxes of tier 2 and above have ``sandbox`` in their host, cloud-hosted development machines their own domain:
    https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/deployment/deploy-demo-environment
    """
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(host)), None)
