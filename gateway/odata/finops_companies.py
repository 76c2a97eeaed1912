"""Entity sets of Finance & Operations whose rows belong to a legal entity, but have no ``dataAreaId``.

Some 1,300 of 3,900 public data entities have no ``dataAreaId``. Most hold data that all companies share; those below
name the row's legal entity in another property (or in two, both of which count). Which property it is was read from
the names in the metadata document; Microsoft publishes no list. A property with another company (that of
a calendar, of a survey, of whoever pays a position) is not listed.

https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/data-entities#save-data-per-company
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_SETS: Mapping[tuple[str, ...], str] = {
    ("LegalEntityId",): """
        BenefitAccountingRules BenefitPeriodEmplLifeEvents BenefitPeriodEmployees
        BenefitPlanDefaultDimensions BenefitsPeriodEmployeeLifeEventTransactions
        BenefitsPlanEmployeeDesignees BenefitsPlanEmployeeLifeEventTransactions
        BenefitsPlanEmployeeLifeEventTransactionsV2 BenefitsPlanEmployees BenefitsPlanEmployeesV2
        BenefitsPlans CurrencyRevaluationAccounts CurrencyRevaluationAccountsV2 EmployerTaxRegions
        EmploymentDetails EmploymentEmployees EmploymentTerms Employments EmploymentsV2
        ExpMobileExpenseFieldVisibilities ExpenseReportFields FinancialDimensionValueLegalEntityOverrides
        FinancialDimensionValueLegalEntityOverridesV2 FinancialDimensionValueTotalAccountIntervals
        FinancialDimensionValues FiscalYears GUPRebateAndDeductionsAgreementHeaders
        HcmProcessTaskAssignments InvoiceLegalEntities LaborUnionAgreements LedgerAccountAliases
        LedgerFiscalPeriods Ledgers LegalEntities MainAccountCompanies MainAccountLegalEntities
        OnboardProcessHeadersDualWrite PayIntV1EmploymentDetail PayIntV1EmploymentEmployees
        PayIntV1EmploymentsV2 PayIntV1HcmEmploymentTerms PayIntV1LegalEntities PayIntV1PayrollEmployees
        PayIntV1PositionUnionAgreements PayrollWorkerBenefitPlans PositionUnionAgreements
        ProductReleasePolicyLegalEntityRules RebateAndDeductionAgreementHeaders
        RegulatoryEstablishmentDetails RetailKitOrderJournals RetailKitOrders RetailTransDetailsMeta
        RetailTransDiscountedMeta RetailTransInvoicedMeta RetailTransPaymentMeta
        RetailTransPriceOverridesMeta RetailTransVoidedMeta RetailTransactionsMeta
        VivaIntEssEmploymentLegals VivaIntEssPersonalDetails
    """,
    ("DataArea",): """
        CashFlowMgmtJourNameOrgUnitLists Companies DirPartyTableBiEntities LegalEntityContacts
        PersonProjectRoles WorkerEnrolledBenefitDetails WorkflowInstantFlows Workflows
    """,
    ("Company",): """
        BadDebtAccounts BankAccountDisbursements CourseTypeDefaultDimensions CredManTableBiEntities
        CustomerCreditGroupLines EarningStatementLines EarningStatements ExpMobileExpTransGuests
        ExpMobileExpenseLineAttachedToReports ExpMobileLineApprovals ExpMobileTrvCoworkers
        ExpMobileTrvExpGuests FBFiscalDocumentAdjustmentCodeLedgers FBGeneralAdjustmentCodeLedgers
        FinTagCustomListValues FiscalIntegrationFunctionalityProfileGroups
        FiscalIntegrationFunctionalityProfileGroupsV2 HcmWorkerAdvHolderTables
        PayIntV1BankAccountDisbursements PayStatementBenefitLines PayStatementEarningLines
        PayStatementHeaders PayStatementTaxLines RateCurrencyPairCalculationRules SecurityGroups
        SequenceTables SequenceV2Tables SystemUsers TableBlockReasons TaxReportLedgerAccounts
        TrvExpMobileCompanyInfo WriteOffFinancialReasonsSetups
    """,
    ("CompanyId",): """
        DocumentRoutingJobs EssLoaRequestDetailApprovers EssTimeOffRequestDetailApprovers
        EssWorkflowWorkItems MeasurementCategoryEnabledModules OfficeAddinLegalEntities WorkflowWorkItems
    """,
    ("LegalEntity",): """
        ApprovalAccountingDistributions BusinessEventsConfigurations ConfigurationLedgers
        CostConfigurationPriceListCostingVersions EmploymentBenefitsElevateHR FiscalCloseLedgerOptions
        LeaseDetailsImportCollection LeaseIndexRevaluationDetails LeaseIndexRevaluations
        PartyLocationPostalAddressesSalesTaxGroupV2 PersonnelActionTypes PurchAgreementPaymentOrders
        PurchaseOrderApprovalAttachedLines PurchaseOrderApprovalHeaders PurchaseOrderApprovalLines
        RetailAttributesLegalEntityLookups RetailUserDefinedCertificateProfileSettings
        SalesAgreementPaymentOrders TaxServiceTaxRegistrationNumberCustomers
        TaxServiceTaxRegistrationNumberVendors ValidationProjectTaskStatus ValidationProjects
        VendInvoiceApprovalHeaders
    """,
    ("company",): """
        EssWorkerDetails
    """,
    ("EmploymentLegalEntityId",): """
        Contractors ContractorsV2 Employees EmployeesV2 EmploymentContractors PayIntV1EmployeesV2
    """,
    ("EmploymentCompany",): """
        OnboardingWorkerChecklistHeaders
    """,
    ("BuyingLegalEntityId",): """
        CDSPurchaseRequisitionLines CDSPurchaseRequisitionLinesV2 PurchaseRequisitionLines
        PurchaseRequisitionLinesV2 UbuyPurchaseRequisitionLines
    """,
    ("ProjectBuyingLegalEntityId",): """
        PurchaseRequisitionHeaders UbuyPurchaseRequisitionHeaders
    """,
    ("LegalEntity_DataArea",): """
        ExpCopilotAutomationReports ExpMobileReports WarehouseNumberSequenceExtReferences
    """,
    ("LegalEntityDataArea",): """
        PartyRelationships PayIntV1PositionDefaultDimensions
    """,
    ("HeaderLegalEntity",): """
        PolicyViolationsCache PolicyViolationsLog
    """,
    ("ReferenceDataAreaId",): """
        ExpMobileNotifications ExpMobilePerDiemDataForLineApprovals ExpMobilePerDiemDataForReportApprovals
        ExpMobileReportApprovals ProjExpensesExport TrvExpTableBiEntities TrvExpTransBiEntities
        TrvRequisitionLineBiEntities TrvRequisitionTableBiEntities VendDlvLeadTimePredictionResults
    """,
    ("ActualCompanyId",): """
        ExpMobileAttachedDocuments ExpMobileDocuments ExpMobileReceiptAttachedToExpenseLineForApprovals
        ExpMobileReceiptAttachedToExpenseLines ExpMobileReceipts ExpMobileUnattachedDocuments
    """,
    ("JournalLineCompany", "InvoiceCompany"): """
        PaymentJournalLineSettledInvoices VendorPaymentJournalLineSettledInvoices
    """,
    ("SourceDataAreaId",): """
        BudgetPlanWorksheets BudgetPlans RetailAssortmentProductLines RetailLoyaltyEarnSchemeLines
        RetailLoyaltyRedeemSchemeLines
    """,
    ("RequestCompany",): """
        ProspectiveVendorRegistrationRequests
    """,
    ("LoyaltyTransactionCompany",): """
        RetailLoyaltyCardRewardPointTransactionV2 RetailLoyaltyCardRewardPointTransactions
    """,
    ("VoucherDataAreaId",): """
        SubledgerJournalEntryBiEntities SubledgerVoucherGeneralJournalEntryBiEntities
    """,
    ("SubledgerVoucherDataAreaId",): """
        GeneralJournalEntryBiEntities
    """,
    ("LedgerJournalTableDataAreaId",): """
        LedgerEntryJournalBiEntities
    """,
    ("ProjTableDataAreaId",): """
        GeneralJournalAccountEntryBiEntities
    """,
    ("ProjIdDataArea",): """
        PurchReqLineBiEntities PurchReqTableBiEntities
    """,
    ("InventLocationDataAreaId",): """
        RetailStoreLocatorGroupMembers
    """,
    ("CustomerDataAreaId",): """
        CustomerAttributeValues DemandPlanningCustomerAccounts
    """,
    ("BudgetModelDataAreaId",): """
        BudgetTransactionHeaderBiEntities
    """,
    ("BankDataAreaId",): """
        LedgerEntryBiEntities
    """,
    ("ReqPlanDataAreaId",): """
        ReqPlanVersionBiEntities
    """,
    ("JobDataAreaId",): """
        SensorJobExecutions SensorJobItemBatchAttributes SensorJobs
    """,
    ("CourseDataAreaId",): """
        ApplicantCourses PersonCourses WorkerCourses
    """,
    ("CostElementDataAreaId",): """
        ForecastPositionCostElements PositionForecasts PositionForecastsV2
    """,
    ("ItemDataAreaId",): """
        InventItemGroupItemBiEntities
    """,
    ("MaintenanceAssetCounterDataAreaId",): """
        SensorMaintenanceAssetCounterMappings
    """,
    ("ItemBatchAttributeDataAreaId",): """
        SensorItemBatchAttributeMappings
    """,
    ("ResourceDataAreaId",): """
        SensorOperationsResourceMappings
    """,
    ("ResourceLegalEntityDataArea",): """
        ResourceSetups
    """,
    ("PriceGroupLegalEntity",): """
        RetailCatalogPriceGroups
    """,
    ("PriceGroupCompany",): """
        RetailLoyaltyTierPriceGroups
    """,
    ("ExternalSourceLegalEntity",): """
        CashFlowForecastExternalSourceEntries
    """,
    ("CustAccountDataArea",): """
        TemporaryCreditLimits
    """,
    ("TableDataAreaId",): """
        EInvoicePropertiesV2
    """,
    ("SourceLegalEntityId",): """
        EngineeringChangeRequestSources
    """,
    ("WarehouseLegalEntity",): """
        OnlineChannelV2s OnlineChannels RetailCallCenters RetailStores
    """,
    ("WarehouseLegalEntityId",): """
        ExternalWarehouseSourceSystemRelations
    """,
    ("SalesDataAreaId",): """
        HistoricalSalesDemands
    """,
    ("ProjDataAreaId",): """
        ProjVendInvoiceLinesExportEntity
    """,
    ("JournalDataAreaId",): """
        DemandPlanningPickingListJournalEntries
    """,
    ("DocumentDataAreaId",): """
        AccountingEventBiEntities
    """,
    ("RebateCompanyId",): """
        RebateAndDeductionsAgreementDeals
    """,
    ("UserCompany",): """
        ApprovalUsers
    """,
    ("FiscalEstablishmentDataArea",): """
        FiscalOrganizationFiscalEstablishments
    """,
    ("MaintenanceAssetDataAreaId",): """
        SensorMaintenanceAssetMappings
    """,
    ("CompanyAccounts",): """
        BatchJobs
    """,
    ("DocumentAttachmentTypeLegalEntityId",): """
        ProductDocumentAttachments
    """,
    ("SpecCompany", "RefCompany"): """
        CustBOEProtestSetttles
    """,
    ("OriginatingLegalEntityId", "DestinationLegalEntityId"): """
        LedgerInterCompanyAccounts
    """,
}

COMPANY_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: columns for columns, names in _SETS.items() for name in names.split()}
)
"""Entity set → properties that name the legal entity of a row; all of them count."""
