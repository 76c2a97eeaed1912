"""Ranks search hits: names before labels, whole names before prefixes, starts of words before the middle of words."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain, islice
from typing import Literal, NamedTuple

from schema.catalog.aggregates import SUFFIX
from schema.catalog.records import Verb
from schema.writes.naming import ROW_VERBS

from .index import FieldName, Index, Subject
from .words import SHORT, closeness, search_text, terms, tier

SETS_OF_FIELD = 200
"""Maximum entity sets listed per field hit."""
SETS_OF_NAME = 5
"""Maximum sets that the part before the dot may match in ``customers.credit``."""
_LONGER = {"field": 8, "type": 16}
"""Letters added to the length of a name in ranking, so that a root field of similar rank comes first."""

_AGGREGATE = SUFFIX.lower()
_VERSION = re.compile(r"V([1-9][0-9]?)$")

Root = Literal["query", "mutation"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A search hit."""

    kind: str
    """``set``, ``query``, ``mutation``, ``type`` or ``field``."""
    name: str
    """The field of ``Query`` or ``Mutation``, the type, or the field of types."""
    csdl: str = ""
    label: str = ""
    type: str = ""
    """The type of the rows, or the type itself; empty if there is none."""
    queries: tuple[str, ...] = ()
    """Fields of ``Query``."""
    mutations: tuple[str, ...] = ()
    """Fields of ``Mutation``."""
    sets: tuple[str, ...] = ()
    """For a field: lists whose rows have it."""
    count: int = 0
    """For a field: the number of sets that have it."""


class _Rank(NamedTuple):
    """Sort key of a hit; the smallest is the best."""

    is_another: bool
    worst: int
    all: int
    close: int
    length: int
    """Length of the name without its version."""
    name: str
    older: int
    """Negated version: ``V3`` before ``V2`` before none."""


def find(index: Index, query: str, limit: int) -> list[Hit]:
    """Return the best hits of a query: words, starts of words, camel-case parts, initials, labels; ``type.field``.

    An empty query returns the first sets by name. ``create``, ``update``, ``upsert`` and ``delete`` find mutations.
    """
    owner, point, field_text = query.partition(".")
    if point:
        return list(islice(_fields_of(index, terms(owner), terms(field_text)), limit))
    parts = terms(query)
    if not parts:
        return [_hit(index, subject) for subject in _first_sets(index, limit)]
    ranked = chain(
        ((rank, _hit(index, s)) for rank, s in _best(index.subjects, parts, limit)),
        ((rank, _field_hit(index, f)) for rank, f in _best_fields(index, parts, limit)),
    )
    hits = (hit for _, hit in nsmallest(limit, ranked, key=lambda pair: pair[0]))
    written = _mutation_hits(index, _verbs(parts), limit)
    return list(islice(chain(written, hits), limit))


def complete(index: Index, root: Root, typed: str, limit: int) -> list[str]:
    """Return completions among the fields of ``Query`` or ``Mutation``, the likeliest first."""
    parts = terms(typed)
    best = [s for _, s in _best(index.subjects, parts, limit)] if parts else []
    if parts and not best and root == "query":
        # ``customersV3Agg``: sets are not called so, but what aggregates them is.
        parts = tuple(part for part in parts if not _AGGREGATE.startswith(part))
        best = [s for _, s in _best(index.subjects, parts, limit)] if parts else []
    subjects = best if parts else _first_sets(index, limit)
    if root == "query":
        candidates = chain.from_iterable(map(_queries, subjects))
    else:
        started = (h.name for h in _mutation_hits(index, _started_verbs(parts), limit))
        candidates = chain(started, *(_mutations(index, s) for s in subjects))
    start = typed.casefold()
    names = sorted(
        dict.fromkeys(candidates), key=lambda name: not name.casefold().startswith(start)
    )
    return names[:limit]


# Subjects


def _first_sets(index: Index, limit: int) -> list[Subject]:
    sets = (index.subjects[place] for place in index.sets)
    return nsmallest(limit, sets, key=lambda s: s.name)


def _best(
    subjects: Iterable[Subject], parts: Sequence[str], limit: int
) -> list[tuple[_Rank, Subject]]:
    matches = subjects
    # Substring tests are cheap and discard nearly everything before the ranking.
    for part in map(search_text, parts):
        matches = [s for s in matches if part in s.text]
    ranked = [(_rank(parts, s.text, s.exact, s.name, s.kind), s) for s in matches]
    return nsmallest(limit, ranked, key=lambda pair: pair[0])


def _rank(parts: Sequence[str], text: str, exact: Iterable[str], name: str, kind: str) -> _Rank:
    tiers = [tier(part, text) for part in parts]
    longer = _LONGER.get(kind, 0)
    close = max(closeness(parts, exact), 1 if longer else 0)
    stem, version = _split_version(name)
    worst, total = max(tiers, default=0), sum(tiers)
    return _Rank(close > 0, worst, total, close, len(stem) + longer, stem, -version)


def _split_version(name: str) -> tuple[str, int]:
    """``vendorsV3`` → ``("vendors", 3)``; 0 if the name has no version."""
    match = _VERSION.search(name)
    return (name, 0) if match is None else (name[: match.start()], int(match[1]))


def _hit(index: Index, subject: Subject) -> Hit:
    return Hit(
        kind=subject.kind,
        name=subject.name,
        csdl=subject.csdl,
        label=subject.label,
        type=subject.type,
        queries=_queries(subject),
        mutations=_mutations(index, subject),
    )


def _queries(subject: Subject) -> tuple[str, ...]:
    if subject.kind == "query":
        return (subject.name,)
    if subject.kind != "set":
        return ()
    return tuple(filter(None, (subject.name, subject.by_key, subject.aggregate)))


def _mutations(index: Index, subject: Subject) -> tuple[str, ...]:
    if subject.kind == "mutation":
        return (subject.name,)
    fields = (subject.by_key, subject.name) if subject.by_key else (subject.name,)
    return tuple(index.mutation(verb, field) for verb in subject.verbs for field in fields)


# Mutations by their verb

_Verbs = Iterable[tuple[Verb, Sequence[str]]]


def _verbs(parts: Sequence[str]) -> _Verbs:
    """Yield the verbs among the words of a query, each with the remaining words."""
    for place, part in enumerate(parts):
        rest = (*parts[:place], *parts[place + 1 :])
        if rest and len(part) > SHORT:
            yield from ((verb, rest) for verb in ROW_VERBS if verb.value.startswith(part))


def _started_verbs(parts: Sequence[str]) -> _Verbs:
    """Yield the verbs that begin with the first word."""
    for verb in ROW_VERBS:
        if parts and verb.value.startswith(parts[0]):
            yield verb, parts[1:]


def _mutation_hits(index: Index, verbs: _Verbs, limit: int) -> Iterator[Hit]:
    for verb, rest in verbs:
        sets = [s for s in map(index.subjects.__getitem__, index.sets) if verb in s.verbs]
        for _, subject in _best(sets, rest, limit):
            fields = (subject.by_key, subject.name)
            is_list = subject.name.casefold() == "".join(rest)
            for field in filter(None, reversed(fields) if is_list else fields):
                yield Hit(
                    kind="mutation",
                    name=index.mutation(verb, field),
                    csdl=subject.csdl,
                    label=subject.label,
                    type=subject.type,
                    queries=_queries(subject),
                    mutations=_mutations(index, subject),
                )


# Fields


def _best_fields(index: Index, parts: Sequence[str], limit: int) -> list[tuple[_Rank, FieldName]]:
    if max(map(len, parts)) <= SHORT:
        return []
    ranked = [(_field_rank(f, parts), f) for f in _matching(index.fields, parts)]
    return nsmallest(limit, ranked, key=lambda pair: pair[0])


def _matching(fields: Iterable[FieldName], parts: Sequence[str]) -> Iterable[FieldName]:
    for part in map(search_text, sorted(parts, key=len, reverse=True)):
        fields = [f for f in fields if part in f.text]
    return fields


def _field_rank(field: FieldName, parts: Sequence[str]) -> _Rank:
    return _rank(parts, field.text, (field.name.casefold(),), field.name, "field")


def _field_hit(index: Index, field: FieldName) -> Hit:
    return Hit(
        kind="field",
        name=field.name,
        type=index.subjects[field.sets[0]].type if len(field.sets) == 1 else "",
        sets=tuple(sorted(index.subjects[place].name for place in field.sets)[:SETS_OF_FIELD]),
        count=len(field.sets),
    )


def _fields_of(index: Index, owner: Sequence[str], field_text: Sequence[str]) -> Iterator[Hit]:
    """Yield the fields of the sets that match the part before the dot."""
    sets = [index.subjects[place] for place in index.sets]
    owners = [s for _, s in _best(sets, owner, SETS_OF_NAME)]
    places = {s.name: place for place, s in enumerate(sets)}
    # Ranked once, then filtered for each set.
    holding = sorted(_matching(index.fields, field_text), key=lambda f: _field_rank(f, field_text))
    for subject in owners:
        place = places[subject.name]
        for field in holding:
            at = bisect_left(field.sets, place)
            if at < len(field.sets) and field.sets[at] == place:
                yield Hit(
                    kind="field",
                    name=field.name,
                    type=subject.type,
                    sets=(subject.name,),
                    count=1,
                )
