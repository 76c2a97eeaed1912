"""``$batch``: the exact body that is sent, and every shape of answer that is known."""

from email import message_from_bytes
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamMalformed
from gateway.odata.batch import CONTENT_ID, changeset, parse_answers, refusing_part
from gateway.odata.query import Request
from gateway.odata.response_check import Response

POST = Request(
    "POST", "Groups?cross-company=true", {"Content-Type": "application/json"}, b'{"A":"1"}'
)
DELETE = Request("DELETE", "Groups(A='1')", {"If-Match": 'W/"1"'})

SENT = b"""--batch_gateway\r
Content-Type: multipart/mixed; boundary=changeset_gateway\r
\r
--changeset_gateway\r
Content-Type: application/http\r
Content-Transfer-Encoding: binary\r
Content-ID: 1\r
\r
POST Groups?cross-company=true HTTP/1.1\r
Content-Type: application/json\r
\r
{"A":"1"}\r
--changeset_gateway\r
Content-Type: application/http\r
Content-Transfer-Encoding: binary\r
Content-ID: 2\r
\r
DELETE Groups(A='1') HTTP/1.1\r
If-Match: W/"1"\r
\r
\r
--changeset_gateway--\r
\r
--batch_gateway--\r
"""


def test_the_writes_of_a_changeset_are_numbered_parts() -> None:
    sent = changeset([POST, DELETE])
    assert (sent.method, sent.url) == ("POST", "$batch")
    assert sent.headers["Content-Type"] == "multipart/mixed; boundary=batch_gateway"
    assert sent.body == SENT


def test_a_boundary_occurs_in_no_part() -> None:
    odd = Request("POST", "Notes", {}, b'{"Text":"--changeset_gateway-- batch_gateway"}')
    body = changeset([odd]).body or b""
    assert b"boundary=changeset_gateway2" in body
    assert changeset([odd]).headers["Content-Type"].endswith("boundary=batch_gateway2")


@pytest.mark.heavy
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40), min_size=1, max_size=4))
def test_every_body_arrives_whole(texts: list[str]) -> None:
    bodies = [text.encode() for text in texts if "\r" not in text and "\n" not in text]
    sent = changeset([Request("POST", "Notes", {}, body) for body in bodies])
    whole = f"Content-Type: {sent.headers['Content-Type']}\r\n\r\n".encode() + (sent.body or b"")
    message = message_from_bytes(whole, policy=HTTP)
    parts = [p.get_payload(decode=True) for p in message.walk() if not p.is_multipart()]
    assert [bytes(p).partition(b"\r\n\r\n")[2] for p in parts if p] == bodies


def part(status: str, body: str = "", *headers: str) -> str:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary", ""]
    return "\r\n".join([*lines, f"HTTP/1.1 {status}", *headers, "", body])


def answer(*parts: str, end: str = "\r\n--c--\r\n") -> Response:
    inner = "".join(f"\r\n--c\r\n{p}" for p in parts) + end
    body = f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n{inner}\r\n--b--\r\n"
    headers = {"content-type": "multipart/mixed; boundary=b"}
    return Response(200, headers, body.encode(), "https://x/data/$batch")


def test_the_answers_of_a_changeset_come_in_order_with_their_headers() -> None:
    answers = parse_answers(
        answer(part("201 Created", '{"A":"ü"}', 'ETag: W/"1"'), part("204 No Content"))
    )
    assert [(a.status, a.body.decode()) for a in answers] == [(201, '{"A":"ü"}'), (204, "")]
    assert answers[0].headers["etag"] == 'W/"1"'


@pytest.mark.parametrize("end", ["\r\n--c--\r\n", "\r\n", ""])
def test_a_missing_last_boundary_is_accepted(end: str) -> None:
    answers = parse_answers(answer(part("500 Internal Server Error", '{"error":{}}'), end=end))
    assert [(a.status, a.body) for a in answers] == [(500, b'{"error":{}}')]


def test_an_error_outside_the_changeset_is_read() -> None:
    body = f"--b\r\n{part('429 Too Many Requests', '', 'Retry-After: 7')}\r\n--b--\r\n"
    headers = {"content-type": "multipart/mixed; boundary=b"}
    (found,) = parse_answers(Response(200, headers, body.encode(), ""))
    assert (found.status, found.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", "<html></html>"),
        ("multipart/mixed; boundary=b", ""),
        ("multipart/mixed; boundary=b", "--b\r\n\r\nnot http\r\n--b--"),
        ("multipart/mixed", "--b\r\n"),
    ],
)
def test_another_answer_is_malformed(kind: str, body: str) -> None:
    with pytest.raises(UpstreamMalformed):
        parse_answers(Response(200, {"content-type": kind}, body.encode(), "https://x/data/$batch"))


TEXTS = st.lists(
    st.text(
        st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=40
    ).filter(lambda text: not text.startswith("--")),
    min_size=1,
    max_size=4,
)


@given(TEXTS, st.sampled_from(["\r\n", "\n"]), st.sampled_from(["c", "x.y_z-1"]))
def test_answers_are_whole_with_any_line_end(texts: list[str], end: str, inner: str) -> None:
    parts = "".join(
        f"--{inner}\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\n"
        f"HTTP/1.1 200 OK\r\nETag: {number}\r\n\r\n{text}\r\n"
        for number, text in enumerate(texts)
    )
    body = f"preamble\r\n--b\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n{parts}--{inner}--\r\n--b--"
    headers = {"content-type": 'multipart/mixed; charset=utf-8; boundary="b"'}
    answers = parse_answers(Response(200, headers, body.replace("\r\n", end).encode(), ""))
    assert [a.body.decode() for a in answers] == texts
    marks = [(a.headers["etag"], a.headers[CONTENT_ID]) for a in answers]
    assert marks == [(str(number), str(number)) for number in range(len(texts))]


def test_a_boundary_within_a_line_is_content() -> None:
    answers = parse_answers(
        answer(part("200 OK", '{"Text":"--c-- --b --b--"}'), part("204 No Content"))
    )
    assert [(a.status, a.body) for a in answers] == [
        (200, b'{"Text":"--c-- --b --b--"}'),
        (204, b""),
    ]


REFUSING = {
    "all good": (answer(part("201 Created", "{}"), part("204 No Content")), 200),
    "a refusal in a text": (answer(part("201 Created", '{"Text":"HTTP/1.1 429 No"}')), 200),
    "one refusal for all": (answer(part("429 Too Many Requests")), 429),
    "each refused": (answer(part("400 Bad Request"), part("424 Failed Dependency")), 400),
    "some refused": (answer(part("201 Created"), part("429 Too Many Requests")), 200),
    "the batch refused": (Response(503, {}, b"HTTP/1.1 429", ""), 503),
    "no batch": (Response(200, {"content-type": "text/html"}, b"HTTP/1.1 429", ""), 200),
}


@pytest.mark.parametrize("name", REFUSING)
def test_a_batch_is_refused_if_all_parts_are(name: str) -> None:
    response, status = REFUSING[name]
    assert refusing_part(response).status == status
