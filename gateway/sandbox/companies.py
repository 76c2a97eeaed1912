"""The legal entities of the sandbox: four of Contoso's, or those that the settings name."""

from __future__ import annotations

from dataclasses import dataclass, replace

CONTOSO = "Contoso"


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
_BY_ID = {company.id: company for company in COMPANIES}


def companies_of(ids: tuple[str, ...], organization: str = CONTOSO) -> tuple[Company, ...]:
    """Return the legal entities with these ids: ``("usmf", "nord")``. Without ids, four, as Contoso has them."""
    chosen = [_BY_ID.get(id_) or _subsidiary(id_) for id_ in ids] or COMPANIES
    return tuple(replace(c, name=c.name.replace(CONTOSO, organization)) for c in chosen)


def _subsidiary(id_: str) -> Company:
    name, prefix = f"{CONTOSO} {id_.upper()}", id_[:2].upper()
    return Company(id_, name, prefix, "USD", "USA", "Seattle", "en-US", 0.5)
