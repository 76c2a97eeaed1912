"""Sandboxes as environments, so that a newcomer sees several in a minute: ``serve --demo-environments 3``."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from .setting_models import SandboxOptions


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
        organization="Tailspin",
        companies=("demf", "tsde"),
        kind="test",
        custom_fields={
            "VendorsV3": {"TailspinRating": ("A", "B", "C"), "TailspinAuditedOn": "date"},
            "TailspinAudits": {"AuditId": "text", "Findings": "int32", "Passed": "noyes"},
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


class Demo(Struct, frozen=True, kw_only=True):
    """One environment of the demonstration: what is stored of it, and its sandbox."""

    name: str
    title: str
    kind: Literal["test", "development"] | None
    companies: tuple[str, ...]
    """What is read by default: without it, all companies are."""
    sandbox: SandboxOptions


def demos(number: int) -> tuple[Demo, ...]:
    """Return so many environments, each with legal entities, users, fields and rows of its own."""
    return tuple(map(_demo, range(number)))


def _demo(index: int) -> Demo:
    customer = _CUSTOMERS[index % len(_CUSTOMERS)]
    further = index // len(_CUSTOMERS)
    organization = f"{customer.organization} {further + 1}" if further else customer.organization
    return Demo(
        name=f"demo-{index + 1}",
        title=organization,
        kind=customer.kind,
        companies=customer.companies[:1],
        sandbox=SandboxOptions(
            seed=100 + index,
            scale=0.5,
            organization=organization,
            companies=customer.companies,
            custom_fields=customer.custom_fields,
        ),
    )
