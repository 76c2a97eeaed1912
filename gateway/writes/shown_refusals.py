"""Hides from callers with roles what refusals of the upstream tell of things that they do not see.

    a text that names a hidden or masked column     replaced, its code stays
    a key that a row has which they cannot read     FORBIDDEN, as for any row that they may not write

That a row cannot be created because its key is taken cannot be hidden from those who may create rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gateway.odata.error_details import CONFLICT, DUPLICATE_KEY, Problem
from gateway.planning.row_bounds import RowBounds
from schema.catalog.descriptions import label_of
from schema.catalog.records import Verb

from .bounds import FORBIDDEN, FindExisting
from .outcome import Outcome, UserError

_REASON = "The upstream refused this for a reason that its caller may not see."
_TAKEN = "The row may not be written."
_TAKEN_CODES = frozenset({DUPLICATE_KEY, CONFLICT})
_IS_TAKEN = re.compile(r"already exist|duplicate|unique", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class ShownRefusals:
    """Shows the refusals of one operation to its caller."""

    def __init__(self, bounds: RowBounds, find_readable: FindExisting) -> None:
        self._bounds = bounds
        self._catalog = bounds.rules.catalog
        self._find_readable = find_readable
        self._patterns: dict[str, re.Pattern[str] | None] = {}

    async def of_rows(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Return outcomes as they are shown."""
        return [await self._of_row(o) if o.problems else o for o in outcomes]

    async def _of_row(self, outcome: Outcome) -> Outcome:
        write = outcome.write
        is_taken = any(
            p.code in _TAKEN_CODES or _IS_TAKEN.search(p.message) for p in outcome.problems
        )
        if write.verb is Verb.CREATE and is_taken and await self._is_hidden(outcome):
            errors = (UserError(code=FORBIDDEN, message=_TAKEN, path=write.place),)
            return replace(outcome, errors=errors, problems=())
        pairs = zip(outcome.errors, outcome.problems, strict=True)
        shown = (
            replace(e, message=_REASON) if self._tells(p, write.entity_set) else e for e, p in pairs
        )
        return replace(outcome, errors=tuple(shown))

    async def _is_hidden(self, outcome: Outcome) -> bool:
        """Return whether the caller cannot read the row that has the key of a new one."""
        write = outcome.write
        if self._bounds.rule(write.csdl, write.entity_set) is None:
            return False
        return write.key is None or not await self._find_readable([write])

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
