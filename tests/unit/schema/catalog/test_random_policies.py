"""Random policies: what a view shows is what metadata would show that never had the rest."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from schema.catalog import Catalog
from schema.introspection import print_types
from schema.model.records import Model
from schema.types.build import ODataSchema
from tests.support.metadata_documents import BOOKKEEPING, ESSENTIAL, TRIPS, model_of
from tests.support.policies import removed, schema_of, view_of
from tests.support.small_models import GENERIC

DOCUMENTS = (TRIPS, BOOKKEEPING, ESSENTIAL)
SEEDS = range(6)
WHERES = ({"x": {"eq": 1}}, {"relation": {"x": {"eq": 1}}})


@cache
def whole_of(document: str) -> Catalog:
    return Catalog(model_of(document), GENERIC)


def roles_of(model: Model, dice: random.Random) -> dict[str, Any]:
    names = [*model.entity_sets, *model.singletons]
    columns = sorted({p.name for t in model.entity_types.values() for p in t.properties})
    roles = {}
    for number in range(dice.randint(1, 3)):
        chosen = dice.sample(names, dice.randint(0, len(names)))
        sets = {name: rights_of(columns, dice) for name in chosen}
        if dice.random() < 0.4:
            sets["*"] = rights_of(columns, dice)
        roles[f"r{number}"] = {"sets": sets, "actions": ["*"] if dice.random() < 0.5 else []}
    return roles


def rights_of(columns: Sequence[str], dice: random.Random) -> dict[str, Any]:
    rights: dict[str, Any] = {
        right: dice.random() < 0.4 for right in ("create", "update", "delete", "subscribe")
    }
    if dice.random() < 0.4:
        rights["deny_columns"] = dice.sample(columns, min(len(columns), dice.randint(1, 12)))
    if dice.random() < 0.3:
        rights["masks"] = dict.fromkeys(dice.sample(columns, min(len(columns), 6)), "null")
    if dice.random() < 0.4:
        rights["where"] = dice.choice(WHERES)
    if dice.random() < 0.3:
        rights["presets"] = {dice.choice(columns): "1"}
    return rights


def text(schema: ODataSchema) -> str:
    return "\n".join(print_types(schema))


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_view_is_as_if_the_rest_had_never_been(document: str, seed: int) -> None:
    whole = whole_of(document)
    roles = roles_of(whole.model, random.Random(f"{document} {seed}"))
    view = view_of(whole, **roles)

    assert text(schema_of(view)) == text(removed(view, GENERIC))
    assert {e.name for e in view.entries()} == {n for n in whole.known_names() if view.entry(n)}
