"""Names and media types of files, and how headers carry them (RFC 6266, RFC 8187).

A name comes from a row, so anybody who may write the row chooses it: nothing in it may end a header, name a folder, or
make a browser run the file.
"""

from __future__ import annotations

import re
from email.message import Message
from mimetypes import MimeTypes
from urllib.parse import quote, unquote

OCTETS = "application/octet-stream"
_LONGEST = 150
"""Characters of a name."""
_ENDING = re.compile(r"[A-Za-z0-9]{1,10}")
_UNSAFE = re.compile(
    r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]'
)
"""What ends a line or a quoted text, names another folder, or reverses what people read."""
_EXTENDED = re.compile(r";\s*filename\*\s*=\s*utf-8'[^']*'([^\s;]+)", re.IGNORECASE)
_types = MimeTypes(filenames=())
"""Without the files of the machine: a row has the same type everywhere."""


def file_name(name: str | None, ending: str | None, otherwise: str) -> str:
    """Return a name that any system takes: ``invoice.pdf``; ``otherwise`` if the row has none."""
    base = _UNSAFE.sub("_", name or "").strip(" .")[:_LONGEST] or otherwise
    ending = (ending or "").strip().lstrip(".")
    if _ENDING.fullmatch(ending) and not base.lower().endswith(f".{ending.lower()}"):
        return f"{base}.{ending}"
    return base


def media_type(name: str) -> str:
    """Return the media type that the ending of a name stands for."""
    guessed, coding = _types.guess_type(name)
    return OCTETS if guessed is None or coding is not None else guessed


def content_disposition(name: str) -> bytes:
    """Return the header's value: the name in ASCII for old clients, and as it is for all others."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    value = f'attachment; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
    return value.encode("ascii")


def name_in(disposition: str | None) -> str | None:
    """Return the name that a client's ``Content-Disposition`` has; None if it has none."""
    if not disposition:
        return None
    # It comes first (RFC 6266, section 4.3), but not for the standard library.
    extended = _EXTENDED.search(disposition)
    if extended is not None:
        name: str | None = unquote(extended[1])
    else:
        message = Message()
        message["content-disposition"] = disposition
        name = message.get_filename()
    return _UNSAFE.sub("_", name)[:_LONGEST] if name else None
