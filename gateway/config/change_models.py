"""Settings of changes: `[changes]`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .value_types import Names

TWIN = re.compile(
    r"(?P<set>[^\s.,]+) by (?P<twin>[^\s.,]+)\.(?P<stamp>[^\s.,]+)"
    r" on (?P<key>[^\s,=]+(=[^\s,=]+)?( +[^\s,=]+(=[^\s,=]+)?)*)"
)
"""How a twin is written."""


def _check_twins(twins: tuple[str, ...]) -> tuple[str, ...]:
    for twin in twins:
        if not TWIN.fullmatch(twin):
            raise ValueError(f"{twin!r} is not 'Set by Twin.Stamp on Key Key=TwinKey'")
    return twins


class ChangeOptions(BaseModel):
    """Changes of lists since a cursor: how they are found."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    enabled: bool = Field(default=True, description="Whether Query.changes is served.")
    tracked: Names = Field(
        default=("*",),
        description="Entity sets, or patterns of them, whose changes are read by delta links if the service states"
        " that it tracks them (Org.OData.Capabilities.V1.ChangeTracking).",
    )
    late: float = Field(
        default=60.0,
        ge=0,
        description="Seconds by which a row may appear later than its modification time says: the longest transaction,"
        " plus the difference between the clocks of the service's servers.",
    )
    twins: Annotated[Names, AfterValidator(_check_twins)] = Field(
        default=(),
        description="Sets over the same table that have the time of the last change, as"
        " 'Set by Twin.Stamp on Key Key=TwinKey', before those that are known.",
    )
    sweep_interval: float = Field(
        default=300.0,
        ge=0,
        description="Seconds between two sweeps of a list at least, which read the keys of all its rows: for lists"
        " without modification times, and for those in swept.",
    )
    woken_interval: float = Field(
        default=30.0,
        ge=0,
        description="Likewise, for lists whose environment has reported a change since the last sweep (hooks).",
    )
    swept: Names = Field(
        default=(),
        description="Entity sets with modification times, or patterns of them, that are swept as well, so that deleted"
        " rows are noticed.",
    )
    by_values: Names = Field(
        default=(),
        description="Entity sets, or patterns of them, whose ETags do not tell changes: sweeps compare all values.",
    )
    max_swept_rows: int = Field(
        default=500_000,
        ge=1,
        description="Maximum rows of a list that is swept: some 200 bytes of memory each during the sweep.",
    )
    max_swept_lists: int = Field(
        default=100,
        ge=1,
        description="Maximum lists of an environment whose sweeps are stored (set, filter, companies, and what the"
        " caller sees); those that were used least recently are forgotten.",
    )
    sweeps_kept: float = Field(
        default=604_800.0,
        gt=0,
        description="Seconds for which a cursor of a swept list can be used; later the whole list comes again.",
    )
