"""What all tests of a process share because it is always the same: certificates, and the embedded sandbox's metadata.

``tests/conftest.py`` calls ``share``; no test does anything for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import httpx
import httpx._transports.default as transports

import gateway.sandbox.app
import schema.csdl.parse
from gateway.sandbox.catalogue import built_in
from gateway.sandbox.edmx import write_edmx
from schema.model.records import Model

BUILT_IN = built_in().model


def share() -> None:
    """Make once what tests would make hundreds of times."""
    # A client of httpx reads the machine's certificates, 30 ms of computing, also for plain HTTP.
    made = cache(httpx.create_ssl_context)
    vars(transports)["create_ssl_context"] = made
    vars(gateway.sandbox.app)["write_edmx"] = _written_once(write_edmx)
    vars(schema.csdl.parse)["parse_csdl"] = _parsed_once(schema.csdl.parse.parse_csdl)


def _written_once(write: Callable[[Model], bytes]) -> Callable[[Model], bytes]:
    """Wrap the writer of metadata: the sandbox's own document is written once."""
    whole = cache(lambda: write(BUILT_IN))
    return lambda model: whole() if model is BUILT_IN else write(model)


def _parsed_once(parse: Callable[..., Model]) -> Callable[..., Model]:
    """Wrap the parser: what a sandbox in this process serves, to hundreds of gateways, is read once."""
    read = lru_cache(maxsize=2)(lambda content, name: parse((content,), name=name))

    def parse_csdl(source: Any, *, name: str = "$metadata", progress: Any = None) -> Model:
        if not name.startswith("http://sandbox.invalid/") or progress is not None:
            return parse(source, name=name, progress=progress)
        return read(source if isinstance(source, bytes) else b"".join(source), name)

    return parse_csdl
