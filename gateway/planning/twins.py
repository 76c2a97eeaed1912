"""Twins: entity sets over the same table as others, which have the time of the last change that those lack.

    CustomersV3 by CustTableBiEntities.SysModifiedDateTime on dataAreaId CustomerAccount=AccountNum

The changed rows of the twin name those of the set by their keys. A deleted row is gone from both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec import Struct

from gateway.config.change_models import TWIN
from gateway.errors import BadArgument, SettingsError, UnsupportedQuery
from gateway.operations.global_ids import node_ids
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind, TypeKind

from .change_queries import ChangeQuery, find_change_query

_SCALARS = frozenset({"String", "ID"})
"""Key values that ids hold as the API answers them."""


class Twin(Struct, frozen=True):
    """A twin that can be used."""

    query: ChangeQuery
    """Of the twin."""
    columns: tuple[str, ...]
    """Its fields with the key of the set, in order."""
    type_name: str
    key: tuple[str, ...]
    """The fields of the key of the set."""
    tag: str

    def id_of(self, values: Sequence[object]) -> str:
        """Return the id of the set's row with this key."""
        return node_ids(self.tag)(self.type_name, *values)


def find_twin(catalog: Catalog, query: ChangeQuery, twins: Iterable[str]) -> Twin | None:
    """Return the first twin of a set that the API has, with all that it needs; None if there is none."""
    return next((twin for text in twins if (twin := _twin(catalog, query, text))), None)


def check_twins(catalog: Catalog, twins: Collection[str]) -> None:
    """Raise SettingsError unless each twin can be used."""
    for text in twins:
        match = TWIN.fullmatch(text)
        assert match is not None
        try:
            twin = _twin(catalog, find_change_query(catalog, match["set"]), text)
        except (BadArgument, UnsupportedQuery) as error:
            raise SettingsError(f"changes.twins: {text}: {error.message}") from error
        if twin is None:
            raise SettingsError(
                f"changes.twins: {text} does not fit the metadata.",
                hint="The twin needs a date and time to filter and order by, and texts that equal the key of the set.",
            )


def _twin(catalog: Catalog, query: ChangeQuery, text: str) -> Twin | None:
    match = TWIN.fullmatch(text)
    if match is None or match["set"] != query.entity_set:
        return None
    try:
        of_twin = find_change_query(catalog, match["twin"], (f"{match['twin']}.{match['stamp']}",))
    except (BadArgument, UnsupportedQuery):
        return None
    csdl = catalog.roots[query.name].csdl
    # Rows of derived types have ids of their own type, which a key does not tell.
    is_one_type = catalog.generated_name(TypeKind.INTERFACE, csdl) is None
    own, theirs = _pairs(match["key"])
    key = catalog.object(csdl).key
    columns = list(_columns(catalog, catalog.roots[of_twin.name].csdl, key, own, theirs))
    if of_twin.stamp is None or not is_one_type or len(columns) != len(key):
        return None
    return Twin(
        query=of_twin,
        columns=tuple(columns),
        type_name=catalog.name_of(TypeKind.OBJECT, csdl),
        key=tuple(field.name for field in key),
        tag=catalog.tag,
    )


def _pairs(text: str) -> tuple[list[str], list[str]]:
    pairs = [pair.partition("=") for pair in text.split()]
    return [own for own, _, _ in pairs], [theirs or own for own, _, theirs in pairs]


def _columns(
    catalog: Catalog, csdl: str, key: Sequence[Field], own: list[str], theirs: list[str]
) -> Iterator[str]:
    """Yield the twin's field for each part of the key, as far as there is one."""
    texts = {
        field.source: field.name
        for field in catalog.object(csdl).fields.values()
        if field.kind is FieldKind.VALUE and field.type_name in _SCALARS
    }
    for part in key:
        if part.type_name in _SCALARS and part.source in own:
            column = texts.get(theirs[own.index(part.source)])
            if column is not None:
                yield column
