"""Label ids and their texts.

F&O's documents carry label ids; their texts come from ``/metadata/Labels`` (section 1.3). The sandbox's ids are
``@Sandbox:CustomerAccount``, from which the text "Customer account" follows; a few are real ids. Those of customers,
vendors and orders have texts in German, too: as with F&O, a language knows some labels and lacks others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from schema.model.records import Model, short

_KNOWN_IDS = {
    "dataAreaId": "@SYS13342",
    "NoYes.No": "@sys2048",
    "NoYes.Yes": "@sys5461",
    "Description": "@SYS7576",
}
_KNOWN_TEXTS = {
    "@SYS13342": "Company",
    "@sys2048": "No",
    "@sys5461": "Yes",
    "@SYS7576": "Description",
    "@Sandbox:SalesStatus.Backorder": "Open order",
    "@Sandbox:PurchStatus.Backorder": "Open order",
    "@Sandbox:CustomersV3": "Customers V3",
}
_GERMAN = {
    "@SYS13342": "Unternehmen",
    "@SYS7576": "Beschreibung",
    "@sys2048": "Nein",
    "@sys5461": "Ja",
    "@Sandbox:CustomersV3": "Debitoren V3",
    "@Sandbox:CustomerAccount": "Debitorenkonto",
    "@Sandbox:CustomerGroupId": "Debitorengruppe",
    "@Sandbox:OrganizationName": "Name der Organisation",
    "@Sandbox:SalesCurrencyCode": "Währung",
    "@Sandbox:InvoiceAccount": "Rechnungskonto",
    "@Sandbox:PaymentTerms": "Zahlungsbedingungen",
    "@Sandbox:PaymentMethod": "Zahlungsmethode",
    "@Sandbox:CreditLimit": "Kreditlimit",
    "@Sandbox:DeliveryTerms": "Lieferbedingungen",
    "@Sandbox:VendorsV3": "Kreditoren V3",
    "@Sandbox:VendorAccountNumber": "Kreditorenkonto",
    "@Sandbox:SalesOrderHeadersV2": "Aufträge V2",
    "@Sandbox:SalesOrderNumber": "Auftragsnummer",
    "@Sandbox:OrderingCustomerAccountNumber": "Auftraggeber",
    "@Sandbox:SalesOrderStatus": "Auftragsstatus",
    "@Sandbox:SalesStatus.Backorder": "Offener Auftrag",
    "@Sandbox:SalesStatus.Delivered": "Geliefert",
    "@Sandbox:SalesStatus.Invoiced": "Fakturiert",
    "@Sandbox:SalesOrderLines": "Auftragspositionen",
    "@Sandbox:ItemNumber": "Artikelnummer",
    "@Sandbox:LineAmount": "Positionsbetrag",
}
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def words(name: str) -> str:
    """Return a name as text: ``InvoiceCustomerAccountNumber`` → ``Invoice customer account number``."""
    parts = _WORD.findall(name)
    if not parts:
        return name
    later = [w if w.isupper() and len(w) > 1 else w.lower() for w in parts[1:]]
    return " ".join([parts[0][:1].upper() + parts[0][1:], *later])


def label_id(name: str) -> str:
    """Return the id of a property, a set or (``Enum.Member``) an enum member."""
    return _KNOWN_IDS.get(name, f"@Sandbox:{name}")


def text_of(label: str, name: str = "") -> str:
    """Return the text of a label id; ``name`` is that of its property, set or member, for ids without meaning."""
    text = _KNOWN_TEXTS.get(label)
    if text is not None:
        return text
    if not label.startswith("@"):
        return label
    if label.startswith("@Sandbox:"):
        name = label.removeprefix("@Sandbox:")
    return words(short(name or label.rpartition(":")[2]))


def labels_of(model: Model) -> Mapping[str, str]:
    """Return every label id of a document with its text; an id that is used twice has the text of its first use."""
    texts: dict[str, str] = {}
    for label, name in _labelled(model):
        if label:
            texts.setdefault(label, text_of(label, name))
    return texts


def translations_of(model: Model) -> Iterator[tuple[str, str, str]]:
    """Yield (label id, language, text) of every text."""
    texts = labels_of(model)
    yield from ((label, "en-US", text) for label, text in texts.items())
    yield from ((label, "de", text) for label, text in _GERMAN.items() if label in texts)


def _labelled(model: Model) -> Iterator[tuple[str | None, str]]:
    for entity_type in model.entity_types.values():
        yield entity_type.label, short(entity_type.name)
        for prop in entity_type.properties:
            yield prop.label, prop.name
    for enum in model.enum_types.values():
        yield enum.label, short(enum.name)
        for member in enum.members:
            yield member.label, member.name
