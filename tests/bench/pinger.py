"""Asks an address again and again until its input ends: ``python -m tests.bench.pinger URL``.

Prints ``[[when, seconds], …]`` as JSON; ``when`` is of the clock that all processes of the machine share.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

PAUSE = 0.001


def _wait_for_the_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def main() -> None:
    parts = urlsplit(sys.argv[1])
    ended = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(ended,), daemon=True).start()
    connection = HTTPConnection(parts.netloc, timeout=60)
    found: list[tuple[float, float]] = []
    while not ended.is_set():
        started = time.perf_counter()
        connection.request("GET", parts.path)
        response = connection.getresponse()
        response.read()
        found.append((started, time.perf_counter() - started))
        if response.status != 200:
            raise SystemExit(f"{parts.path}: {response.status}")
        time.sleep(PAUSE)
    connection.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
