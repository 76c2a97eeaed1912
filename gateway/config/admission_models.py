"""Settings of admission: how requests to the environment are shared out when it is busy.

[admission]
weights = { interactive = 8, export = 1 }
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from .credential_models import check_certificate, check_secret

LaneName: TypeAlias = Literal["interactive", "federation", "subscription", "agent", "export"]


class LaneWeights(BaseModel):
    """Shares of the lanes in what the environment can take, while several of them wait."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    interactive: float = Field(default=8.0, gt=0, le=1_000)
    federation: float = Field(default=8.0, gt=0, le=1_000)
    subscription: float = Field(default=2.0, gt=0, le=1_000)
    agent: float = Field(default=4.0, gt=0, le=1_000)
    export: float = Field(default=1.0, gt=0, le=1_000)


class LaneCredential(BaseModel):
    """An application of the environment's tenant whose requests are those of one lane."""

    model_config = ConfigDict(
        frozen=True, defer_build=True, extra="forbid", hide_input_in_errors=True
    )

    client_id: str
    client_secret: Annotated[SecretStr, AfterValidator(check_secret)] | None = None
    """Secret, or a Key Vault reference."""
    certificate: Annotated[str, AfterValidator(check_certificate)] | None = None
    """File with certificate and private key instead, or a Key Vault reference."""
    certificate_password: Annotated[SecretStr, AfterValidator(check_secret)] | None = None

    @model_validator(mode="after")
    def _has_one(self) -> LaneCredential:
        if (self.client_secret is None) == (self.certificate is None):
            raise ValueError("expected client_secret or certificate, and not both")
        return self


class AdmissionOptions(BaseModel):
    """How requests to the environment are shared out when it is busy."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    start: int = Field(
        default=4,
        ge=1,
        le=52,
        description="Concurrent upstream requests at first; from then on the number is learned, up to concurrency.",
    )
    queue: int = Field(
        default=2_000,
        ge=1,
        description="Maximum upstream requests that wait in one lane; beyond: OVERLOADED.",
    )
    wait: float | None = Field(
        default=None,
        gt=0,
        description="Longest time in seconds that a read waits for its turn; longer: OVERLOADED. Not set: nine"
        " tenths of the operation's time.",
    )
    breaker_failures: int = Field(
        default=10,
        ge=0,
        description="Upstream requests in a row that end without an answer (no connection, lost, too late), after which"
        " requests are refused at once (UPSTREAM_UNAVAILABLE) but for a probe now and then; 0: never.",
    )
    breaker_pause: float = Field(
        default=5.0,
        ge=0.1,
        le=60,
        description="Seconds until the first probe; twice as many after each that gets no answer, up to 60.",
    )
    weights: LaneWeights = Field(
        default=LaneWeights(),
        description="Shares of the lanes interactive, federation, subscription, agent and export while several of"
        " them wait.",
    )
    credentials: dict[LaneName, LaneCredential] = Field(
        default={},
        description="Lane = application of its own (client_id, client_secret or certificate), to which the environment"
        " can give another priority. Needs auth = client_credentials and identity = app.",
    )
