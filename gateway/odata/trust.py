"""Importing aiohttp without the system's authorities.

aiohttp reads them for a default of its own while it is imported, 30 to 50 ms and 5 MiB of every start. Here each call
over TLS brings its own context (``transport``), so that default is never used; without authorities it trusts nobody.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unread() -> Iterator[None]:
    """Leave the system's authorities unread where aiohttp is imported for the first time."""
    if "aiohttp" in sys.modules:
        yield
        return
    name = "load_default_certs"
    load = getattr(ssl.SSLContext, name)
    setattr(ssl.SSLContext, name, lambda *_: None)
    try:
        yield
    finally:
        setattr(ssl.SSLContext, name, load)
