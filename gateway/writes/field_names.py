"""Finds the GraphQL field that a message of the upstream is about."""

from __future__ import annotations

from collections.abc import Mapping

from schema.catalog import Catalog
from schema.catalog.descriptions import label_of
from schema.catalog.records import Field

from .plan import RowWrite


class FieldNames:
    """Names the fields of one catalogue, for ``outcome.FieldName``."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __call__(self, write: RowWrite, source: str | None, label: str | None = None) -> str | None:
        """Return the GraphQL field of a property; None if no field, or more than one, may be meant.

        X++ may spell a property's name in another case than the metadata. A message without a name has a label, which
        several properties may share: then the one that is written counts.
        """
        fields = [f for f in self._catalog.object(write.csdl).fields.values() if f.prop is not None]
        if source is not None:
            folded = source.casefold()
            return next((f.name for f in fields if f.source.casefold() == folded), None)
        letters = _letters(label or "")
        by_label = [f for f in fields if _letters(_label(f, self._catalog.labels)) == letters]
        matches = by_label or [f for f in fields if _letters(f.source) == letters]
        if len(matches) > 1:
            matches = [f for f in matches if f.source in write.body]
        return matches[0].name if len(matches) == 1 else None


def _letters(text: str) -> str:
    """Return what two spellings of a label have in common: ``Vendor group id`` and ``VendorGroupId``."""
    return "".join(filter(str.isalnum, text.casefold()))


def _label(field: Field, labels: Mapping[str, str]) -> str:
    return "" if field.prop is None else label_of(field.prop, labels)
