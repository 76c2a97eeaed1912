"""What the link page reports: problems with a code, a message and what to do, and the status of the answer."""

from __future__ import annotations

from gateway.errors import GatewayError

from .session import Problem, Refusal, TransitionRefused


class LinkError(Exception):
    """A request of the link page that is refused."""

    def __init__(
        self,
        status: int,
        problem: Problem,
        *,
        field: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(problem.message)
        self.status = status
        self.problem = problem
        self.field = field
        """The input that is wrong."""
        self.retry_after = retry_after


def no_session() -> LinkError:
    """Return the error for an address that is of no use, whatever the reason: nothing may tell strangers more."""
    return LinkError(
        404,
        Problem(
            "LINK_NOT_FOUND",
            "This link is not valid: it has expired, was used, or was opened in another browser.",
            "Ask for a new link where you got this one.",
        ),
    )


def bad_input(field: str, message: str, hint: str | None = None) -> LinkError:
    """Return the error of an input that cannot be used."""
    return LinkError(400, Problem("LINK_INPUT", message, hint), field=field)


def busy() -> LinkError:
    """Return the error for one request too many at a time."""
    message = "Too many environments are being linked right now."
    return LinkError(429, Problem("LINK_BUSY", message, "Try again in a minute."), retry_after=30)


def changed() -> LinkError:
    """Return the error of a step whose session another one has changed meanwhile."""
    message = "Another request has changed this link session meanwhile."
    return LinkError(409, Problem("LINK_CHANGED", message, "Reload the page."))


def refused(error: TransitionRefused) -> LinkError:
    """Return the error of a step that may not happen now."""
    match error.reason:
        case Refusal.ENDED | Refusal.BROWSER:
            return no_session()
        case Refusal.TRIES:
            hint = "Ask for a new link where you got this one."
            problem = Problem(error.reason, "Too many attempts in this link session.", hint)
            return LinkError(429, problem)
        case Refusal.PHASE | Refusal.STATE:
            message = "This step is not possible now."
            return LinkError(409, Problem(Refusal.PHASE, message, "Reload the page."))


def problem_of(error: GatewayError) -> Problem:
    """Return an error of the gateway as the visitor may see it. Its detail stays in the log."""
    return Problem(error.code, error.message, error.hint)
