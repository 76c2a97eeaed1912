"""The fields of ``Query`` that aggregate the rows of a list, derived from its name so that none need be stored.

``customersV3`` gives ``customersV3Aggregate``. A derived name that the schema already has gets the suffix ``2``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from schema.policy.records import Right

from . import descriptions as describe
from .records import Argument, RootField, RootKind

if TYPE_CHECKING:
    from .roots import Catalog

SUFFIX = "Aggregate"
GROUP_BY = Argument(name="groupBy", type_name="String", many=True, description=describe.GROUP_BY)


def aggregate_name(list_name: str, roots: Mapping[str, object]) -> str:
    """Return the name of the field that aggregates a list; ``roots`` are all other fields of ``Query``."""
    name = list_name + SUFFIX
    while name in roots:
        name += "2"
    return name


class AggregateRoots(Mapping[str, RootField]):
    """The aggregates of a catalogue by name; nothing of them is stored."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._all = catalog.whole.roots
        """All names that aggregates must not have, whatever a view of roles hides."""

    def __getitem__(self, name: str) -> RootField:
        aggregated = self._list_of(name)
        if aggregated is None:
            raise KeyError(name)
        return RootField(
            name=name,
            kind=RootKind.AGGREGATE,
            entity_set=aggregated.entity_set,
            csdl=aggregated.csdl,
        )

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._list_of(name) is not None

    def __iter__(self) -> Iterator[str]:
        for kind, of_set, name in self._catalog.set_roots():
            if kind is RootKind.LIST and self._is_given(of_set, name):
                yield aggregate_name(name, self._all)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def of_list(self, list_name: str, of_set: str) -> str | None:
        """Return the name of the field that aggregates a list; None if there is none."""
        return aggregate_name(list_name, self._all) if self._is_given(of_set, list_name) else None

    def _is_given(self, of_set: str, list_name: str) -> bool:
        catalog = self._catalog
        return list_name in catalog.roots and catalog.gives(Right.AGGREGATE, of_set)

    def _list_of(self, name: str) -> RootField | None:
        """Return the list that a field of this name aggregates; None if there is none."""
        base = name.rstrip("2")
        if not base.endswith(SUFFIX):
            return None
        aggregated = self._catalog.roots.get(base.removesuffix(SUFFIX))
        if aggregated is None or aggregated.kind is not RootKind.LIST:
            return None
        of_set = aggregated.entity_set
        if of_set is None or not self._catalog.gives(Right.AGGREGATE, of_set.name):
            return None
        return aggregated if aggregate_name(aggregated.name, self._all) == name else None
