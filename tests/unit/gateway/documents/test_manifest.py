"""``gateway.documents.manifest`` and ``trusted``: the published forms, their hashes, and the names of a document."""

from __future__ import annotations

import hashlib
import json

import pytest

from gateway.documents.manifest import read_manifest
from gateway.documents.trusted import (
    DocumentPolicy,
    ReleaseError,
    TrustedDocument,
    release_of,
    sha256_of,
)

TEXT = "query Orders { salesOrderHeadersV2(first: 1) { totalCount } }"
OTHER = "query Others { customersV3(first: 1) { totalCount } }"
SHA256 = hashlib.sha256(TEXT.encode()).hexdigest()
SHA1 = hashlib.sha1(TEXT.encode(), usedforsecurity=False).hexdigest()
MD5 = hashlib.md5(TEXT.encode(), usedforsecurity=False).hexdigest()


def apollo(*operations: object, **more: object) -> bytes:
    manifest = {"format": "apollo-persisted-query-manifest", "version": 1}
    return json.dumps({**manifest, "operations": operations, **more}).encode()


def operation(name: str = SHA256, text: str = TEXT, **more: object) -> dict[str, object]:
    return {"id": name, "name": "Orders", "type": "query", "body": text, **more}


def texts(**documents: str) -> bytes:
    return json.dumps(documents).encode()


@pytest.mark.parametrize(
    ("content", "app", "name"),
    [
        (apollo(operation()), "", SHA256),
        (apollo(operation("orders-1", clientName="shop")), "", "orders-1"),
        (texts(**{MD5: TEXT}), "", MD5),
        (texts(**{SHA1: TEXT}), "", SHA1),
        (texts(**{SHA256: TEXT}), "", SHA256),
        (texts(**{f"sha256:{SHA256}": TEXT}), "", f"sha256:{SHA256}"),
        (texts(**{"4711": TEXT}), "", "4711"),
        (texts(**{SHA1: TEXT}), "shop~1.4.0", f"shop~1.4.0~{SHA1}"),
        (texts(**{f"shop~1.4.0~{SHA1}": TEXT}), "", f"shop~1.4.0~{SHA1}"),
    ],
)
def test_the_published_forms_are_read(content: bytes, app: str, name: str) -> None:
    (document,) = read_manifest(content, app=app)

    assert document == TrustedDocument(id=name, text=TEXT, name="Orders")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b'{"a": "que', "not written to its end"),
        (apollo(operation())[:-20], "not written to its end"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (apollo(format="relay"), "its format is not"),
        (apollo(version=2), "its version is 2"),
        (apollo({"id": "a"}), "not as Apollo defines it"),
        (apollo(operation(d365={"cost": 1})), "not as Apollo defines it"),
        (json.dumps({"a": {"text": TEXT}}).encode(), "the value of a is not the text"),
        (texts(a=" "), "the document a is empty"),
        (texts(**{"a b": TEXT}), "is not an id"),
        (texts(**{"a/b": TEXT}), "is not an id"),
        (texts(**{"": TEXT}), "is not an id"),
        (texts(**{"a" * 257: TEXT}), "is not an id"),
        (apollo(operation(SHA256, OTHER)), "is not the hash of its document"),
        (texts(**{SHA1: OTHER}), "is not the hash of its document"),
        (texts(**{MD5: OTHER}), "is not the hash of its document"),
        (texts(**{"sha256:ab": TEXT}), "is not the hash of its document"),
        (texts(**{f"shop~1~{SHA1}": OTHER}), "is not the hash of its document"),
        (texts(**{f"shop~1~sha256:{SHA256}": OTHER}), "is not the hash of its document"),
    ],
)
def test_other_content_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ReleaseError, match=reason):
        list(read_manifest(content))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (TEXT, "Orders"),
        ("fragment F on T { query } query  Orders($n: Int) { a }", "Orders"),
        ("# query Other\n  mutation Write { a }", "Write"),
        ("{ query { a } }", None),
    ],
)
def test_a_text_has_the_name_of_its_first_operation(text: str, name: str | None) -> None:
    (document,) = read_manifest(texts(a=text))

    assert document.name == name


def test_ids_need_not_be_hashes_if_the_settings_say_so() -> None:
    (document,) = read_manifest(texts(**{MD5: OTHER}), check_hashes=False)

    assert document.id == MD5


def test_a_manifest_may_say_what_holds_for_a_document() -> None:
    rules = {"roles": ["clerk"], "maxCost": 2.5, "maxAge": 60}

    (document,) = read_manifest(apollo(operation(d365=rules)))

    assert document.policy == DocumentPolicy(roles=("clerk",), max_cost=2.5, max_age=60)


def test_a_document_has_the_names_of_its_hash_too() -> None:
    release = release_of([TrustedDocument(id="orders", text=TEXT)])

    named = [release.get(name) for name in ("orders", SHA256, f"sha256:{SHA256}")]
    assert {d.id for d in named if d} == {"orders"}
    assert release.of_text(TEXT) is named[0]
    assert release.get("others") is None
    assert release.of_text(OTHER) is None


def test_an_id_beats_the_hash_of_another_text() -> None:
    documents = [
        TrustedDocument(id="orders", text=TEXT),
        TrustedDocument(id=sha256_of(TEXT), text=OTHER),
    ]

    found = release_of(documents).get(sha256_of(TEXT))

    assert found is not None
    assert found.text == OTHER


def test_one_id_has_one_text() -> None:
    same = TrustedDocument(id="a", text=TEXT)

    assert release_of([same, same]).documents == (same,)
    with pytest.raises(ReleaseError, match="two documents have the id a"):
        release_of([same, TrustedDocument(id="a", text=OTHER)])


@pytest.mark.parametrize(
    ("pattern", "policy"),
    [
        ("Ord*", DocumentPolicy(roles=("clerk",), max_cost=2.0, max_age=0)),
        ("shop~*", DocumentPolicy(roles=("clerk",), max_cost=2.0, max_age=0)),
        ("Others", DocumentPolicy(max_cost=2.0, max_age=60)),
    ],
)
def test_settings_add_to_what_the_manifest_says(pattern: str, policy: DocumentPolicy) -> None:
    own = DocumentPolicy(max_cost=2.0, max_age=60)
    document = TrustedDocument(id="shop~1~a", text=TEXT, name="Orders", policy=own)
    rules = [(pattern, DocumentPolicy(roles=("clerk",), max_age=0))]

    assert release_of([document], rules).documents[0].policy == policy


def test_equal_releases_have_equal_digests() -> None:
    document = TrustedDocument(id="a", text=TEXT)
    rules = [("a", DocumentPolicy(roles=("clerk",)))]

    digest = release_of([document]).digest
    assert digest == release_of([TrustedDocument(id="a", text=TEXT)]).digest
    assert digest != release_of([document], rules).digest
    assert digest != release_of([TrustedDocument(id="a", text=OTHER)]).digest
