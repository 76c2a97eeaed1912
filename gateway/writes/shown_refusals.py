"""Hides from callers with roles what refusals of the upstream tell of things that they do not see.

    a text that names a hidden or masked column     replaced, its code stays
    a key that a row has which they cannot read     FORBIDDEN, as for any row that they may not write

That a row cannot be created because its key is taken cannot be hidden from those who may create rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from gateway.odata.error_details import CONFLICT, DUPLICATE_KEY, Problem
from gateway.planning.row_bounds import RowBounds
from schema.catalog.descriptions import label_of
from schema.catalog.records import Verb

from .bounds import FORBIDDEN, FindExisting
from .outcome import Outcome, UserError
from .plan import RowWrite

_REASON = "The upstream refused this for a reason that its caller may not see."
_TAKEN = "The row may not be written."
_IS_TAKEN = re.compile(r"already exist|duplicate|unique", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def _says_taken(outcome: Outcome) -> bool:
    """Return whether a refusal may be about a key that another row has."""
    is_new = outcome.write.verb is Verb.CREATE
    return any(
        p.code == DUPLICATE_KEY
        or (is_new and p.code == CONFLICT)
        or _IS_TAKEN.search(p.message) is not None
        for p in outcome.problems
    )


def _may_be_hidden(write: RowWrite, hidden: frozenset[int]) -> bool:
    """Return whether a refusal that stands beside a row may be about a row that is hidden.

    Which row of a changeset it is about is a guess: a row that is not new cannot be it.
    """
    return write.verb is not Verb.CREATE or id(write) in hidden


def _not_writable(outcome: Outcome) -> Outcome:
    errors = (UserError(code=FORBIDDEN, message=_TAKEN, path=outcome.write.place),)
    return replace(outcome, errors=errors, problems=())


class ShownRefusals:
    """Shows the refusals of one operation to its caller."""

    def __init__(self, bounds: RowBounds, find_readable: FindExisting) -> None:
        self._bounds = bounds
        self._catalog = bounds.rules.catalog
        self._find_readable = find_readable
        self._patterns: dict[str, re.Pattern[str] | None] = {}

    async def of_rows(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Return the outcomes of rows that were written together as they are shown."""
        # A text about one row of a changeset may stand beside another.
        sets = tuple(dict.fromkeys(outcome.write.entity_set for outcome in outcomes))
        taken = [number for number, outcome in enumerate(outcomes) if _says_taken(outcome)]
        hidden = await self._hidden(o.write for o in outcomes) if taken else frozenset()
        return [
            _not_writable(outcome)
            if number in taken and hidden and _may_be_hidden(outcome.write, hidden)
            else self._without_names(outcome, sets)
            for number, outcome in enumerate(outcomes)
        ]

    async def _hidden(self, writes: Iterable[RowWrite]) -> frozenset[int]:
        """Return the ids of the new rows whose key may be that of a row that the caller cannot read."""
        ruled = [
            write
            for write in writes
            if write.verb is Verb.CREATE
            and self._bounds.rule(write.csdl, write.entity_set) is not None
        ]
        keyed = [write for write in ruled if write.key is not None]
        readable = await self._find_readable(keyed) if keyed else frozenset()
        return frozenset(
            id(write) for write in ruled if write.key is None or write.identity not in readable
        )

    def _without_names(self, outcome: Outcome, sets: Sequence[str]) -> Outcome:
        """Return an outcome without texts that name columns which do not show in plain."""
        if not outcome.problems:
            return outcome
        pairs = zip(outcome.errors, outcome.problems, strict=True)
        shown = (
            replace(e, message=_REASON) if any(self._tells(p, name) for name in sets) else e
            for e, p in pairs
        )
        return replace(outcome, errors=tuple(shown))

    def of_call(self, problems: Sequence[Problem], set_name: str | None) -> tuple[Problem, ...]:
        """Return why a call was refused as it is shown; ``set_name``: of the row that it is bound to."""
        if set_name is None:
            return tuple(problems)
        return tuple(Problem(p.code, _REASON) if self._tells(p, set_name) else p for p in problems)

    def _tells(self, problem: Problem, set_name: str) -> bool:
        """Return whether a problem names a column that does not show in plain."""
        if set_name not in self._patterns:
            terms = sorted(set(self._hidden_terms(set_name)), key=len, reverse=True)
            self._patterns[set_name] = (
                re.compile(rf"(?<!\w)(?:{'|'.join(terms)})(?!\w)", re.IGNORECASE) if terms else None
            )
        pattern = self._patterns[set_name]
        texts = (problem.property, problem.label, problem.message)
        return pattern is not None and any(t is not None and pattern.search(t) for t in texts)

    def _hidden_terms(self, set_name: str) -> Iterator[str]:
        """Yield patterns for the names and labels of columns that do not show in plain."""
        csdl = self._catalog.model.entity_sets[set_name].type
        for field in self._catalog.object(csdl).fields.values():
            if field.prop is None or self._bounds.shows(field, set_name):
                continue
            yield r"[\s_]*".join(map(re.escape, _WORDS.findall(field.source) or [field.source]))
            yield re.escape(field.source)
            label = label_of(field.prop, self._catalog.labels)
            if label:
                yield r"\s+".join(map(re.escape, label.split()))
