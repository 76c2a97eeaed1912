"""What a directory has beside users and workers: titles, positions, managers, groups, roles by organization.

Workers appear once more as Entra ID's provisioning reads them, and as their table has them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from .seed import Seeds
from .seed_organization import NEVER

_LINE = "Line"
_GROUPS = (
    ("Admin", "Administrators"),
    ("Finance", "General ledger"),
    ("Payables", "Accounts payable"),
    ("Sales", "Order taking"),
)
_REPORTS = 5
"""Positions that report to the same one."""
_ACTIVE = datetime(2015, 1, 1, tzinfo=UTC)
_CHANGED = datetime(2024, 6, 1, 8, 0, tzinfo=UTC)


def fill(seeds: Seeds) -> None:
    """Make the rows of the area."""
    _titles(seeds)
    _positions(seeds)
    _managers(seeds)
    _entra_workers(seeds)
    _worker_table(seeds)
    _groups(seeds)
    _role_organizations(seeds)


def _manager_of(number: int) -> int | None:
    """Return the number of the position that position ``number`` (from 1) reports to; None for the first."""
    return None if number == 1 else (number - 2) // _REPORTS + 1


def _titles(seeds: Seeds) -> None:
    titles = dict.fromkeys(worker["TitleId"] for worker in seeds.of("Workers"))
    seeds.add("Titles", [{"TitleId": title} for title in titles])


def _positions(seeds: Seeds) -> None:
    departments = seeds.of("DepartmentsV2")
    seeds.add("PositionHierarchyTypes", [{"Name": _LINE}, {"Name": "Matrix"}])
    for number, worker in enumerate(seeds.of("Workers"), 1):
        position, personnel = _position_id(number), worker["PersonnelNumber"]
        held = worker["WorkerStatus"] == "Employed"
        start = worker["OriginalHireDateTime"]
        seeds.add(
            "PositionsV2",
            [
                {
                    "PositionId": position,
                    "Description": f"{worker['TitleId']} {number}",
                    "JobId": worker["TitleId"],
                    "TitleId": worker["TitleId"],
                    "PositionTypeId": "Full time",
                    "DepartmentNumber": departments[number % len(departments)][
                        "OperatingUnitNumber"
                    ],
                    "FullTimeEquivalent": 1,
                    "Activation": _ACTIVE,
                    "Retirement": NEVER,
                    "DetailEffective": _ACTIVE,
                    "DetailExpiration": NEVER,
                    "AvailableForAssignment": _ACTIVE,
                    **(_holder(worker, start) if held else {}),
                }
            ],
        )
        assignment = {"PositionId": position, "PersonnelNumber": personnel, "ValidFrom": start}
        ended = datetime(2024, 6, 30, 17, 0, tzinfo=UTC)
        seeds.add(
            "PositionWorkerAssignmentsV2",
            [{**assignment, "ValidTo": NEVER if held else ended, "IsPrimaryPosition": "Yes"}],
        )
        manager = _manager_of(number)
        if manager is not None:
            line = {"HierarchyTypeName": _LINE, "ValidFrom": _ACTIVE, "ValidTo": NEVER}
            seeds.add(
                "PositionHierarchies",
                [{"PositionId": position, "ParentPositionId": _position_id(manager), **line}],
            )


def _position_id(number: int) -> str:
    return f"{number:06d}"


def _holder(worker: dict[str, Any], start: datetime) -> dict[str, Any]:
    return {
        "WorkerPersonnelNumber": worker["PersonnelNumber"],
        "WorkerName": worker["Name"],
        "WorkerAssignmentStart": start,
        "WorkerAssignmentEnd": NEVER,
    }


def _entra_workers(seeds: Seeds) -> None:
    workers = seeds.of("Workers")
    for number, worker in enumerate(workers, 1):
        manager = _manager_of(number)
        seeds.add(
            "AzureADWorkers",
            [
                {
                    "EmployeeId": worker["PersonnelNumber"],
                    "DisplayName": worker["Name"],
                    "CommonName": worker["Name"],
                    "GivenName": worker["FirstName"],
                    "LastName": worker["LastName"],
                    "Email": worker["PrimaryContactEmail"],
                    "Telephonenumber": worker["PrimaryContactPhone"],
                    "StreetAddress": worker["AddressStreet"],
                    "City": worker["AddressCity"],
                    "Country": worker["AddressCountryRegionId"],
                    "JobTitle": worker["TitleId"],
                    "Manager": "" if manager is None else workers[manager - 1]["PersonnelNumber"],
                    "Status": worker["WorkerStatus"],
                    "MostRecentModifiedDate": worker["OriginalHireDateTime"],
                }
            ],
        )


def _managers(seeds: Seeds) -> None:
    """Relate workers who are employed to the holder of the next position above."""
    workers = seeds.of("Workers")
    for number, worker in enumerate(workers, 1):
        manager = _manager_of(number)
        if manager is not None and worker["WorkerStatus"] == "Employed":
            relation = {
                "PersonnelNumber": worker["PersonnelNumber"],
                "ManagerPersonnelNumber": workers[manager - 1]["PersonnelNumber"],
            }
            seeds.add("EssWorkerManagerRelations", [relation])


def _worker_table(seeds: Seeds) -> None:
    for number, worker in enumerate(seeds.of("Workers"), 1):
        row = {
            "PersonnelNumber": worker["PersonnelNumber"],
            "Person": 22_565_430_000 + number,
            "SourceKey": 22_565_440_000 + number,
            "SysRecVersion": 1,
            "SysModifiedBy": "Admin",
            "SysCreatedBy": "Admin",
            "SysModifiedDateTime": _CHANGED + timedelta(hours=number),
            "CreatedOn": worker["OriginalHireDateTime"],
        }
        seeds.add("HcmWorkerBiEntities", [row])


def _groups(seeds: Seeds) -> None:
    seeds.add("UserGroups", [{"GroupId": group, "name": name} for group, name in _GROUPS])
    members = [
        {"userId": user["UserID"], "groupId": _GROUPS[number % len(_GROUPS)][0]}
        for number, user in enumerate(seeds.of("SystemUsers"))
    ]
    seeds.add("UserGroupUserLists", members)


def _role_organizations(seeds: Seeds) -> None:
    """Restrict each fourth assignment of a role to one legal entity; the others hold everywhere, without a row."""
    for number, assignment in enumerate(seeds.of("SecurityUserRoles")):
        if number % 4 == 2:
            restriction = {
                "UserId": assignment["UserId"],
                "SecurityRoleIdentifier": assignment["SecurityRoleIdentifier"],
                "OrganizationType": "LegalEntity",
                "OrganizationId": seeds.company(number).id.upper(),
                "OperatingUnitType": "None",
            }
            seeds.add("SecurityUserRoleOrganizations", [restriction])
