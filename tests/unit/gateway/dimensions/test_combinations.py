"""What an environment says of an account with dimensions; what it does not tell is unknown, and never allowed."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dimensions.combinations import Facts, Question, judge
from gateway.dimensions.criteria import allows

CRITERIA: dict[str, tuple[str, str, bool | None]] = {
    "any value": ("*", "001", True),
    "a blank is not any value": ("*", "", False),
    "a blank": ('""', "", True),
    "only a blank": ('""', "001", False),
    "nothing written": ("", "", True),
    "a value": ("001", "001", True),
    "no matter the case": ("abc", "ABC", True),
    "another value": ("001", "0011", False),
    "in a range": ("600000..699999", "600150", True),
    "the end of a range": ("600000..699999", "699999", True),
    "beyond a range": ("600000..699999", "700000", False),
    "from": ("600000..", "700000", True),
    "up to": ("..600000", "700000", False),
    "a beginning": ("60*", "600150", True),
    "a list": ("001;003..004", "003", True),
    "a list with a blank": ('001;""', "", True),
    "a form that is not known": ("!001", "002", None),
    "a value beside one that is not known": ("!001;002", "002", True),
}


@pytest.mark.parametrize(("criteria", "value", "expected"), CRITERIA.values(), ids=CRITERIA)
def test_criteria_allow_values(criteria: str, value: str, expected: bool | None) -> None:
    assert allows(criteria, value) is expected


LEDGER = {"ChartOfAccounts": "Shared", "AccountStructureName1": "P&L"}
ACCOUNT = {"ChartOfAccounts": "shared", "MainAccountType": "EXPENSE"}
UNIT = {"FinancialDimension": "BU", "DimensionValue": "001"}
STRUCTURE = {"AccountStructureName": "P&L", "SegmentName01": "MainAccount", "SegmentName02": "BU"}
RULE = {
    "AccountStructure": "P&L",
    "SegmentCriteria01": "600000..699999",
    "SegmentCriteria02": "001",
}


def facts(**changed: Any) -> Facts:
    """Facts by which 600150 goes with BU 001; ``changed`` replaces rows of sets, or adds to the only one."""
    rows: dict[str, Any] = {
        "Ledgers": [LEDGER],
        "MainAccounts": [ACCOUNT],
        "FinancialDimensionValues": [UNIT],
        "AccountStructures": [STRUCTURE],
        "AccountStructureConstraints": [RULE],
    }
    for name, change in changed.items():
        if change is None:
            del rows[name]
        else:
            rows[name] = change if isinstance(change, list) else [{**rows[name][0], **change}]
    hidden = {name: "cannot be read" for name, change in changed.items() if change is None}
    return Facts(rows=rows, hidden=hidden)


def question(**changed: Any) -> Question:
    values: dict[str, Any] = {"dimensions": {"bu": "001"}, "day": "2026-06-15", **changed}
    return Question(company="usmf", main_account="600150", **values)


SUSPENDED = {**UNIT, "IsSuspended": True}
REASONS: dict[str, tuple[Facts, Question, str]] = {
    "no such account": (facts(MainAccounts=[]), question(), "no account of the company's chart"),
    "another chart": (
        facts(MainAccounts={"ChartOfAccounts": "Other"}),
        question(),
        "no account of the company's chart",
    ),
    "a total": (facts(MainAccounts={"MainAccountType": "TOTAL"}), question(), "sums up other"),
    "suspended": (facts(MainAccounts={"IsSuspended": "YES"}), question(), "is suspended"),
    "not yet": (facts(MainAccounts={"ActiveFrom": "2027-01-01"}), question(), "from 2027-01-01"),
    "no more": (facts(MainAccounts={"ActiveTo": "2026-01-01"}), question(), "until 2026-01-01"),
    "by hand": (facts(MainAccounts={"DoNotAllowManualEntry": True}), question(), "by hand"),
    "suspended in the company": (
        facts(MainAccountLegalEntities=[{"ChartOfAccounts": "Shared", "IsSuspended": True}]),
        question(),
        "is suspended",
    ),
    "a suspended value": (facts(FinancialDimensionValues=[SUSPENDED]), question(), "is suspended"),
    "a value suspended in the company": (
        facts(FinancialDimensionValueLegalEntityOverridesV2=[SUSPENDED]),
        question(),
        "is suspended",
    ),
    "a total of values": (
        facts(FinancialDimensionValues={"IsTotal": True}),
        question(),
        "sums up other values",
    ),
    "no rule": (
        facts(AccountStructureConstraints={"SegmentCriteria02": '""'}),
        question(),
        "fit no rule of the account structure P&L",
    ),
    "a rule that is not active": (
        facts(AccountStructureConstraints={"ActiveTo": "2026-01-01"}),
        question(),
        "is in no account structure",
    ),
    "a missing dimension": (facts(), question(dimensions={}), "fit no rule"),
    "a dimension without a segment": (
        facts(FinancialDimensionValues=[UNIT, {"FinancialDimension": "CC", "DimensionValue": "9"}]),
        question(dimensions={"BU": "001", "CC": "9"}),
        "is no segment of the account structure P&L",
    ),
}
UNKNOWN: dict[str, tuple[Facts, Question, str]] = {
    "hidden structures": (facts(AccountStructures=None), question(), "AccountStructures: cannot"),
    "hidden accounts": (facts(MainAccounts=None), question(), "MainAccounts: cannot be read"),
    "no ledger": (facts(Ledgers=[]), question(), "no ledger that can be seen"),
    "no such value": (facts(FinancialDimensionValues=[]), question(), "no value that the"),
    "advanced rules": (facts(AdvancedRules=[{"AccountStructure": "p&l"}]), question(), "advanced"),
    "criteria of another form": (
        facts(AccountStructureConstraints={"SegmentCriteria02": "!5"}),
        question(),
        "criteria of an unknown form",
    ),
    "no structure": (facts(AccountStructures=[]), question(), "which account structure"),
}


@pytest.mark.parametrize(("known", "asked", "why"), REASONS.values(), ids=REASONS)
def test_a_combination_is_not_allowed(known: Facts, asked: Question, why: str) -> None:
    verdict = judge(asked, known)

    assert verdict.allowed is False
    assert why in " ".join(message for _, message in verdict.reasons)


@pytest.mark.parametrize(("known", "asked", "why"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_the_environment_does_not_tell_is_unknown(
    known: Facts, asked: Question, why: str
) -> None:
    verdict = judge(asked, known)

    assert verdict.allowed is None
    assert why in " ".join(verdict.unknown)


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        (facts(), question()),
        (facts(MainAccounts={"DoNotAllowManualEntry": True}), question(by_hand=False)),
        (facts(MainAccounts={"ActiveFrom": "1900-01-01"}), question()),
        (facts(AccountStructures=[STRUCTURE, {"AccountStructureName": "Other"}]), question()),
    ],
)
def test_what_nothing_speaks_against_is_allowed(known: Facts, asked: Question) -> None:
    assert judge(asked, known).allowed is True
