"""Limits of plans, from the settings."""

from __future__ import annotations

from dataclasses import dataclass

from .company_limit import Shared


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLimits:
    """The settings of planning: page sizes, ``$expand``, companies."""

    default_page: int = 50
    max_page: int = 1_000
    can_expand: bool = True
    companies: tuple[str, ...] | None = None
    """Default company scope; None: every company that the service account may read."""
    company_limit: tuple[str, ...] = ()
    """Companies outside which nothing is read or written; empty: no limit."""
    long_list_rows: int = 100
    """Rows by which related lists must be longer than their page, so that each parent's page is read by itself."""
    aggregate_rows: int = 100_000
    """Rows that are read for an aggregate."""
    aggregate_groups: int = 10_000
    suggestions: bool = True
    """Whether errors name fields that a misspelled one resembles."""
    company_limit_shared: Shared = True
    """Under ``company_limit``: whether sets that all companies share are served, or patterns of those that are."""
