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

from .seed_names import AWKWARD
from .store import Row
from .world import World

Made = dict[str, list[dict[str, Any]]]
TODAY = date(2024, 6, 30)
"""Latest business date of the data: fixed, so that rows do not depend on the current day."""


@dataclass(frozen=True, slots=True)
class Company:
    """A legal entity and what its rows have in common."""

    id: str
    name: str
    prefix: str
    currency: str
    country: str
    city: str
    language: str
    share: float
    """Part of the main company's number of rows."""


COMPANIES = (
    Company(
        "usmf", "Contoso Entertainment System USA", "US", "USD", "USA", "Redmond", "en-US", 1.0
    ),
    Company("usrt", "Contoso Retail USA", "RT", "USD", "USA", "Bellevue", "en-US", 0.5),
    Company(
        "demf", "Contoso Entertainment System Germany", "DE", "EUR", "DEU", "München", "de", 0.5
    ),
    Company("dat", "Company accounts data", "DAT", "USD", "USA", "Seattle", "en-US", 0.1),
)


@dataclass(slots=True)
class Seeds:
    """The rows that have been made so far."""

    scale: float
    seed: int
    hostile: bool = True
    """Whether rows with hostile texts (``seed_names.AWKWARD``) are among them."""
    made: Made = field(default_factory=dict)

    def draw(self, label: str) -> random.Random:
        """Return a random generator seeded by the label alone: a change to one area leaves the others unchanged."""
        return random.Random(f"{self.seed}/{label}")  # noqa: S311 - data, not secrets

    def many(self, base: int, company: Company | None = None) -> int:
        """Return a number of rows at this scale."""
        share = 1.0 if company is None else company.share
        return max(1, round(base * self.scale * share))

    def add(self, entity_set: str, rows: Iterable[dict[str, Any]]) -> None:
        self.made.setdefault(entity_set, []).extend(rows)

    def awkward(self, count: int | None = None) -> Sequence[tuple[str, str]]:
        """Return the first ``count`` pairs (code, name) of hostile texts, all if None; none if switched off."""
        return AWKWARD[:count] if self.hostile else ()

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


class SeededRows:
    """Row source of the built-in catalogue; all rows are made at the first use."""

    def __init__(self, world: World, *, scale: float, seed: int, hostile: bool) -> None:
        self._world = world
        self._scale = scale
        self._seed = seed
        self._hostile = hostile
        self._made: Mapping[str, list[dict[str, Any]]] | None = None

    def rows(self, storage: str) -> Iterable[Row]:
        if self._made is None:
            self._made = make(self._scale, self._seed, self._hostile)
        return self._made.get(storage, ())


@lru_cache(maxsize=4)
def make(scale: float, seed: int, hostile: bool = True) -> Made:
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

    seeds = Seeds(scale, seed, hostile)
    for area in (
        *(seed_organization, seed_ledger, seed_products, seed_purchasing, seed_sales),
        *(seed_positions, seed_documents),
    ):
        area.fill(seeds)
    return seeds.made
