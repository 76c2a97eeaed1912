"""Whatever a request says of its document, in mode ``only`` it runs one of the release or none."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config.document_models import DocumentOptions
from gateway.documents.trusted import TrustedDocument, release_of, sha256_of
from gateway.http.refusals import HttpError
from gateway.http.trusted_documents import DocumentAccess
from gateway.manifests.store import TrustedStore

TEXT, OTHER = "query A { a }", "query B { b }"
RELEASE = release_of([TrustedDocument(id="a", text=TEXT)])
names = st.sampled_from(("a", "b", "", sha256_of(TEXT), f"sha256:{sha256_of(OTHER)}", "A", "a "))
json = st.recursive(
    st.none() | st.booleans() | st.integers() | names | st.sampled_from((TEXT, OTHER, f"{TEXT} ")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
extensions = st.fixed_dictionaries(
    {},
    optional={
        "persistedQuery": json
        | st.fixed_dictionaries({}, optional={"sha256Hash": json, "version": json})
    },
)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "query": json | st.sampled_from((TEXT, OTHER)),
        "documentId": json,
        "doc_id": json,
        "extensions": json | extensions,
        "id": json,
    },
)


def found(mode: Any, values: dict[str, Any], path: str | None) -> tuple[str, bool] | None:
    """Return the text that runs, and whether it is trusted; None if the request is refused."""
    store = TrustedStore(DocumentOptions(automatic=True), None, lambda _: None)
    store.release = RELEASE
    assert store.automatic is not None
    store.automatic.register(sha256_of(OTHER), OTHER)
    try:
        text, document = DocumentAccess(mode, store).find(values, {}, path)
    except HttpError as error:
        if error.status >= 500:
            raise
        return None
    return text, document is not None


@given(values=parameters, path=st.none() | names)
@example(values={"query": OTHER, "documentId": "a"}, path=None)
@example(values={"extensions": {"persistedQuery": {"sha256Hash": sha256_of(OTHER)}}}, path=None)
def test_only_runs_nothing_but_the_release(values: dict[str, Any], path: str | None) -> None:
    assert found("only", values, path) in (None, (TEXT, True))


@given(values=parameters, path=st.none() | names)
def test_a_document_that_is_sent_is_the_one_that_runs(
    values: dict[str, Any], path: str | None
) -> None:
    query = values.get("query")
    for mode in ("off", "prefer"):
        result = found(mode, values, path)

        if result is not None and query not in (None, ""):
            assert result[0] == query


@given(values=parameters, path=st.none() | names)
@example(values={"extensions": 1}, path=None)
def test_without_trusted_documents_a_name_is_refused(
    values: dict[str, Any], path: str | None
) -> None:
    try:
        text, document = DocumentAccess().find(values, {}, path)
    except HttpError as error:
        if error.status != 400:
            raise
        return

    assert (text, document) == (values["query"], None)
