"""A changeset was refused: which of its rows it was, as far as the upstream tells.

The answer holds one error, and its Content-ID is not that of the culprit (reference ``d365-odata`` 4.3). What helps is
the text: the property that was refused, the value it quotes, the key that exists already. Rows that fit are blamed; the
others were rolled back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import structs

from gateway.odata.answers import Response
from gateway.odata.batch import CONTENT_ID
from gateway.odata.infolog import CONFLICT, DUPLICATE_KEY, MISSING_FIELD, NOT_FOUND, Problem
from schema.fields import Verb

from .outcome import NameOf, Outcome, errors_of, problems_in, rolled_back
from .plan import RowWrite

_BECAUSE = "Not written: another row of the same changeset was refused."
_UNDECIDED = "(The upstream does not tell which row of the changeset it was.)"


def refused_together(writes: Sequence[RowWrite], bad: Response, name_of: NameOf) -> list[Outcome]:
    """Give the outcome of every row of a refused changeset."""
    blamed = _blamed(writes, bad, name_of)
    outcomes = []
    for number, write in enumerate(writes):
        if number in blamed:
            problems = problems_in(bad, write)
            if len(blamed) > 1:
                problems = tuple(
                    structs.replace(p, message=f"{p.message} {_UNDECIDED}") for p in problems
                )
            errors = errors_of(write, problems, name_of)
            outcomes.append(Outcome(write=write, errors=errors, problems=problems))
        else:
            outcomes.append(rolled_back(Outcome(write=write), _BECAUSE))
    return outcomes


def _blamed(writes: Sequence[RowWrite], bad: Response, name_of: NameOf) -> frozenset[int]:
    """Give the places of the rows that fit the most of the problems; all, where none fits better than another."""
    scores = [sum(_fit(w, p, name_of) for p in problems_in(bad, w)) for w in writes]
    named = bad.headers.get(CONTENT_ID, "")
    if named.isdecimal() and 1 < int(named) <= len(writes):
        scores[int(named) - 1] += 1  # only the first says nothing: it is named whichever it was
    best = max(scores)
    return frozenset(i for i, score in enumerate(scores) if score == best)


def _fit(write: RowWrite, problem: Problem, name_of: NameOf) -> int:
    """Say how well a problem fits a row: by its property, by the value, by the key, by what was to be done."""
    score = _fit_of_values(write, problem, name_of)
    if problem.code == DUPLICATE_KEY and write.verb is Verb.CREATE:
        score += _fit_of_key(write, problem.message)
    is_missing = problem.code == NOT_FOUND and write.verb is not Verb.CREATE
    is_stale = problem.code == CONFLICT and write.if_match is not None
    if is_stale:  # more likely than a row that is gone
        return score + 5
    return score + 4 if is_missing else score


def _fit_of_values(write: RowWrite, problem: Problem, name_of: NameOf) -> int:
    values = write.body.values()
    if problem.property is None or name_of(write, problem.property) is None:
        is_quoted = problem.value is not None and problem.value in map(str, values)
        return 3 if is_quoted else 0
    wanted = problem.property.casefold()
    given = next((v for n, v in write.body.items() if n.casefold() == wanted), None)
    if problem.code == MISSING_FIELD:
        return 4 if given in (None, "") else 1
    if given is None:
        return 1
    return 6 if problem.value is not None and str(given) == problem.value else 2


def _fit_of_key(write: RowWrite, message: str) -> int:
    """Say how well a message that quotes a key fits the row's; the company is in every key."""
    values = [str(part.value.value) for part in write.key or ()]
    quoted = [v for v in values if re.search(rf"(?<!\w){re.escape(v)}(?!\w)", message)]
    return 1 + 4 * len(quoted)
