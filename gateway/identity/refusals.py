"""The error of credentials that are not accepted."""

from __future__ import annotations

from .caller import Caller

MAX_SHOWN = 120
"""Maximum characters of an unverified text in the log."""


class CredentialsRefused(Exception):
    """Credentials that are not accepted: ``reason`` is for the log, the message for their sender."""

    def __init__(
        self,
        reason: str,
        message: str = "The token is not valid.",
        *,
        is_malformed: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_malformed = is_malformed
        """Whether the request itself is wrong, whatever its credentials are."""
        self.issuer: str | None = None
        self.kid: str | None = None
        self.caller: str | None = None

    def describe(self, *, issuer: str | None, kid: str | None, subject: str | None) -> None:
        """Add what the credentials say of themselves, unverified, for the log."""
        self.issuer = None if issuer is None else issuer[:MAX_SHOWN]
        self.kid = None if kid is None else kid[:MAX_SHOWN]
        if issuer is not None and subject is not None:
            self.caller = Caller(issuer=issuer, subject=subject).log_id
