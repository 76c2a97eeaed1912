"""``Query.accountCombination`` and its types: whether an account may be posted together with some dimensions."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any, cast

from schema.catalog import Catalog
from schema.catalog.display_values import DIMENSION_INPUT

from .objects import Wire
from .strawberry_definitions import (
    GeneratedArgument,
    GeneratedDefinition,
    GeneratedField,
    Ref,
    TypeTable,
)

COMBINATION = "accountCombination"
COMBINATION_TYPES = ("AccountCombination", "AccountCombinationReason")
_ACCOUNTS = "MainAccounts"
_TEXT = (
    "Whether an account of the ledger may be posted together with some dimensions, as far as the environment tells:"
    " by accounts and values that are suspended, not active or not for entry by hand, and by the account structures of"
    " the ledger. The product has the last word."
)
_ARGUMENTS = (
    Wire(
        "company", Ref("String", nullable=False), "The legal entity in whose ledger it is posted."
    ),
    Wire("mainAccount", Ref("String", nullable=False), "The main account."),
    Wire("dimensions", Ref(DIMENSION_INPUT, many=True), "The dimensions; the others are blank."),
    Wire("date", Ref("Date"), "The day of the posting; not set: today, by UTC."),
    Wire(
        "byHand", Ref("Boolean"), "Whether it is entered by hand, as in a journal; not set: true."
    ),
)
_FIELDS: Mapping[str, tuple[str, tuple[Wire, ...]]] = {
    "AccountCombination": (
        "What an environment says of an account with dimensions.",
        (
            Wire("allowed", Ref("Boolean"), "Whether it is allowed; null: that is not known."),
            Wire(
                "reasons",
                Ref("AccountCombinationReason", nullable=False, many=True),
                "Why it is not allowed.",
            ),
            Wire(
                "unknown",
                Ref("String", nullable=False, many=True),
                "What the environment does not tell, or not to you.",
            ),
        ),
    ),
    "AccountCombinationReason": (
        "Why an account with dimensions is not allowed.",
        (
            Wire("subject", Ref("String", nullable=False), "The account, dimension or values."),
            Wire("message", Ref("String", nullable=False), "What is wrong with it, in words."),
        ),
    ),
}


def has_combinations(catalog: Catalog) -> bool:
    """Return whether there are accounts that could be checked."""
    entity_set = catalog.model.entity_sets.get(_ACCOUNTS)
    is_served = entity_set is not None and catalog.is_served(entity_set.type)
    return catalog.abilities.display_values and is_served


class CombinationTypes:
    """Creates the definitions of the field and of its types, by name."""

    def __init__(self, types: TypeTable) -> None:
        self._types = types
        self.wire = Wire(COMBINATION, Ref("AccountCombination", nullable=False), _TEXT)

    def fields(self, others: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the root fields with this one, without a copy."""
        own: dict[str, Any] = {COMBINATION: self.wire}
        return ChainMap(own, cast("dict[str, Any]", others))

    def field(self) -> GeneratedField:
        """Return the field. The engine answers it before anything is resolved."""
        return GeneratedField(
            COMBINATION,
            self.wire.ref,
            self._types,
            description=self.wire.description,
            arguments=tuple(
                GeneratedArgument(a.name, a.ref, self._types, a.description) for a in _ARGUMENTS
            ),
        )

    def fixed(self, name: str) -> GeneratedDefinition | None:
        """Return one of the types; None for any other name."""
        if name not in _FIELDS:
            return None
        description, fields = _FIELDS[name]
        wires = {wire.name: wire for wire in fields}
        return GeneratedDefinition(name, lambda: wires, self._plain, description=description)

    def _plain(self, wire: Wire) -> GeneratedField:
        return GeneratedField(wire.name, wire.ref, self._types, description=wire.description)
