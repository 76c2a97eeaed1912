"""Manifests in files: one file, or a folder of manifests and of documents.

    manifest.json           ids as in the manifest
    shop~1.4.0.json         ids as Hive's clients send them: shop~1.4.0~a3f8…
    orders.graphql          id orders, and the hash of its text

A file that is being written is not taken: what was read counts only if nothing changed meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Hashable, Iterator
from pathlib import Path

from gateway.documents.manifest import checked, name_in, read_manifest
from gateway.documents.trusted import ReleaseError, TrustedDocument

TEXTS = frozenset({".graphql", ".gql"})
ATTEMPTS = 3
"""How often files are read that change meanwhile, until the next poll."""
_APP = re.compile(r"[^~]+~[^~]+")


class ManifestFiles:
    """A manifest, or a folder of them, that is read when it has changed."""

    def __init__(self, path: Path, *, check_hashes: bool, max_bytes: int) -> None:
        self._path = path
        self._check_hashes = check_hashes
        self._most = max_bytes
        self._read: Hashable = None
        """The state of the files that were read last, whether their content could be used or not."""

    async def load(self) -> tuple[TrustedDocument, ...] | None:
        """Return the documents; None if nothing has changed. Raises ReleaseError."""
        return await asyncio.to_thread(self.read)

    async def aclose(self) -> None:
        """Do nothing: no file stays open."""

    def read(self) -> tuple[TrustedDocument, ...] | None:
        """Return the documents; None if nothing has changed. Raises ReleaseError. May run in any thread."""
        try:
            for _ in range(ATTEMPTS):
                paths = self._paths()
                state = _state_of(paths)
                if state == self._read:
                    return None
                contents = self._contents(paths)
                if _state_of(self._paths()) == state:
                    break
            else:
                return None  # the next poll finds them written
        except OSError as error:
            raise ReleaseError(f"{self._path}: {error.strerror or error}") from error
        self._read = state
        return tuple(self._documents(contents))

    def _paths(self) -> list[Path]:
        if not self._path.is_dir():
            return [self._path]
        return sorted(
            path
            for path in self._path.rglob("*")
            if path.suffix in {".json", *TEXTS}
            and not any(part.startswith(".") for part in path.relative_to(self._path).parts)
            and path.is_file()
        )

    def _contents(self, paths: list[Path]) -> list[tuple[Path, bytes]]:
        contents, size = [], 0
        for path in paths:
            with path.open("rb") as file:
                content = file.read(self._most - size + 1)
            size += len(content)
            if size > self._most:
                raise ReleaseError(f"more than {self._most:,} bytes (documents.max_bytes)")
            contents.append((path, content))
        return contents

    def _documents(self, contents: list[tuple[Path, bytes]]) -> Iterator[TrustedDocument]:
        for path, content in contents:
            try:
                if path.suffix in TEXTS:
                    yield self._document(path, content)
                else:
                    app = path.stem if _APP.fullmatch(path.stem) else ""
                    yield from read_manifest(content, app=app, check_hashes=self._check_hashes)
            except ReleaseError as error:
                raise ReleaseError(f"{path.name}: {error}") from error

    def _document(self, path: Path, content: bytes) -> TrustedDocument:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ReleaseError("it is not UTF-8 text") from error
        document = TrustedDocument(id=path.stem, text=text, name=name_in(text))
        checked(document, check_hashes=self._check_hashes)
        return document


def _state_of(paths: list[Path]) -> Hashable:
    facts = ((path, os.stat(path)) for path in paths)
    return tuple((path, f.st_mtime_ns, f.st_size, f.st_ino) for path, f in facts)
