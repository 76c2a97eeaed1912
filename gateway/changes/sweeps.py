"""Sweeps: the keys of all rows of a list with digests of their etags, compared with those of the sweep before. Pure.

What a sweep has found is numbered; a cursor holds the number up to which its client has been told. Numbers are times,
in milliseconds, so that a list that was forgotten and is swept again does not count from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Literal, TypeAlias

import msgspec
import zstandard
from msgspec import Struct

from .records import Kind

State: TypeAlias = dict[str, bytes]
"""id → digest of the row's etag, or of its values."""
Found: TypeAlias = Literal["C", "U", "D", "F"]
"""Created, updated, deleted; no longer passes the filter."""
DIGEST = 8
_LEVEL = 3
_KINDS: Mapping[str, Kind] = {"C": Kind.CREATED, "U": Kind.UPDATED}


class Entry(Struct, frozen=True, array_like=True):
    """A row that has changed."""

    id: str
    found: Found
    etag: str | None = None

    @property
    def kind(self) -> Kind:
        """How a row has changed that is still there."""
        return _KINDS[self.found]


class SweepLog(Struct, frozen=True, array_like=True):
    """What one sweep has found."""

    before: int
    """Number of the sweep with which it was compared."""
    entries: tuple[Entry, ...]


class _Packed(Struct, array_like=True):
    ids: list[str]
    digests: bytes


_read_state = msgspec.msgpack.Decoder(_Packed).decode
_read_log = msgspec.msgpack.Decoder(SweepLog).decode


def digest_of(text: bytes) -> bytes:
    """Return the digest of an etag, or of values."""
    return blake2b(text, digest_size=DIGEST).digest()


def changed(before: State, now: State, etags: Mapping[str, str | None]) -> list[Entry]:
    """Return the rows that are new or have changed; ``etags`` are those of the rows of ``now``."""
    return [
        Entry(row, "U" if row in before else "C", etags.get(row))
        for row, digest in now.items()
        if before.get(row) != digest
    ]


def has_lost_a_company(
    before: Iterable[str], now: Iterable[str], company_of: Callable[[str], str]
) -> bool:
    """Return whether all rows of a company are gone at once: then it may have left the scope of the account."""
    present = {company_of(row) for row in now}
    return any(company_of(row) not in present for row in before)


def merged(logs: Iterable[SweepLog]) -> list[Entry]:
    """Return what several sweeps have found, each row once, as it was found last."""
    latest: dict[str, Entry] = {}
    for log in logs:
        for entry in log.entries:
            before = latest.pop(entry.id, None)
            if entry.found == "U" and before is not None and before.found == "C":
                entry = Entry(entry.id, "C", entry.etag)  # noqa: PLW2901 - new for those who read both
            latest[entry.id] = entry
    return list(latest.values())


def is_chain(logs: Sequence[tuple[int, SweepLog]], after: int, upto: int) -> bool:
    """Return whether these are all sweeps after one, up to another."""
    number = after
    for each, log in logs:
        if log.before != number:
            return False
        number = each
    return number == upto


def pack_state(state: State) -> bytes:
    """Return a state as compressed bytes."""
    packed = _Packed(list(state), b"".join(state.values()))
    return zstandard.compress(msgspec.msgpack.encode(packed), _LEVEL)


def unpack_state(content: bytes) -> State:
    """Return what was packed."""
    packed = _read_state(zstandard.decompress(content))
    digests = packed.digests
    return {
        row: digests[place : place + DIGEST]
        for row, place in zip(packed.ids, range(0, len(digests), DIGEST), strict=True)
    }


def pack_log(log: SweepLog) -> bytes:
    """Return what a sweep has found as compressed bytes."""
    return zstandard.compress(msgspec.msgpack.encode(log), _LEVEL)


def unpack_log(content: bytes) -> SweepLog:
    """Return what was packed."""
    return _read_log(zstandard.decompress(content))
