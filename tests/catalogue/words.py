"""The words that names are made of: those of the trade, none of a customer."""

from __future__ import annotations


def words(text: str) -> list[str]:
    return text.split()


AREAS = words(
    """
    Retail Sales Purchase Vendor Customer Product Inventory Warehouse Ledger Bank Tax Asset Budget Project
    Expense Worker Cost Payroll Benefit Compensation Position Fiscal Service Transportation Production
    Engineering Quality Maintenance Rebate Trade Agreement Lease Revenue Subscription Credit Collection Cash
    Mobile Loyalty Channel Catalog Commission Route Resource Leave Course Recruiting Dual Business System
    Electronic Intercompany Landed Planning Demand Formula Batch Shipment Packing Consignment Fixed
    """
)

SUBJECTS = words(
    """
    Order Invoice Payment Account Group Journal Transaction Item Price Discount Category Attribute Dimension
    Document Contract Agreement Charge Address Location Contact Policy Profile Rule Schedule Period Plan Request
    Approval Assignment Adjustment Allocation Allowance Balance Barcode Calendar Certificate Classification
    Confirmation Configuration Coverage Currency Default Deferral Delivery Description Entry Event Exchange
    Forecast Format Freight Hierarchy History Holding Import Integration Interest Label Layout Load Lot Material
    Message Method Model Notification Number Offset Operation Origin Package Parameter Permit Pool Posting
    Prepayment Priority Process Quotation Rate Reason Receipt Reconciliation Registration Release Replenishment
    Reservation Return Sample Segment Sequence Settlement Shift Site Slip Source Statement Status Structure
    Substitution Template Tender Term Territory Text Threshold Tolerance Transfer Translation Unit Usage
    Validation Variant Version Voucher Wave Withholding Zone
    """
)

KINDS = words(
    """
    Line Header Group Code Type Setup Table Entry Detail Template Rule Version Method Assignment Reason Status
    Profile Category Relation Record Journal Value Mapping Condition Element Field Attachment Note Translation
    Limit Priority Trans Log Task Result Reference Component Definition Option Staging
    """
)

UNCOUNTED = ("Parameters", "Information", "Setup", "Criteria", "Details", "Data", "History")
"""Kinds without a plural: the entity set is called as its type is."""

COUNTRIES = words(
    """
    BR RU IN JP IT MX CN US ES CA PL CZ LT TH SA
    """
)

REGIONS = tuple(
    code.split()
    for code in (
        "BR",
        "IN",
        "JP",
        "RU",
        "IT",
        "MX",
        "US CA",
        "PL CZ HU",
        "EE LT LV",
        "TH",
        "SA AE",
        "DE AT CH",
        "FR",
        "ES",
    )
)

ROLES = words(
    """
    Default Primary Offset Original Invoice Delivery Billing Requesting Approving Owning Parent Alternative
    Sending Receiving Reporting Buying Selling Intermediate Final Related
    """
)

STEMS = words(
    """
    Account Address Agreement Allocation Amount Approval Asset Attribute Balance Bank Barcode Base Batch Benefit
    Bill Budget Business Calculation Calendar Campaign Carrier Cash Catalog Category Certificate Channel Charge
    City Claim Collection Commission Company Confirmation Contact Container Contract Correction Cost Country
    Coverage Credit Currency Customer Customs Deduction Default Deferral Delivery Department Deposit
    Depreciation Device Dimension Discount Document Employment Event Exchange Excise Expense Export External Fee
    Financial Fiscal Fixed Forecast Formula Freight Functional Gift Gross Group Handling Hierarchy Import Income
    Insurance Intercompany Interest Internal Inventory Invoice Item Job Journal Label Layout Leave Ledger Legal
    Letter Line Load Location Loyalty Main Maintenance Manual Markup Material Measure Message Mode Model Net
    Note Offset Operation Order Origin Original Overtime Package Packing Party Payment Payroll Penalty Period
    Person Personnel Picking Planned Planning Policy Pool Position Postal Posting Prepayment Price Primary
    Priority Process Procurement Product Production Profile Project Promotion Purchase Quality Quarantine
    Quotation Rebate Receipt Receiving Reference Region Registration Release Remittance Report Request
    Reservation Resource Retail Return Revenue Rounding Route Sales Schedule Search Segment Sequence Serial
    Service Settlement Shift Shipment Shipping Site Source Statement Statistics Status Storage Store Structure
    Subject Supplementary Task Tax Template Tender Terminal Territory Threshold Trade Transaction Transfer
    Transport Unit Usage Validation Variance Vendor Version Visit Voucher Wage Warehouse Warranty Wave Weight
    Withholding Work Worker Zone
    """
)

MIDDLES = words(
    """
    Account Address Adjustment Agreement Attribute Base Batch Category Charge Contact Cost Currency Default
    Delivery Dimension Discount Document Group Header Invoice Item Journal Ledger Line Location Order Offset
    Payment Period Posting Price Product Profile Reason Reference Rule Sales Source Tax Transaction Unit Vendor
    Warehouse Worker
    """
)

ENDINGS = {
    "Edm.String": words(
        """
    Id Code Number Name Description Text Group GroupId Reference Note Name2 Url Symbol Title Phone Email Street
    ZipCode County DisplayValue FormattedValue PersonnelNumber Reason Key Voucher
    """
    ),
    "Edm.Decimal": words(
        """
    Amount Quantity Price Percentage Rate Cost Weight Factor Limit Total Qty AmountCur Balance Volume
    """
    ),
    "Edm.DateTimeOffset": words(
        """
    Date DateTime FromDate ToDate StartDate EndDate DueDate ValidFrom ValidTo Timestamp
    """
    ),
    "Edm.Int32": words(
        """
    Days Count Interval Time Year Level Length Minutes Position Priority Sequence
    """
    ),
    "Edm.Int64": ["RecordId", "RecId", "LineNumber", "Sequence", "Version", "Partition"],
    "Edm.Guid": ["Guid", "UniqueId", "CorrelationId", "InstanceId"],
    "Edm.Binary": ["Image", "Content", "Thumbnail", "Signature"],
    "Edm.Boolean": ["HasErrors", "IsLocked", "IsSynchronized"],
    "enum": words(
        """
    Type Status Method Mode Level Basis Kind Option Frequency Direction Policy Priority
    """
    ),
}
"""What a property's name ends in tells its type."""

QUESTIONS = words(
    """
    Is Will Allow Use Include Enable Has Are Skip Print Validate Override
    """
)
"""What the names of NoYes properties begin with."""

ADJECTIVES = words(
    """
    Active Allowed Automatic Blocked Calculated Closed Default Enabled Exempt Included Mandatory Manual Posted
    Printed Required Reserved Restricted Shared Updated Used Valid Visible
    """
)

COMMON = {
    "Edm.String": {
        "Description": 861, "Name": 378, "ItemNumber": 142, "ProductSizeId": 134, "ProductColorId": 134,
        "ProductStyleId": 133, "ProductConfigurationId": 132, "CurrencyCode": 190, "SysDataAreaId": 181,
        "ProductVersionId": 119, "PersonnelNumber": 50, "LanguageId": 77, "ItemBatchNumber": 80, "Company": 90,
        "PartyNumber": 46, "CountryRegionId": 52, "ItemId": 61, "LegalEntityId": 21, "ProductNumber": 50,
        "Currency": 70, "ProjectId": 65, "DefaultDimensionDisplayValue": 83, "Voucher": 60, "SysModifiedBy": 81,
        "SysCreatedBy": 81, "Notes": 79, "VendorAccountNumber": 55, "CustomerAccountNumber": 50, "ProductName": 64,
        "DefaultLedgerDimensionDisplayValue": 64, "ItemSerialNumber": 55, "ContactPersonId": 50,
        "DeliveryAddressCountryRegionId": 57, "DeliveryAddressZipCode": 55, "DeliveryAddressStreet": 55,
        "name": 5, "statementId": 6, "custAccount": 4, "ID": 6, "GSTHSTTaxType_CA": 3,
    },
    "Edm.Decimal": {"Amount": 121, "Quantity": 106, "LineAmount": 62, "SalesPrice": 59, "amountCur": 6, "exchRate": 7},
    "Edm.DateTimeOffset": {
        "ValidFrom": 38, "ValidTo": 69, "StartDate": 79, "EndDate": 92, "SysModifiedDateTime": 99, "CreatedOn": 97,
        "TransDate": 73, "InvoiceDate": 63, "validFrom": 6, "validTo": 6, "transDate": 4,
    },
    "Edm.Int32": {"SysRecVersion": 171, "Priority": 40, "transTime": 4},
    "Edm.Int64": {"SourceKey": 173, "RecordId": 40, "replicationCounterFromOrigin": 6},
}  # fmt: skip
"""Names that are everywhere, with how many types have them outside of their key."""

KEYS = {
    "Edm.String": {
        "Name": 144, "PersonnelNumber": 129, "ItemNumber": 116, "ProductConfigurationId": 93, "ProductStyleId": 93,
        "ProductColorId": 92, "ProductSizeId": 92, "LegalEntityId": 71, "GroupId": 55, "ProductVersionId": 55,
        "TransactionId": 52, "PartyNumber": 49, "Terminal": 48, "Value": 47, "OperatingUnitNumber": 46,
        "CountryRegionId": 43, "LanguageId": 41, "ProductNumber": 39, "JournalBatchNumber": 35, "PositionId": 34,
        "ItemId": 33, "Code": 32, "TransactionNumber": 31, "JournalNumber": 28, "Key": 27, "JobId": 27, "RequestId": 27,
        "store": 9, "terminal": 9,
    },
    "Edm.DateTimeOffset": {"ValidFrom": 98, "ValidTo": 63, "StartDate": 39, "FromDate": 33, "validFrom": 4},
    "Edm.Decimal": {"LineNumber": 223, "LineNum": 87},
    "Edm.Int64": {"SourceKey": 79, "RecordId": 39},
}  # fmt: skip
"""Names that are in many keys."""

MEMBERS = words(
    """
    None Open Closed Created Approved Rejected Pending Posted Cancelled Draft Confirmed InReview Submitted
    Completed Active Inactive All Table Group Customer Vendor Item Ledger Bank Project FixedAsset Percent Amount
    Quantity Fixed Variable Daily Weekly Monthly Quarterly Yearly Never Always Manual Automatic Warning Error
    Accept Primary Secondary Internal External Inbound Outbound Before After Standard Average FIFO LIFO Debit
    Credit Invoice Payment Receipt Issue Transfer Return Sales Purchase Production Retail Header Line Total
    Default Custom Blank Other Unknown Include Exclude Full Partial Start Finish Planned Released Started Ended
    Reserved Physical Financial Company CostCenter Department Worker
    """
)

ODD_MEMBERS = ("_401k", "_403b", "_457", "A1099MISC", "x24Hours", "ISO_8859_1")

LABEL_FILES = words(
    """
    AccountsReceivable AccountsPayable HCM SCM Sales RET ProductInformation TRX Tax WAX Budgeting EntAsset
    """
)

VERBS = words(
    """
    Post Validate Approve Cancel Copy Import Release Reserve Calculate Get Update Submit Recall Synchronize
    """
)
