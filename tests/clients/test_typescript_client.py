"""Our own client in TypeScript: its page is a program that runs, over a proxy that loses answers and cuts streams."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.test_release import release
from tests.support.node import Tools
from tests.support.pages import page
from tests.support.typescript_client import CLIENTS, PACKAGE


@pytest.fixture(scope="module")
def results(typescript: Tools, endpoint: str) -> Any:
    return typescript.run("checks.mjs", endpoint)


@pytest.fixture
def mutations(results: Any) -> Any:
    return results["mutations"]


@pytest.fixture
def files(results: Any) -> Any:
    return results["files"]


@pytest.fixture
def streams(results: Any) -> Any:
    return results["streams"]


def test_the_client_has_a_type_for_every_scalar(typescript: Tools) -> None:
    scalars = re.findall(
        r"^  (\w+): ", (PACKAGE / "src" / "codegen.ts").read_text("utf-8"), re.MULTILINE
    )
    schema = (typescript.folder / "schema.graphql").read_text("utf-8")

    assert set(re.findall(r"^scalar (\w+)", schema, re.MULTILINE)) <= set(scalars)


def test_the_package_is_tested_with_what_it_names() -> None:
    mine, tested = (
        json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
        for folder in (PACKAGE, CLIENTS)
    )
    names = mine.keys() - {""}

    assert {name: mine[name]["version"] for name in names} == {
        name: tested[name]["version"] for name in names
    }


def test_the_readme_begins_as_the_page_does() -> None:
    readme = (PACKAGE / "README.md").read_text("utf-8")
    printed = re.findall(r"```ts\n(.*?)```", readme, re.DOTALL)

    assert printed
    assert all(f"```ts\n{block}```" in page("clients/typescript") for block in printed)


def test_the_package_is_packed_alike_each_time(typescript: Tools, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        release.pack_client(typescript.folder.parents[2], tmp_path / name, os.environ)
    first, second = (file.read_bytes() for file in sorted(tmp_path.rglob("*.tgz")))
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}

    sources = [file.stem for file in (PACKAGE / "src").glob("*.ts")]
    built = {f"dist/{stem}{end}" for stem in sources for end in (".js", ".d.ts")}
    assert names == {"package.json", "README.md", *built}
    assert first == second


def test_nodes_come_from_as_many_pages_as_needed(results: Any) -> None:
    pages = results["pages"]

    assert pages["requests"] == -(-len(pages["limits"]) // 10) > 1
    assert len(dict(pages["limits"])) == len(pages["limits"])
    # The first reader stopped after a page, the second one began anew.
    assert pages["asked"] == [None, None, *pages["cursors"][:-1]]


def test_what_was_not_run_is_sent_again_with_new_headers(results: Any) -> None:
    assert (results["retries"]["again"], results["retries"]["tokens"]) == (3, 3)


def test_a_query_without_an_answer_is_sent_again(results: Any) -> None:
    assert results["retries"]["lost"] == 3


def test_a_pause_that_is_too_long_is_an_error(results: Any) -> None:
    late = results["retries"]["tooLong"]

    assert (late["name"], late["code"], late["status"]) == ("GatewayError", "RATE_LIMITED", 429)
    assert (late["retryAfter"], late["attempts"], late["has"]) == (30, 1, True)


def test_the_page_of_a_proxy_is_no_answer(results: Any) -> None:
    proxied = results["retries"]["proxied"]

    assert (proxied["name"], proxied["status"], proxied["attempts"]) == ("ConnectionError", 503, 3)


def test_a_pause_ends_when_the_call_is_aborted(results: Any) -> None:
    assert results["retries"]["aborted"] == ["AbortError", True]


def test_a_mutation_has_one_key_in_all_attempts(mutations: Any) -> None:
    first, *others = mutations["keys"]

    assert others == [first, first]
    assert re.fullmatch(r"[0-9a-f-]{36}", first)
    assert mutations["replayed"] == [None, None, "true"]
    assert mutations["done"] is True


def test_a_mutation_whose_answer_was_lost_is_done_once(mutations: Any) -> None:
    assert mutations["written"] == [1, 1, 1]


def test_an_own_key_answers_again_and_takes_no_other_input(mutations: Any) -> None:
    mismatch = mutations["mismatch"]

    assert mutations["same"] is True
    assert (mismatch["code"], mismatch["status"]) == ("IDEMPOTENCY_MISMATCH", 422)


def test_a_mutation_without_a_key_is_not_sent_again(mutations: Any) -> None:
    without = mutations["without"]

    assert (without["name"], without["attempts"]) == ("ConnectionError", 1)
    assert "key" not in without


def test_the_error_has_the_key_to_go_on_with(mutations: Any) -> None:
    assert mutations["given"]["name"] == "ConnectionError"
    assert mutations["given"]["key"]


def test_refusals_are_told_apart(results: Any) -> None:
    outcomes = results["outcomes"]

    assert outcomes["done"] == "US-001 has 1500.5"
    assert outcomes["conflict"] == "US-001 has 1500.5 by now"
    assert outcomes["missing"] == "there is no NOBODY"
    assert outcomes["other"] == {"code": "OTHER", "message": "?", "otherCode": "NEWER_THAN_US"}
    assert outcomes["deleted"] == "TypeError"


def test_scalars_are_exact_or_refused(results: Any) -> None:
    good = ["9223372036854775807", "1970-01-01"]

    refused = ["TypeError", "TypeError", "RangeError", "TypeError"]
    assert results["outcomes"]["scalars"] == [*good, *refused]


def test_files_flow_both_ways(files: Any) -> None:
    pdf = {"name": "invoice-5637144001.pdf", "type": "application/pdf", "begin": "%PDF-"}

    assert pdf in files["here"]
    assert (files["put"], files["written"]) == (True, True)
    assert files["created"] == {"name": "scan 'März'.pdf", "type": "application/pdf"}


def test_a_file_is_written_once_in_all_attempts(files: Any) -> None:
    assert files["again"] is True
    assert len(files["keys"]) == 3
    assert len(set(files["keys"])) == 1


@pytest.mark.parametrize(
    ("which", "code", "status"),
    [
        ("stale", "CONFLICT", 412),
        ("taken", "DUPLICATE_KEY", 409),
        ("refused", "RELATED_RECORD_NOT_FOUND", 422),
        ("missing", "INVALID_ID", 400),
        # A stream does not come twice.
        ("once", "OVERLOADED", 503),
    ],
)
def test_a_file_that_is_refused_has_the_code(
    files: Any, which: str, code: str, status: int
) -> None:
    error = files[which]

    assert (error["name"], error["code"], error["status"]) == ("GatewayError", code, status)
    assert error["attempts"] == 1


def test_a_file_that_breaks_off_is_an_error(files: Any) -> None:
    # The 502 of a proxy before it was sent again.
    assert (files["broken"]["name"], files["broken"]["attempts"]) == ("ConnectionError", 2)
    assert files["left"] == "AbortError"


def test_files_are_beside_their_api(files: Any) -> None:
    assert files["addresses"] == [
        "http://graphql/files/ID/field",
        "https://erp.example/e/acme/files/ap/ID/field",
    ]
    # Not asked for at all: no connection is a ConnectionError.
    assert files["outside"]["name"] == "TypeError"


@pytest.mark.parametrize(("over", "account"), [("overEvents", "US-002"), ("overSocket", "US-003")])
def test_changes_go_on_after_a_broken_connection(streams: Any, over: str, account: str) -> None:
    came = streams[over]["came"]

    assert list(dict.fromkeys(came)) == [f"{account} one", f"{account} two"]


def test_the_second_connection_begins_at_the_cursor(streams: Any) -> None:
    first, *others = streams["since"]

    assert first == "now"
    assert others
    assert "now" not in others


def test_a_subscription_survives_what_passes(streams: Any) -> None:
    ended, busy, silent = streams["reasons"]

    assert ended == ["the stream ended before it was complete", 0.02]
    assert busy == ["status 503", 0.03]
    assert silent[0] == "the stream was silent"
    assert streams["recovered"] == 1


def test_a_refused_token_is_renewed_once(streams: Any) -> None:
    assert streams["given"] == ["UNAUTHENTICATED", "UPSTREAM_TIMEOUT"]
    assert streams["refused"] == "UNAUTHENTICATED"


def test_reconnects_are_counted(streams: Any) -> None:
    assert streams["exhausted"] == 4


def test_a_subscription_that_cannot_run_is_refused(streams: Any) -> None:
    assert (streams["invalid"], streams["overSocketInvalid"]) == (
        "BAD_ARGUMENT",
        "GRAPHQL_VALIDATION_FAILED",
    )


def test_a_subscription_ends_when_it_is_aborted(streams: Any) -> None:
    assert streams["aborted"] == ["TimeoutError", "TimeoutError"]
