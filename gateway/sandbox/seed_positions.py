"""Positions with their holders and reporting lines, user groups, and workers as Entra ID's provisioning reads them."""

from __future__ import annotations

from datetime import UTC, datetime
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


def fill(seeds: Seeds) -> None:
    """Make the rows of the area."""
    _positions(seeds)
    _entra_workers(seeds)
    _groups(seeds)


def _manager_of(number: int) -> int | None:
    """Return the number of the position that position ``number`` (from 1) reports to; None for the first."""
    return None if number == 1 else (number - 2) // _REPORTS + 1


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


def _groups(seeds: Seeds) -> None:
    seeds.add("UserGroups", [{"GroupId": group, "name": name} for group, name in _GROUPS])
    members = [
        {"userId": user["UserID"], "groupId": _GROUPS[number % len(_GROUPS)][0]}
        for number, user in enumerate(seeds.of("SystemUsers"))
    ]
    seeds.add("UserGroupUserLists", members)
