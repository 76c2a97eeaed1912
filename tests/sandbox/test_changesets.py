"""Changesets: atomic writes in a ``$batch`` (d365-odata.md 4.3)."""

from __future__ import annotations

import json
import re

import pytest

pytestmark = pytest.mark.anyio
GROUPS = "CustomerGroups?cross-company=true"


def group(number, **more):
    """Return the request that makes a customer group."""
    return "POST", GROUPS, {"CustomerGroupId": str(number), "Description": "x", **more}


def changeset(*requests, ids=None, boundary="changeset_1", end=True):
    """Return the batch part of a changeset of (method, address, body)."""
    lines = [f"Content-Type: multipart/mixed; boundary={boundary}", ""]
    for number, request in enumerate(requests, 1):
        name = ids[number - 1] if ids else number
        method, address, body = (*request, None)[:3]
        lines += [f"--{boundary}", *part(method, address, body, name)]
    return [*lines, *([f"--{boundary}--", ""] if end else [])]


def part(method, address, body=None, content_id=None):
    """Return the lines of one request."""
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id is not None:
        lines.append(f"Content-ID: {content_id}")
    text = "" if body is None else json.dumps(body)
    return [*lines, "", f"{method} {address} HTTP/1.1", "Content-Type: application/json", "", text]


def batch(*parts, newline="\r\n"):
    """Return the options of a batch request."""
    lines = [line for each in parts for line in ["--batch_1", *each]] + ["--batch_1--", ""]
    kind = "multipart/mixed; boundary=batch_1"
    return {"content": newline.join(lines).encode(), "headers": {"content-type": kind}}


def pieces(text, boundary):
    """Return (head, content) of the parts between boundaries."""
    return [c.strip("\r\n").partition("\r\n\r\n")[::2] for c in text.split(f"--{boundary}")[1:-1]]


def results(answer):
    """Return the parts of a batch answer: (Content-ID, status, body), a list of them for a changeset."""
    result = []
    for head, content in pieces(answer.text, _boundary(answer.headers["content-type"])):
        if "multipart/mixed" in head:
            assert _boundary(head).startswith("changesetresponse_")
            result.append([_result(h, c) for h, c in pieces(content, _boundary(head))])
        else:
            result.append(_result(head, content))
    return result


def _boundary(text):
    return re.findall(r"boundary=(\S+)", text)[0]


def _result(head, content):
    inner, _, body = content.partition("\r\n\r\n")
    content_id = re.search(r"Content-ID: (\S+)", head)
    return content_id and content_id[1], int(inner.split(" ")[1]), body


def created(ask):
    """Return the customer groups that tests made."""
    rows = ask.app.state.store.rows("CustomerGroups")
    return {row["CustomerGroupId"] for row in rows if row["CustomerGroupId"].startswith("9")}


async def send(ask, *parts, **more):
    return await ask("/data/$batch", "POST", **batch(*parts, **more))


async def test_a_changeset_is_written_as_a_whole(sandbox):
    ask = sandbox()
    answer = await send(ask, changeset(group(91), group(92)))
    [[first, second]] = results(answer)

    assert answer.status_code == 200
    assert [first[:2], second[:2]] == [("1", 201), ("2", 201)]
    assert json.loads(second[2])["CustomerGroupId"] == "92"
    assert created(ask) == {"91", "92"}
    assert [json.loads(r.body)["CustomerGroupId"] for r in ask.app.state.requests[1:]] == [
        "91",
        "92",
    ]


async def test_a_failed_changeset_writes_nothing_one_error_part(sandbox):
    """[R: G1]: the error says Content-ID 1 though record 2 is at fault."""
    ask = sandbox()
    answer = await send(ask, changeset(group(91), group(10), group(92)))
    [[(content_id, status, body)]] = results(answer)

    assert (answer.status_code, content_id, status) == (200, "1", 400)
    assert "The record already exists.." in json.loads(body)["error"]["innererror"]["message"]
    assert created(ask) == set()
    assert len(ask.app.state.requests) == 3  # what follows the failure is not processed


@pytest.mark.parametrize(
    ("error_id", "expected"), [("first", "1"), ("culprit", "2"), ("none", None)]
)
async def test_the_content_id_of_the_error_part_is_a_setting(sandbox, error_id, expected):
    answer = await send(sandbox(changeset_error_id=error_id), changeset(group(91), group(10)))

    assert results(answer)[0][0][0] == expected


async def test_parts_around_a_changeset_see_its_outcome(sandbox):
    ask = sandbox()
    read = part("GET", "CustomerGroups?$filter=CustomerGroupId%20eq%20'91'")
    answer = await send(
        ask, read, changeset(group(91)), read, changeset(group(93), group(91)), part(*group(94))
    )
    before, good, after, bad, alone = results(answer)

    assert [len(json.loads(r[2])["value"]) for r in (before, after)] == [0, 1]
    assert [good[0][1], bad[0][1], alone[1]] == [201, 400, 201]
    assert created(ask) == {"91", "94"}


async def test_tables_created_in_a_failed_changeset_are_whole(sandbox):
    ask = sandbox()
    await send(ask, changeset(group(91), ("POST", "Currencies", {})))
    rows = (await ask("/data/Currencies")).json()["value"]

    assert len(rows) == 5
    assert created(ask) == set()


async def test_a_numbered_order_and_its_lines_in_one_changeset(sandbox):
    """Section 4.3 [D: S14]: it works if the caller sets the order number."""
    ask = sandbox()
    order = {"SalesOrderNumber": "X-1", "OrderingCustomerAccountNumber": "US-001"}
    line = {"SalesOrderNumber": "X-1", "ItemNumber": "D0001"}
    answer = await send(
        ask,
        changeset(("POST", "SalesOrderHeadersV2", order), *[("POST", "SalesOrderLines", line)] * 3),
    )
    lines = ask.app.state.store.rows("SalesOrderLines", SalesOrderNumber="X-1")

    assert [status for _, status, _ in results(answer)[0]] == [201] * 4
    assert [str(row["LineNumber"]) for row in lines] == ["1", "2", "3"]


async def test_updates_and_deletes_take_part(sandbox):
    ask = sandbox()
    key = "CustomerGroups(dataAreaId='usmf',CustomerGroupId='10')"
    other = "CustomerGroups(dataAreaId='usmf',CustomerGroupId='91')"
    answer = await send(
        ask, changeset(group(91), ("PATCH", key, {"Description": "new"}), ("DELETE", other))
    )

    assert [status for _, status, _ in results(answer)[0]] == [201, 204, 204]
    assert created(ask) == set()


@pytest.mark.parametrize(("finops", "status"), [(None, 404), (True, 204)])
async def test_references_within_a_changeset_are_a_setting(sandbox, finops, status):
    ask = sandbox(content_id_references=finops)
    answer = await send(ask, changeset(group(91), ("PATCH", "$1", {"Description": "y"})))

    assert results(answer)[0][-1][1] == status
    assert created(ask) == (set() if status == 404 else {"91"})


ILL_FORMED = [
    ((("GET", "Currencies"),), None, "An invalid HTTP method 'GET' was found in a change set."),
    ((group(91), group(92)), (1, 1), "The content ID '1' was found more than once"),
    ((("?!", "x"),), None, "not an HTTP request"),
]  # fmt: skip


@pytest.mark.parametrize(("requests", "ids", "message"), ILL_FORMED)
async def test_changesets_of_the_wrong_form_fail_as_a_whole(sandbox, requests, ids, message):
    ask = sandbox()
    [[(_, status, body)]] = results(await send(ask, changeset(*requests, ids=ids)))

    assert status == 400
    assert message in body
    assert created(ask) == set()


async def test_the_last_delimiter_of_a_changeset_may_be_missing(sandbox):
    """[R: G1]: a captured sample lacks it."""
    ask = sandbox()

    assert results(await send(ask, changeset(group(91), end=False)))[0][0][1] == 201


@pytest.mark.parametrize(
    "lines",
    [["Content-Type: multipart/mixed", "", "--x--", ""],
     ["Content-Type: multipart/mixed; boundary=x", "", "nothing", ""]],
)  # fmt: skip
async def test_an_unreadable_changeset_refuses_the_batch(sandbox, lines):
    ask = sandbox()

    assert (await send(ask, part(*group(91)), lines)).status_code == 400
    assert created(ask) == set()


@pytest.mark.parametrize(("strict", "status"), [(True, 400), (False, 200)])
async def test_lines_must_end_in_crlf(sandbox, strict, status):
    ask = sandbox(batch_needs_crlf=strict)

    assert (await send(ask, changeset(group(91)), newline="\n")).status_code == status
    assert bool(created(ask)) == (status == 200)


async def test_requests_in_changesets_count_against_the_limit(sandbox):
    ask = sandbox(batch_limit=2)

    assert (await send(ask, changeset(group(91), group(92), group(93)))).status_code == 400
    assert created(ask) == set()


async def test_a_throttled_part_undoes_its_changeset(sandbox):
    ask = sandbox(throttle="every=3,retry-after=2")
    answer = await send(ask, changeset(group(91), group(92), group(93)))

    assert [status for _, status, _ in results(answer)[0]] == [429]
    assert "Retry-After: 2" in answer.text
    assert created(ask) == set()


async def test_the_outer_status_is_a_setting(sandbox):
    assert (await send(sandbox(batch_status=202), changeset(group(91)))).status_code == 202


@pytest.mark.heavy
async def test_five_hundred_lines_are_written_in_one_changeset(sandbox):
    ask = sandbox(scale=0.1)
    line = {
        "JournalBatchNumber": "00001",
        "AccountDisplayValue": "606300-001-022",
        "DebitAmount": 1,
    }
    before = len(ask.app.state.store.rows("LedgerJournalLines", dataAreaId="usmf"))
    answer = await send(ask, changeset(*[("POST", "LedgerJournalLines", line)] * 500))
    after = ask.app.state.store.rows("LedgerJournalLines", dataAreaId="usmf")

    assert {status for _, status, _ in results(answer)[0]} == {201}
    assert len(after) - before == 500
    assert len({(row["JournalBatchNumber"], row["LineNumber"]) for row in after}) == len(after)
