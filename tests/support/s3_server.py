"""A server that speaks as much of S3 as the files of jobs need: put, get, head, list, delete."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Bucket:
    """What is stored, and who has asked."""

    address: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    authorizations: list[str] = field(default_factory=list)
    is_down: bool = False


class _Handler(BaseHTTPRequestHandler):
    """Answers requests; ``bucket`` is set by who serves it."""

    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes = b"", fields: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **fields}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        """Answer any method."""
        bucket = self.bucket
        bucket.authorizations.append(self.headers.get("Authorization", ""))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        key = unquote(address.path).lstrip("/").partition("/")[2]
        if bucket.is_down:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif self.command == "PUT":
            bucket.objects[key] = body
            self._answer(200, fields={"ETag": '"e"'})
        elif self.command == "POST":
            keys = re.findall(rb"<Key>(.*?)</Key>", body)
            for name in keys:
                bucket.objects.pop(name.decode(), None)
            deleted = b"".join(b"<Deleted><Key>%b</Key></Deleted>" % name for name in keys)
            self._answer(200, b"<DeleteResult>%b</DeleteResult>" % deleted)
        elif not key:
            prefix = parse_qs(address.query).get("prefix", [""])[0]
            self._answer(200, _listing(n for n in bucket.objects if n.startswith(prefix)))
        elif key not in bucket.objects:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._send(bucket.objects[key])

    do_PUT = do_POST = do_HEAD = do_GET  # noqa: N815 - likewise

    def _send(self, content: bytes) -> None:
        fields = {"ETag": '"e"', "Last-Modified": "Mon, 30 Nov 2026 12:00:00 GMT"}
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if match is None:
            self._answer(200, content, fields)
            return
        start, end = int(match[1]), min(int(match[2]) + 1, len(content))
        span = f"bytes {start}-{end - 1}/{len(content)}"
        self._answer(206, content[start:end], {**fields, "Content-Range": span})


@contextmanager
def s3_server() -> Iterator[Bucket]:
    """Yield a bucket that is served on a port of this machine, as ``/NAME/KEY``."""
    bucket = Bucket()
    handler = type("Handler", (_Handler,), {"bucket": bucket})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bucket.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()


def _listing(names: Iterable[str]) -> bytes:
    contents = "".join(
        f"<Contents><Key>{name}</Key><Size>1</Size>"
        "<LastModified>2026-11-30T12:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag></Contents>"
        for name in names
    )
    return (
        f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>".encode()
    )
