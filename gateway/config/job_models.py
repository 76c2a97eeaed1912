"""Settings of jobs: ``[jobs]``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from .value_types import Folder


class JobOptions(BaseModel):
    """Where the files of jobs are, how many may run, and how long they stay."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    dir: Folder = Field(
        default=None,
        description="Folder of the files that jobs write, for our user alone; several replicas need a shared one. Not"
        " set: jobs in data_dir.",
    )
    bucket: str | None = Field(
        default=None,
        pattern=r"^(s3|az)://[a-z0-9][a-z0-9.-]{1,62}(/[A-Za-z0-9._/-]*)?$",
        description="Object store of the files, in the place of a folder: s3://BUCKET/PREFIX or az://CONTAINER/PREFIX."
        " Needs the extra object-store.",
    )
    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Address of an object store that is not the cloud's own, such as https://minio.example.com.",
    )
    region: str | None = Field(default=None, description="Region of the bucket, for S3.")
    account: str | None = Field(default=None, description="Storage account, for Azure.")
    access_key: str | None = Field(default=None, description="Access key id, for S3.")
    secret: SecretStr | None = Field(
        default=None,
        description="Secret access key of S3, or account key of Azure. Not set: credentials of the machine.",
    )
    keep: float = Field(
        default=259_200.0,
        ge=60,
        description="Seconds after its end for which a job and its files stay.",
    )
    running: int = Field(
        default=2, ge=1, le=100, description="Jobs that run at a time, per worker; others wait."
    )
    per_caller: int = Field(
        default=10, ge=1, description="Jobs of one caller that have not ended; beyond: 429."
    )
    max_bytes: int = Field(
        default=20_000_000_000,
        ge=1_000_000,
        description="Bytes that the files of all jobs may take; beyond, new jobs are refused and running ones fail.",
    )
    part_rows: int = Field(
        default=50_000, ge=100, description="Rows of one part of an export, about."
    )
    parallel: int = Field(
        default=4, ge=1, le=32, description="Parts of one export that are read side by side."
    )
    lease: float = Field(
        default=30.0,
        ge=1,
        description="Seconds after which another process goes on with the jobs of one that was killed.",
    )
