"""Requests that no decent client sends, from a seed: raw HTTP, and GraphQL documents; and what every answer must be."""

# ruff: noqa: E501 - requests are shown as they are

from __future__ import annotations

import json
import random
from collections.abc import Iterator

SEEDS = (
    b'POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n{"query":"{ __typename }"}',
    b"GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n",
    b"GET /graphiql/config.json HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip, br\r\n\r\n",
    b"OPTIONS /graphql HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n",
    b"GET /graphql/search?q=cust HTTP/1.1\r\nHost: localhost\r\nX-D365-Company: usmf\r\n\r\n",
    b'POST /graphql/explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n{"query":"{ __typename }"}\r\n0\r\n\r\n',
    b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
)
_PIECES = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"%",
    b"%00",
    b"%ff",
    b"%2e%2e/",
    b"//",
    b"?",
    b"#",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"HTTP/9.9",
    b"-1",
    b"0",
    b"99999999999999999999",
    b"0x10",
    b"1e9",
    b"Host: evil.example\r\n",
    b"Host: localhost\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, Upgrade\r\n",
    b"Accept: text/event-stream\r\n",
    b"Accept: text/html\r\n",
    b"Accept: image/png\r\n",
    b"Accept: ;q=,,*/*;q=nan\r\n",
    b"Accept-Encoding: zstd;q=2, *;q=-1\r\n",
    b"X-D365-Timeout: 1e999\r\n",
    b"X-D365-Timeout: 0.000000001\r\n",
    b"X-D365-Company: " + b"x" * 3_000 + b"\r\n",
    b"X-Forwarded-For: 1.2.3.4\r\n",
    b'Forwarded: for="_x\r\n',
    b"Sec-Fetch-Site: cross-site\r\n",
    b"If-None-Match: *\r\n",
    b"Range: bytes=0-1\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Authorization: Bearer x\r\n",
    b"Cookie: " + b"a=b;" * 500 + b"\r\n",
    b"x: " + b"y" * 70_000 + b"\r\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b"null",
    b'{"query":1}',
    b'{"query":"{a}","variables":[]}',
    b"[" * 2_000,
    b"GET ",
    b"POST ",
    b"TRACE ",
    b"CONNECT ",
    b"M-SEARCH ",
)


def raw_requests(chance: random.Random) -> Iterator[bytes]:
    """Yield requests without end: well-formed ones that were cut, doubled, joined and put other things into."""
    while True:
        request = bytearray(chance.choice(SEEDS))
        for _ in range(chance.randint(0, 4)):
            _mutate(request, chance)
        if chance.random() < 0.2:
            request += chance.choice(SEEDS)
        yield bytes(request)


def _mutate(request: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(request) + 1)
    match chance.randrange(5):
        case 0:
            request[at:at] = chance.choice(_PIECES)
        case 1:
            del request[at : at + chance.randint(1, 20)]
        case 2:
            request[at : at + 1] = chance.randbytes(1)
        case 3:
            lines = bytes(request).split(b"\r\n")
            lines.insert(chance.randrange(len(lines)), chance.choice(_PIECES).rstrip(b"\r\n"))
            request[:] = b"\r\n".join(lines)
        case _:
            request[at:at] = request[at : at + chance.randint(1, 60)]


# Documents

_NAMES = (
    "__typename", "customersV3", "customerV3", "salesOrderHeadersV2", "salesOrderLines", "nodes", "edges", "node", "cursor", "pageInfo", "hasNextPage",
    "totalCount", "customerAccount", "organizationName", "creditLimit", "id", "__schema", "__type", "types", "fields", "name", "_service", "sdl", "_entities",
    "createCustomerGroup", "userErrors", "code", "entityChanged", "nothing", "Ω", "a" * 300,
)  # fmt: skip
_ARGUMENTS = (
    "first",
    "last",
    "after",
    "before",
    "where",
    "orderBy",
    "companies",
    "id",
    "ids",
    "name",
    "input",
    "key",
    "dataAreaId",
    "customerAccount",
    "if",
    "x",
)
_VALUES = (
    "1", "0", "-1", "1001", "9" * 400, "1.5", "1e999", '"usmf"', '"US-001"', '"*"', '""', '"\\u0000"', '"\\ud800"', '"""block"""', "null", "true", "[]", "[1,[2]]", "{}",
    '{customerAccount:{eq:"US-001"}}', '{organizationName:{contains:"*"}}', "{and:[{or:[]}]}", "{creditLimit:{in:[]}}", "ASC", "[{customerAccount:DESC}]", '["usmf","demf"]', "$v", "$missing",
    '"' + "x" * 5_000 + '"', "{a:" * 60 + "1" + "}" * 60,
)  # fmt: skip
_DIRECTIVES = (
    "@include(if: true)",
    "@skip(if: $v)",
    "@include(if: null)",
    "@nothing",
    "@atomic",
    "@skip(if: 1)",
)
_TYPES = ("Int", "String!", "[ID!]!", "Boolean", "CustomerV3Filter", "Nothing", "CustomerV3")


def documents(chance: random.Random) -> Iterator[str]:
    """Yield GraphQL documents without end: some are valid, most are nearly so, some are noise."""
    while True:
        text = " ".join(_definition(chance) for _ in range(chance.choice((1, 1, 1, 2, 3))))
        for _ in range(chance.choice((0, 0, 0, 1, 2))):
            at = chance.randrange(len(text) + 1)
            text = (
                text[:at]
                + chance.choice(
                    ("{", "}", "(", "...", "$", "@", '"', "#", "\n", "\ufeff", "&", "🦆", "")
                )
                + text[at + chance.randint(0, 3) :]
            )
        yield text


def _definition(chance: random.Random) -> str:
    if chance.random() < 0.15:
        return f"fragment F on {chance.choice(_TYPES)} {_selection(chance, 2)}"
    kind = chance.choice(("query", "query", "query", "mutation", "subscription", ""))
    variables = (
        f"Q($v: {chance.choice(_TYPES)} = {chance.choice(_VALUES)})"
        if kind and chance.random() < 0.4
        else ""
    )
    return f"{kind} {variables} {_selection(chance, chance.randint(1, 6))}"


def _selection(chance: random.Random, depth: int) -> str:
    return "{" + " ".join(_field(chance, depth) for _ in range(chance.randint(1, 4))) + "}"


def _field(chance: random.Random, depth: int) -> str:
    if chance.random() < 0.1:
        return chance.choice(
            (
                "...F",
                "... on CustomerV3 { id }",
                "... { __typename }",
                "... on Node { id }",
                "...Nothing",
            )
        )
    text = chance.choice(_NAMES)
    if chance.random() < 0.2:
        text = f"{chance.choice(('a', 'b', '__c'))}: {text}"
    if chance.random() < 0.4:
        given = (
            f"{chance.choice(_ARGUMENTS)}: {chance.choice(_VALUES)}"
            for _ in range(chance.randint(1, 3))
        )
        text += f"({', '.join(given)})"
    if chance.random() < 0.15:
        text += f" {chance.choice(_DIRECTIVES)}"
    return text + (
        " " + _selection(chance, depth - 1) if depth > 1 and chance.random() < 0.7 else ""
    )


def bodies(chance: random.Random) -> Iterator[bytes]:
    """Yield bodies of POST without end: documents with variables and extensions, good and bad."""
    for text in documents(chance):
        body: dict[str, object] = {"query": text}
        if chance.random() < 0.4:
            body["variables"] = chance.choice(
                ({}, {"v": 1}, {"v": "x"}, {"v": None}, {"v": [[]]}, {"v": {"and": []}}, [], "x", 1)
            )
        if chance.random() < 0.2:
            body["operationName"] = chance.choice(("Q", "", "nothing", 1, None, "n" * 2_000))
        if chance.random() < 0.1:
            body["extensions"] = chance.choice(({}, {"persistedQuery": {"version": 1}}, [], 1))
        if chance.random() < 0.1:
            name = chance.choice(("documentId", "doc_id"))
            body[name] = chance.choice(("", "a", "sha256:0", 1, None, [], {}, "n" * 2_000))
        if chance.random() < 0.1:
            del body["query"]
        yield json.dumps(body, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


# What every answer must be

_WITHOUT_BODY = frozenset({204, 304})


def faults_of(answer: bytes, *, is_head: bool = False) -> list[str]:
    """Return what is wrong with the first response of a connection; an unanswered request is no fault here."""
    if not answer:
        return []
    head, found, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    status = lines[0].split(b" ", 2)
    if not found or status[0] != b"HTTP/1.1" or len(status) < 2 or not status[1].isdigit():
        return [f"no HTTP: {answer[:80]!r}"]
    if status[1] == b"100":
        return faults_of(body, is_head=is_head)
    number = int(status[1])
    fields = dict(line.lower().split(b": ", 1) for line in lines[1:] if b": " in line)
    faults = [f"status {number}"] if number >= 500 and number != 503 else []
    if number == 101 or number in _WITHOUT_BODY or is_head:
        return faults
    length = fields.get(b"content-length")
    if (
        length is not None
        and b"json" in fields.get(b"content-type", b"")
        and b"content-encoding" not in fields
    ):
        faults += json_faults(body[: int(length)])
    return faults


def json_faults(body: bytes) -> list[str]:
    """Return what is wrong with a JSON answer: no JSON, an error without a code, an internal error."""
    try:
        answer = json.loads(body)
    except ValueError:
        return [f"no JSON: {body[:80]!r}"]
    errors = answer.get("errors", []) if isinstance(answer, dict) else []
    codes = [error.get("extensions", {}).get("code") for error in errors]
    faults = [
        f"an error without a code: {error}"
        for error, code in zip(errors, codes, strict=True)
        if not code
    ]
    return faults + ["an internal error"] * ("INTERNAL_ERROR" in codes)
