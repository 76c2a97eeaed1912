"""Dynamics 365 Finance & Operations: how its OData differs from the specification.

Main page: https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/odata (read as
"the OData page" below). If that page is silent, the flag says no. What differs from the specification, and
how that is known:

* no ``in``, no ``has``; enums take only ``eq`` and ``ne``, their literals are fully qualified (the OData page,
  "Filter details");
* no ``contains`` family: ``startswith`` answers 400
  (https://learn.microsoft.com/en-us/answers/questions/5826840/odata-filter-startswith-returning-400-client-error);
  a ``*`` in ``eq`` is a wildcard instead (the OData page;
  https://github.com/MicrosoftDocs/dynamics-365-unified-operations-public/issues/3243), with no escape
  documented;
* ``$expand`` is first level only (the OData page); ``$select`` inside it is seen in captured traffic, other
  options nowhere;
* there are no nulls: empty text is ``""``, an empty date ``1900-01-01``, an empty number ``0``, so that no filter can
  tell an empty number from 0;
* text compares as the database does, without case and trailing blanks
  (https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/dev-ref/xpp-variables-data-types).
"""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType

from .account import AccountSets, Lookup, UserSet
from .dialect import EQUALITY, LISTS, NULL, ODATA, ORDERING, TEXT, EnvironmentKind
from .finops_companies import COMPANY_COLUMNS
from .finops_presets import NATURAL_KEYS, RELATIONS, SERVICES, TWINS
from .infolog import INFOLOG
from .packages import PackageActions
from .query import Operator

NAMESPACE = "Microsoft.Dynamics.DataEntities"
_HOSTS = re.compile(
    r"(?:.+\.)?(?:operations|cloudax|axcloud)\.(?:[a-z0-9-]+\.)*(?:microsoft)?dynamics\.[a-z]+"
)
_ENVIRONMENT_KINDS: tuple[tuple[re.Pattern[str], EnvironmentKind], ...] = (
    (re.compile(r".+\.sandbox\.operations\..+"), "test"),
    (re.compile(r".+\.(?:cloudax|axcloud)\..+"), "development"),
    (re.compile(r".+\.operations\..*dynamics\.[a-z]+"), "production"),
)
"""Sandboxes of tier 2 and above have ``sandbox`` in their host, cloud-hosted development machines their own domain:
https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/deployment/deploy-demo-environment"""

FINOPS = replace(
    ODATA,
    name="finops",
    title="Finance & Operations",
    namespaces=frozenset({NAMESPACE}),
    hosts=_HOSTS,
    environment_kinds=_ENVIRONMENT_KINDS,
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
    service_suffix="/data",
    has_label_service=True,
    has_entity_categories=True,
    display_values=True,
    errors=INFOLOG,
    account=AccountSets(
        users=UserSet(
            entity_set="SystemUsers",
            id="UserID",
            sign_in="Alias",
            enabled="Enabled",
            company="Company",
            language="Language",
        ),
        clients=Lookup("SysAADClients", "AADClientId", "UserId"),
        roles=Lookup("SecurityUserRoles", "UserId", "SecurityRoleName"),
        administrator=Lookup("SecurityUserRoles", "UserId", "SecurityRoleIdentifier"),
        administrator_role="-SYSADMIN-",
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
    # A create answers 201 with the whole row, and a PATCH of a missing row 404 (captured traffic).
    prefers_representation=False,
    update_may_create=False,
    # https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/odata (Batch requests)
    batches_reads=True,
    # https://github.com/microsoft/Dynamics-AX-Integration, BatchWithIndependentOperations. How many is not documented
    # for F&O: Dataverse, with which it shares the page of limits, takes 1,000.
    # https://learn.microsoft.com/en-us/power-apps/developer/data-platform/webapi/execute-batch-operations-using-web-api
    batch_writes=1_000,
    relations=RELATIONS,
    twins=TWINS,
    services=SERVICES,
    packages=PackageActions(
        *(
            f"DataManagementDefinitionGroups/{NAMESPACE}.{action}"
            for action in ("ExportToPackage", "GetExecutionSummaryStatus", "GetExportedPackageUrl")
        )
    ),
    natural_keys=NATURAL_KEYS,
)
