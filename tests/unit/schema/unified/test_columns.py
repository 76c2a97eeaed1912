"""What unified APIs know of users and books, and the columns that it comes from: each is in a field of its type."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.runtime.assembly import Gateway
from schema.unified.views import Column, UnifiedType

COLUMNS = {
    "User.id, username": "SystemUsers.UserID SystemUsers.Alias",
    "User.external_id": "Workers.ObjectId",
    "User.name": "PersonUsers.PersonName SystemUsers.PersonName SystemUsers.UserName",
    "User.first_name, last_name, middle": "Workers.FirstName Workers.LastName Workers.MiddleName",
    "User.emails": "SystemUsers.Email PersonUsers.PersonPrimaryEmail Workers.PrimaryContactEmail"
    " Workers.IdentityEmail",
    "User.phones": "Workers.PrimaryContactPhone Workers.PrimaryContactPhoneExtension"
    " Workers.PrimaryContactPhoneIsMobile",
    "User.status": "SystemUsers.Enabled",
    "RoleAssignment.role": "SecurityUserRoles.SecurityRoleIdentifier SecurityUserRoles.SecurityRoleName",
    "RoleAssignment.organizations": "SecurityUserRoleOrganizations.OrganizationId",
    "User.roles": "SecurityUserRoles",
    "User.groups": "UserGroups",
    "Group.id, name": "UserGroups.GroupId UserGroups.name",
    "User.licenses": "SecurityUserRoles.UserLicenseType",
    "User.title": "Workers.TitleId PositionsV2.TitleId",
    "User.department": "DepartmentsV2",
    "Department.number, name": "DepartmentsV2.OperatingUnitNumber DepartmentsV2.Name",
    "User.manager": "EssWorkerManagerRelations SystemUsers",
    "User.employee_id": "Workers.PersonnelNumber Workers.OriginalHireDateTime Workers.WorkerStatus",
    "Employment": "EmployeesV2.EmploymentStartDate EmployeesV2.EmploymentEndDate"
    " EmployeesV2.EmploymentLegalEntityId",
    "User.organizations": "SystemUsers.Company EmployeesV2.EmploymentLegalEntityId",
    "User.language, timezone": "SystemUsers.Language SystemUsers.PreferredTimeZone",
    "User.is_external, type": "SystemUsers.ExternalUser SysAADClients.AADClientId",
    "User.created_at, updated_at": "AzureADWorkers.MostRecentModifiedDate"
    " HcmWorkerBiEntities.SysModifiedDateTime HcmWorkerBiEntities.CreatedOn",
    "Account.id, number, name": "MainAccounts.ChartOfAccounts MainAccounts.MainAccountId MainAccounts.Name",
    "Company, chart of accounts": "Ledgers.ChartOfAccounts Ledgers.AccountingCurrency",
    "Account.classification, type": "MainAccounts.MainAccountType MainAccountCategories.MainAccountType"
    " MainAccounts.MainAccountCategory",
    "Account.status": "MainAccounts.IsSuspended MainAccounts.ActiveFrom MainAccounts.ActiveTo"
    " MainAccounts.DoNotAllowManualEntry",
    "Account.currency, parent": "MainAccounts.DefaultCurrency MainAccounts.ParentMainAccountId",
    "AccountBalance": "TrialBalanceFiscalYearSnapshots.AmountDebit TrialBalanceFiscalYearSnapshots.AmountCredit",
    "TrackingCategory": "DimensionAttributes.DimensionName DimensionAttributes.UseValuesFrom",
    "TrackingOption": "FinancialDimensionValues.DimensionValue FinancialDimensionValues.Description"
    " FinancialDimensionValues.IsSuspended FinancialDimensionValues.ActiveFrom FinancialDimensionValues.ActiveTo"
    " FinancialDimensionValues.GroupDimension FinancialDimensionValues.LegalEntityId",
    "JournalEntry": "LedgerJournalHeaders.JournalBatchNumber LedgerJournalHeaders.Description"
    " LedgerJournalHeaders.IsPosted LedgerJournalHeaders.dataAreaId LedgerJournalHeaders.JournalName"
    " LedgerJournalHeaders.IntegrationKey",
    "JournalLine.transaction_date, currency": "LedgerJournalLines.TransDate LedgerJournalLines.CurrencyCode"
    " LedgerJournalLines.ExchRate",
    "JournalLine.account, categories": "LedgerJournalLines.AccountType LedgerJournalLines.AccountDisplayValue"
    " LedgerJournalLines.DefaultDimensionDisplayValue",
    "JournalLine.net_amount": "LedgerJournalLines.DebitAmount LedgerJournalLines.CreditAmount",
    "JournalLine.description, tax": "LedgerJournalLines.Text LedgerJournalLines.SalesTaxGroup"
    " LedgerJournalLines.ItemSalesTaxGroup",
    "LedgerEntry": "GeneralJournalEntryBiEntities.JournalNumber",
    "LedgerEntryLine": "MainAccounts GeneralJournalAccountEntryBiEntities.AccountingCurrencyAmount"
    " GeneralJournalAccountEntryBiEntities.LedgerDimensionValuesJson",
    "Vendor": "VendorsV3.VendorAccountNumber VendorsV3.VendorOrganizationName VendorsV3.PrimaryEmailAddress"
    " VendorsV3.PrimaryPhoneNumber VendorsV3.AddressStreet VendorsV3.AddressCity VendorsV3.TaxExemptNumber"
    " VendorsV3.CurrencyCode VendorsV3.DefaultPaymentTermsName VendorsV3.OnHoldStatus"
    " VendTableBiEntities.SysModifiedDateTime",
    "Customer": "CustomersV3.CustomerAccount CustomersV3.OrganizationName CustomersV3.PrimaryContactEmail"
    " CustomersV3.PrimaryContactPhone CustomersV3.AddressStreet CustomersV3.TaxExemptNumber"
    " CustomersV3.SalesCurrencyCode CustomersV3.PaymentTerms CustomersV3.CreditLimit CustomersV3.OnHoldStatus"
    " CustTableBiEntities.SysModifiedDateTime",
    "Item": "ReleasedProductsV2.ItemNumber ReleasedProductsV2.SearchName ReleasedProductsV2.SalesPrice"
    " ReleasedProductsV2.PurchasePrice ReleasedProductsV2.UnitCost ReleasedProductsV2.SalesUnitSymbol"
    " ReleasedProductsV2.ProductType ReleasedProductsV2.SalesSalesTaxItemGroupCode"
    " ReleasedProductsV2.PurchaseSalesTaxItemGroupCode ProductsV2.ProductName",
    "PurchaseOrder": "PurchaseOrderHeadersV2.PurchaseOrderNumber PurchaseOrderHeadersV2.OrderVendorAccountNumber"
    " PurchaseOrderHeadersV2.CurrencyCode PurchaseOrderHeadersV2.PurchaseOrderStatus"
    " PurchaseOrderHeadersV2.DocumentApprovalStatus PurchaseOrderHeadersV2.AccountingDate"
    " PurchaseOrderHeadersV2.RequestedDeliveryDate PurchaseOrderHeadersV2.FormattedDeliveryAddress"
    " PurchaseOrderLinesV2.LineAmount",
    "PurchaseOrderLine": "PurchaseOrderLinesV2.LineNumber PurchaseOrderLinesV2.ItemNumber"
    " PurchaseOrderLinesV2.LineDescription PurchaseOrderLinesV2.OrderedPurchaseQuantity"
    " PurchaseOrderLinesV2.PurchasePrice PurchaseOrderLinesV2.LineAmount"
    " PurchaseOrderLinesV2.MainAccountIdDisplayValue PurchaseOrderLinesV2.DefaultLedgerDimensionDisplayValue"
    " PurchaseOrderLinesV2.SalesTaxGroupCode",
    "ReceiptLine": "ProductReceiptLinesV2.PurchaseOrderNumber ProductReceiptLinesV2.PurchaseOrderLineNumber"
    " ProductReceiptLinesV2.ReceivedPurchaseQuantity ProductReceiptLinesV2.RemainingPurchaseQuantity",
    "Receipt": "ProductReceiptHeaders.ProductReceiptNumber",
    "Bill": "VendorInvoiceHeaders.InvoiceNumber VendorInvoiceHeaders.InvoiceAccount"
    " VendorInvoiceHeaders.InvoiceDate VendorInvoiceHeaders.DueDate VendorInvoiceHeaders.Currency"
    " VendorInvoiceHeaders.PurchaseOrderNumber VendorInvoiceHeaders.IsApproved VendorInvoiceHeaders.IsOnHold"
    " VendorInvoiceHeaders.VendorInvoiceReviewStatus",
    "BillLine": "VendorInvoiceLines.ReceiveNow VendorInvoiceLines.AdjustedUnitPrice VendorInvoiceLines.NetAmount"
    " VendorInvoiceLines.PurchaseOrder VendorInvoiceLines.PurchLineNumber",
    "PostedBill": "VendInvoiceJourBiEntities.InvoiceId VendTransBiEntities",
    "Invoice": "SalesInvoiceHeadersV4.TotalInvoiceAmount SalesInvoiceHeadersV4.TotalTaxAmount"
    " CustTransOpens.AmountCur",
    "FreeTextInvoice": "FreeTextInvoiceHeaders.FreeTextNumber",
    "OpenItem": "CustTransOpens.AmountCur",
    "VendorPayment": "VendorPaymentJournalLines.MarkedInvoice",
    "CustomerPayment": "CustomerPaymentJournalLines.MarkedInvoice",
    "TaxRate": "TaxCodes.TaxCode TaxItemGroups",
    "TaxGroup": "TaxGroups.TaxGroupCode",
    "Company": "LegalEntities.LegalEntityId LegalEntities.Name LegalEntities.VATNum LegalEntities.AddressStreet",
    "ExchangeRate": "ExchangeRates.Rate",
    "PaymentTerm": "PaymentTerms.Name",
    "Attachment": "VendorInvoiceDocumentAttachments.FileName",
}


def sources(bound: UnifiedType) -> Iterator[str]:
    """The columns that the fields of a type read, and the sets on their way."""
    yield bound.set_name
    for field in bound.fields.values():
        columns: list[Column] = [*field.columns]
        ways = [field.steps]
        for item in field.items:
            columns += item.columns.values()
            ways.append(item.list)
        for column in columns:
            yield column.where
            ways.append(column.steps)
        yield from (step.field.target_set or "" for way in ways for step in way)


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_in_fields(name: str, assembled: Gateway) -> None:
    short = name.partition(",")[0].partition(".")[0]

    assert set(COLUMNS[name].split()) - set(sources(assembled.schema.unified.type(short))) == set()
