"""Expectations of a policy, as a table that CI runs: what a role may and must not see.

[[expect]]
role = "ap-clerk"                    # or a list
set = "CustBankAccounts"
read = false

[[expect]]
role = ["ap-clerk", "viewer"]
set = "VendorsV2"
rows = "some"                        # all, some (a rule or companies bound them), none
columns = { VendorAccountNumber = "plain", BankAccount = "hidden", Phone = "masked" }
calls = { PostJournal = true }
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from gateway.errors import SettingsError
from gateway.runtime.assembly import Gateway
from schema.errors import did_you_mean
from schema.model.records import Model
from schema.policy.records import Policy, Right
from schema.policy.view import ColumnAccess, RoleView

Shown = Literal["plain", "partly", "masked", "hidden"]


class Expectation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What callers with some roles may do with an entity set, as far as it is stated."""

    role: str | list[str]
    set: str | None = None
    read: bool | None = None
    create: bool | None = None
    update: bool | None = None
    delete: bool | None = None
    subscribe: bool | None = None
    export: bool | None = None
    aggregate: bool | None = None
    rows: Literal["all", "some", "none"] | None = None
    columns: dict[str, Shown] = field(default_factory=dict)
    calls: dict[str, bool] = field(default_factory=dict)
    """Action, function or service → whether it may be called."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Names of the roles."""
        return (self.role,) if isinstance(self.role, str) else tuple(self.role)


def failures(
    expectations: Iterable[Expectation], policy: Policy, gateway: Gateway
) -> Iterator[str]:
    """Yield a sentence for each statement that does not hold. Raises SettingsError for what does not exist."""
    for number, expectation in enumerate(expectations, 1):
        place = f"expect[{number}]"
        _require(place, "role", expectation.roles, policy.roles)
        view = RoleView(policy, expectation.roles)
        who = "+".join(expectation.roles)
        for problem in _failures_of(place, expectation, view, gateway):
            yield f"{place} {who}: {problem}"


def _failures_of(
    place: str, expectation: Expectation, view: RoleView, gateway: Gateway
) -> Iterator[str]:
    for call, expected in expectation.calls.items():
        if view.may_call(call) is not expected:
            yield f"calls {call}: expected {_word(expected)}, but {_word(not expected)}"
    name = expectation.set
    if name is None:
        return
    model = gateway.catalog.model
    _require(
        place,
        "set",
        (name,),
        {**dict.fromkeys(model.entity_sets), **dict.fromkeys(model.singletons)},
    )
    for right in Right:
        stated: bool | None = getattr(expectation, right.value)
        if stated is not None and view.allows(right, name) is not stated:
            yield f"{right.value} {name}: expected {_word(stated)}, but {_word(not stated)}"
    if expectation.rows is not None and (rows := _rows(view, name)) != expectation.rows:
        yield f"rows of {name}: expected {expectation.rows}, but {rows}"
    if expectation.columns:
        yield from _failures_of_columns(place, name, expectation, view, gateway)


def _failures_of_columns(
    place: str, name: str, expectation: Expectation, view: RoleView, gateway: Gateway
) -> Iterator[str]:
    model: Model = gateway.catalog.model
    root: Any = model.entity_sets.get(name) or model.singletons.get(name)
    properties = {p.name: p for p in model.properties_of(root.type)}
    _require(place, f"column of {name}", expectation.columns, properties)
    always = {*model.key_of(root.type), gateway.catalog.abilities.company_property}
    for column, expected in expectation.columns.items():
        shown = _shown(view.column(name, column, is_key=column in always))
        if shown != expected:
            yield f"{name}.{column}: expected {expected}, but {shown}"


def _rows(view: RoleView, name: str) -> str:
    readers = view.readers(name)
    if not readers:
        return "none"
    return "all" if any(reader.is_whole for reader in readers) else "some"


def _shown(access: ColumnAccess) -> Shown:
    if access.is_plain:
        return "plain"
    if access.plain:
        return "partly"
    return "masked" if access.masked else "hidden"


def _word(value: bool) -> str:
    return "yes" if value else "no"


def _require(place: str, kind: str, names: Iterable[str], known: Mapping[str, object]) -> None:
    """Raise SettingsError for a name that does not exist: an expectation about nothing would always hold."""
    for name in names:
        if name not in known:
            raise SettingsError(f"{place}: there is no {kind} {name}.{did_you_mean(name, known)}")
