"""What Finance & Operations has but does not publish in its metadata: relations of entity sets, and custom services.

``RELATIONS`` is a table of foreign keys for which F&O publishes no navigation property. Columns and keys are those of
the public data entities (https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/odata);
rows that do not fit a version of F&O, or that it publishes itself, are left out (``relations.preset``). If two rows
give one set a relation of the same name, the first that fits counts: newer versions of an entity come first.

``NATURAL_KEYS`` are properties by which senders tell their rows from each other, whatever the number sequences give.

``TWINS`` are sets over the same table that have the time of the last change, which the entity itself lacks.

``SERVICES`` are custom services (``/api/services``), offered if the environment describes them. They are not in the
metadata: https://learn.microsoft.com/en-us/dynamics365/fin-ops-core/dev-itpro/data-entities/custom-services
"""

from __future__ import annotations

from gateway.config.write_models import Service, ServiceValue
from schema.model.relations import Relation

# set, name of the relation, one|many, target set, pairs own=theirs (a lone name is the same on both sides),
# name of the inverse relation after a slash
_TABLE = """
CustomersV3 SalesOrders many SalesOrderHeadersV2 dataAreaId CustomerAccount=OrderingCustomerAccountNumber /Customer
CustomersV3 SalesOrdersV3 many SalesOrderHeadersV3 dataAreaId CustomerAccount=OrderingCustomerAccountNumber /Customer
CustomersV3 SalesOrdersV4 many SalesOrderHeadersV4 dataAreaId CustomerAccount=OrderingCustomerAccountNumber /Customer
CustomersV3 SalesInvoices many SalesInvoiceHeadersV2 dataAreaId CustomerAccount=InvoiceCustomerAccountNumber /Customer
CustomersV3 SalesInvoicesV4 many SalesInvoiceHeadersV4 dataAreaId CustomerAccount=InvoiceCustomerAccountNumber /Customer
CustomersV3 CustomerGroup one CustomerGroups dataAreaId CustomerGroupId /Customers
SalesOrderHeadersV2 InvoiceCustomer one CustomersV3 dataAreaId InvoiceCustomerAccountNumber=CustomerAccount
SalesOrderHeadersV2 SalesInvoices many SalesInvoiceHeadersV2 dataAreaId SalesOrderNumber /SalesOrder
SalesOrderHeadersV4 SalesInvoices many SalesInvoiceHeadersV4 dataAreaId SalesOrderNumber /SalesOrder
SalesOrderHeadersV2 SalesOrderLines many SalesOrderLines dataAreaId SalesOrderNumber /SalesOrderHeaderV2
SalesOrderHeadersV4 SalesOrderLines many SalesOrderLinesV3 dataAreaId SalesOrderNumber /SalesOrderHeaderV4
SalesOrderLines ReleasedProduct one ReleasedProductsV2 dataAreaId ItemNumber
SalesOrderLinesV3 ReleasedProduct one ReleasedProductsV2 dataAreaId ItemNumber
SalesOrderLines Warehouse one Warehouses dataAreaId ShippingWarehouseId=WarehouseId
VendorsV3 PurchaseOrders many PurchaseOrderHeadersV2 dataAreaId VendorAccountNumber=OrderVendorAccountNumber /Vendor
VendorsV2 PurchaseOrderHeaderV2 many PurchaseOrderHeadersV2 dataAreaId VendorAccountNumber=OrderVendorAccountNumber /VendorV2
VendorsV3 ProductReceipts many ProductReceiptHeaders dataAreaId VendorAccountNumber=OrderVendorAccountNumber /Vendor
VendorsV2 ProductReceipts many ProductReceiptHeaders dataAreaId VendorAccountNumber=OrderVendorAccountNumber /Vendor
VendorsV3 VendorInvoices many VendorInvoiceHeaders dataAreaId VendorAccountNumber=InvoiceAccount /Vendor
VendorsV2 VendorInvoices many VendorInvoiceHeaders dataAreaId VendorAccountNumber=InvoiceAccount /Vendor
VendorsV3 VendorGroup one VendorGroups dataAreaId VendorGroupId /Vendors
VendorsV2 VendorGroup one VendorGroups dataAreaId VendorGroupId /Vendors
PurchaseOrderHeadersV2 PurchaseOrderLinesV2 many PurchaseOrderLinesV2 dataAreaId PurchaseOrderNumber /PurchaseOrderHeader
PurchaseOrderHeadersV2 ProductReceipts many ProductReceiptHeaders dataAreaId PurchaseOrderNumber /PurchaseOrder
PurchaseOrderHeadersV2 VendorInvoices many VendorInvoiceHeaders dataAreaId PurchaseOrderNumber /PurchaseOrder
PurchaseOrderLinesV2 ProductReceiptLines many ProductReceiptLinesV2 dataAreaId PurchaseOrderNumber LineNumber=PurchaseOrderLineNumber /PurchaseOrderLine
PurchaseOrderLinesV2 VendorInvoiceLines many VendorInvoiceLines dataAreaId PurchaseOrderNumber=PurchaseOrder LineNumber=PurchLineNumber /PurchaseOrderLine
PurchaseOrderLinesV2 ReleasedProduct one ReleasedProductsV2 dataAreaId ItemNumber
ProductReceiptHeaders ProductReceiptLines many ProductReceiptLinesV2 dataAreaId RecordId=ProductReceiptHeaderRecordId /ProductReceiptHeader
VendorInvoiceHeaders VendorInvoiceLine many VendorInvoiceLines dataAreaId HeaderReference /VendorInvoiceHeader
VendorInvoiceLines ReleasedProduct one ReleasedProductsV2 dataAreaId ItemNumber
ReleasedProductsV2 WarehousesOnHand many WarehousesOnHandV2 dataAreaId ItemNumber /ReleasedProduct
ReleasedProductsV2 SitesOnHand many InventorySitesOnHandV2 dataAreaId ItemNumber /ReleasedProduct
WarehousesOnHandV2 Warehouse one Warehouses dataAreaId InventoryWarehouseId=WarehouseId /WarehousesOnHand
SystemUsers UserRoles many SecurityUserRoles UserID=UserId /User
SecurityRoles UserRoles many SecurityUserRoles SecurityRoleIdentifier /SecurityRole
SystemUsers UserGroupUserList many UserGroupUserLists UserID=userId /SystemUser
UserGroups UserGroupUserList many UserGroupUserLists GroupId=groupId /UserGroup
SystemUsers Worker one Workers UserID=User /SystemUser
SystemUsers EssWorker one EssWorkers UserID=UserId /SystemUser
EssWorkers Worker one Workers PersonnelNumber /EssWorker
PersonUsers Worker one Workers PartyNumber /PersonUsers
EmployeesV2 Worker one Workers PersonnelNumber /EmployeesV2
AzureADWorkers Worker one Workers EmployeeId=PersonnelNumber /AzureADWorker
Workers PositionAssignmentsV2 many PositionWorkerAssignmentsV2 PersonnelNumber /Worker
PositionsV2 WorkerAssignmentsV2 many PositionWorkerAssignmentsV2 PositionId /Position
PositionsV2 Worker one Workers WorkerPersonnelNumber=PersonnelNumber /PositionsV2
PositionsV2 DepartmentV2 one DepartmentsV2 DepartmentNumber=OperatingUnitNumber /PositionsV2
PositionsV2 ReportingPositions many PositionHierarchies PositionId=ParentPositionId /ParentPosition
PositionsV2 ParentPositions many PositionHierarchies PositionId /Position
LegalEntities Ledger one Ledgers LegalEntityId /LegalEntity
Ledgers Chart one ChartOfAccounts ChartOfAccounts /Ledgers
Ledgers MainAccounts many MainAccounts ChartOfAccounts
MainAccounts Chart one ChartOfAccounts ChartOfAccounts /MainAccounts
LedgerJournalHeaders LedgerJournalLine many LedgerJournalLines dataAreaId JournalBatchNumber /LedgerJournalHeader
LedgerJournalHeaders Journal one JournalNames dataAreaId JournalName=Name /LedgerJournals
VendorPaymentJournalHeaders VendorPaymentJournalLine many VendorPaymentJournalLines dataAreaId JournalBatchNumber /VendorPaymentJournalHeader
"""  # noqa: E501 (a row a line)


def _read(row: str) -> Relation:
    body, _, inverse = row.partition(" /")
    from_set, name, cardinality, to_set, *pairs = body.split()
    return Relation(
        from_set=from_set,
        fields=tuple(pair.partition("=")[0] for pair in pairs),
        to_set=to_set,
        to_fields=tuple(pair.rpartition("=")[2] for pair in pairs),
        name=name,
        inverse=inverse or None,
        many=cardinality == "many",
    )


RELATIONS = tuple(_read(row) for row in _TABLE.strip().splitlines())

NATURAL_KEYS = {
    "LedgerJournalHeaders": ("IntegrationKey",),
    # The reference is the customer's own: two customers may use the same one.
    "SalesOrderHeadersV2": ("OrderingCustomerAccountNumber", "CustomersOrderReference"),
    "VendorInvoiceHeaders": ("InvoiceAccount", "InvoiceNumber"),
}

SERVICES = (
    Service(
        name="postLedgerJournal",
        path="LedgerJournalServices/LedgerJournalService/post",
        description="Posts a journal whose vouchers balance.",
        input={
            "company": ServiceValue(type="String!", wire="_dataAreaId"),
            "journalBatchNumber": ServiceValue(type="String!", wire="_journalBatchNumber"),
        },
        output={
            "isPosted": ServiceValue(type="String", wire="IsPosted"),
            "numberOfLines": ServiceValue(type="Int", wire="NumberOfLines"),
            "vouchers": ServiceValue(type="[String!]", wire="Vouchers"),
        },
    ),
)

TWINS = (
    "CustomersV3 by CustTableBiEntities.SysModifiedDateTime on dataAreaId CustomerAccount=AccountNum",
    "VendorsV2 by VendTableBiEntities.SysModifiedDateTime on dataAreaId VendorAccountNumber=AccountNum",
    "VendorsV3 by VendTableBiEntities.SysModifiedDateTime on dataAreaId VendorAccountNumber=AccountNum",
)
