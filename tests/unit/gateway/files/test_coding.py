"""Files in pieces: base64 and JSON cut at every place, names that headers can carry."""

from __future__ import annotations

import base64
import os

import pytest

from gateway.errors import UpstreamMalformed
from gateway.files.coding import Decoder, Encoder, encoded_size
from gateway.files.names import OCTETS, content_disposition, file_name, media_type, name_in
from gateway.odata.long_values import ValueCut

ANSWERS = {
    "plain": (b'{"@odata.etag":"W/1","Doc":"QUJD","Z":1}', b'{"@odata.etag":"W/1","Doc":"","Z":1}', b"QUJD"),
    "spaces": (b'{ "Doc" :\r\n "QUJD" }', b'{ "Doc" :\r\n "" }', b"QUJD"),
    "escapes": (b'{"Doc":"Q\\/J\\u002bD\\u003d"}', b'{"Doc":""}', b"Q/J+D="),
    "a value of that name": (b'{"A":"Doc","Doc":"QUJD"}', b'{"A":"Doc","Doc":""}', b"QUJD"),
    "quoted in a text": (
        b'{"A":"\\"Doc\\":\\"no\\"","Doc":"QUJD"}',
        b'{"A":"\\"Doc\\":\\"no\\"","Doc":""}',
        b"QUJD",
    ),
    "a longer name": (b'{"MyDoc":"no","Doc":"QUJD"}', b'{"MyDoc":"no","Doc":""}', b"QUJD"),
    "null": (b'{"Doc":null}', b'{"Doc":null}', b""),
    "no value": (b'{"value":[]}', b'{"value":[]}', b""),
    "empty": (b'{"Doc":""}', b'{"Doc":""}', b""),
    "two rows": (b'[{"Doc":"QUJD"},{"Doc":"RUZH"}]', b'[{"Doc":""},{"Doc":""}]', b"QUJDRUZH"),
}  # fmt: skip


def cut(pieces: list[bytes]) -> tuple[bytes, bytes]:
    cutter, rest, text = ValueCut("Doc"), b"", b""
    for piece in pieces:
        for is_text, part in cutter.feed(piece):
            rest, text = (rest, text + part) if is_text else (rest + part, text)
    assert not cutter.is_inside
    return rest + cutter.end(), text


@pytest.mark.parametrize(("answer", "rest", "text"), ANSWERS.values(), ids=list(ANSWERS))
def test_a_text_is_cut_out_wherever_pieces_end(answer: bytes, rest: bytes, text: bytes) -> None:
    splits = [[answer[:at], answer[at:]] for at in range(len(answer) + 1)]
    splits.append([answer[at : at + 1] for at in range(len(answer))])

    assert [cut(pieces) for pieces in splits] == [(rest, text)] * len(splits)


def test_a_long_text_passes_without_being_collected() -> None:
    cutter = ValueCut("Doc")
    list(cutter.feed(b'{"Doc":"'))
    sizes = {sum(len(part) for _, part in cutter.feed(b"QUJD" * 1000)) for _ in range(100)}

    assert sizes == {4000}


@pytest.mark.parametrize("size", range(8))
def test_base64_is_decoded_and_encoded_in_pieces(size: int) -> None:
    data = os.urandom(size)
    for text in (base64.b64encode(data), base64.urlsafe_b64encode(data).rstrip(b"=")):
        decoder = Decoder()
        decoded = b"".join(decoder.feed(text[at : at + 1]) for at in range(len(text)))
        assert decoded + decoder.end() == data
    encoder = Encoder()
    encoded = b"".join(encoder.feed(data[at : at + 1]) for at in range(size)) + encoder.end()
    assert encoded == base64.urlsafe_b64encode(data)
    assert len(encoded) == encoded_size(size)


@pytest.mark.parametrize("text", [b"A", b"QUJ*", b"QQ==QUJD", b"Q=JD"])
def test_what_is_not_base64_is_refused(text: bytes) -> None:
    decoder = Decoder()

    with pytest.raises(UpstreamMalformed):
        _ = decoder.feed(text[:4]), decoder.feed(text[4:]), decoder.end()


NAMES = {
    ("invoice", "pdf"): "invoice.pdf",
    ("invoice.PDF", ".pdf"): "invoice.PDF",
    ("../../etc/passwd", None): "_.._etc_passwd",
    ('a"; filename=b\r\nX: y', "txt"): "a_; filename=b__X_ y.txt",
    ("gpj.\u202eexe", None): "gpj._exe",
    ("  ", "html"): "Set-file.html",
    (None, "../x"): "Set-file",
    ("x" * 500, "pdf"): "x" * 150 + ".pdf",
}


@pytest.mark.parametrize(("given", "name"), NAMES.items())
def test_a_name_of_a_row_is_a_safe_file_name(given: tuple[str, str], name: str) -> None:
    assert file_name(*given, "Set-file") == name


@pytest.mark.parametrize("name", ["a.pdf", "Rechnung März.pdf", "100%.txt", "発票.pdf", "a;b=c"])
def test_headers_carry_a_name_both_ways(name: str) -> None:
    header = content_disposition(name)
    assert header.isascii()
    assert header.startswith(b'attachment; filename="')

    assert name_in(header.decode()) == name


@pytest.mark.parametrize("header", [None, "", "attachment", "form-data; name=x", 'x; filename=""'])
def test_a_header_may_have_no_name(header: str | None) -> None:
    assert name_in(header) is None


def test_media_types_follow_the_ending() -> None:
    assert media_type("a.pdf") == "application/pdf"
    assert media_type("a.tar.gz") == media_type("a") == media_type("a.nothing") == OCTETS
    assert media_type("a.html") == "text/html"
