"""The built-in rows: deterministic, linked, a few thousand at scale 1, some of them awkward on purpose.

Each area is a function that adds rows to the earlier ones; the same seed and scale always make the same rows.
Identifiers look like F&O's demo data (``US-001``, ``000123``), so that examples in documentation read naturally.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from .companies import COMPANIES, CONTOSO, Company
from .custom_fields import CustomRows
from .seed_names import AWKWARD
from .store import Row

Made = dict[str, list[dict[str, Any]]]
TODAY = date(2024, 6, 30)
"""Latest business date of the data: fixed, so that rows do not depend on the current day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedOptions:
    """What decides the rows."""

    scale: float = 1.0
    seed: int = 365
    hostile: bool = True
    """Whether rows with hostile texts (``seed_names.AWKWARD``) are among them."""
    companies: tuple[Company, ...] = COMPANIES
    organization: str = CONTOSO
    """Whose environment it is: part of the names of companies, and of addresses for mail."""


@dataclass(slots=True)
class Seeds:
    """The rows that have been made so far."""

    options: SeedOptions
    made: Made = field(default_factory=dict)

    @property
    def companies(self) -> tuple[Company, ...]:
        """The legal entities; the first is the main one."""
        return self.options.companies

    @property
    def domain(self) -> str:
        """The domain of addresses for mail."""
        return f"{domain_label(self.options.organization)}.com"

    def company(self, number: int, of: int = 4) -> Company:
        """Return one of the first ``of`` companies, in turn."""
        return self.companies[number % min(of, len(self.companies))]

    def draw(self, label: str) -> random.Random:
        """Return a random generator seeded by the label alone: a change to one area leaves the others unchanged."""
        return random.Random(f"{self.options.seed}/{label}")  # noqa: S311 - data, not secrets

    def many(self, base: int, company: Company | None = None) -> int:
        """Return a number of rows at this scale."""
        share = 1.0 if company is None else company.share
        return max(1, round(base * self.options.scale * share))

    def add(self, entity_set: str, rows: Iterable[dict[str, Any]]) -> None:
        self.made.setdefault(entity_set, []).extend(rows)

    def awkward(self, count: int | None = None) -> Sequence[tuple[str, str]]:
        """Return the first ``count`` pairs (code, name) of hostile texts, all if None; none if switched off."""
        return AWKWARD[:count] if self.options.hostile else ()

    def of(self, entity_set: str, company: Company | None = None) -> list[dict[str, Any]]:
        """Return the rows of a set that have been made so far, or those of one company."""
        rows = self.made.get(entity_set, [])
        return rows if company is None else [row for row in rows if row["dataAreaId"] == company.id]


def day(draw: random.Random, back: int = 700) -> date:
    """Return a business date of about the last two years."""
    return TODAY - timedelta(days=draw.randrange(back))


def money(draw: random.Random, low: int, high: int) -> Decimal:
    """Return an amount with two places."""
    return Decimal(draw.randrange(low * 100, high * 100)) / 100


def domain_label(organization: str) -> str:
    """Return an organization as a label of host names: ``Adventure Works`` → ``adventureworks``."""
    return "".join(c for c in organization.lower() if c.isascii() and c.isalnum()) or "example"


class SeededRows:
    """Row source of the built-in catalogue; rows are made at the first use, those of the books at theirs."""

    def __init__(self, options: SeedOptions, custom: CustomRows) -> None:
        self._options = options
        self._custom = custom
        self._made: Mapping[str, list[dict[str, Any]]] | None = None

    def rows(self, storage: str) -> Iterable[Row]:
        if self._made is None:
            self._made = make(self._options)
        rows = self._made.get(storage)
        if rows is None:
            rows = make_books(self._options).get(storage, [])
        return self._custom.added(storage, rows)


@lru_cache(maxsize=4)
def make(options: SeedOptions) -> Made:
    """Return all rows by set. Several sandboxes of one process share them, so they must not be changed."""
    from . import (  # noqa: PLC0415 - the areas import this module
        seed_documents,
        seed_ledger,
        seed_organization,
        seed_positions,
        seed_products,
        seed_purchasing,
        seed_sales,
    )

    seeds = Seeds(options)
    for area in (
        *(seed_organization, seed_ledger, seed_products, seed_purchasing, seed_sales),
        *(seed_positions, seed_documents),
    ):
        area.fill(seeds)
    return seeds.made


@lru_cache(maxsize=4)
def make_books(options: SeedOptions) -> Made:
    """Return the rows that follow from those of ``make``, by set: the posted side of all documents."""
    from . import seed_books  # noqa: PLC0415 - the areas import this module

    made = make(options)
    seeds = Seeds(options, dict(made))
    seed_books.fill(seeds)
    return {name: rows for name, rows in seeds.made.items() if name not in made}
