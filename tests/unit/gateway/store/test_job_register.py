"""The register of jobs, in both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.config.settings import Settings
from gateway.store.job_register import JobRegister, JobRow
from gateway.store.opening import open_database
from tests.support.stores import KEY

pytestmark = pytest.mark.slow
ROW = JobRow(
    id="j1",
    environment="",
    profile=None,
    kind="export",
    state="QUEUED",
    creator="ann",
    request=b"sealed",
    checkpoint=None,
    progress="{}",
    size=0,
    error=None,
    owner="p1",
    leased_until=30.0,
    created=0.0,
    updated=0.0,
    expires_at=None,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def register(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobRegister]:
    if request.param == "postgresql":
        store = request.getfixturevalue("postgresql").new_database()
        settings = Settings(store=store, encryption_key=KEY)
    else:
        settings = Settings(data_dir=tmp_path)
    register = JobRegister(open_database(settings))
    yield register
    register.close()


def test_a_job_is_of_one_process_until_its_lease_ends(register: JobRegister) -> None:
    assert register.size() == 0
    assert register.create(ROW, most=1)
    assert not register.create(replace(ROW, id="j2"), most=1)
    assert register.claim("p2", 29.0, 59.0, 5) == ()
    assert register.renew("p1", ["j1", "j2"], 40.0) == {"j1"}
    assert register.change("j1", "p1", state="RUNNING", size=6_000_000_000)
    assert register.size() == 6_000_000_000

    with ThreadPoolExecutor(4) as pool:
        claimed = list(pool.map(lambda n: register.claim(f"p{n}", 40.0, 70.0, 5), range(2, 6)))

    (row,) = [row for rows in claimed for row in rows]
    assert not register.change("j1", "p1", size=1)
    assert register.renew("p1", ["j1"], 99.0) == frozenset()
    assert row.owner is not None
    assert register.find("j1") == row
    register.release(row.owner, [row.id], 41.0)
    assert [r.id for r in register.claim("p9", 41.0, 71.0, 5)] == ["j1"]


def test_a_job_ends_is_resumed_and_is_forgotten(register: JobRegister) -> None:
    register.create(ROW, most=9)
    register.create(replace(ROW, id="j2", environment="acme", creator="bob", created=1.0), most=9)
    assert [row.id for row in register.list(None, None, 9)] == ["j2", "j1"]
    assert [row.id for row in register.list("", None, 9)] == ["j1"]
    assert register.list("acme", "ann", 9) == ()

    assert not register.resume("j1", 2.0, owner=None)
    assert register.change("j1", "p1", state="FAILED", expires_at=60.0)
    assert not register.change("j1", "p1", state="RUNNING")
    assert register.resume("j1", 2.0, owner="p3", leased_until=32.0)
    assert register.cancel("j1", 3.0, expires_at=63.0)
    assert not register.cancel("j1", 3.0, expires_at=99.0)
    assert register.expired(62.0) == ()
    assert register.expired(63.0) == ("j1",)
    register.remove("j1")
    assert register.find("j1") is None
