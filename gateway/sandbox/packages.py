"""Exports data packages as the data management framework of F&O does: started, polled, downloaded from blob storage.

    POST /data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.ExportToPackage
    POST …GetExecutionSummaryStatus                     Unknown, NotRun, Executing, Succeeded, …
    POST …GetExportedPackageUrl                         https://sandbox.blob.core.windows.net/dmf/NAME.zip?se=…&sig=…
    GET  that address                                   the package, without any other credential

https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/data-management-api. A data project
``Export CustomersV3`` exists for each entity set. What a package has inside is [U] where that page is silent: files of
comma-separated values, with the names of fields in capitals, the company not among them.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qs, quote, unquote

from .exchange import Incoming, Outgoing
from .payload import json_object
from .refusal import Refusal
from .store import Store
from .values import Field, Kind, Stored
from .world import COMPANY, World

DEFINITION_GROUPS = "DataManagementDefinitionGroups"
PROJECT = "Export "
"""Beginning of the name of a data project; an entity set follows."""
BLOBS = "dmf"
"""First segment of the addresses of packages."""
_NAMESPACE = "Microsoft.Dynamics.DataEntities."
_SECRET = b"the sandbox's storage account"
_EMBEDDED = ".invalid"
_BLOB_HOST = "https://sandbox.blob.core.windows.net"
_DATES = {Kind.MOMENT, Kind.DATE}

PackageFault = Literal["truncated", "not-a-zip", "bomb", "wrong-host", "redirect", "expired"]


@dataclass(slots=True, kw_only=True)
class Execution:
    """A run of a data project."""

    id: str
    group: str
    company: str
    package: bytes
    polls: int
    """Statuses that are still answered with one of a run that goes on."""
    downloads: int = 0


@dataclass(slots=True)
class Packages:
    """The data projects of a world, and their executions: ``app.state.packages``."""

    world: World
    store: Store
    polls: int = 1
    """Statuses before the last one."""
    unknown: int = 0
    """Statuses of a new execution that are answered as if it did not exist (Recurring-Integrations-Scheduler #71)."""
    result: str = "Succeeded"
    """The last status."""
    fault: PackageFault | None = None
    """What is wrong with packages; an expired address is answered once."""
    lifetime: float = 3600.0
    """Seconds for which an address can be used."""
    has_company: bool = False
    """Whether files have the company."""
    crosses_companies: bool = False
    """Whether projects export all legal entities, whichever they run in."""
    most: int | None = None
    """Maximum rows of a file: of projects with a filter, or with change tracking."""
    executions: dict[str, Execution] = field(default_factory=dict)

    def reset(self) -> None:
        """Forget executions and faults."""
        self.polls, self.unknown, self.result, self.fault = 1, 0, "Succeeded", None
        self.has_company, self.crosses_companies, self.most = False, False, None
        self.executions.clear()

    def action(self, incoming: Incoming) -> Callable[[Incoming], Outgoing] | None:
        """Return what answers a request, if it calls an action of the data management framework."""
        if not self.world.catalogue.facts or incoming.method != "POST":
            return None
        prefix = f"/data/{DEFINITION_GROUPS}/{_NAMESPACE}"
        path = unquote(incoming.path)
        if not path.startswith(prefix):
            return None
        actions = {
            "ExportToPackage": self._start,
            "GetExecutionSummaryStatus": self._status,
            "GetExportedPackageUrl": self._url,
        }
        return actions.get(path.removeprefix(prefix))

    def _start(self, incoming: Incoming) -> Outgoing:
        body = json_object(incoming)
        for name in ("definitionGroupId", "packageName", "executionId", "legalEntityId"):
            if not isinstance(body.get(name), str):
                raise Refusal(400, "InvokeAction - Model state is invalid.")
        group, company = body["definitionGroupId"], body["legalEntityId"].lower()
        entity_set = group.removeprefix(PROJECT)
        if not group.startswith(PROJECT) or entity_set not in self.world.model.entity_sets:
            raise _failed(f"The data project {group} does not exist.")
        user = incoming.user
        if user is not None and not (
            user.may_use(entity_set) and (user.companies is None or company in user.companies)
        ):
            raise Refusal(403, "Forbidden")
        name = body["executionId"] or f"{group}-{uuid.uuid4()}"
        if name in self.executions and not body.get("reExecute"):
            raise _failed(f"The execution id {name} exists already.")
        self.executions[name] = Execution(
            id=name,
            group=group,
            company=company,
            package=self._package(group, entity_set, company),
            polls=self.unknown + self.polls,
        )
        return _value(name)

    def _status(self, incoming: Incoming) -> Outgoing:
        execution = self._execution(incoming)
        execution.polls -= 1
        if execution.polls >= self.polls:
            raise _not_found(execution.id)
        return _value("Executing" if execution.polls >= 0 else self.result)

    def _url(self, incoming: Incoming) -> Outgoing:
        execution = self._execution(incoming)
        if execution.polls >= 0 or self.result in {"Failed", "Canceled"}:
            return _value("")
        ends = time.time() + self.lifetime
        if self.fault == "expired":
            ends, self.fault = 0.0, None
        expiry = f"{datetime.fromtimestamp(ends, UTC):%Y-%m-%dT%H:%M:%SZ}"
        path = f"/{BLOBS}/{quote(execution.id, safe='')}.zip"
        host = incoming.origin.partition("://")[2].partition(":")[0]
        origin = _BLOB_HOST if host.endswith(_EMBEDDED) else incoming.origin
        if self.fault == "wrong-host":
            origin = "https://blobs.example.com"
        sig = quote(_signature(path, expiry), safe="")
        return _value(f"{origin}{path}?sv=2024-11-04&se={quote(expiry)}&sr=b&sp=r&sig={sig}")

    def blob(self, incoming: Incoming) -> Outgoing:
        """Return a package, if its address is signed and has not expired, and no other credential came."""
        options = {name: values[0] for name, values in parse_qs(incoming.query).items()}
        expiry, now = options.get("se", ""), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        is_signed = hmac.compare_digest(options.get("sig", ""), _signature(incoming.path, expiry))
        if "authorization" in incoming.headers or not is_signed or expiry < now:
            body = "<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>"
            return Outgoing(
                status=403, headers={"content-type": "application/xml"}, body=body.encode()
            )
        name = unquote(incoming.path.rpartition("/")[2]).removesuffix(".zip")
        execution = self.executions.get(name)
        if execution is None or incoming.method != "GET":
            return Outgoing(status=404)
        execution.downloads += 1
        return self._sent(execution.package)

    def _sent(self, package: bytes) -> Outgoing:
        headers = {"content-type": "application/octet-stream"}
        match self.fault:
            case "truncated":
                return Outgoing(headers=headers, body=package[: len(package) // 2])
            case "not-a-zip":
                return Outgoing(headers=headers, body=b"no package" * 100)
            case "bomb":
                return Outgoing(headers=headers, body=_bomb())
            case "redirect":
                return Outgoing(status=302, headers={"location": "https://blobs.example.com/dmf/x"})
            case _:
                return Outgoing(headers=headers, body=package)

    def _execution(self, incoming: Incoming) -> Execution:
        name = json_object(incoming).get("executionId")
        execution = self.executions.get(name) if isinstance(name, str) else None
        if execution is None:
            raise _not_found(str(name))
        return execution

    def _package(self, group: str, entity_set: str, company: str) -> bytes:
        """Return the package of a data project: its rows, and two documents that describe it."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
            package.writestr("PackageHeader.xml", _document("PackageHeader", group))
            package.writestr("Manifest.xml", _document("DataManagementPackageManifest", group))
            package.writestr(f"{entity_set}.csv", self._rows(entity_set, company))
        return file.getvalue()

    def _rows(self, entity_set: str, company: str) -> bytes:
        storage = self.store.storage(self.world.storage_of_set(entity_set))
        own = self.world.fields_of(self.world.type_of(entity_set))
        scope = {COMPANY: company} if COMPANY in own and not self.crosses_companies else {}
        fields = [f for n, f in own.items() if n != COMPANY or self.has_company]
        text = io.StringIO(newline="")
        lines = csv.writer(text)
        lines.writerow(f.name.upper() for f in fields)
        for row in self.store.find(storage, scope)[: self.most]:
            lines.writerow(_cell(f, row[f.name]) for f in fields)
        return text.getvalue().encode("utf-8-sig")


def _cell(field_: Field, stored: Stored) -> Any:
    if stored is None:
        return ""
    if field_.kind in _DATES:
        day, _, clock = str(stored).partition("T")
        is_day = field_.declared.ax_type == "Date" or not clock
        return f"{day} 00:00:00" if is_day else f"{day} {clock}"
    if field_.kind is Kind.BOOLEAN:
        return "true" if stored else "false"
    return field_.to_json(stored) if field_.kind is Kind.ENUM else stored


def _value(value: str) -> Outgoing:
    return Outgoing.of_json({"@odata.context": "$metadata#Edm.String", "value": value})


def _failed(message: str) -> Refusal:
    return Refusal(
        500,
        f"Exception occurred while executing action on Entity DataManagementDefinitionGroup: {message}",
        kind="System.InvalidOperationException",
    )


def _not_found(execution: str) -> Refusal:
    return _failed(f"Execution details were not found for execution id: {execution}")


def _signature(path: str, expiry: str) -> str:
    return hmac.new(_SECRET, f"{path}\n{expiry}".encode(), hashlib.sha256).hexdigest()


def _document(root: str, group: str) -> bytes:
    namespace = "http://schemas.microsoft.com/dynamics/2015/01/DataManagement"
    names: Mapping[str, str] = {"DefinitionGroupName": group}
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in names.items())
    text = f'<?xml version="1.0" encoding="utf-16"?><{root} xmlns="{namespace}">{inner}</{root}>'
    return text.encode("utf-16")


def _bomb() -> bytes:
    """Return a package of 20 KB whose file has 20 MB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("rows.csv", b"0" * 20_000_000)
    return file.getvalue()
