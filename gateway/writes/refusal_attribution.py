"""Attributes the refusal of a changeset to the rows that most likely caused it.

The answer holds one error, and its Content-ID is not that of the culprit (reference ``d365-odata`` 4.3). What helps is
the text: the entity that was refused, the property, the value it quotes, the key that exists already. The rows that fit
best get the error; the others were rolled back, and point to the row that was the cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import structs

from gateway.odata.batch import CONTENT_ID
from gateway.odata.error_details import (
    CONFLICT,
    DUPLICATE_KEY,
    MISSING_FIELD,
    NOT_FOUND,
    ErrorDetails,
    Problem,
)
from gateway.odata.error_envelope import refusal_of
from gateway.odata.response_check import Response
from schema.catalog.records import Verb

from .outcome import FieldName, Outcome, problems_in, rolled_back_outcome, user_errors
from .plan import RowWrite

MAX_SUSPECTS = 10
"""Rows that get the error at most, if several fit equally well."""
ROLLED_BACK_REASON = "Not written: another row of the same changeset was refused."
_SUSPECT_REASON = (
    "Not written: the changeset was refused, and this may be the row that it was refused for."
)
_UNDECIDED = "(The upstream does not tell which row of the changeset it was.)"
_MORE = "(The upstream does not tell which row of the changeset it was; {:,} more may be it.)"
_DELIMITERS = "-|._~"
"""What joins the segments of a display value: the delimiters that ``DimensionParameters`` offers."""
_ESCAPED = re.compile(r"\\(.)")
_VERSION = re.compile(r"(?:V\d+)?\Z")


def attribute_refusal(
    writes: Sequence[RowWrite], refusal: Response, field_name: FieldName, details: ErrorDetails
) -> list[Outcome]:
    """Return the outcome of every row of a refused changeset."""
    suspects = _suspects(writes, refusal, field_name, details)
    named = suspects[:MAX_SUSPECTS]
    unnamed = frozenset(suspects[MAX_SUSPECTS:])
    note = ""
    if len(suspects) > 1:
        note = _MORE.format(len(unnamed)) if unnamed else _UNDECIDED
    refused = {}
    for number in named:
        problems = problems_in(refusal, details, writes[number])
        refused[number] = _refused(writes[number], problems, field_name, note)
    cause = refused[named[0]]

    def outcome(number: int, write: RowWrite) -> Outcome:
        if number in refused:
            return refused[number]
        reason = _SUSPECT_REASON if number in unnamed else ROLLED_BACK_REASON
        return rolled_back_outcome(Outcome(write=write), reason, cause=cause)

    return [outcome(number, write) for number, write in enumerate(writes)]


def _refused(
    write: RowWrite, problems: tuple[Problem, ...], field_name: FieldName, note: str
) -> Outcome:
    if note:
        problems = tuple(structs.replace(p, message=f"{p.message} {note}") for p in problems)
    errors = user_errors(write, problems, field_name)
    return Outcome(write=write, errors=errors, problems=problems)


def _suspects(
    writes: Sequence[RowWrite], refusal: Response, field_name: FieldName, details: ErrorDetails
) -> list[int]:
    """Return the positions of the rows that fit the problems best; all rows if none fits better than another."""
    scores = [sum(_fit(w, p, field_name) for p in problems_in(refusal, details, w)) for w in writes]
    # The entity that the refusal names outweighs all other evidence.
    scores = [
        score + 10 * is_named
        for score, is_named in zip(scores, _of_entity(writes, refusal, details), strict=True)
    ]
    named = refusal.headers.get(CONTENT_ID, "")
    if named.isdecimal() and 1 < int(named) <= len(writes):
        # Content-ID 1 says nothing: some services name the first row whichever it was.
        scores[int(named) - 1] += 1
    best = max(scores)
    return [number for number, score in enumerate(scores) if score == best]


def _of_entity(
    writes: Sequence[RowWrite], refusal: Response, details: ErrorDetails
) -> Iterator[bool]:
    """Yield whether a row is of the entity that the refusal names: ``VendVendorInvoiceHeaderEntity``.

    X++ names differ from those of the metadata (``VendorInvoiceHeader``), but hold them; the longest one counts.
    """
    envelope = refusal_of(refusal.body)
    entity = (details.entity(envelope) or "" if envelope is not None else "").casefold()
    names = [_VERSION.sub("", w.csdl.rpartition(".")[2]).casefold() for w in writes]
    longest = max((len(name) for name in names if name in entity), default=0)
    return (longest > 0 and name in entity and len(name) == longest for name in names)


def _fit(write: RowWrite, problem: Problem, field_name: FieldName) -> int:
    """Return how well a problem fits a row: by its property, value and key, and by what was to be done with the row."""
    score = _fit_of_values(write, problem, field_name)
    if problem.code == DUPLICATE_KEY and write.verb is Verb.CREATE:
        score += _fit_of_key(write, problem.message)
    is_missing = problem.code == NOT_FOUND and write.verb is not Verb.CREATE
    is_stale = problem.code == CONFLICT and (write.version or write.if_match) is not None
    if is_stale:
        # More likely than that a row is gone.
        return score + 5
    return score + 4 if is_missing else score


def _fit_of_values(write: RowWrite, problem: Problem, field_name: FieldName) -> int:
    if problem.property is None or field_name(write, problem.property) is None:
        return max((_likeness(v, problem.value) for v in write.body.values()), default=0)
    value = _value_of(write.body, problem.property)
    if problem.code == MISSING_FIELD:
        return 4 if value in (None, "") else 1
    if value is None:
        return 1
    return 2 + 2 * _likeness(value, problem.value)


def _value_of(body: Mapping[str, Any], property_name: str) -> Any:
    folded = property_name.casefold()
    return next((v for n, v in body.items() if n.casefold() == folded), None)


def _likeness(value: Any, quoted: str | None) -> int:
    """Return 3 for the value that a message quotes, 2 for a display value with such a segment, else 0."""
    if quoted is None:
        return 0
    if str(value) == quoted:
        return 3
    return 2 if isinstance(value, str) and quoted in set(segments(value)) else 0


def segments(display: str) -> Iterator[str]:
    r"""Yield a display value and its segments, unescaped: ``US\-101-022`` → ``US-101-022``, ``US-101``, ``022``.

    A delimiter within a segment is escaped by a backslash (reference ``d365-odata`` 5.4).
    """
    yield _ESCAPED.sub(r"\1", display)
    for delimiter in _DELIMITERS:
        if delimiter in display:
            for part in re.split(rf"(?<!\\){re.escape(delimiter)}", display):
                yield _ESCAPED.sub(r"\1", part)


def _fit_of_key(write: RowWrite, message: str) -> int:
    """Return how well a message that quotes a key fits the row: each part that it lacks counts against the row."""
    values = [str(part.value.value) for part in write.key or ()]
    quoted = 0
    for value in sorted(values, key=len, reverse=True):
        # A value that was seen is taken out of the message: the 1 in PO-0001-1 is no line number.
        message, times = re.subn(rf"(?<!\w){re.escape(value)}(?!\w)", " ", message, count=1)
        quoted += times
    return 1 + 5 * quoted - len(values)
