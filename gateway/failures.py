"""What nobody foresaw, at the doors: each operation has an answer, whatever fails on its way there.

``Engine.execute`` answers for what fails inside it. What fails around it (finding out what kind of operation it is,
encoding the answer, a subscription's parts) ends here.
"""

from __future__ import annotations

from gateway.introspection.answers import LongAnswer

from .engine import Answer
from .errors import known
from .events import ErrorRaised, Observer


def failure(error: Exception, observe: Observer) -> Answer:
    """Return the answer that an unforeseen error gives, without its words; those go to the log under its id."""
    found = known(error)
    observe(
        ErrorRaised(
            code=found.code, error_id=found.error_id, message=found.message, detail=found.detail
        )
    )
    return Answer(errors=[{"message": found.message, "extensions": found.extensions()}])


def encoded(answer: Answer, observe: Observer) -> Answer:
    """Return the answer as JSON, so that sending it cannot fail any more; one that is no JSON becomes a failure."""
    if isinstance(answer.written, LongAnswer):
        return answer
    try:
        return Answer(written=answer.encode(), changed=answer.changed)
    except Exception as error:
        return failure(error, observe)
