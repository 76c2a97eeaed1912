"""Where ``$metadata`` documents are found: the only list of them.

Tests and benchmarks need the documents of the repository alone: those of ``tests/csdl``, and the full-size catalogue of
``tests/catalogue`` with three cuts of it, which are written to ``.cache/metadata`` when they are first asked for.

Real documents are read besides where there are any: ``*.xml.gz`` in the folder that ``TEST_METADATA`` names, else in a
folder ``shared/metadata`` beside the repository or further up. A test that is about one of them skips where it is not.
"""

from __future__ import annotations

import fcntl
import gzip
import os
from dataclasses import fields, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from gateway.sandbox.catalogue import built_in
from schema.csdl.parse import parse_csdl
from schema.model import snapshot
from schema.model.records import Model
from tests.catalogue.cuts import CUTS, cut
from tests.catalogue.document import write
from tests.catalogue.generate import catalogue

ROOT = Path(__file__).resolve().parents[2]
CSDL = ROOT / "tests/csdl"
CACHE = ROOT / ".cache/metadata"

CATALOGUE = "finance-catalogue"
"""The generated document with all of its 3,868 entity sets."""
CUSTOMERS, PROCUREMENT, ESSENTIAL = CUTS
"""Generated documents of 2, 14 and 10 entity sets."""
TRADERS = "traders"
"""An order book: plain OData V4.0 with constraints."""
TRIPS = "trips"
"""Derived, open and complex types, a singleton, functions; no constraints."""
BOOKKEEPING = "bookkeeping"
"""As Business Central has it: companies that contain all else, Guid keys, streams, dates."""
RELATIONSHIPS = "relationships"
"""As Dataverse has it: one base type of all, lookups, complex answers of actions and functions."""

GENERATED = (CATALOGUE, *CUTS)
SMALL = (TRADERS, TRIPS, BOOKKEEPING, CUSTOMERS, PROCUREMENT, ESSENTIAL)
"""Documents that a test can read in a moment; without the one whose inheritance not every test bears."""

REAL_CATALOGUE = "finops-full-reconstructed"
REAL_DATAVERSE = "dataverse-crm4-v9.1-2.4MB"
REAL_SMALL = (
    "northwind-v4-davidmoten",
    "trippin-rw-odata2ts",
    "businesscentral-api-v2.0-common",
    "finops-trimmed-finance_customersv3",
    "finops-trimmed-procurement",
    "finops-trimmed-essential",
    "finops-trimmed-retail",
)


def folder_beside(root: Path, named: str | None) -> Path | None:
    """Return the folder of real documents that is named, or the nearest one beside a repository or further up."""
    if named:
        return Path(named)
    near = (parent / "shared/metadata" for parent in root.parents)
    return next((folder for folder in near if folder.is_dir()), None)


@cache
def real_folder() -> Path | None:
    """Return the folder of real documents, or None where there is none."""
    return folder_beside(ROOT, os.environ.get("TEST_METADATA"))


def found(*names: str) -> tuple[str, ...]:
    """Return those of the real documents that are there: what an additional run is parametrised with."""
    folder = real_folder()
    return tuple(n for n in names if folder is not None and (folder / f"{n}.xml.gz").is_file())


def catalogues(*real: str) -> list[ParameterSet]:
    """Return the whole catalogue, and those of the real ones that are there, as parameters of slow tests."""
    return [pytest.param(name, marks=pytest.mark.catalogue) for name in (CATALOGUE, *found(*real))]


def is_finance(name: str) -> bool:
    """Return whether a document is one of Finance & Operations."""
    return name.startswith(("finance-", "finops-"))


def path_of(name: str) -> Path:
    """Return the path of a document, packed or not; skip the test where a real one is not there."""
    if name in GENERATED:
        return _generated(name)
    own = CSDL / f"{name}.xml"
    return own if own.is_file() else real_file(f"{name}.xml.gz")


def real_file(name: str) -> Path:
    """Return the path of a file beside the real documents; a test is skipped where it is not there."""
    folder = real_folder()
    if folder is None or not (folder / name).is_file():
        pytest.skip(f"an additional run: put {name} into a folder and name it in TEST_METADATA")
    return folder / name


def content_of(name: str) -> bytes:
    """Return the text of a document."""
    path = path_of(name)
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def model_of(name: str) -> Model:
    """Return what a document says; the whole catalogue comes from a snapshot, in a tenth of the time."""
    return _from_snapshot() if name == CATALOGUE else parsed(name)


def parsed(name: str) -> Model:
    """Return what the parser reads in a document, for tests that are about the parser."""
    return parse_csdl(content_of(name), name=name)


def every_name() -> list[str]:
    """Return the names of all documents that are there, but for the cuts of the generated one."""
    folder = real_folder()
    real = [] if folder is None else sorted(folder.glob("*.xml.gz"))
    own = sorted(CSDL.glob("*.xml"))
    return [*(p.name.partition(".xml")[0] for p in [*own, *real]), CATALOGUE]


@cache
def _generated(name: str) -> Path:
    """Return a generated document's path; whoever comes first writes all of them, others wait for that."""
    folder = CACHE / _stamp()
    path = folder / f"{name}.xml.gz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.is_file():
                _write_all(folder)
    return path


def _from_snapshot() -> Model:
    """Return the model of the whole catalogue with every record made, as the parser makes it."""
    path = path_of(CATALOGUE).with_name(f"{CATALOGUE}.snapshot")
    fingerprint = _stamp_of_reader()
    model = _unpacked(path, fingerprint)
    if model is None:
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            model = _unpacked(path, fingerprint)
            if model is None:
                model = parsed(CATALOGUE)
                draft = path.with_suffix(".draft")
                draft.write_bytes(b"".join(snapshot.pack(model, fingerprint=fingerprint)))
                draft.replace(path)
    return model


def _unpacked(path: Path, fingerprint: bytes) -> Model | None:
    if not path.is_file():
        return None
    found = snapshot.unpack(path.read_bytes(), fingerprint=fingerprint)
    if found is None:
        return None
    tables: Any = {
        each.name: dict(table)
        for each in fields(Model)
        if isinstance(table := getattr(found.model, each.name), snapshot.Records)
    }
    return replace(found.model, **tables)


def _write_all(folder: Path) -> None:
    for old in (*CACHE.glob("*/*.xml.gz"), *CACHE.glob("*/*.snapshot")):
        old.unlink()
    whole = catalogue()
    cuts = {name: cut(whole, sets) for name, sets in CUTS.items()}
    # The whole comes last: where it is, all are.
    for name, model in {**cuts, CATALOGUE: whole}.items():
        draft = folder / f"{name}.draft"
        draft.write_bytes(gzip.compress(write(model), 4, mtime=0))
        draft.replace(folder / f"{name}.xml.gz")


def _stamp() -> str:
    """Return a digest of all that decides what is written: the generator, and the entities of the sandbox."""
    digest = sha256(repr(built_in().model).encode())
    for source in sorted((ROOT / "tests/catalogue").glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _stamp_of_reader() -> bytes:
    """Return a digest of all that decides what is read in a document."""
    digest = sha256()
    for room in ("csdl", "model"):
        for source in sorted((ROOT / "schema" / room).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.digest()
