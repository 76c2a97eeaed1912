"""The store of answers: bounded in bytes, the oldest use goes first, evicted by entity set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.answer_store import LARGEST_SHARE, OVERHEAD, AnswerStore, Key, StoredAnswer
from gateway.odata.response_check import Response

ENOUGH = 1_000_000


def stored(*sets: str, size: int = 10, environment: str = "a", at: float = 0.0) -> StoredAnswer:
    places = frozenset((environment, name) for name in sets)
    return StoredAnswer(Response(200, {}, b"x" * size, ""), places, at)


def key(name: str, environment: str = "a") -> Key:
    return (environment, name, "")


def test_an_answer_replaces_the_earlier_one() -> None:
    store = AnswerStore(ENOUGH)

    store.put(key("x"), stored("X", size=500))
    store.put(key("x"), stored("Y", size=10))

    assert (len(store), store.size) == (1, 10 + OVERHEAD)
    assert store.evict([("a", "X")]) == 0
    assert store.evict([("a", "Y")]) == 1


def test_the_answer_used_longest_ago_goes_first() -> None:
    store = AnswerStore(10 * OVERHEAD)
    for name in "abcdefghij":
        store.put(key(name), stored(name.upper(), size=0))
    store.get(key("a"))

    store.put(key("k"), stored("K", size=0))

    assert store.get(key("a")) is not None
    assert store.get(key("b")) is None


def test_an_answer_as_large_as_many_others_is_not_cached() -> None:
    store = AnswerStore(ENOUGH)
    store.put(key("small"), stored("S"))

    assert not store.put(key("large"), stored("L", size=ENOUGH // LARGEST_SHARE))
    assert len(store) == 1


def test_a_large_answer_removes_the_smaller_one_before_it() -> None:
    store = AnswerStore(ENOUGH)
    store.put(key("x"), stored("X"))

    store.put(key("x"), stored("X", size=ENOUGH))

    assert store.get(key("x")) is None


def test_environments_are_evicted_apart() -> None:
    store = AnswerStore(ENOUGH)
    for environment in ("a", "b"):
        store.put(key("x", environment), stored("X", environment=environment))

    assert store.evict([("a", "X")]) == 1
    assert store.get(key("x", "b")) is not None
    assert store.evict_environment("b") == 1
    assert (len(store), store.size) == (0, 0)


NAMES = st.sampled_from("ABCDE")


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), NAMES, st.sets(NAMES, min_size=1), st.integers(0, 3_000)),
            st.tuples(st.just("evict"), NAMES),
            st.tuples(st.just("get"), NAMES),
        )
    )
)
def test_its_size_is_that_of_its_answers(steps: list[tuple[object, ...]]) -> None:
    store, model = AnswerStore(20_000), dict[str, tuple[frozenset[str], int]]()
    for step in steps:
        match step:
            case "put", str() as name, set() as sets, int() as size:
                is_stored = store.put(key(name), stored(*sets, size=size))
                model.pop(name, None)
                if is_stored:
                    model[name] = (frozenset(sets), size + OVERHEAD)
            case "evict", str() as name:
                store.evict([("a", name)])
                model = {k: v for k, v in model.items() if name not in v[0]}
            case "get", str() as name:
                store.get(key(name))

    alive = {name: model[name] for name in model if store.get(key(name)) is not None}
    assert store.size == sum(size for _, size in alive.values()) <= 20_000
    assert len(store) == len(alive)
    # Answers are lost only if there is no room for them.
    if sum(size for _, size in model.values()) <= 20_000:
        assert alive == model
