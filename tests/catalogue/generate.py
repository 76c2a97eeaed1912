"""A catalogue as large as that of Finance & Operations and shaped like it; always the same one.

The entities of the embedded sandbox are in it with the columns, keys and navigations that they have there, and with
generated ones besides. All others are made up of words of the trade, by the figures of ``shape``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gateway.sandbox.catalogue import built_in
from schema.model.records import EntitySet, Model, Operation, OperationKind, Parameter, TypeRef
from tests.catalogue import enums, names, shape
from tests.catalogue.columns import Columns
from tests.catalogue.dice import Dice
from tests.catalogue.records import NAMESPACE, Draft, plain, qualified
from tests.catalogue.relations import relate
from tests.catalogue.words import VERBS

SEED = 20_240_229
DANGLING = (("RetiredWorkspace", "RetiredWorkspaces"), ("FormerOwner", "owners"))
"""Bindings of navigations that are not there, to sets that are not there: real documents have some."""


def catalogue() -> Model:
    """Return the whole; the bindings of ``DANGLING`` are in it, which a reader leaves out."""
    dice = Dice(SEED)
    known = built_in().model
    drafts = _known(known)
    taken = [name for draft in drafts for name in (draft.type, draft.entity_set)]
    count = sum(shape.KEY_PARTS.values()) - len(drafts)
    made = [Draft(t, s) for t, s in names.pairs(count, taken, dice)]
    every = [*drafts, *made]
    enum_types = enums.make(
        known.enum_types.values(), [d.entity_set for d in every], [d.type for d in every], dice
    )
    columns = Columns(enum_types, dice)
    _size(drafts, made, columns, dice)
    relate(every, columns, dice)
    for draft in every:
        columns.fill(draft)
    every = dice.shuffled(every)
    return Model(
        namespace=NAMESPACE,
        entity_types={(t := draft.finished()).name: t for draft in every},
        enum_types=enum_types,
        entity_sets={s.name: s for s in _sets(every)},
        operations=(*known.operations, *_actions(made, list(enum_types), dice)),
    )


def _known(model: Model) -> list[Draft]:
    drafts = []
    for entity_set in model.entity_sets.values():
        declared = model.entity_types[entity_set.type]
        drafts.append(
            Draft(
                type=plain(declared.name),
                entity_set=entity_set.name,
                key=declared.key,
                properties={p.name: p for p in declared.properties},
                navigations={n.name: n for n in declared.navigations},
                bindings=dict(entity_set.bindings),
                label=declared.label,
                read_only=declared.read_only,
                known=True,
            )
        )
    return drafts


def _size(known: Sequence[Draft], made: Sequence[Draft], columns: Columns, dice: Dice) -> None:
    """Deal out keys, numbers of properties and numbers of navigations, as the histograms have them."""
    keys, sizes, degrees = (
        Counter(h) for h in (shape.KEY_PARTS, shape.PROPERTIES, shape.NAVIGATIONS)
    )
    for draft in known:
        keys[len(draft.key)] -= 1
        wanted = max(sizes) if draft.type == shape.WIDEST else len(draft.properties)
        draft.size = _take(sizes, wanted)
        least = max(len(draft.navigations), shape.HUBS.get(draft.type, 0))
        draft.degree = _take(degrees, least)
    parts = dice.shuffled(list(keys.elements()))
    shares = shape.WITH_COMPANY - sum("dataAreaId" in draft.key for draft in known)
    company = shares / (len(parts) - sum(p < 1 for p in parts))
    for draft, count in zip(made, parts, strict=True):
        if count:
            columns.add_key(draft, count, company=dice.chance(company))
    # The longest keys choose first, for they need the most room.
    free = sorted(sizes.elements())
    for draft in sorted(made, key=lambda d: -len(d.key)):
        first = next(i for i, size in enumerate(free) if size >= len(draft.key))
        draft.size = free.pop(first + dice.below(len(free) - first))
        draft.label = f"@SYS{dice.below(360_000)}"
        draft.read_only = dice.chance(0.08)
    for draft, degree in zip(made, dice.shuffled(list(degrees.elements())), strict=True):
        draft.degree = degree


def _take(left: Counter[int], least: int) -> int:
    """Take the smallest number that is left and not less than that."""
    found = min(size for size, count in left.items() if count and size >= least)
    left[found] -= 1
    return found


def _sets(drafts: Sequence[Draft]) -> Iterable[EntitySet]:
    first = next(d.entity_set for d in drafts if d.type == shape.WIDEST)
    for draft in drafts:
        dangling = dict(DANGLING) if draft.entity_set == first else {}
        yield EntitySet(
            name=draft.entity_set,
            type=qualified(draft.type),
            bindings={**draft.bindings, **dangling},
        )


def _actions(drafts: Sequence[Draft], enum_types: Sequence[str], dice: Dice) -> Iterable[Operation]:
    kinds = [
        "Edm.String",
        "Edm.Int32",
        "Edm.Decimal",
        "Edm.DateTimeOffset",
        "Edm.Boolean",
        "Edm.Int64",
    ]
    keyed = [draft for draft in drafts if draft.key]
    for number in range(shape.ACTIONS):
        draft = keyed[number * 7 % len(keyed)]
        types = [dice.pick(kinds) for _ in range(dice.below(5))]
        types += [dice.pick(enum_types)] if dice.chance(0.3) else []
        returns = TypeRef(dice.pick(kinds)) if dice.chance(0.6) else None
        yield Operation(
            name=qualified(f"{dice.pick(VERBS)}{draft.type}{'_' if dice.chance(0.1) else ''}"),
            kind=OperationKind.ACTION,
            bound_to=TypeRef(qualified(draft.type), dice.chance(0.5)),
            parameters=tuple(
                Parameter(
                    name=f"_{plain(t)[:1].lower()}{plain(t)[1:]}{i}",
                    type=TypeRef(t),
                    nullable=t == kinds[0],
                )
                for i, t in enumerate(types)
            ),
            returns=returns,
            returns_nullable=returns is None,
        )
