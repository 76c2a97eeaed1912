"""Whether an account may be posted together with some dimensions, as far as the environment tells. Pure.

Its rows say that an account or a value is suspended, not active on a day, or not for entry by hand, and which values
the account structures of a ledger allow together. Whatever they leave open is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from .criteria import allows
from .formats import MAIN_ACCOUNT

Row = Mapping[str, Any]
SEGMENTS = 11
"""Segments that a structure has at most."""
STRUCTURES = 20
"""Structures that a ledger names at most."""
_HEADINGS = frozenset({"TOTAL", "REPORTING"})


class Question(Struct, frozen=True, kw_only=True):
    """What is to be known."""

    company: str
    main_account: str
    dimensions: Mapping[str, str]
    """Name → value; the others are blank."""
    day: str
    """As in ``2026-11-30``."""
    by_hand: bool = True


class Facts(Struct, frozen=True, kw_only=True):
    """Rows of the environment by entity set, of those that could be read: columns by their names in the metadata."""

    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)
    """Entity set → why its rows are not known."""

    def of(self, name: str) -> Sequence[Row]:
        """Return the rows of a set; none if they are not known."""
        return self.rows.get(name, ())


class Verdict(Struct, frozen=True):
    """The answer: ``reasons`` against it, as (what, why), and what is not known."""

    reasons: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]

    @property
    def allowed(self) -> bool | None:
        """Whether it is allowed; None: that is not known."""
        return False if self.reasons else None if self.unknown else True


def judge(question: Question, facts: Facts) -> Verdict:
    """Return what the environment says of a combination."""
    judging = _Judging(question, facts)
    judging.run()
    return Verdict(tuple(dict.fromkeys(judging.reasons)), tuple(dict.fromkeys(judging.unknown)))


class _Judging:
    def __init__(self, question: Question, facts: Facts) -> None:
        self._question = question
        self._facts = facts
        self.reasons: list[tuple[str, str]] = []
        self.unknown = [f"{name}: {why}" for name, why in facts.hidden.items()]

    def run(self) -> None:
        """Fill reasons and what is unknown."""
        question = self._question
        ledger = next(iter(self._facts.of("Ledgers")), None)
        self._account(ledger)
        for name, value in question.dimensions.items():
            if value:
                self._dimension(name, value)
        if ledger is not None:
            self._structures(ledger)
        elif "Ledgers" in self._facts.rows:
            self.unknown.append(f"{question.company} has no ledger that can be seen")

    def _account(self, ledger: Row | None) -> None:
        if "MainAccounts" not in self._facts.rows:
            return
        number, rows = self._question.main_account, self._facts.of("MainAccounts")
        if ledger is not None:
            chart = ledger.get("ChartOfAccounts")
            rows = [row for row in rows if _same(row.get("ChartOfAccounts"), chart)]
        if not rows:
            self.reasons.append((number, "is no account of the company's chart of accounts"))
            return
        if ledger is None and len(rows) > 1:
            self.unknown.append(f"of which chart of accounts {number} is")
            return
        if rows[0].get("MainAccountType") in _HEADINGS:
            self.reasons.append((number, "sums up other accounts, or heads them in reports"))
        self._usable(number, rows[0], "DoNotAllowManualEntry")
        for row in self._facts.of("MainAccountLegalEntities"):
            if _same(row.get("ChartOfAccounts"), rows[0].get("ChartOfAccounts")):
                self._usable(number, row, "DoNotAllowManualEntry")

    def _dimension(self, name: str, value: str) -> None:
        if "FinancialDimensionValues" not in self._facts.rows:
            return
        what = f"{name} {value}"
        rows = [r for r in self._facts.of("FinancialDimensionValues") if _is_value(r, name, value)]
        if not rows:
            # Values of customers, projects and so on have rows only once they were used.
            self.unknown.append(f"{what} is no value that the environment lists for the company")
            return
        if all(_flag(row.get("IsTotal")) for row in rows):
            self.reasons.append((what, "sums up other values"))
        self._usable(what, rows[0], "IsBlockedForManualEntry")
        for row in self._facts.of("FinancialDimensionValueLegalEntityOverridesV2"):
            if _is_value(row, name, value):
                self._usable(what, row, "")

    def _usable(self, what: str, row: Row, by_hand: str) -> None:
        """Note why an account or a value cannot be used on the day."""
        if _flag(row.get("IsSuspended")):
            self.reasons.append((what, "is suspended"))
        first, last = _day(row.get("ActiveFrom")), _day(row.get("ActiveTo"))
        if first and self._question.day < first:
            self.reasons.append((what, f"is active from {first}"))
        if last and self._question.day > last:
            self.reasons.append((what, f"was active until {last}"))
        if self._question.by_hand and by_hand and _flag(row.get(by_hand)):
            self.reasons.append((what, "is not for entry by hand"))

    # Account structures

    def _structures(self, ledger: Row) -> None:
        if not {"AccountStructures", "AccountStructureConstraints"} <= self._facts.rows.keys():
            return
        names = [ledger.get(f"AccountStructureName{n}") for n in range(1, STRUCTURES + 1)]
        own = {str(name).casefold() for name in names if name}
        rows = self._facts.of("AccountStructures")
        active = [r for r in rows if str(r.get("AccountStructureName")).casefold() in own]
        fitting = [(row, list(self._rules_of_account(row))) for row in active]
        candidates = [(row, rules) for row, rules in fitting if rules]
        if not candidates:
            what = self._question.main_account
            if active and not any(self._unclear(row) for row in active):
                self.reasons.append((what, "is in no account structure of the ledger"))
            else:
                self.unknown.append(f"which account structure {what} is in")
            return
        for row, rules in candidates:
            self._structure(row, rules)

    def _structure(self, structure: Row, rules: Sequence[Row]) -> None:
        name, segments = str(structure.get("AccountStructureName")), _segments(structure)
        advanced = self._facts.of("AdvancedRules")
        has_more = any(_same(row.get("AccountStructure"), name) for row in advanced)
        if has_more:
            self.unknown.append(f"{name} has advanced rules, which are not evaluated")
        known = {segment.casefold() for segment in segments}
        for dimension, value in self._question.dimensions.items():
            # Advanced rules add segments.
            if value and dimension.casefold() not in known and not has_more:
                why = f"is no segment of the account structure {name}"
                self.reasons.append((f"{dimension} {value}", why))
        answers = [self._fits(rule, segments) for rule in rules]
        if True in answers:
            return
        if None in answers:
            self.unknown.append(
                f"whether a rule of {name} fits: it has criteria of an unknown form"
            )
            return
        values = ", ".join(f"{s} {self._value(s) or '(blank)'}" for s in segments)
        self.reasons.append((values, f"fit no rule of the account structure {name}"))

    def _rules_of_account(self, structure: Row) -> Iterator[Row]:
        """Yield the rules of a structure that may have the main account."""
        segments = _segments(structure)
        if MAIN_ACCOUNT not in segments:
            return
        at = segments.index(MAIN_ACCOUNT) + 1
        for rule in self._rules(structure):
            criteria = str(rule.get(f"SegmentCriteria{at:02d}") or "")
            if allows(criteria, self._question.main_account) is not False:
                yield rule

    def _unclear(self, structure: Row) -> bool:
        return MAIN_ACCOUNT not in _segments(structure)

    def _rules(self, structure: Row) -> Iterator[Row]:
        for rule in self._facts.of("AccountStructureConstraints"):
            first, last = _day(rule.get("ActiveFrom")), _day(rule.get("ActiveTo"))
            is_active = (not first or first <= self._question.day) and (
                not last or self._question.day <= last
            )
            if is_active and _same(
                rule.get("AccountStructure"), structure.get("AccountStructureName")
            ):
                yield rule

    def _fits(self, rule: Row, segments: Sequence[str]) -> bool | None:
        answers = [
            allows(str(rule.get(f"SegmentCriteria{at:02d}") or ""), self._value(segment))
            for at, segment in enumerate(segments, 1)
        ]
        return False if False in answers else None if None in answers else True

    def _value(self, segment: str) -> str:
        if segment == MAIN_ACCOUNT:
            return self._question.main_account
        folded = {name.casefold(): value for name, value in self._question.dimensions.items()}
        return folded.get(segment.casefold(), "")


def _segments(structure: Row) -> list[str]:
    """Return the dimensions of a structure's segments in order."""
    names = (structure.get(f"SegmentName{at:02d}") for at in range(1, SEGMENTS + 1))
    return [MAIN_ACCOUNT if _same(name, MAIN_ACCOUNT) else str(name) for name in names if name]


def _is_value(row: Row, name: str, value: str) -> bool:
    return _same(row.get("FinancialDimension"), name) and _same(row.get("DimensionValue"), value)


def _same(one: object, other: object) -> bool:
    return str(one or "").casefold() == str(other or "").casefold()


def _flag(value: object) -> bool:
    return value in (True, "YES", "Yes")


def _day(value: object) -> str:
    """Return a day; empty if none is set."""
    text = str(value or "")[:10]
    return "" if text in ("1900-01-01", "2154-12-31") else text
