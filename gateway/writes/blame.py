"""A changeset was refused: which of its rows it was, as far as the upstream tells.

The answer holds one error, and its Content-ID is not that of the culprit (reference ``d365-odata`` 4.3). What helps is
the text: the property that was refused, the value it quotes, the key that exists already. Rows that fit are blamed; the
others were rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.odata.answers import Response
from gateway.odata.infolog import DUPLICATE_KEY, Problem
from schema.fields import Verb

from .outcome import NameOf, Outcome, errors_of, problems_in, rolled_back
from .plan import RowWrite

_BECAUSE = "Not written: another row of the same changeset was refused."


def refused_together(writes: Sequence[RowWrite], bad: Response, name_of: NameOf) -> list[Outcome]:
    """Give the outcome of every row of a refused changeset."""
    problems = problems_in(bad)
    blamed = _blamed(writes, problems, name_of)
    outcomes = []
    for number, write in enumerate(writes):
        if number in blamed:
            errors = errors_of(write, problems, name_of)
            outcomes.append(Outcome(write=write, errors=errors, problems=problems))
        else:
            outcomes.append(rolled_back(Outcome(write=write), _BECAUSE))
    return outcomes


def _blamed(
    writes: Sequence[RowWrite], problems: Sequence[Problem], name_of: NameOf
) -> frozenset[int]:
    """Give the places of the rows that fit the most of the problems; all, where none fits better than another."""
    scores = [sum(_fit(write, p, name_of) for p in problems) for write in writes]
    best = max(scores)
    return frozenset(i for i, score in enumerate(scores) if score == best)


def _fit(write: RowWrite, problem: Problem, name_of: NameOf) -> int:
    """Say how well a problem fits a row: by its property, by the value, by the key."""
    score = 0
    if problem.property is not None and name_of(write, problem.property) is not None:
        given = write.body.get(problem.property)
        score += 1 if given is None else 2
        if problem.value is not None and str(given) == problem.value:
            score += 4
    elif problem.value is not None and problem.value in map(str, write.body.values()):
        score += 3
    if problem.code == DUPLICATE_KEY and write.verb is Verb.CREATE:
        score += _fit_of_key(write, problem.message)
    return score


def _fit_of_key(write: RowWrite, message: str) -> int:
    values = [str(part.value.value) for part in write.key or ()]
    return 4 if values and values[-1] in message else 1
