"""Importing aiohttp without the system's authorities.

aiohttp reads them twice while it is imported, for defaults of its own, each time 30 to 50 ms and 5 MiB of every start.
Here each call over TLS brings its own context (``transport``), so those defaults are never used; without authorities
the one trusts nobody, and the other, which checks nothing, needs none.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_READING = ("load_default_certs", "set_default_verify_paths")


@contextmanager
def unread() -> Iterator[None]:
    """Leave the system's authorities unread where aiohttp is imported for the first time."""
    if "aiohttp" in sys.modules:
        yield
        return
    own = {name: vars(ssl.SSLContext).get(name) for name in _READING}
    for name in _READING:
        setattr(ssl.SSLContext, name, lambda *_: None)
    try:
        yield
    finally:
        for name, method in own.items():
            if method is None:  # it is a base's
                delattr(ssl.SSLContext, name)
            else:
                setattr(ssl.SSLContext, name, method)
