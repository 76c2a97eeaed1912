"""``lru_cache``: the least recently used values go first, by weight."""

from __future__ import annotations

from gateway.documents.lru_cache import LRUCache


def test_the_least_recently_used_value_is_dropped() -> None:
    cache: LRUCache[str, int] = LRUCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)

    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_weights_count_not_values() -> None:
    cache: LRUCache[str, int] = LRUCache(10)
    for key in "abc":
        cache.put(key, 1, weight=4)

    assert list(cache.table) == ["b", "c"]


def test_a_value_above_the_limit_is_cached_alone() -> None:
    cache: LRUCache[str, int] = LRUCache(10)
    cache.put("a", 1)
    cache.put("b", 2, weight=11)

    assert (len(cache), cache.get("b")) == (1, 2)


def test_a_value_that_is_put_again_counts_once() -> None:
    cache: LRUCache[str, int] = LRUCache(3)
    cache.put("other", 0)
    for number in range(5):
        cache.put("same", number, 2)

    assert (cache.get("same"), cache.get("other")) == (4, 0)
