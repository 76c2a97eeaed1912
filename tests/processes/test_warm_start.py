"""``model_snapshots`` and starts that open one: nothing is parsed without need, and no wrong model is used.

Counts, not times: how long a start takes is measured by ``make bench``.
"""

from __future__ import annotations

import gc
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway.config.settings import Settings
from gateway.process import garbage_collection as collector
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.storage.model_snapshots import MAX_SNAPSHOTS, SnapshotStore, fingerprint_of
from schema.model.records import EnumMember, EnumType, Model
from schema.model.snapshot import Records
from tests.support.garbage import unfrozen
from tests.support.metadata_documents import CATALOGUE, path_of
from tests.support.small_models import NO_YES, entity, model, prop

ROOT = Path(__file__).resolve().parents[2]
QUERY = "{ things(first: 1) { nodes { rowId name } } }"
ROWS = {"value": [{"Id": "1", "Name": "one"}]}
CSDL = """<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
<edmx:DataServices><Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="N">
<EntityType Name="Thing"><Key><PropertyRef Name="Id"/></Key>
<Property Name="Id" Type="Edm.String" Nullable="false"/><Property Name="Name" Type="Edm.String"/>
</EntityType>
<EntityType Name="Other"><Key><PropertyRef Name="Id"/></Key>
<Property Name="Id" Type="Edm.String" Nullable="false"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Things" EntityType="N.Thing"/>
<EntitySet Name="Others" EntityType="N.Other"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>
"""


@dataclass
class Starts:
    """One gateway's start after another, on one folder."""

    folder: Path
    document: Path
    read: list[int] = field(default_factory=list)
    """How often the parser asked for a piece, start by start."""

    async def __call__(
        self, query: str | None = QUERY, rows: object = ROWS, **values: object
    ) -> tuple[Gateway, Any]:
        chosen = Settings.model_validate(
            {
                "url": "https://fo.example/data",
                "auth": "none",
                "dialect": "finops",
                "metadata": str(self.document),
                "cache_dir": self.folder,
                **values,
            }
        )
        body: list[int] = []
        opened = open_gateway(
            chosen,
            transport=httpx.MockTransport(lambda _: httpx.Response(200, json=rows)),
            observe=lambda _: None,
            progress=lambda done, total: body.append(done),
        )
        async with opened as gateway:
            self.read.append(len(body))
            if query is None:
                return gateway, None
            answer = await gateway.engine.execute(GraphQLRequest(query=query))
            return gateway, answer.to_builtins()

    def files(self) -> list[Path]:
        return sorted((self.folder / "models").iterdir())


@pytest.fixture
def starts(tmp_path: Path) -> Starts:
    document = tmp_path / "m.xml"
    document.write_text(CSDL)
    return Starts(tmp_path / "cache", document)


def decoded(held: Model) -> dict[str, int]:
    tables = {
        "types": held.entity_types,
        "complex": held.complex_types,
        "enums": held.enum_types,
        "sets": held.entity_sets,
    }
    return {name: t.decoded for name, t in tables.items() if isinstance(t, Records)}


# -- the start


@pytest.mark.anyio
async def test_a_second_start_reads_no_metadata_and_answers_the_same(starts: Starts) -> None:
    first, body = await starts()
    second, again = await starts()

    assert starts.read[0] > 0
    assert starts.read[1] == 0
    assert body == again == {"data": {"things": {"nodes": [{"rowId": "1", "name": "one"}]}}}
    assert second.catalog.model == first.catalog.model
    assert list(second.catalog.entries()) == list(first.catalog.entries())
    assert second.schema.as_str() == first.schema.as_str()


@pytest.mark.anyio
async def test_a_start_decodes_nothing_and_an_answer_only_what_it_needs(starts: Starts) -> None:
    # Whether any set can be written to is looked up at a start: in the first one that can, as a rule.
    await starts(None, read_only=True)

    quiet, _ = await starts(None, read_only=True)
    asked, _ = await starts(read_only=True)

    assert decoded(quiet.catalog.model) == {"types": 0, "complex": 0, "enums": 0, "sets": 0}
    assert decoded(asked.catalog.model) == {"types": 1, "complex": 0, "enums": 0, "sets": 1}


@pytest.mark.anyio
async def test_the_first_start_releases_what_it_parsed(starts: Starts) -> None:
    first, _ = await starts(None, read_only=True)

    assert decoded(first.catalog.model) == {"types": 0, "complex": 0, "enums": 0, "sets": 0}


@pytest.mark.anyio
async def test_a_changed_document_replaces_the_snapshot(starts: Starts) -> None:
    await starts()
    starts.document.write_text(CSDL.replace('"Things"', '"Items"'))

    changed, _ = await starts(None)

    assert "items" in changed.catalog.roots
    assert starts.read[1] > 0
    assert len(starts.files()) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("values", "root"),
    [
        ({"exclude": ["Others"]}, "things"),
        ({"include": ["Others"]}, "others"),
        ({"names": {"Query.Things": "stuff"}}, "stuff"),
        ({"clean_noyes": False}, "things"),
        ({"dialect": "odata"}, "things"),
        (
            {
                "relations": [
                    {
                        "from_set": "Things",
                        "fields": ["Id"],
                        "to_set": "Others",
                        "to_fields": ["Id"],
                        "name": "Other",
                    }
                ]
            },
            "things",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_other_settings_have_their_own_snapshot(
    starts: Starts, values: dict[str, object], root: str
) -> None:
    plain, _ = await starts(None)
    other, _ = await starts(None, **values)
    plain_again, _ = await starts(None)
    other_again, _ = await starts(None, **values)

    assert [reads > 0 for reads in starts.read] == [True, True, False, False]
    assert root in other.catalog.roots
    assert other_again.schema.as_str() == other.schema.as_str()
    assert plain_again.schema.as_str() == plain.schema.as_str()


@pytest.mark.anyio
@pytest.mark.parametrize("damage", ["empty", "cut", "flip", "foreign", "folder"])
async def test_a_damaged_snapshot_is_replaced(starts: Starts, damage: str) -> None:
    first, body = await starts()
    (path,) = starts.files()
    whole = path.read_bytes()
    at = len(whole) // 2
    contents = {
        "empty": b"",
        "cut": whole[:at],
        "flip": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
        "foreign": b"PK\x03\x04" * 100,
    }
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(contents[damage])

    second, again = await starts()

    assert starts.read[1] > 0
    assert again == body
    assert second.schema.as_str() == first.schema.as_str()
    if damage != "folder":
        assert path.read_bytes() == whole
        await starts()
        assert starts.read[2] == 0


@pytest.mark.anyio
async def test_a_foreign_sidecar_is_replaced(starts: Starts) -> None:
    first, _ = await starts(None)
    (path,) = starts.files()
    path.write_bytes(without_notes(path.read_bytes()))
    second, _ = await starts(None)

    assert starts.read[1] > 0
    assert second.schema.as_str() == first.schema.as_str()


def without_notes(snapshot: bytes) -> bytes:
    """A sound snapshot, and the last element of its index is empty."""
    size = int.from_bytes(snapshot[-72:-64], "little")
    records, index, stamp = snapshot[: -72 - size], snapshot[-72 - size : -72], snapshot[-64:-32]
    index = msgspec.msgpack.encode([*msgspec.msgpack.decode(index)[:-1], b""])
    content = records + index + len(index).to_bytes(8, "little") + stamp
    return content + sha256(content).digest()


@pytest.mark.anyio
async def test_without_a_usable_folder_every_start_parses(starts: Starts, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    _, body = await starts(cache_dir=tmp_path / "file")
    _, again = await starts(cache_dir=tmp_path / "file")
    await starts(cache_dir=None)

    assert again == body
    assert min(starts.read) > 0
    assert not starts.folder.exists()


@pytest.mark.heavy
@pytest.mark.catalogue
@pytest.mark.anyio
async def test_the_full_catalogue_starts_with_a_handful_of_records(
    tmp_path: Path,
) -> None:
    starts = Starts(tmp_path, path_of(CATALOGUE))
    rows = {"value": [{"dataAreaId": "usmf", "CustomerGroupId": "10", "Description": "Retail"}]}
    query = "{ customerGroups(first: 1) { nodes { customerGroupId description } } }"

    await starts(None)
    quiet, _ = await starts(None)
    asked, body = await starts(query, rows)

    assert starts.read[1:] == [0, 0]
    assert len(quiet.catalog.model.entity_sets) == 3_868
    assert sum(decoded(quiet.catalog.model).values()) <= 10
    assert sum(decoded(asked.catalog.model).values()) <= 30
    assert body["data"]["customerGroups"]["nodes"][0]["customerGroupId"] == "10"


# -- the folder

SMALL = model(entity("Thing", prop("Id"), key=("Id",)), NO_YES, sets={"Things": "Thing"})
STAMP = fingerprint_of("document")


def test_a_written_snapshot_is_opened(tmp_path: Path) -> None:
    snapshots = SnapshotStore(tmp_path / "a" / "models")

    assert snapshots.open("key", STAMP) is None
    assert snapshots.write("key", STAMP, SMALL, b"notes")
    result = snapshots.open("key", STAMP)

    assert result is not None
    assert (result.model, bytes(result.notes)) == (SMALL, b"notes")
    assert snapshots.open("key", fingerprint_of("another")) is None
    assert snapshots.open("another", STAMP) is None
    (path,) = (tmp_path / "a" / "models").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_open_model_survives_replacement_of_its_file(tmp_path: Path) -> None:
    snapshots = SnapshotStore(tmp_path)
    snapshots.write("key", STAMP, SMALL, b"")
    result = snapshots.open("key", STAMP)

    snapshots.write("key", STAMP, model(NO_YES), b"")
    for path in tmp_path.iterdir():
        path.unlink()

    assert result is not None
    assert result.model == SMALL


def test_a_model_beyond_messagepack_leaves_no_file(tmp_path: Path) -> None:
    huge = model(EnumType(name="E.E", members=(EnumMember(name="Huge", value=2**80),)))

    assert not SnapshotStore(tmp_path).write("key", STAMP, huge, b"")
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_is_stored() -> None:
    snapshots = SnapshotStore(None)

    assert not snapshots.write("key", STAMP, SMALL, b"")
    assert snapshots.open("key", STAMP) is None


def test_pruning_keeps_recent_snapshots_and_no_old_drafts(tmp_path: Path) -> None:
    snapshots = SnapshotStore(tmp_path)
    for number in range(MAX_SNAPSHOTS):
        snapshots.write(str(number), STAMP, SMALL, b"")
    for number, path in enumerate(tmp_path.iterdir()):
        os.utime(path, (number, number))
    old, young = tmp_path / ".old.draft", tmp_path / ".young.draft"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))

    used = [n for n in map(str, range(MAX_SNAPSHOTS)) if snapshots.open(n, STAMP)][:1]
    for path in tmp_path.glob("*.snapshot"):
        os.utime(path, (1, 1))
    snapshots.open(used[0], STAMP)
    snapshots.write("new", STAMP, SMALL, b"")

    assert len(list(tmp_path.glob("*.snapshot"))) == MAX_SNAPSHOTS
    assert snapshots.open(used[0], STAMP) is not None
    assert snapshots.open("new", STAMP) is not None
    assert (old.exists(), young.exists()) == (False, True)


def test_concurrent_writers_leave_one_sound_snapshot(tmp_path: Path) -> None:
    """Whoever opens meanwhile gets a whole model or none."""
    models = [
        model(entity("Thing", *(prop(f"P{i}") for i in range(size))), sets={"Things": "Thing"})
        for size in (1, 50, 400)
    ]
    result: list[Model | None] = []
    stop = threading.Event()

    def write(which: int) -> None:
        for _ in range(15):
            assert SnapshotStore(tmp_path).write("key", STAMP, models[which], b"")

    def read() -> None:
        while not stop.is_set():
            opened = SnapshotStore(tmp_path).open("key", STAMP)
            result.append(None if opened is None else opened.model)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(which,)) for which in range(len(models))]
    reader.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    stop.set()
    reader.join()

    opened = SnapshotStore(tmp_path).open("key", STAMP)
    assert opened is not None
    assert opened.model in models
    assert all(one in models for one in result if one is not None)
    assert [path.suffix for path in tmp_path.iterdir()] == [".snapshot"]


def test_fingerprints_of_different_values_differ() -> None:
    assert fingerprint_of("ab", "c") != fingerprint_of("a", "bc")
    assert fingerprint_of("a", b"b") == fingerprint_of("a", b"b")


# -- the process

NEEDLESS = (
    *("sqlalchemy", "odata_query", "msal", "gateway.sandbox", "gateway.graphiql.page"),
    *("rich", "pygments", "greenlet", "aiohttp", "websockets", "jwt", "cryptography"),
    *("schema.csdl.parse", "schema.search", "schema.why.reads"),
    *("gateway.explain.explain", "gateway.subscriptions.streams"),
    *("gateway.cli.store_commands", "gateway.cli.model_commands"),
)
IMPORTS = """
import sys
import gateway.cli.commands
from gateway.process.lean_imports import without_terminal_imports
with without_terminal_imports():
    import gateway.cli.serve
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def imported(code: str, *names: str) -> str:
    command = [sys.executable, "-c", code, *names]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_serving_imports_only_what_it_needs_and_the_rest_can_be_imported_later() -> None:
    code = (
        IMPORTS + "import rich.progress, structlog, httpx; print(rich.progress.Progress.__name__)"
    )

    assert imported(code, *NEEDLESS).splitlines() == ["", "Progress"]


def test_describing_a_schema_imports_no_execution() -> None:
    running = (
        "httpx",
        "gateway.odata.client",
        "gateway.fallback_resolvers",
        "gateway.execution.plan_runner",
        "typer",
    )
    code = IMPORTS.replace("gateway.cli.commands", "gateway").replace(
        "cli.serve", "introspection.writer_process"
    )

    assert imported(code, *NEEDLESS, *running).strip() == ""


@pytest.fixture
def collecting() -> Iterator[None]:
    with unfrozen():
        yield


def test_the_collector_is_off_during_the_start(collecting: None) -> None:
    with collector.paused():
        assert not gc.isenabled()
        collector.freeze()
        assert gc.isenabled()

    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == collector.THRESHOLDS


def test_the_collector_is_on_after_a_failed_start(collecting: None) -> None:
    with pytest.raises(ZeroDivisionError), collector.paused():
        1 / 0  # noqa: B018 - a start that fails

    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
