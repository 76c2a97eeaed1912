"""Settings of data packages: `[packages]`, and `[packages.sets.NAME]` for each entity set that can be exported so."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .value_types import HostNames


def _check_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise ValueError(f"there is no encoding {name!r}") from None


class PackageSet(BaseModel):
    """An entity set that can be exported as a data package."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    project: Annotated[str, Field(min_length=1, max_length=60)] = Field(
        description="Export data project (definition group) of Finance & Operations that has this entity, with all"
        " rows: no filter, and a full push."
    )
    file: str | None = Field(
        default=None,
        description="Name of the entity's file in the package. Not set: the only file that is no XML.",
    )
    columns: Mapping[str, str] = Field(
        default={},
        description="Property = column of the file, for those whose names differ in more than capitals.",
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        default=",", description="Column delimiter of the project's data format."
    )
    quote: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        default='"', description="Text qualifier of the data format."
    )
    encoding: Annotated[str, AfterValidator(_check_encoding)] = Field(
        default="utf-8", description="Encoding of files without a byte order mark."
    )
    decimal: Literal[".", ","] = Field(default=".", description="Decimal separator.")
    dates: Literal["ymd", "mdy", "dmy"] = Field(
        default="ymd", description="Order of year, month and day in dates; times are in UTC."
    )


class PackageOptions(BaseModel):
    """Exports by the data management package API of Finance & Operations."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    sets: Mapping[str, PackageSet] = Field(
        default={}, description="Entity set = its data project. Empty: nothing is exported so."
    )
    min_rows: int = Field(
        default=100_000,
        ge=0,
        description="Rows from which an export job that names no source uses a package.",
    )
    hosts: HostNames = Field(
        default=("*.blob.core.windows.net",),
        description="Hosts from which packages are downloaded: x.example.com, *.example.com; by https only, and without"
        " any credentials. Those that a pattern allows at public IP addresses only. A loopback address, for sandboxes,"
        " must be listed itself.",
    )
    max_bytes: int = Field(
        default=2_000_000_000, ge=1_000, description="Maximum bytes of a package as it is sent."
    )
    max_file_bytes: int = Field(
        default=50_000_000_000, ge=1_000, description="Maximum bytes of its file, uncompressed."
    )
    poll: float = Field(
        default=10.0, gt=0, le=600, description="Seconds between two questions for the status."
    )
    timeout: float = Field(
        default=7_200.0, gt=0, description="Seconds that an execution of a data project may take."
    )
    company: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,4}$")] = Field(
        default="dat",
        description="Legal entity in which projects of entities run that belong to none.",
    )
