"""The files of jobs in an object store: what is put there is read back, by ranges, and removed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.config.job_models import JobOptions
from gateway.config.settings import Settings
from gateway.errors import JobsUnavailable
from gateway.jobs.job_store import JobStore
from gateway.jobs.object_parts import ObjectParts, open_object_parts
from tests.support.s3_server import s3_server

pytestmark = pytest.mark.anyio
CONTENT = bytes(range(256)) * 5_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


async def test_parts_are_put_read_and_removed_in_s3(tmp_path: Path) -> None:
    with s3_server() as bucket:
        options = JobOptions(
            bucket="s3://exports/erp",
            endpoint=bucket.address,
            region="eu-central-1",
            access_key="AKID",
            secret=SecretStr("s3cret"),
        )
        parts = open_object_parts(options, tmp_path)
        with parts.scratch("job1") as folder:
            file = Path(folder) / "part"
            file.write_bytes(CONTENT)
            await parts.put("job1", file, DIGEST)
            assert not file.exists()

        assert list(bucket.objects) == [f"erp/job1/{DIGEST}"]
        assert b"".join(parts.read("job1", DIGEST)) == CONTENT
        assert b"".join(parts.read("job1", DIGEST, 100, 1_000_000)) == CONTENT[100:1_000_000]
        bucket.objects["erp/job2/other"] = b""
        await parts.remove("job1")
        assert list(bucket.objects) == ["erp/job2/other"]
        assert not (tmp_path / "job1").exists()
        with pytest.raises(FileNotFoundError):
            next(parts.read("job1", DIGEST))
        bucket.is_down = True
        with parts.scratch("job1") as folder:
            (Path(folder) / "part").write_bytes(b"1")
            with pytest.raises(OSError, match="object store"):
                await parts.put("job1", Path(folder) / "part", DIGEST)
        for header in bucket.authorizations:
            assert header.startswith("AWS4-HMAC-SHA256 Credential=AKID/")
            assert "s3cret" not in header


async def test_azure_takes_its_account_from_the_settings() -> None:
    secret = SecretStr("c2VjcmV0")
    options = JobOptions(bucket="az://exports/erp", account="contoso", secret=secret)

    parts = open_object_parts(options, None)

    assert isinstance(parts, ObjectParts)
    with parts.scratch("job") as folder:
        assert await asyncio.to_thread(os.listdir, folder) == []


async def test_without_the_extra_jobs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    store = JobStore(Settings(data_dir=tmp_path, jobs=JobOptions(bucket="s3://exports")))

    with pytest.raises(JobsUnavailable) as refused:
        assert store.parts
    assert "object-store" in str(refused.value.hint)


@pytest.mark.parametrize("bucket", ["exports", "ftp://exports", "s3://", "s3://a b", "s3://x?y"])
def test_what_is_no_object_store_is_refused(bucket: str) -> None:
    with pytest.raises(ValueError, match="bucket"):
        JobOptions(bucket=bucket)
