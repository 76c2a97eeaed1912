"""The settings of reading: companies, limits, upstream requests, values and names, and what is served.

The second part of :class:`~gateway.config.settings.Settings`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import NoDecode

from .service_settings import ServiceSettings
from .setting_models import Relation
from .value_types import Json, Names, NamesOrAll, Text


class ReadingSettings(ServiceSettings):
    """How rows are requested, how much of them, and as what they are served."""

    companies: Names = Field(
        default=(),
        description="Legal entities read by default; a request may name others. Empty: all that the account may"
        " read.",
    )
    company_limit: Names = Field(
        default=(),
        description="The only legal entities that may be read or written, whatever a request names. Empty: no"
        " limit.",
    )
    company_limit_shared: NamesOrAll = Field(
        default=True,
        description="Whether data without a legal entity is served under company_limit; or patterns of the entity"
        " sets for which it is.",
    )
    default_page_size: int = Field(
        default=50, ge=1, description="Rows of a list if neither first nor last is given."
    )
    max_page_size: int = Field(default=1_000, ge=1, description="Maximum of first and last.")
    operation_timeout: float = Field(
        default=120.0,
        gt=0,
        description="Seconds until an operation is cancelled. Writes that were sent are not cancelled.",
    )
    max_url_length: int = Field(
        default=2_000,
        ge=200,
        le=60_000,
        description="Maximum length of an encoded upstream URL, counted after the service root.",
    )
    max_rows: int = Field(
        default=100_000,
        ge=1,
        description="Maximum rows read for one list, over all its upstream pages.",
    )
    long_list_rows: int = Field(
        default=100,
        ge=0,
        description="Rows by which the related lists of many parents must be longer than the page that is requested, so"
        " that each parent's page is read by itself, in a $batch, instead of whole lists. Learned while running.",
    )
    max_filtered_rows: int = Field(
        default=100_000,
        ge=1,
        description="Maximum rows an operation may read for filters that only the gateway can apply (text that"
        " contains *).",
    )
    max_upstream_bytes: int = Field(
        default=256_000_000, ge=1_000, description="Maximum size of an upstream response, in bytes."
    )
    concurrency: int = Field(
        default=16,
        ge=1,
        le=52,
        description="Maximum concurrent upstream requests. How many the environment takes is learned.",
    )
    connect_timeout: float = Field(
        default=10.0, gt=0, description="Seconds to open an upstream connection."
    )
    read_timeout: float = Field(
        default=60.0, gt=0, description="Seconds to wait for the next part of an upstream response."
    )
    answer_timeout: float = Field(
        default=300.0, gt=0, description="Seconds for a whole upstream response, writes included."
    )
    retries: int = Field(default=4, ge=0, le=20, description="Maximum retries of a read.")
    retry_wait_max: float = Field(
        default=30.0,
        ge=0,
        description="Longest pause before a retry, in seconds, if the service names none (Retry-After).",
    )
    expand: Literal["auto", "never"] = Field(
        default="auto",
        description="Whether related rows may be read with $expand; never: always by key batches.",
    )
    clean_noyes: bool = Field(default=True, description="Map the enum NoYes to Boolean.")
    clean_null_dates: bool = Field(default=True, description="Map 1900-01-01 to null.")
    clean_dates: bool = Field(
        default=True, description="Map X++ dates to Date instead of DateTime."
    )
    account_numbers: Names = Field(
        default=(),
        description="Display values that only ever hold customer, vendor or bank accounts, as Type.Property: read"
        " and written as US-009 instead of US\\-009.",
    )
    language: Text = Field(
        default=None,
        description="Language of the label texts in descriptions, such as en-US; none: no label texts. Not set:"
        " none, for the sandbox en-US. Fetching may take one request per label, once.",
    )
    names: Annotated[dict[str, str], NoDecode, Json] = Field(
        default={}, description="Renames: qualified CSDL path = GraphQL name."
    )
    include: Names = Field(default=(), description="Patterns of entity sets to serve. Empty: all.")
    exclude: Names = Field(default=(), description="Patterns of entity sets to leave out.")
    relations: Annotated[tuple[Relation, ...], NoDecode, Json] = Field(
        default=(),
        description="Relations that the metadata lacks: from_set, fields, to_set, to_fields, name, inverse, many.",
    )
    relation_presets: bool = Field(
        default=True,
        description="Whether to add well-known relations of the product, if their entity sets and fields are"
        " served.",
    )
