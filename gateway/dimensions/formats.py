"""The formats of an environment: which dimensions its display values have, in which order, and the delimiter.

They are rows of ``DimensionIntegrationFormats`` and ``DimensionParameters``. An environment has one active format for
accounts of the ledger, and one for default dimensions, which have no main account.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from gateway.errors import GatewayError, UpstreamMalformed

from .display_values import DELIMITERS

FORMATS, PARAMETERS = "DimensionIntegrationFormats", "DimensionParameters"
"""The sets that are read."""
MAIN_ACCOUNT = "MainAccount"
LEDGER, DEFAULT = "DataEntityLedgerDimensionFormat", "DataEntityDefaultDimensionFormat"
LIFETIME = 300.0
"""Seconds for which formats are used, if the environment's answers are not cached."""
_NAMES = {LEDGER: "accounts of the ledger", DEFAULT: "default dimensions"}
_HINT = (
    "General ledger > Chart of accounts > Dimensions > Financial dimension configuration for integrating"
    " applications."
)


class Formats(Struct, frozen=True):
    """The formats of one environment."""

    delimiter: str
    ledger: tuple[str, ...] | None = None
    """Main account and dimensions, in order; None: no format is active."""
    default: tuple[str, ...] | None = None
    """Dimensions, in order; None: no format is active."""

    def of(self, kind: str) -> tuple[str, ...]:
        """Return the names of the segments: ``ledger`` or ``default``. Raises UpstreamMalformed."""
        names = self.ledger if kind == "ledger" else self.default
        if names is None:
            what = _NAMES[LEDGER if kind == "ledger" else DEFAULT]
            raise UpstreamMalformed(
                f"The environment has no active dimension format for {what}.", hint=_HINT
            )
        return names


def read_formats(
    formats: Iterable[Mapping[str, Any]],
    parameters: Iterable[Mapping[str, Any]],
    known: Collection[str] = (),
) -> Formats:
    """Return formats from the rows of the environment; ``known`` are its dimensions. Raises UpstreamMalformed."""
    delimiter = delimiter_of(parameters)
    active: dict[str, tuple[str, ...]] = {}
    for row in formats:
        kind = str(row.get("DimensionFormatType"))
        if kind not in _NAMES or row.get("IsActive") != "Yes":
            continue
        if kind in active:
            raise UpstreamMalformed(
                f"The environment has two active dimension formats for {_NAMES[kind]}.", hint=_HINT
            )
        active[kind] = _segments(str(row.get("FinancialDimensionFormat") or ""), delimiter, known)
    ledger, default = active.get(LEDGER), active.get(DEFAULT)
    if ledger is not None and MAIN_ACCOUNT not in ledger:
        raise UpstreamMalformed(
            "The environment's dimension format for accounts of the ledger has no main account.",
            hint=_HINT,
        )
    return Formats(delimiter, ledger, default)


def delimiter_of(parameters: Iterable[Mapping[str, Any]]) -> str:
    """Return the delimiter of an environment's dimension parameters. Raises UpstreamMalformed."""
    rows = list(parameters)
    name = str(rows[0].get("DimensionSegmentDelimiter")) if len(rows) == 1 else ""
    if name not in DELIMITERS:
        raise UpstreamMalformed(
            "The environment does not say which delimiter its display values have.",
            hint="General ledger > Ledger setup > General ledger parameters > Chart of accounts and dimensions.",
        )
    return DELIMITERS[name]


def may_be_part_of_names(delimiter: str) -> bool:
    """Return whether names of dimensions may have the delimiter in them, so that these must be known."""
    return delimiter.startswith("_")


def _segments(text: str, delimiter: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the names in a format, which the delimiter separates. Raises UpstreamMalformed."""
    if not may_be_part_of_names(delimiter):
        names = tuple(text.split(delimiter))
    else:
        found = list(_readings(text, delimiter, {MAIN_ACCOUNT, *known}))
        if len(found) != 1:
            raise _unclear(text)
        names = found[0]
    folded = [name.casefold() for name in names]
    if not all(folded) or len(set(folded)) < len(folded):
        raise _unclear(text)
    main = MAIN_ACCOUNT.casefold()
    return tuple(
        MAIN_ACCOUNT if fold == main else name for fold, name in zip(folded, names, strict=True)
    )


def _readings(text: str, delimiter: str, known: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Yield the ways to read a format as names that are known."""
    for name in known:
        if text == name:
            yield (name,)
        elif text.startswith(name + delimiter):
            for rest in _readings(text[len(name) + len(delimiter) :], delimiter, known):
                yield (name, *rest)


def _unclear(text: str) -> UpstreamMalformed:
    return UpstreamMalformed(
        f'The dimension format "{text}" does not say clearly which dimensions it has.', hint=_HINT
    )


class EnvironmentFormats:
    """The formats of one environment, which are read once and then for as long as its answers are cached."""

    def __init__(
        self, lifetime: float = LIFETIME, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``lifetime``: seconds for which they are used."""
        self.lifetime = lifetime
        self._clock = clock
        self._formats: Formats | None = None
        self._until = 0.0
        self._error: GatewayError | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether they need not be read."""
        return self._formats is not None and self._clock() < self._until

    def put(self, formats: Formats) -> None:
        """Use these from now on."""
        self._formats, self._error = formats, None
        self._until = self._clock() + self.lifetime

    def fail(self, error: GatewayError) -> None:
        """Note why they could not be read; older ones may be wrong by now."""
        if not self.is_fresh:
            self._formats, self._error = None, error

    def forget(self) -> None:
        """Read them again when they are needed next."""
        self._until = 0.0

    @property
    def current(self) -> Formats | None:
        """The formats; None if they were not read, or could not be."""
        return self._formats

    def require(self) -> Formats:
        """Return the formats. Raises the error with which they could not be read."""
        if self._formats is not None:
            return self._formats
        if self._error is not None:
            raise self._error.fresh_copy()
        raise UpstreamMalformed(
            "The order of the dimensions has not been read from the environment.",
            hint="Run a query that selects such a field first.",
        )
