"""Ledger: accounts, dimensions, currencies, calendars, taxes, payment terms, banks, and balanced journals."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from .companies import Company
from .seed import TODAY, Seeds, day, money

CHART = "Shared"
_ACCOUNTS = (
    ("110110", "Bank Account - USD", "Asset", "CASH"),
    ("110180", "Petty cash", "Asset", "CASH"),
    ("130100", "Accounts receivable - Domestic", "Asset", "AR"),
    ("140200", "Finished goods inventory", "Asset", "INV"),
    ("200100", "Accounts payable - Domestic", "Liability", "AP"),
    ("202100", "Sales tax payable", "Liability", "TAX"),
    ("300160", "Retained earnings", "Equity", "EQ"),
    ("401100", "Sales - Products", "Revenue", "SALES"),
    ("401200", "Sales - Services & support", "Revenue", "SALES"),
    ("500130", "Cost of goods sold", "Expense", "COGS"),
    ("600150", "Salaries", "Expense", "SGA"),
    ("605120", "Rent expense", "Expense", "SGA"),
    ("606300", "Office supplies", "Expense", "SGA"),
    ("618160", "Travel & entertainment", "Expense", "SGA"),
    ("800999", "Total expenses", "Total", ""),
)
CURRENCIES = (
    ("USD", "US Dollar", "$", "0.01"),
    ("EUR", "Euro", "€", "0.01"),
    ("GBP", "Pound Sterling", "£", "0.01"),
    ("JPY", "Yen", "¥", "1"),
    ("CHF", "Swiss Franc", "CHF", "0.05"),
)
TERMS = (("Net10", 10), ("Net30", 30), ("Net45", 45), ("COD", 0), ("2%10/N30", 30))
TAX_GROUPS = (
    ("CA", "California"),
    ("WA", "Washington"),
    ("NY", "New York"),
    ("INTL", "International"),
)
METHODS = ("CHECK", "ELECTRONIC", "SEPA CT", "CASH")
_DIMENSIONS = ("BusinessUnit", "CostCenter", "Department", "Project")


def fill(seeds: Seeds) -> None:
    """Make the rows of the area."""
    _accounts(seeds)
    _dimensions(seeds)
    _currencies(seeds)
    _calendars(seeds)
    for company in seeds.companies:
        _references(seeds, company)
        _journals(seeds, company)


def dimension(number: int) -> str:
    """Return the display value of a default dimension; some rows have none."""
    return "" if number % 6 == 5 else f"00{number % 3 + 6}-00{number % 5 + 1}-02{number % 4 + 1}-"


def _accounts(seeds: Seeds) -> None:
    seeds.add(
        "ChartOfAccounts",
        [
            {
                "ChartOfAccounts": CHART,
                "Description": "Shared chart of accounts",
                "MainAccountMask": "######",
                "ChartOfAccountsRecId": 5_637_144_576,
            },
            {
                "ChartOfAccounts": "Local DE",
                "Description": "Kontenrahmen",
                "ChartOfAccountsRecId": 5_637_144_577,
            },
        ],
    )
    for number, (account, name, kind, category) in enumerate(_ACCOUNTS):
        for chart, recid in ((CHART, 5_637_144_576), ("Local DE", 5_637_144_577)):
            seeds.add(
                "MainAccounts",
                [
                    {
                        "ChartOfAccounts": chart,
                        "MainAccountId": account,
                        "Name": name,
                        "MainAccountType": kind,
                        "MainAccountCategory": category,
                        "ChartOfAccountsRecId": recid,
                        "MainAccountRecId": recid + 1_000 + 10 * number,
                        "DoNotAllowManualEntry": "Yes" if account in ("130100", "200100") else "No",
                        "DefaultCurrency": "USD" if account == "110110" else "",
                        "DebitCreditDefault": "Credit" if kind == "Revenue" else "Debit",
                        "ActiveFrom": date(2015, 1, 1)
                        if number % 4 == 0
                        else "1900-01-01T12:00:00Z",
                        "IsSuspended": "Yes" if account == "618160" and chart != CHART else "No",
                    }
                ],
            )
            seeds.add(
                "DimensionCombinations",
                [
                    {
                        "RecordId": recid + 2_000 + 10 * number,
                        "MainAccount": account,
                        "AccountStructure": "Manufacturing B/S",
                        "AccountValue": f"{account}-{'BS' if chart == CHART else 'DE'}",
                        "DisplayValue": f"{account}-001-022" if chart == CHART else f"{account}-DE",
                    }
                ],
            )


def _dimensions(seeds: Seeds) -> None:
    for number, name in enumerate(_DIMENSIONS):
        seeds.add(
            "DimensionAttributes",
            [
                {
                    "DimensionName": name,
                    "ReportColumnName": name.upper(),
                    "UseValuesFrom": f"{name}s",
                    "BalancingDimension_PSN": number,
                    "IsBalancing_PSN": "No",
                }
            ],
        )
        for value in range(1, 12):
            legal_entity = "" if value % 3 else seeds.company(value, of=2).id
            seeds.add(
                "FinancialDimensionValues",
                [
                    {
                        "FinancialDimension": name,
                        "LegalEntityId": legal_entity,
                        "DimensionValue": f"{value:03d}",
                        "Description": f"{name} {value}",
                        "IsSuspended": "Yes" if value == 11 else "No",
                        "ActiveTo": TODAY if value == 10 else "1900-01-01T12:00:00Z",
                    }
                ],
            )
    seeds.add(
        "FinancialDimensionValues",
        [
            {
                "FinancialDimension": "Department",
                "LegalEntityId": "",
                "DimensionValue": f"{value:03d}",
                "Description": f"Department {value}",
            }
            for value in range(21, 25)
        ],
    )
    seeds.add(
        "FinancialDimensionValues",
        [
            {
                "FinancialDimension": "Project",
                "LegalEntityId": "",
                "DimensionValue": value,
                "Description": text,
            }
            for value, text in (
                ("R&D/1", "Research/development"),
                ("100%", "All of it"),
                ("A B", "Blank inside"),
            )
        ],
    )
    seeds.add(
        "FinancialDimensionSets",
        [
            {"Name": "BU", "Description": "Business unit", "SegmentName01": "BusinessUnit"},
            {
                "Name": "BU+CC",
                "Description": "Business unit & cost center",
                "SegmentName01": "BusinessUnit",
                "SegmentName02": "CostCenter",
                "FocusState": "Initialized",
            },
            {
                "Name": "MA/Dept",
                "Description": "With department",
                "SegmentName01": "Department",
                "SegmentName02": "Project",
            },
        ],
    )
    values = dict.fromkeys(dimension(number) for number in range(60))
    seeds.add(
        "DimensionSets",
        [
            {"RecordId": 22_565_421_195 + number, "DisplayValue": value}
            for number, value in enumerate(v for v in values if v)
        ],
    )


def _currencies(seeds: Seeds) -> None:
    for code, name, symbol, rounding in CURRENCIES:
        seeds.add(
            "Currencies",
            [
                {
                    "CurrencyCode": code,
                    "Name": name,
                    "Symbol": symbol,
                    "GeneralRoundingRule": rounding,
                    "RoundingRulePrices": rounding,
                    "RoundingRuleSalesOrders": "0.01",
                    "RoundingMethodPrices": "Ordinary",
                }
            ],
        )
    for name, text in (
        ("Default", "Default exchange rates"),
        ("Average", "Monthly average"),
        ("Budget", "Budget rates"),
    ):
        seeds.add("ExchangeRateTypes", [{"Name": name, "Description": text}])
    draw = seeds.draw("rates")
    for code, _, _, _ in CURRENCIES[1:]:
        for month in range(1, 13):
            rate = (
                Decimal(draw.randrange(10**17, 2 * 10**18)) / 10**16
            )  # 16 places: more than a float holds
            seeds.add(
                "ExchangeRates",
                [
                    {
                        "RateTypeName": "Default",
                        "FromCurrency": code,
                        "ToCurrency": "USD",
                        "StartDate": date(2024, month, 1),
                        "EndDate": date(2024, month, 28) if month < 12 else "2154-12-31T23:59:59Z",
                        "Rate": rate,
                        "ConversionFactor": "Hundred" if code == "JPY" else "One",
                        "RateTypeDescription": "Default exchange rates",
                    }
                ],
            )


def _calendars(seeds: Seeds) -> None:
    for year in range(2020, 2027):
        seeds.add(
            "FiscalCalendarYears",
            [
                {
                    "Calendar": "Fiscal",
                    "FiscalYear": str(year),
                    "StartDate": date(year, 1, 1),
                    "EndDate": date(year, 12, 31),
                    "Description": f"Fiscal year {year}",
                }
            ],
        )
    names = (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    )
    months = {name.casefold() for name in names}
    assert len(months) == 12
    for offset in range(seeds.many(366)):
        at = date(2024, 1, 1) + timedelta(days=offset)
        seeds.add(
            "FiscalCalendars",
            [
                {
                    "LedgerGregorianDateId": f"{5_637_144_576 + offset}",
                    "GregorianDate": at,
                    "CalendarId": "Fiscal",
                    "PeriodName": f"Period {at.month}",
                    "YearName": str(at.year),
                    "Quarter": f"Q{(at.month - 1) // 3 + 1}",
                    "PeriodRecId": 5_637_145_000 + at.month,
                    "CalendarRecId": 5_637_144_900,
                    "PeriodOffset": at.month - 6,
                }
            ],
        )


def _references(seeds: Seeds, company: Company) -> None:
    area = {"dataAreaId": company.id}
    seeds.add(
        "Ledgers",
        [
            {
                "LegalEntityId": company.id,
                "Name": company.id.upper(),
                "Description": company.name,
                "FiscalCalendar": "Fiscal",
                "ChartOfAccounts": "Local DE" if company.id == "demf" else CHART,
                "AccountingCurrency": company.currency,
                "ReportingCurrency": "USD",
                "ExchangeRateType": "Default",
                "AccountStructureName1": "Manufacturing B/S",
                "AccountStructureName2": "Manufacturing P&L",
                "LedgerRecId": 5_637_150_000 + seeds.companies.index(company),
                "ChartOfAccountsRecId": 5_637_144_576,
            }
        ],
    )
    seeds.add(
        "TaxGroups",
        [
            {**area, "TaxGroupCode": c, "Description": t, "DefaultCriteriaCountryId": "USA"}
            for c, t in TAX_GROUPS
        ],
    )
    seeds.add(
        "PaymentTerms",
        [
            {
                **area,
                "Name": name,
                "Description": f"Net {days} days",
                "NumberOfDays": days,
                "IsCashPayment": "Yes" if name == "COD" else "No",
                "CashPaymentMainAccountIdDisplayValue": "110180-001-022" if name == "COD" else "",
                "IsDefaultPaymentTerm": "Yes" if name == "Net30" else "No",
            }
            for name, days in TERMS
        ],
    )
    kinds = (
        ("GenJrn", "General journal", "Daily"),
        ("APPay", "Vendor payments", "Payment"),
        ("ARPay", "Customer payments", "CustPayment"),
    )
    seeds.add(
        "JournalNames",
        [
            {
                **area,
                "Name": name,
                "Description": text,
                "OffsetAccountType": "Ledger",
                "VoucherSeriesCode": f"Gene_{number}",
                "DetailLevel": "Detail",
                "PostingLineLimit": 1_000,
                "Type": kind,
                "OffsetAccountDisplayValue": "110110-001-022",
                "DefaultFinancialDimensionDisplayValue": dimension(number),
            }
            for number, (name, text, kind) in enumerate(kinds)
        ],
    )
    seeds.add(
        "BankAccounts",
        [
            {
                **area,
                "BankAccountId": f"{company.id.upper()} {use}",
                "Name": f"{use.title()} account",
                "CurrencyCode": company.currency,
                "AccountNumber": f"{34_567_890 + number}",
                "RoutingNumber": "123456789",
                "BankMainAccountIdDisplayValue": "110110-001-022",
                "CreditLimit": "250000.75",
                "ActiveTo": "2154-12-31T23:59:59Z",
                "FeeJournalName": "GenJrn",
                "DefaultDimensionDisplayValue": dimension(number),
                "SWIFTCode": "CONTUS33",
                "AddressCity": company.city,
                "AddressCountry": company.country,
            }
            for number, use in enumerate(("OPER", "PAYRO", "EUR"))
        ],
    )
    for kind, journal in (("VendorPaymentMethods", "APPay"), ("CustomerPaymentMethods", "ARPay")):
        seeds.add(
            kind,
            [
                {
                    **area,
                    "Name": name,
                    "Description": f"Payment by {name.lower()}",
                    "PaymentJournalName": journal,
                    "AccountType": "Ledger" if name == "CASH" else "Bank",
                    "PaymentAccountDisplayValue": (
                        "110180-001-022" if name == "CASH" else f"{company.id.upper()} OPER"
                    ),
                    "DirectDebit": "No",
                    "PaymentType": "Check" if name == "CHECK" else "ElectronicPayment",
                    "DiscountGracePeriodDays": 3,
                }
                for name in METHODS
            ],
        )


def _journals(seeds: Seeds, company: Company) -> None:
    draw = seeds.draw(f"journals/{company.id}")
    layers = ("Current", "Operations", "Tax")
    for number in range(1, seeds.many(60, company) + 1):
        batch = f"{number:05d}"
        lines = [_line(seeds, company, batch, at, number) for at in range(1, draw.randrange(2, 8))]
        debit = sum((line["DebitAmount"] for line in lines), Decimal())
        credit = sum((line["CreditAmount"] for line in lines), Decimal())
        balance: dict[str, Any] = {
            **lines[-1],
            "LineNumber": len(lines) + 1,
            "AccountDisplayValue": "300160-001-022",
            "DebitAmount": max(credit - debit, Decimal()),
            "CreditAmount": max(debit - credit, Decimal()),
        }
        lines.append(balance)
        total = max(debit, credit)
        seeds.add("LedgerJournalLines", lines)
        seeds.add(
            "LedgerJournalHeaders",
            [
                {
                    "dataAreaId": company.id,
                    "JournalBatchNumber": batch,
                    "JournalName": "GenJrn" if number % 3 else "APPay",
                    "Description": f"General journal {number}" if number % 10 else "",
                    "IsPosted": "Yes" if number % 4 == 0 else "No",
                    "AccountingCurrency": company.currency,
                    "PostingLayer": layers[number % 20 // 9],
                    "JournalTotalDebit": total,
                    "JournalTotalCredit": total,
                    "IntegrationKey": f"K{number}*" if number % 15 == 0 else "",
                }
            ],
        )


def _line(seeds: Seeds, company: Company, batch: str, at: int, number: int) -> dict[str, Any]:
    draw = seeds.draw(f"line/{company.id}/{batch}/{at}")
    amount = money(draw, 1, 9_000)
    debit = draw.random() < 0.6
    vendor = at % 4 == 3
    account = (
        f"{company.prefix}\\-{draw.randrange(1, 30):03d}"
        if vendor
        else f"{draw.choice(_ACCOUNTS[:-1])[0]}-001-022"
    )
    return {
        "dataAreaId": company.id,
        "JournalBatchNumber": batch,
        "LineNumber": Decimal(at),
        "Voucher": f"GNJL{number:06d}",
        "TransDate": day(draw),
        "AccountType": "Vend" if vendor else "Ledger",
        "AccountDisplayValue": account,
        "OffsetAccountType": "Ledger",
        "DebitAmount": amount if debit else Decimal(),
        "CreditAmount": Decimal() if debit else amount,
        "CurrencyCode": company.currency,
        "ExchRate": 100,
        "Text": f"Line {at} of journal {batch}",
        "DefaultDimensionDisplayValue": dimension(number + at),
        "OffsetDefaultDimensionDisplayValue": dimension(at) if vendor else "",
        "OffsetAccountDisplayValue": "110110-001-022" if vendor else "",
        "SalesTaxGroup": draw.choice(TAX_GROUPS)[0],
        "Company": company.id,
        "OffsetCompany": company.id,
        "DueDate": day(draw) if vendor else "1900-01-01T12:00:00Z",
        "Invoice": f"INV-{number}/{at}" if vendor else "",
        "Quantity": at,
        "ReverseEntry": "No",
    }
