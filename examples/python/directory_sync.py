"""Keeps the users of a SCIM service in step with the unified directory: created, changed, switched off once they leave.

What the service has is read first. So only differences are sent, a second run sends nothing, and a run that broke off
is completed by the next one. Users that others have made in the service are left alone: ours have an external id that
begins with PREFIX.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from gateway_client import Gateway, Row

USERS = """
query Users($after: String) {
  directory {
    users(first: 250, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes {
        userId username name firstName lastName status type title employeeId language timeZone
        emails { value isPrimary }
        department { name }
      }
    }
  }
}
"""
PREFIX = "d365:"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Refused(Exception):
    """Nothing was sent, because it looks like a mistake."""


@dataclass
class Report:
    """User names, by what was sent for them; for those that the service refused, why."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    deactivated: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


class ScimService:
    """The service that is to have the users (RFC 7644)."""

    def __init__(self, url: str, token: str) -> None:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/scim+json",
            "Accept": "application/scim+json",
        }
        self.http = httpx.Client(base_url=url, headers=headers, timeout=60)

    def users(self) -> Iterator[Row]:
        """Yield the users that are ours."""
        start = 1
        while True:
            page = self.http.get("/Users", params={"startIndex": start, "count": 100})
            answer = page.raise_for_status().json()
            rows = answer.get("Resources", [])
            yield from (row for row in rows if str(row.get("externalId")).startswith(PREFIX))
            start += len(rows)
            if not rows or start > answer["totalResults"]:
                return

    def create(self, user: Row) -> str | None:
        """Create a user. Return why it was refused, or None."""
        return self._refusal(self.http.post("/Users", json=user))

    def change(self, user: Row, operations: list[Row]) -> str | None:
        """Change a user, in the version that was read. Return why it was refused, or None."""
        version = user.get("meta", {}).get("version")
        return self._refusal(
            self.http.patch(
                f"/Users/{user['id']}",
                json={"schemas": [PATCH], "Operations": operations},
                headers={"If-Match": version} if version else {},
            )
        )

    def _refusal(self, response: httpx.Response) -> str | None:
        return None if response.is_success else f"{response.status_code} {response.text}"


def to_resource(user: Row) -> Row:
    """Return a user of the directory as a resource; what it lacks is None."""
    department = user["department"] or {}
    return {
        "externalId": PREFIX + user["userId"],
        "userName": user["username"],
        "displayName": user["name"],
        "name": {"givenName": user["firstName"], "familyName": user["lastName"]},
        "active": user["status"] == "ACTIVE",
        "title": user["title"],
        "preferredLanguage": user["language"],
        "timezone": user["timeZone"],
        "emails": [{"value": e["value"], "primary": e["isPrimary"]} for e in user["emails"]],
        ENTERPRISE: {"employeeNumber": user["employeeId"], "department": department.get("name")},
    }


def without_nulls(value: Row) -> Row:
    """Return a resource without what is None."""
    found = {k: without_nulls(v) if isinstance(v, dict) else v for k, v in value.items()}
    return {k: v for k, v in found.items() if v not in (None, {}, [])}


def paths(resource: Row, like: Row) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of a resource that another one has, too, by their paths in PATCH."""
    for name, other in like.items():
        value = resource.get(name)
        if isinstance(other, dict):
            separator = ":" if name.startswith("urn:") else "."
            for inner, each in paths(value or {}, other):
                yield f"{name}{separator}{inner}", each
        elif isinstance(other, list):
            rows = [{"value": e["value"], "primary": bool(e.get("primary"))} for e in value or []]
            yield name, sorted(rows, key=lambda e: e["value"]) or None
        else:
            yield name, value


def differences(mine: Row, theirs: Row) -> list[Row]:
    """Return the operations that make a user of the service like one of the directory."""
    current = dict(paths(theirs, mine))
    return [
        {"op": "remove", "path": path}
        if value is None
        else {"op": "replace", "path": path, "value": value}
        for path, value in paths(mine, mine)
        if value != current[path]
    ]


def run(gateway: Gateway, service: ScimService, most: float = 0.2) -> Report:
    """Send what differs. Raises Refused if more than a share of our users would be switched off, and sends nothing."""
    rows = gateway.pages(USERS, "directory", "users")
    people = [to_resource(user) for user in rows if user["type"] != "SERVICE_ACCOUNT"]
    theirs = {user["externalId"]: user for user in service.users()}
    active = {key for key, user in theirs.items() if user.get("active")}
    leaving = active - {user["externalId"] for user in people if user["active"]}
    if len(leaving) > max(1, most * len(active)):
        raise Refused(f"{len(leaving)} of {len(active)} users would be switched off")
    report = Report()

    def note(done: list[str], name: str, refusal: str | None) -> None:
        if refusal is None:
            done.append(name)
        else:
            report.refused[name] = refusal

    for user in people:
        other = theirs.pop(user["externalId"], None)
        if other is None:
            if user["active"]:
                created = {"schemas": [USER, ENTERPRISE], **without_nulls(user)}
                note(report.created, user["userName"], service.create(created))
        elif operations := differences(user, other):
            done = report.deactivated if user["externalId"] in leaving else report.changed
            note(done, user["userName"], service.change(other, operations))
    for user in theirs.values():
        if user.get("active"):
            off = [{"op": "replace", "path": "active", "value": False}]
            note(report.deactivated, user["userName"], service.change(user, off))
    return report
