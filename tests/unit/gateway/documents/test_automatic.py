"""``gateway.documents.automatic``: texts by hash, of a limited size."""

from __future__ import annotations

from gateway.documents.automatic import AutomaticDocuments
from gateway.documents.trusted import sha256_of


def test_a_text_is_registered_under_its_own_hash_only() -> None:
    documents = AutomaticDocuments(50_000)
    digest = sha256_of("{ a }")

    assert not documents.register(digest, "{ b }")
    assert documents.get(digest) is None
    assert documents.register(digest, "{ a }")
    assert documents.get(digest) == "{ a }"


def test_the_least_recently_used_text_goes_first() -> None:
    documents = AutomaticDocuments(5_000)
    texts = [f"{{ a{number} }}" for number in range(11)]
    digests = list(map(sha256_of, texts))

    for digest, text in zip(digests[:10], texts[:10], strict=True):
        documents.register(digest, text)
    documents.get(digests[0])
    documents.register(digests[10], texts[10])

    assert len(documents) == 10
    assert [documents.get(d) is None for d in digests[:3]] == [False, True, False]


def test_one_large_text_does_not_push_out_the_others() -> None:
    documents = AutomaticDocuments(5_000)
    documents.register(sha256_of("{ a }"), "{ a }")
    large = "{ a }" + " " * 1_000

    assert documents.register(sha256_of(large), large)
    assert documents.get(sha256_of(large)) is None
    assert documents.get(sha256_of("{ a }")) == "{ a }"
