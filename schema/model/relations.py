"""Relations that the metadata lacks: declared in the settings, preset for a product, suggested from equal key names.

Finance & Operations publishes navigations for a part of its foreign keys only. A declared relation
joins on fields instead, and its navigation says so (``declared``): the upstream cannot ``$expand``
it, the planner fetches it by key batches. Fields are given whole, the company (``dataAreaId``)
included: a join without it would mix companies. Which property that is differs between products, so
that functions take it as ``company_property``.

A suggestion is a set A that has a field for each key field of a set B, under the same names and
with the same types, while no navigation leads from A to B. Names that every second entity has
(``Name``, ``RecordId``) prove nothing alone and are passed over.

CSDL XML 4.01, section 8.5, is the model for the constraints:
https://docs.oasis-open.org/odata/odata-csdl-xml/v4.01/odata-csdl-xml-v4.01.html#sec_ReferentialConstraint
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from msgspec import Struct, structs

from schema.errors import RelationError, did_you_mean

from .joins import join_pairs
from .records import EntityType, Model, Navigation, Property, ReferentialConstraint, TypeRef, short

_GENERIC: Final = frozenset(
    {
        *("code", "date", "description", "guid", "id", "identifier", "key", "line", "linenum"),
        *("linenumber", "name", "number", "parentrecid", "position", "recid", "recordid"),
        *(
            "sequence",
            "sequencenumber",
            "status",
            "type",
            "validfrom",
            "validto",
            "value",
            "version",
        ),
    }
)
"""Key names, in lower case, that do not identify what they belong to."""
_WORD: Final = re.compile(r"[A-Z]?[a-z]{3,}")
_VERSION: Final = re.compile(r"V(\d+)(?:Entity)?$")


class Relation(Struct, frozen=True, kw_only=True):
    """A join of ``from_set`` and ``to_set`` on pairs of equal fields."""

    from_set: str
    fields: tuple[str, ...]
    to_set: str
    name: str
    """Name of the navigation added to the entities of ``from_set``."""
    to_fields: tuple[str, ...] = ()
    """Empty: the same names if they are the key of ``to_set``, else its key in order, else the same names."""
    inverse: str | None = None
    """Name of the opposite navigation; None adds none."""
    many: bool | None = None
    """Whether it leads to many rows; None: to one only if ``to_fields`` cover the key of ``to_set``."""


class _Join(Struct, frozen=True, kw_only=True):
    """One direction of a relation, with everything resolved."""

    from_set: str
    from_type: str
    fields: tuple[str, ...]
    to_set: str
    to_type: str
    to_fields: tuple[str, ...]


def declare(model: Model, relations: Iterable[Relation]) -> Model:
    """Return the model with the navigations of the relations. Raises one RelationError listing every problem."""
    problems: list[str] = []
    for relation in relations:
        own_problems = list(_problems(model, relation))
        if own_problems:
            where = f"{relation.from_set} → {relation.to_set} ({relation.name})"
            problems.extend(f"{where}: {problem}" for problem in own_problems)
        else:
            model = _with_relation(model, relation)
    if problems:
        raise RelationError(
            "Declared relations do not fit the metadata:",
            problems=problems,
            hint="Names are case-sensitive and are those of the metadata, not of GraphQL.",
        )
    return model


def preset(
    model: Model, relations: Iterable[Relation], *, company_property: str | None = None
) -> Model:
    """Return the model with those relations that fit it, each direction by itself; the others are ignored.

    A direction does not fit if a set or a field is missing, if fields differ in type, if its name is taken, or if a
    published or declared navigation already joins the two sets by the same fields.
    """
    for relation in relations:
        sides = (relation.from_set, relation.to_set)
        if not all(name in model.entity_sets for name in sides):
            continue
        if not any(_field_problems(model, relation, default_fields(model, relation))):
            for direction in _new_directions(model, relation, company_property):
                model = _with_relation(model, direction)
    return model


def _new_directions(model: Model, relation: Relation, company: str | None) -> Iterator[Relation]:
    """Return the fitting part of a relation: both directions, one of them (reversed if necessary), or None."""
    to_fields = default_fields(model, relation)
    sets = (relation.from_set, relation.to_set)
    pairs = _without_company(zip(relation.fields, to_fields, strict=True), company)
    forth = _is_new(model, relation.name, sets, pairs, company)
    back = relation.inverse is not None and _is_new(
        model, relation.inverse, sets[::-1], frozenset((b, a) for a, b in pairs), company
    )
    if forth:
        yield relation if back else structs.replace(relation, inverse=None)
    elif back:
        assert relation.inverse is not None
        yield Relation(
            from_set=relation.to_set,
            fields=to_fields,
            to_set=relation.from_set,
            to_fields=relation.fields,
            name=relation.inverse,
        )


def _is_new(
    model: Model,
    name: str,
    sets: Sequence[str],
    pairs: frozenset[tuple[str, str]],
    company: str | None,
) -> bool:
    """Return whether the name is free and no navigation joins the types of the two sets by these pairs of fields."""
    from_type, to_type = (model.entity_sets[side].type for side in sets)
    return not _is_taken(model, from_type, name) and not any(
        navigation.target == to_type
        and _without_company(join_pairs(navigation, model), company) == pairs
        for navigation in model.navigations_of(from_type)
    )


def _without_company(
    pairs: Iterable[tuple[str, str]], company: str | None
) -> frozenset[tuple[str, str]]:
    """Return the pairs of fields without that of the company, which some metadata omits."""
    return frozenset(pair for pair in pairs if pair != (company, company))


def default_fields(model: Model, relation: Relation) -> tuple[str, ...]:
    """Return the fields of ``to_set`` that the relation's ``fields`` are joined with."""
    if relation.to_fields:
        return relation.to_fields
    key = model.key_of(model.entity_sets[relation.to_set].type)
    if len(key) != len(relation.fields) or set(key) == set(relation.fields):
        return relation.fields
    return key


def _problems(model: Model, relation: Relation) -> Iterator[str]:
    sets = model.entity_sets
    missing = [name for name in (relation.from_set, relation.to_set) if name not in sets]
    for name in missing:
        yield f"there is no entity set {name}.{did_you_mean(name, sets)}"
    if missing:
        return
    to_fields = default_fields(model, relation)
    if not relation.fields:
        yield "it has no fields to join on."
    elif len(relation.fields) != len(to_fields):
        yield f"{len(relation.fields)} fields cannot be joined with {len(to_fields)}."
    else:
        yield from _field_problems(model, relation, to_fields)
    yield from _name_problems(model, relation)


def _field_problems(model: Model, relation: Relation, to_fields: tuple[str, ...]) -> Iterator[str]:
    ours = _properties(model, relation.from_set)
    theirs = _properties(model, relation.to_set)
    for name, to_name in zip(relation.fields, to_fields, strict=True):
        unknown = [
            f"{set_name} has no field {field}.{did_you_mean(field, properties)}"
            for set_name, field, properties in (
                (relation.from_set, name, ours),
                (relation.to_set, to_name, theirs),
            )
            if field not in properties
        ]
        yield from unknown
        if not unknown and ours[name].type != theirs[to_name].type:
            yield (
                f"{name} is {_spelt(ours[name])} and {to_name} is {_spelt(theirs[to_name])}: "
                "fields of different types are never equal."
            )


def _name_problems(model: Model, relation: Relation) -> Iterator[str]:
    from_type = model.entity_sets[relation.from_set].type
    to_type = model.entity_sets[relation.to_set].type
    if _is_taken(model, from_type, relation.name):
        yield f"{relation.from_set} already has a field {relation.name}."
    if relation.inverse is None:
        return
    if _is_taken(model, to_type, relation.inverse):
        yield f"{relation.to_set} already has a field {relation.inverse}."
    if from_type == to_type and relation.name == relation.inverse:
        yield f"both directions on {relation.from_set} are called {relation.name}."


def _is_taken(model: Model, type_name: str, name: str) -> bool:
    return any(
        name in {p.name for p in model.properties_of(member)}
        or name in {n.name for n in model.navigations_of(member)}
        for member in model.family(type_name)
    )


def _properties(model: Model, set_name: str) -> dict[str, Property]:
    return {p.name: p for p in model.properties_of(model.entity_sets[set_name].type)}


def _spelt(property_: Property) -> str:
    type_ = property_.type
    return f"Collection({type_.name})" if type_.many else type_.name


def _with_relation(model: Model, relation: Relation) -> Model:
    join = _Join(
        from_set=relation.from_set,
        from_type=model.entity_sets[relation.from_set].type,
        fields=relation.fields,
        to_set=relation.to_set,
        to_type=model.entity_sets[relation.to_set].type,
        to_fields=default_fields(model, relation),
    )
    there = _navigation(model, join, relation.name, relation.inverse, relation.many)
    model = _with_navigation(model, join.from_type, there)
    if relation.inverse is None:
        return model
    opposite = _Join(
        from_set=join.to_set,
        from_type=join.to_type,
        fields=join.to_fields,
        to_set=join.from_set,
        to_type=join.from_type,
        to_fields=join.fields,
    )
    back = _navigation(model, opposite, relation.inverse, relation.name, None)
    return _with_navigation(model, join.to_type, back)


def _navigation(
    model: Model, join: _Join, name: str, partner: str | None, many: bool | None
) -> Navigation:
    key = model.key_of(join.to_type)
    is_one = bool(key) and set(key) <= set(join.to_fields)
    return Navigation(
        name=name,
        target=join.to_type,
        many=not is_one if many is None else many,
        partner=partner,
        on=tuple(map(ReferentialConstraint, join.fields, join.to_fields)),
        target_set=join.to_set,
        declared=True,
    )


def _with_navigation(model: Model, type_name: str, navigation: Navigation) -> Model:
    old: EntityType = model.entity_types[type_name]
    new = structs.replace(old, navigations=(*old.navigations, navigation))
    return replace(model, entity_types={**model.entity_types, type_name: new})


class Suggestion(Struct, frozen=True, kw_only=True):
    """A candidate relation; its text is a block for the settings."""

    relation: Relation
    rivals: int
    """Number of sets with the same key: with one the target is certain, with ten it is a guess."""

    def __str__(self) -> str:
        relation = self.relation
        entries: dict[str, str | list[str] | None] = {
            "from_set": relation.from_set,
            "fields": list(relation.fields),
            "to_set": relation.to_set,
            "name": relation.name,
            "inverse": relation.inverse,
        }
        # a JSON string, or list of strings, is a TOML one, too
        lines = [
            f"{key} = {json.dumps(value, ensure_ascii=False)}"
            for key, value in entries.items()
            if value is not None
        ]
        return "\n".join(["[[relations]]", *lines])


def suggest(model: Model, *, company_property: str | None = None) -> Iterator[Suggestion]:
    """Return candidate relations, the most useful first, always in the same order.

    A foreign key comes before a shared key, a key called like its set (``CustomerAccount`` of
    ``CustomersV3``) before others, a short key before a long one, a key that one set has before a
    key that many have, the newest version of a set before the older.
    """
    index = _Index(model, company_property)
    pairs = [
        (from_set, to_set) for to_set in model.entity_sets for from_set in index.referrers(to_set)
    ]
    for from_set, to_set in sorted(pairs, key=lambda pair: index.rank(*pair)):
        yield index.suggestion(from_set, to_set)


class _Index:
    """The fields of every entity set, and the sets that have a field of a given name."""

    def __init__(self, model: Model, company_property: str | None) -> None:
        self._model = model
        self._company = company_property
        self._types: dict[str, Mapping[str, TypeRef]] = {}
        self._keys: dict[str, tuple[str, ...]] = {}
        self._holders: dict[str, list[str]] = defaultdict(list)
        self._rivals: dict[frozenset[str], int] = defaultdict(int)
        for name, entity_set in model.entity_sets.items():
            self._types[name] = {p.name: p.type for p in model.properties_of(entity_set.type)}
            self._keys[name] = model.key_of(entity_set.type)
            self._rivals[frozenset(self._keys[name])] += 1
            for field in self._types[name]:
                self._holders[field].append(name)

    def referrers(self, to_set: str) -> Iterator[str]:
        """Return the sets that have all key fields of ``to_set``."""
        key = self._keys[to_set]
        telling = self._telling(to_set)
        if all(name.lower() in _GENERIC for name in telling):
            return
        rarest = min(telling, key=lambda name: len(self._holders[name]))
        theirs = self._types[to_set]
        for from_set in self._holders[rarest]:
            ours = self._types[from_set]
            if all(ours.get(name) == theirs[name] for name in key) and not self._is_related(
                from_set, to_set
            ):
                yield from_set

    def rank(self, from_set: str, to_set: str) -> tuple[bool | int | str, ...]:
        """Return the sort key; the most useful candidates come first."""
        rivals = self._rivals[frozenset(self._keys[to_set])]
        version = _VERSION.search(to_set)
        is_version = _VERSION.sub("", from_set) == _VERSION.sub("", to_set)
        return (
            is_version or self._is_same_key(from_set, to_set),
            not self._is_namesake(to_set),
            len(self._keys[to_set]),
            rivals,
            -int(version[1]) if version else 0,
            len(to_set),
            to_set,
            from_set,
        )

    def suggestion(self, from_set: str, to_set: str) -> Suggestion:
        from_type = self._model.entity_sets[from_set].type
        to_type = self._model.entity_sets[to_set].type
        name = short(to_type)
        if _is_taken(self._model, from_type, name):
            name = f"{name}By{''.join(self._telling(to_set))}"
        relation = Relation(
            from_set=from_set,
            fields=self._keys[to_set],
            to_set=to_set,
            name=name,
            inverse=None if _is_taken(self._model, to_type, from_set) else from_set,
        )
        return Suggestion(
            relation=relation,
            rivals=self._rivals[frozenset(relation.fields)],
        )

    def _telling(self, to_set: str) -> list[str]:
        """Return the key fields except the company."""
        return [name for name in self._keys[to_set] if name != self._company]

    def _is_same_key(self, from_set: str, to_set: str) -> bool:
        return set(self._keys[from_set]) == set(self._keys[to_set])

    def _is_namesake(self, to_set: str) -> bool:
        """Return whether a key field begins with the first word of the set's name."""
        words = (_WORD.match(name) for name in self._telling(to_set))
        return any(word is not None and to_set.startswith(word[0]) for word in words)

    def _is_related(self, from_set: str, to_set: str) -> bool:
        """Return whether both have the same type, or a navigation already joins them."""
        from_type = self._model.entity_sets[from_set].type
        to_type = self._model.entity_sets[to_set].type
        navigations = self._model.navigations_of(from_type)
        return from_type == to_type or any(n.target == to_type for n in navigations)
