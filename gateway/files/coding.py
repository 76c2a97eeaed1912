"""Base64 in pieces: what arrives is decoded, or encoded, without ever being there as a whole."""

from __future__ import annotations

import base64
import binascii

from gateway.errors import UpstreamMalformed

_STANDARD = bytes.maketrans(b"-_", b"+/")


class Decoder:
    """Decodes base64 of either alphabet, padded or not (OData JSON Format 4.01, section 7.1)."""

    def __init__(self) -> None:
        self._held = b""
        self._is_padded = False

    def feed(self, text: bytes) -> bytes:
        """Return the bytes of a piece of the text, as far as it goes. Raises UpstreamMalformed."""
        data = self._held + text.translate(_STANDARD)
        whole = len(data) // 4 * 4
        self._held = data[whole:]
        return self._decode(data[:whole])

    def end(self) -> bytes:
        """Return the last bytes. Raises UpstreamMalformed."""
        return self._decode(self._held + b"=" * (-len(self._held) % 4))

    def _decode(self, text: bytes) -> bytes:
        if not text:
            return b""
        if self._is_padded:
            raise _no_base64()
        self._is_padded = text.endswith(b"=")
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error as error:
            raise _no_base64() from error


class Encoder:
    """Encodes bytes as OData writes them: base64url with padding."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return the text of a piece, as far as it goes."""
        data = self._held + data
        whole = len(data) // 3 * 3
        self._held = data[whole:]
        return base64.urlsafe_b64encode(data[:whole])

    def end(self) -> bytes:
        """Return the rest of the text."""
        return base64.urlsafe_b64encode(self._held)


def encoded_size(size: int) -> int:
    """Return the bytes of the text for so many bytes."""
    return (size + 2) // 3 * 4


def _no_base64() -> UpstreamMalformed:
    return UpstreamMalformed("The upstream sent a file that is not base64.")
