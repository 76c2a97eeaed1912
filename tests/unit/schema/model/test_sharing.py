"""``schema.model.sharing``: a model that shares with another one is the model that it was."""

from __future__ import annotations

import gc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.catalog import Catalog
from schema.catalog.naming import NO_TABLES, Naming
from schema.model.records import Model
from schema.model.sharing import Layered, SharedRecords, layered, open_like, shared
from schema.model.snapshot import forget_records, pack, reopen, unpack
from schema.types.build import build_schema
from schema.types.printing import print_sdl
from tests.support.small_models import FINOPS, NO_YES, DictResolvers, entity, enum, model, prop

TABLES = ("entity_types", "enum_types", "entity_sets", "complex_types")
NAMES = tuple(f"Thing{number}" for number in range(12))


def things(*names: str, **fields: str) -> Model:
    """Return a model with an entity of each name; ``fields`` are custom ones, by entity."""
    types = [entity(n, prop("Id"), *_custom(n, fields.get(n)), key=("Id",)) for n in names]
    enums = [enum(f"{n}Kind", "A", "B") for n in fields]
    return model(*types, *enums, NO_YES, sets={f"{n}s": n for n in names})


def _custom(entity_type: str, name: str | None) -> list[Any]:
    return [] if name is None else [prop(name, f"{entity_type}Kind")]


def opened(whole: Model) -> Model:
    unpacked = unpack(b"".join(pack(whole, fingerprint=b"x")), fingerprint=b"x")
    assert unpacked is not None
    return unpacked.model


def assert_same(actual: Model, expected: Model) -> None:
    for table in TABLES:
        one, other = getattr(actual, table), getattr(expected, table)
        assert list(one.items()) == list(other.items())
        assert all(name in one for name in other)
        assert len(one) == len(other)
    assert list(actual.sets_of_type.items()) == list(expected.sets_of_type.items())
    assert (actual.derived, actual.operations) == (expected.derived, expected.operations)


@given(
    st.permutations(NAMES).map(lambda names: names[:10]),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["Tier", "Points"]), max_size=3),
)
def test_what_is_shared_changes_nothing(names: list[str], fields: dict[str, str]) -> None:
    own, base = things(*names, **fields), opened(things(*NAMES))

    assert_same(open_like(opened(own), base), own)
    assert_same(reopen(open_like(opened(own), base)), own)


def test_equal_records_are_read_from_the_other_snapshot() -> None:
    base = opened(things(*NAMES))
    like = open_like(opened(things(*NAMES, Thing3="Tier")), base)

    tables = [t for t in map(like.__getattribute__, TABLES) if isinstance(t, SharedRecords)]
    assert [t.changed for t in tables] == [1, 1, 0, 0]
    assert like.entity_sets.places is base.entity_sets.places  # type: ignore[attr-defined]
    assert like.sets_of_type is base.sets_of_type


def test_names_that_are_gone_are_unknown() -> None:
    base = opened(things(*NAMES))
    like = open_like(opened(things(*NAMES[1:])), base)

    assert "Thing0s" not in like.entity_sets
    with pytest.raises(KeyError):
        like.entity_sets["Thing0s"]


def test_records_are_decoded_for_each_model() -> None:
    base = opened(things(*NAMES))
    like = open_like(opened(things(*NAMES, Thing3="Tier")), base)
    first = like.entity_sets["Thing1s"]
    forget_records(like)

    assert base.entity_sets.decoded == 0  # type: ignore[attr-defined]
    assert like.entity_sets["Thing1s"] == first


@pytest.mark.parametrize(
    "other",
    [
        things("Other1", "Other2"),
        model(*(entity(n, prop("No")) for n in NAMES), sets={f"{n}s": n for n in NAMES}),
    ],
    ids=["other sets", "equal sets of other types"],
)
def test_models_with_little_in_common_share_nothing(other: Model) -> None:
    own = opened(other)

    assert open_like(own, opened(things(*NAMES))) is own


def test_a_model_without_a_snapshot_stays_as_it_is() -> None:
    whole = things(*NAMES)

    assert open_like(whole, opened(whole)) is whole


def naming_of(whole: Model) -> Naming:
    return Catalog(whole, FINOPS).naming()


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["Tier", "Points"]), max_size=3))
def test_a_catalogue_that_shares_names_is_the_same(fields: dict[str, str]) -> None:
    base, own = things(*NAMES), things(*NAMES, "Own", **fields)
    first = Catalog(opened(base), FINOPS, naming=naming_of(base))
    naming = naming_of(own)
    alone = Catalog(opened(own), FINOPS, naming=naming)
    like = Catalog(
        open_like(opened(own), first.model), FINOPS, naming=naming, like=first.name_tables
    )

    assert like.naming() == alone.naming() == naming
    assert _sdl(like) == _sdl(alone)
    assert first.entry("Thing3") is like.entry("Thing3")


def _sdl(catalog: Catalog) -> str:
    return print_sdl(build_schema(catalog, DictResolvers()).core)


def test_equal_names_are_there_once() -> None:
    base, own = things(*NAMES), things(*NAMES)
    first = Catalog(opened(base), FINOPS, naming=naming_of(base))
    tables = Catalog(opened(own), FINOPS, naming=naming_of(own), like=first.name_tables).name_tables

    for table in msgspec.structs.asdict(tables):
        assert getattr(tables, table) is getattr(first.name_tables, table)


def test_a_catalogue_without_a_naming_has_no_tables_to_share() -> None:
    assert Catalog(things(*NAMES), FINOPS).name_tables is NO_TABLES


TEXTS = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("xyz"))


@given(TEXTS, TEXTS)
def test_layers_hold_what_the_whole_holds(own: dict[str, str], like: dict[str, str]) -> None:
    for whole in (Layered(like, own), layered(own, like), shared(own, like)):
        assert dict(whole) == own
        assert len(whole) == len(own)
        assert all(whole.get(key) == own.get(key) for key in "abcdefgh")
    assert list(shared(own, like)) == list(own)


def test_layers_keep_the_difference_only() -> None:
    like = {str(number): "text" for number in range(10_000)}
    whole = layered({**like, "5": "other", "new": "text"}, like)

    assert isinstance(whole, Layered)
    assert whole.differences == 2
    assert (
        sum(len(d) for d in gc.get_referents(whole) if isinstance(d, dict) and d is not like) == 2
    )
    assert layered(dict(like), like) is like
    assert layered({}, like) == {}
    own = {"a": "b"}
    assert layered(own, like) is own
