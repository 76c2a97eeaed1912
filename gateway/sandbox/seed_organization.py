"""Companies, operating units, people, users and roles."""

from __future__ import annotations

import uuid
import zlib
from datetime import UTC, date, datetime, timedelta
from typing import Any

from .companies import CONTOSO
from .seed import TODAY, Seeds, day
from .seed_names import CITIES, FIRST, LAST, STREETS
from .values import MAX_MOMENT

NEVER = MAX_MOMENT
_ROLES = (
    ("-SYSADMIN-", "System administrator"),
    ("LEDGERACCOUNTANT", "Accountant"),
    ("LEDGERACCOUNTINGMANAGER", "Accounting manager"),
    ("CUSTINVOICEACCOUNTSRECEIVABLECLERK", "Accounts receivable clerk"),
    ("VENDINVOICEACCOUNTSPAYABLECLERK", "Accounts payable clerk"),
    ("TRADEPURCHASINGAGENT", "Purchasing agent"),
    ("TRADESALESCLERK", "Sales clerk"),
    ("WHSWAREHOUSEWORKER", "Warehouse worker"),
)
_LICENSES = {
    "-SYSADMIN-": "Enterprise",
    "LEDGERACCOUNTINGMANAGER": "Finance",
    "WHSWAREHOUSEWORKER": "Activity",
}
_ZONES = {
    "USA": "GMTMINUS0800PACIFICTIME",
    "DEU": "GMTPLUS0100_AMSTERDAM_BERLIN_BERN_ROME",
}
_COUNTRIES = (
    ("USA", "US", "USD", "GMTMINUS0800PACIFICTIME"),
    ("DEU", "DE", "EUR", "GMTPLUS0100_AMSTERDAM_BERLIN_BERN_ROME"),
    ("GBR", "GB", "GBP", None),
    ("JPN", "JP", "JPY", None),
    ("CHE", "CH", "CHF", None),
)


def fill(seeds: Seeds) -> None:
    """Make the rows of the area."""
    _companies(seeds)
    _units(seeds)
    _people(seeds)
    _users(seeds)
    _own_area(seeds)


def _companies(seeds: Seeds) -> None:
    for number, company in enumerate(seeds.companies, 1):
        party = f"{number:09d}"
        name = {"Name": company.name, "LanguageId": company.language, "PartyNumber": party}
        seeds.add("Companies", [{"DataArea": company.id, "KnownAs": company.name, **name}])
        city = {
            "AddressCity": company.city,
            "AddressCountryRegionId": company.country,
            "AddressStreet": f"{number}23 Main Street",
        }
        seeds.add(
            "LegalEntities",
            [
                {
                    "LegalEntityId": company.id,
                    "CompanyName": company.name,
                    "NameAlias": company.name[:20],
                    **name,
                    **city,
                    "StartDateOfBusiness": date(2000 + number, 1, 1),
                    "InitialCapitalInvestment": "1000000.5",
                    "PrimaryContactEmail": f"info@{company.id}.{seeds.domain}",
                    "VATNum": f"{company.prefix}{number:08d}",
                    "AddressTimeZone": None,
                    "UseForFinancialConsolidationProcess": "No",
                }
            ],
        )
    for region, iso, currency, zone in _COUNTRIES:
        row = {
            "CountryRegion": region,
            "ISOcode": iso,
            "CurrencyCode": currency,
            "AddressFormat": "0001",
            "TimeZone": zone,
        }
        seeds.add("AddressCountryRegions", [row])


def _units(seeds: Seeds) -> None:
    kinds = (
        (
            "CostCenters",
            "OMCostCenter",
            ("Administration", "Research & Development", "Sales", "Manufacturing", "IT"),
        ),
        ("BusinessUnits", "OMBusinessUnit", ("Home", "Corporate", "Consumer electronics")),
        (
            "DepartmentsV2",
            "OMDepartment",
            ("Finance", "Human Resources", "Operations", "Marketing"),
        ),
    )
    number = 0
    for entity_set, kind, names in kinds:
        for name in names:
            number += 1
            row: dict[str, Any] = {
                "OperatingUnitNumber": f"{number:03d}",
                "Name": name,
                "PartyNumber": f"{900 + number:09d}",
            }
            full = {
                **row,
                "NameAlias": name[:20],
                "OperatingUnitType": kind,
                "LanguageId": "en-US",
                "AddressLatitude": "47.6429" if number % 2 else 0,
                "AddressLongitude": "-122.1368" if number % 2 else 0,
                "AddressValidTo": NEVER,
                "AddressTimeZone": None,
                "PrimaryContactEmail": f"unit{number}@{seeds.domain}",
            }
            seeds.add("OperatingUnits", [{**full, "ManagerPersonnelNumber": f"{number:06d}"}])
            seeds.add(entity_set, [row if entity_set == "DepartmentsV2" else full])


def _people(seeds: Seeds) -> None:
    draw = seeds.draw("people")
    # Other people work in another organization.
    name = seeds.options.organization
    shift = 0 if name == CONTOSO else zlib.crc32(name.encode())
    for number in range(1, seeds.many(60) + 1):
        first = FIRST[(number + shift) % len(FIRST)]
        last = LAST[(number * 7 + shift) % len(LAST)]
        company = seeds.company(number, of=3)
        born = date(1960, 1, 1) + timedelta(days=draw.randrange(14_000))
        hired = day(draw, 4_000)
        person: dict[str, Any] = {
            "PartyNumber": f"{10_000 + number:09d}",
            "Name": f"{first} {last}",
            "FirstName": first,
            "LastName": last,
            "NameAlias": f"{first} {last}"[:20],
            "KnownAs": first,
            "LanguageId": company.language,
            "PartyType": "Person",
            "PrimaryContactEmail": f"{first.lower()}.{number}@{seeds.domain}",
            "PrimaryContactPhone": f"+1 425 555 {number:04d}",
            "AddressStreet": f"{number} {draw.choice(STREETS)}",
            "AddressCity": draw.choice(CITIES[company.country]),
            "AddressCountryRegionId": company.country,
            "AddressValidTo": NEVER,
        }
        gender = "Female" if number % 2 else "Male"
        seeds.add(
            "People",
            [
                {
                    **person,
                    "Gender": gender,
                    "BirthYear": born.year,
                    "BirthDay": born.day,
                    "AddressTimeZone": None,
                }
            ],
        )
        start = datetime(hired.year, hired.month, hired.day, 8, 0, tzinfo=UTC)
        ended = number % 11 == 0
        work = {
            "Gender": gender,
            "BirthDate": born if number % 9 else "1900-01-01T12:00:00Z",
            "OriginalHireDateTime": start,
            "SeniorityDate": hired,
            "TitleId": draw.choice(("Clerk", "Manager", "Analyst")),
            "WorksFromHome": "No",
        }
        personnel = f"{number:06d}"
        seeds.add(
            "Workers",
            [
                {
                    **person,
                    **work,
                    "PersonnelNumber": personnel,
                    "WorkerStatus": "Terminated" if ended else "Employed",
                    "WorkerType": "Contractor" if number % 8 == 0 else "Employee",
                    "NumberOfDependents": number % 4,
                    "ObjectId": uuid.uuid5(uuid.NAMESPACE_OID, personnel),
                    "PrimaryAddressLocation": 68_719_477_000 + number,
                    "User": f"user{number:02d}" if number <= 15 else "",
                    "IdentityEmail": f"user{number:02d}@{seeds.domain}" if number <= 15 else "",
                    "PrimaryContactPhoneExtension": f"{number:03d}" if number % 3 else "",
                    "PrimaryContactPhoneIsMobile": "Yes" if number % 4 == 0 else "No",
                }
            ],
        )
        seeds.add(
            "EmployeesV2",
            [
                {
                    **person,
                    **work,
                    "PersonnelNumber": personnel,
                    "EmploymentLegalEntityId": company.id,
                    "EmploymentId": f"{company.prefix}-EMP{number:04d}",
                    "StartDate": hired,
                    "EmploymentStartDate": start,
                    "EmploymentEndDate": datetime(2024, 6, 30, 17, 0, tzinfo=UTC)
                    if ended
                    else NEVER,
                }
            ],
        )
        names = {
            k: person[k]
            for k in (
                "PartyNumber",
                "Name",
                "FirstName",
                "LastName",
                "KnownAs",
                "PartyType",
                "LanguageId",
            )
        }
        seeds.add(
            "EssWorkers",
            [
                {
                    **names,
                    "PersonnelNumber": personnel,
                    "UserId": f"user{number:02d}" if number <= 15 else "",
                    "AadUserPrincipalName": person["PrimaryContactEmail"],
                    "AadUserObjectId": uuid.uuid5(uuid.NAMESPACE_OID, personnel),
                }
            ],
        )


def _users(seeds: Seeds) -> None:
    for role, name in _ROLES:
        license_type = "Activity" if role.startswith("WHS") else None
        seeds.add(
            "SecurityRoles",
            [
                {
                    "SecurityRoleIdentifier": role,
                    "SecurityRoleName": name,
                    "Description": f"{name}s do what {name.lower()}s do",
                    "AccessToSensitiveData": role == "-SYSADMIN-",
                    **({} if license_type is None else {"UserLicenseType": license_type}),
                }
            ],
        )
    people = seeds.of("People")[:15]
    ids = ["Admin", *(f"user{number:02d}" for number in range(1, len(people) + 1))]
    for number, user in enumerate(ids):
        company = seeds.company(0 if number == 0 else number)
        person = (
            people[number - 1]
            if number
            else {"Name": "Administrator", "PartyNumber": "", "PrimaryContactEmail": ""}
        )
        seeds.add(
            "SystemUsers",
            [
                {
                    "UserID": user,
                    "UserName": person["Name"],
                    "Alias": f"{user.lower()}@{seeds.domain}",
                    "PersonName": person["Name"],
                    "Email": f"{user.lower()}@{seeds.domain}",
                    "NetworkDomain": "https://sts.windows.net/",
                    "Enabled": number % 7 != 6,
                    "ExternalUser": number % 5 == 4,
                    "AccountType": "ClaimsUser",
                    "Company": company.id.upper(),
                    "Language": company.language,
                    "PreferredTimeZone": _ZONES.get(
                        company.country, "GMT_COORDINATEDUNIVERSALTIME"
                    ),
                    "SqmGUID": uuid.uuid5(uuid.NAMESPACE_DNS, user),
                    "StartPage": "DefaultDashboard",
                }
            ],
        )
        if number:
            seeds.add(
                "PersonUsers",
                [
                    {
                        "UserId": user,
                        "PartyNumber": person["PartyNumber"],
                        "ValidFrom": datetime(2019, 10, number, tzinfo=UTC),
                        "ValidTo": NEVER,
                        "PersonName": person["Name"],
                        "UserEmail": f"{user}@{seeds.domain}",
                        "PersonPrimaryEmail": person["PrimaryContactEmail"],
                    }
                ],
            )
        roles = (
            _ROLES[:1] if number == 0 else (_ROLES[1 + number % 7], _ROLES[1 + (number + 3) % 7])
        )
        seeds.add(
            "SecurityUserRoles",
            [
                {
                    "UserId": user,
                    "SecurityRoleIdentifier": role,
                    "SecurityRoleName": name,
                    "AssignmentStatus": "Enabled",
                    "AssignmentMode": "Manual",
                    "UserLicenseType": _LICENSES.get(role, "Functional"),
                }
                for role, name in roles
            ],
        )
    for number in range(1, min(4, len(ids))):
        client = uuid.uuid5(uuid.NAMESPACE_URL, f"client {number}")
        seeds.add(
            "SysAADClients",
            [{"AADClientId": str(client), "Name": f"Integration {number}", "UserId": ids[number]}],
        )


def _own_area(seeds: Seeds) -> None:
    """Make what the sets with actions show: entities of the data management, and leave requests."""
    entities = (
        ("Customers V3", "CustCustomerV3Entity", "Master"),
        ("General journal", "LedgerJournalEntity", "Transaction"),
        ("Vendors V2", "VendVendorV2Entity", "Master"),
    )
    seeds.add(
        "DataManagementEntities",
        [
            {
                "EntityName": name,
                "TargetName": aot,
                "Category": category,
                "EntityIsEnabled": "Yes",
                "StagingTableName": aot.replace("Entity", "Staging"),
            }
            for name, aot, category in entities
        ],
    )
    for number, status in enumerate(("Draft", "Approved", "Draft"), 1):
        at = TODAY + timedelta(days=number)
        seeds.add(
            "MyLeaveRequests",
            [
                {
                    "dataAreaId": seeds.companies[0].id,
                    "RequestId": f"{seeds.companies[0].id.upper()}-{number:06d}",
                    "LeaveType": "Vacation",
                    "LeaveDate": at,
                    "RequestDate": TODAY,
                    "PersonnelNumber": "000001",
                    "Status": status,
                    "Amount": 8,
                }
            ],
        )
