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

from .offline_schema import build_schema, load_model
from .progress import working
from .schema_commands import current_schema

CURRENT = "-"
"""Argument for the schema of the configured environment."""
BREAKING_EXIT = 3
"""Exit code if a change breaks clients."""
DANGEROUS_EXIT = 4
"""Exit code if a change is dangerous and ``--strict`` is set."""
_JSON_OBJECT = re.compile(rb'\{\s*["}]')
"""Start of JSON; ``{ name`` is the start of an anonymous operation."""
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
    """Print the changes. Exits with 3 if one is breaking, with 4 if one is dangerous and ``strict`` is set.

    Raises SettingsError or SchemaError for an unreadable schema.
    """
    if old == new == CURRENT:
        raise SettingsError("The current schema would be compared with itself: name a file.")
    sources = [open_source(settings, name, descriptions=descriptions) for name in (old, new)]
    with working("Comparing the schemas"):
        comparison = compare(*sources, include=include, descriptions=descriptions)
    print(_json(comparison) if as_json else _text(comparison))
    if comparison.counts[Level.BREAKING]:
        raise typer.Exit(BREAKING_EXIT)
    if strict and comparison.counts[Level.DANGEROUS]:
        raise typer.Exit(DANGEROUS_EXIT)


def _json(comparison: Comparison) -> str:
    content: dict[str, object] = {
        **{level.value: number for level, number in comparison.counts.items()},
        "compared": comparison.compared,
        "changes": [asdict(change) for change in comparison.changes],
    }
    return msgspec.json.encode(content).decode()


def _text(comparison: Comparison) -> str:
    lines: list[str] = []
    for level, number in comparison.counts.items():
        lines.append(f"{number:,} {level}")
        kinds = Counter(change.kind for change in comparison.of(level))
        for kind, count in kinds.items():
            lines.append(f"  {count:,} {kind.lower().replace('_', ' ')}")
            descriptions = (c.description for c in comparison.of(level) if c.kind == kind)
            lines.extend(f"  - {' '.join(text.split())}" for text in descriptions)
    lines.append(f"{comparison.compared:,} types compared.")
    return "\n".join(lines)


def open_source(settings: Settings, name: str, *, descriptions: bool) -> Source:
    """Return a schema by the argument of the command: ``-``, or a file. Raises SettingsError, SchemaError."""
    if name == CURRENT:
        schema = current_schema(settings, labels=descriptions)
        return ServedSource(schema.copy_for(schema.catalog, federated=False))
    path = Path(name)
    raw = _read(path)
    # By the content: the names of such files follow no custom.
    start = raw[:100].removeprefix(b"\xef\xbb\xbf").lstrip()
    if _JSON_OBJECT.match(start):
        return IntrospectionSource(raw.removeprefix(b"\xef\xbb\xbf"), name)
    if start.startswith((b"<", *_UTF_16)):
        return ServedSource(_schema(settings, path, raw))
    try:
        return SdlSource(raw.decode("utf-8-sig"), name)
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
    # With ``metadata`` set, the custom services of the sandbox are left out: they belong to its own document.
    settings = settings.model_copy(update={"metadata": str(path)})
    document = MetadataDocument(raw, digest_of(raw), str(path))
    with working(f"Reading {path}"):
        return build_schema(settings, load_model(settings, document), {})
