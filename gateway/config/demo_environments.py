"""Sandboxes as environments, so that a newcomer sees several in a minute: ``serve --demo-environments 3``."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from gateway.errors import SettingsError

from .environment_models import EnvironmentOptions
from .setting_models import SandboxOptions
from .settings import Settings


class _Customer(Struct, frozen=True, kw_only=True):
    """Whose environment a demo is."""

    organization: str
    companies: tuple[str, ...]
    kind: Literal["test", "development"] | None = None
    custom_fields: dict[str, dict[str, Any]]


_CUSTOMERS = (
    _Customer(
        organization="Contoso",
        companies=("usmf", "usrt"),
        custom_fields={
            "CustomersV3": {
                "ContosoLoyaltyTier": ("Standard", "Silver", "Gold"),
                "ContosoLoyaltyPoints": "int32",
            },
            "ContosoLoyaltyPrograms": {
                "ProgramId": "text",
                "Description": "text",
                "ValidUntil": "date",
            },
        },
    ),
    _Customer(
        organization="Fabrikam",
        companies=("demf", "fabd"),
        kind="test",
        custom_fields={
            "VendorsV3": {"FabrikamRating": ("A", "B", "C"), "FabrikamAuditedOn": "date"},
            "FabrikamAudits": {"AuditId": "text", "Findings": "int32", "Passed": "noyes"},
        },
    ),
    _Customer(
        organization="Northwind",
        companies=("nwus", "nwfr", "dat"),
        kind="development",
        custom_fields={
            "SalesOrderHeadersV2": {"NorthwindPriority": ("Low", "High"), "NorthwindRoute": "text"},
            "NorthwindRoutes": {"RouteId": "text", "Distance": "decimal"},
        },
    ),
)


def with_demos(settings: Settings, number: int) -> Settings:
    """Return settings with so many sandboxes as further environments. Raises SettingsError if a name is in use."""
    if not number:
        return settings
    demos = demo_environments(number)
    taken = sorted(demos.keys() & settings.environments.keys())
    if taken:
        raise SettingsError(
            f"There is an environment {taken[0]} in the settings.",
            hint="Omit --demo-environments, or rename it.",
        )
    return settings.model_copy(update={"environments": {**settings.environments, **demos}})


def demo_environments(number: int) -> dict[str, EnvironmentOptions]:
    """Return so many environments by name: each with legal entities, users, fields and rows of its own."""
    return {f"demo-{index + 1}": _demo(index) for index in range(number)}


def _demo(index: int) -> EnvironmentOptions:
    customer = _CUSTOMERS[index % len(_CUSTOMERS)]
    further = index // len(_CUSTOMERS)
    organization = f"{customer.organization} {further + 1}" if further else customer.organization
    return EnvironmentOptions(
        title=organization,
        kind=customer.kind,
        # What is read by default: without it, all companies are.
        companies=customer.companies[:1],
        sandbox=SandboxOptions(
            seed=100 + index,
            scale=0.5,
            organization=organization,
            companies=customer.companies,
            custom_fields=customer.custom_fields,
        ),
    )
