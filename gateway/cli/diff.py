"""``schema diff``: what changed between two schemas, for people and for machines."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import msgspec
import typer

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.metadata.document_loader import MetadataDocument, describe_non_xml
from gateway.storage.document_cache import digest_of
from schema.compare import (
    Comparison,
    IntrospectionSource,
    Level,
    SdlSource,
    ServedSource,
    Source,
    compare,
)
from schema.types.build import ODataSchema

from .offline_schema import model_of, schema_of
from .progress import working
from .schema_commands import current_schema

CURRENT = "-"
"""Stands for the schema of the configured environment."""
BREAKS = 3
SURPRISES = 4
_JSON_OBJECT = re.compile(rb'\{\s*["}]')
"""How JSON begins; ``{ name`` begins an operation without a name."""
_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def print_diff(
    settings: Settings,
    old: str,
    new: str,
    *,
    include: tuple[str, ...],
    descriptions: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Print the changes; leave with 3 where one breaks, with 4 where one is dangerous and ``strict``.

    Raises SettingsError or SchemaError for what cannot be read.
    """
    if old == new == CURRENT:
        raise SettingsError("The current schema would be compared with itself: name a file.")
    sources = [source_of(settings, given, descriptions=descriptions) for given in (old, new)]
    with working("Comparing the schemas"):
        found = compare(*sources, include=include, descriptions=descriptions)
    print(_json(found) if as_json else _text(found))
    if found.counts[Level.BREAKING]:
        raise typer.Exit(BREAKS)
    if strict and found.counts[Level.DANGEROUS]:
        raise typer.Exit(SURPRISES)


def _json(found: Comparison) -> str:
    told: dict[str, object] = {
        **{level.value: number for level, number in found.counts.items()},
        "compared": found.compared,
        "changes": [asdict(change) for change in found.changes],
    }
    return msgspec.json.encode(told).decode()


def _text(found: Comparison) -> str:
    lines: list[str] = []
    for level, number in found.counts.items():
        lines.append(f"{number:,} {level}")
        kinds = Counter(change.kind for change in found.of(level))
        for kind, of_kind in kinds.items():
            lines.append(f"  {of_kind:,} {kind.lower().replace('_', ' ')}")
            told = (c.description for c in found.of(level) if c.kind == kind)
            lines.extend(f"  - {' '.join(text.split())}" for text in told)
    lines.append(f"{found.compared:,} types compared.")
    return "\n".join(lines)


def source_of(settings: Settings, given: str, *, descriptions: bool) -> Source:
    """Open a schema: ``-``, or a file whose content says what it is. Raises SettingsError, SchemaError."""
    if given == CURRENT:
        schema = current_schema(settings, labels=descriptions)
        return ServedSource(schema.again(schema.catalog, federated=False))
    path = Path(given)
    raw = _read(path)
    start = raw[:100].removeprefix(b"\xef\xbb\xbf").lstrip()
    if _JSON_OBJECT.match(start):
        return IntrospectionSource(raw.removeprefix(b"\xef\xbb\xbf"), given)
    if start.startswith((b"<", *_UTF_16)):
        return ServedSource(_schema(settings, path, raw))
    try:
        return SdlSource(raw.decode("utf-8-sig"), given)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text.") from error


def _read(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw.startswith(_GZIP) else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SettingsError(f"{path} is not valid gzip.") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error


def _schema(settings: Settings, path: Path, raw: bytes) -> ODataSchema:
    reason = describe_non_xml(raw)
    if reason is not None:
        raise SettingsError(f"{path} contains {reason}, not a metadata document.")
    # What is declared for the sandbox is for its own document.
    chosen = settings.model_copy(update={"metadata": str(path)})
    document = MetadataDocument(raw, digest_of(raw), str(path))
    with working(f"Reading {path}"):
        return schema_of(chosen, model_of(chosen, document), {})
