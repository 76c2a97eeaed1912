"""The generated catalogue has the shape of Finance & Operations: compared with a real one where that is at hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import pytest

from schema.model.records import Model, Navigation, Property, short
from tests.catalogue import shape
from tests.catalogue.document import write
from tests.catalogue.generate import DANGLING, catalogue
from tests.support.metadata_documents import (
    CATALOGUE,
    CUSTOMERS,
    REAL_CATALOGUE,
    content_of,
    found,
    model_of,
)

pytestmark = [pytest.mark.heavy, pytest.mark.catalogue]
EXACT = 0.0


@cache
def read(name: str) -> Model:
    return model_of(name)


def properties(model: Model) -> list[Property]:
    return [p for t in model.entity_types.values() for p in t.properties]


def navigations(model: Model) -> list[Navigation]:
    return [n for t in model.entity_types.values() for n in t.navigations]


def kind(one: Property) -> str:
    return one.type.name if one.type.name.startswith("Edm.") else "enum"


def by_type(model: Model) -> Counter[str]:
    return Counter(kind(p) for p in properties(model))


def in_keys(model: Model) -> Counter[str]:
    return Counter(
        f"{kind(p)}{'?' if p.nullable else ''}"
        for t in model.entity_types.values()
        for p in t.properties
        if p.name in t.key
    )


def sizes(of: str) -> Callable[[Model], Counter[int]]:
    def count(model: Model) -> Counter[int]:
        return Counter(len(getattr(t, of)) for t in model.entity_types.values())

    return count


class Statistic(NamedTuple):
    count: Callable[[Model], Any]
    real: Any
    """What the real document has: a number, or numbers by name."""
    tolerance: float


def total(holds: Callable[[Property], bool]) -> Callable[[Model], int]:
    return lambda model: sum(map(holds, properties(model)))


def distinct(fact: Callable[[Property], object]) -> Callable[[Model], int]:
    return lambda model: len(set(map(fact, properties(model))))


def related(holds: Callable[[Navigation], bool]) -> Callable[[Model], int]:
    return lambda model: sum(map(holds, navigations(model)))


def members(model: Model) -> int:
    return sum(len(e.members) for e in model.enum_types.values())


def with_company(model: Model) -> int:
    return sum("dataAreaId" in t.key for t in model.entity_types.values())


def called_as_their_type(model: Model) -> int:
    return sum(s.name == short(s.type) for s in model.entity_sets.values())


TYPES = {
    "Edm.String": 37338, "enum": 13148, "Edm.Decimal": 7821, "Edm.DateTimeOffset": 4231, "Edm.Int32": 2555,
    "Edm.Int64": 1923, "Edm.Guid": 219, "Edm.Binary": 82, "Edm.Boolean": 71,
}  # fmt: skip
KEY_TYPES = {
    "Edm.String": 9256, "Edm.DateTimeOffset": 622, "Edm.Decimal": 502, "enum?": 474, "Edm.Int64": 392,
    "Edm.Int32": 287, "Edm.Guid": 107, "Edm.Boolean": 2,
}  # fmt: skip
STATISTICS = {
    "entity sets": Statistic(lambda m: len(m.entity_sets), 3_868, EXACT),
    "enumeration types": Statistic(lambda m: len(m.enum_types), 2_059, EXACT),
    "properties": Statistic(total(bool), 67_388, EXACT),
    "navigations": Statistic(related(bool), 6_806, EXACT),
    "members": Statistic(members, 10_699, EXACT),
    "key parts of types": Statistic(sizes("key"), shape.KEY_PARTS, EXACT),
    "properties of types": Statistic(sizes("properties"), shape.PROPERTIES, EXACT),
    "navigations of types": Statistic(sizes("navigations"), shape.NAVIGATIONS, EXACT),
    "properties by type": Statistic(by_type, TYPES, 0.25),
    "key parts by type": Statistic(in_keys, KEY_TYPES, 0.25),
    "keys with a company": Statistic(with_company, 2_590, 0.05),
    "names of properties": Statistic(distinct(lambda p: p.name), 21_459, 0.1),
    "length of names": Statistic(lambda m: sum(len(p.name) for p in properties(m)), 1_134_376, 0.1),
    "NoYes": Statistic(total(lambda p: short(p.type.name) == "NoYes"), 7_093, 0.15),
    "labels": Statistic(distinct(lambda p: p.label), 52_793, 0.15),
    "dates": Statistic(total(lambda p: p.ax_type == "Date"), 2_969, 0.1),
    "required": Statistic(total(lambda p: p.required), 8_955, 0.15),
    "not editable": Statistic(total(lambda p: not p.allow_edit), 13_454, 0.15),
    "not editable on creation": Statistic(total(lambda p: not p.allow_edit_on_create), 2_566, 0.15),
    "navigations to many": Statistic(related(lambda n: n.many), 3_188, 0.05),
    "navigations with a partner": Statistic(related(lambda n: n.partner is not None), 6_084, 0.15),
    "sets called as their type": Statistic(called_as_their_type, 253, 0.05),
}


def near(made: Any, statistic: Statistic) -> bool:
    if not statistic.tolerance:
        return bool(made == statistic.real)
    if not isinstance(statistic.real, dict):
        return math.isclose(made, statistic.real, rel_tol=statistic.tolerance)
    # What is rare says nothing of a share.
    common = {name: number for name, number in statistic.real.items() if number > 100}
    return made.keys() <= statistic.real.keys() and all(
        math.isclose(made[name], number, rel_tol=statistic.tolerance)
        for name, number in common.items()
    )


@pytest.mark.parametrize("name", STATISTICS)
def test_its_statistics_are_those_of_a_real_one(name: str) -> None:
    statistic = STATISTICS[name]
    made = statistic.count(read(CATALOGUE))

    assert near(made, statistic), made


def test_the_figures_above_are_those_of_the_real_one() -> None:
    model = model_of(REAL_CATALOGUE)

    assert {name: s.count(model) for name, s in STATISTICS.items()} == {
        name: s.real for name, s in STATISTICS.items()
    }


def test_the_document_is_as_large_as_a_real_one() -> None:
    size = len(content_of(CATALOGUE))

    assert 38_000_000 < size < 44_000_000
    for real in found(REAL_CATALOGUE):
        assert math.isclose(size, len(content_of(real)), rel_tol=0.05)


def test_enumerations_have_the_sizes_of_the_histogram() -> None:
    model = read(CATALOGUE)

    by_size = Counter(len(e.members) for n, e in model.enum_types.items() if "AXType" not in n)
    assert by_size == shape.MEMBERS


def test_what_is_read_is_what_was_written() -> None:
    """Every one of its records: an oracle for the reader of metadata."""
    written, seen = catalogue(), read(CATALOGUE)

    assert dict(seen.entity_types) == dict(written.entity_types)
    assert {n: e for n, e in seen.enum_types.items() if "AXType" not in n} == dict(
        written.enum_types
    )
    assert seen.operations == written.operations
    gone = dict(DANGLING)
    for name, entity_set in written.entity_sets.items():
        kept = {path: s for path, s in entity_set.bindings.items() if path not in gone}
        assert (seen.entity_sets[name].type, seen.entity_sets[name].bindings) == (
            entity_set.type,
            kept,
        )
    assert len(seen.findings) == len(gone)


def test_it_is_the_same_whenever_it_is_made() -> None:
    assert write(catalogue()) == content_of(CATALOGUE)


def test_it_has_what_breaks_naive_readers() -> None:
    model = read(CATALOGUE)
    types = {short(t.name): t for t in model.entity_types.values()}
    enums = {short(e.name): e for e in model.enum_types.values() if "AXType" not in e.name}
    names = [p.name for p in properties(model)]

    assert model.complex_types == {}
    assert not any(t.base or t.open for t in types.values())
    assert not any(p.type.many for p in properties(model))
    assert set(by_type(model)) == set(shape.TYPES)
    # a set that bears the name of another set's type, an enumeration that does, one in other letters
    others = [s for s in model.entity_sets.values() if short(s.type) != s.name and s.name in types]
    assert len(others) == 2
    assert set(enums) & set(model.entity_sets)
    assert {n.casefold() for n in enums} & {n.casefold() for n in types}
    assert max(len(e.members) for e in enums.values()) == 243
    assert any(len({m.value for m in e.members}) < len(e.members) for e in enums.values())
    assert any(m.name.startswith("_4") for e in enums.values() for m in e.members)
    assert any(name[0].islower() and name != "dataAreaId" for name in names)
    assert any(p.nullable for t in types.values() for p in t.properties if p.name in t.key)
    assert len(types["DimensionCombination"].navigations) == 203


def test_relations_are_whole() -> None:
    model = read(CATALOGUE)
    for entity_set in model.entity_sets.values():
        source = model.entity_types[entity_set.type]
        for navigation in source.navigations:
            target = model.entity_types[navigation.target]
            assert model.entity_sets[entity_set.bindings[navigation.name]].type == target.name
            columns = {p.name: p.type for p in source.properties}
            others = {p.name: p.type for p in target.properties}
            assert all(columns[pair.property] == others[pair.referenced] for pair in navigation.on)
            if navigation.partner is not None:
                back = {n.name: n for n in target.navigations}[navigation.partner]
                assert (back.target, back.partner) == (source.name, navigation.name)


def test_a_cut_keeps_bindings_to_what_was_cut_away() -> None:
    model = read(CUSTOMERS)
    columns = model.entity_types[model.entity_sets["CustomersV3"].type].properties

    assert list(model.entity_sets) == ["CustomersV3", "CustomerGroups"]
    assert len(columns) == 305
    assert len(model.findings) > 30
    assert set(map(short, model.enum_types)) >= {
        short(p.type.name) for p in columns if kind(p) == "enum"
    }


def test_the_names_that_examples_use_are_there() -> None:
    sets = read(CATALOGUE).entity_sets
    wanted = chain(
        ("CustomersV3", "SalesOrderHeadersV2", "LedgerJournalHeaders"),
        ("VendorsV2", "CustomerGroups"),
    )

    assert set(wanted) <= set(sets)
