"""What changed, and what it means for clients.

graphql-core tells the changes of a type apart; what it passes over (deprecations, ``@oneOf``, the address of a scalar's
specification, root types) is told here. A breaking change makes an operation fail that ran before, a dangerous one may
surprise a client (an enum value it has never seen), a safe one adds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import partial
from types import SimpleNamespace
from typing import Any

from graphql.utilities import (
    BreakingChange,
    DangerousChange,
    SafeChange,
    SchemaChange,
    find_schema_changes,
)

from schema.errors import SchemaTextError
from schema.introspection.type_records import Member, Value

from .shapes import (
    Directive,
    Shape,
    core_directive,
    core_type,
    undescribed,
    undescribed_directive,
    where_different,
)
from .sources import Source


class Level(StrEnum):
    """What a change means, the worst first."""

    BREAKING = "breaking"
    DANGEROUS = "dangerous"
    SAFE = "safe"


_LEVELS: Mapping[type[SchemaChange], Level] = {
    BreakingChange: Level.BREAKING,
    DangerousChange: Level.DANGEROUS,
    SafeChange: Level.SAFE,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One change."""

    level: Level
    kind: str
    """graphql-core's name of it, or one of this module's: ``FIELD_REMOVED``, ``DEPRECATION_ADDED``…"""
    place: str
    """The type, ``@directive`` or ``schema``."""
    description: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All changes between two schemas."""

    changes: tuple[Change, ...]
    """The worst first, otherwise in the order of the schemas."""
    compared: int
    """Types of either that were compared."""

    def of(self, level: Level) -> tuple[Change, ...]:
        """Return those of one level."""
        return tuple(change for change in self.changes if change.level is level)

    @property
    def counts(self) -> dict[Level, int]:
        """How many there are of each level, none left out."""
        found = Counter(change.level for change in self.changes)
        return {level: found[level] for level in Level}


def compare(
    old: Source, new: Source, *, include: Sequence[str] = (), descriptions: bool = False
) -> Comparison:
    """Compare two schemas.

    ``include`` narrows it to types and root fields that match a pattern, in whichever case: ``customer*`` means
    ``CustomerV3``, ``CustomersV3Where`` and ``Query.customersV3``. Descriptions count where they are asked for.
    Raises SchemaTextError for a text that cannot be read and for a pattern that matches nothing.
    """
    return _Compare(old, new, include, descriptions=descriptions).run()


class _Compare:
    def __init__(
        self, old: Source, new: Source, include: Sequence[str], *, descriptions: bool
    ) -> None:
        self._old = old
        self._new = new
        self._patterns = {pattern.casefold(): pattern for pattern in include}
        self._matched: set[str] = set()
        self._descriptions = descriptions
        self._roots = {*old.roots.values(), *new.roots.values()}

    def run(self) -> Comparison:
        before, after = list(self._old.names()), list(self._new.names())
        known, still = frozenset(before), frozenset(after)
        names = [*before, *(name for name in after if name not in known)]
        # Root types are looked into, whatever their names are.
        chosen = [name for name in names if self._is_meant(name) or name in self._roots]
        found = list(self._root_changes())
        for name in chosen:
            if name not in still:
                found.extend(_told(name, {name: self._old.shape(name)}, {}))
            elif name not in known:
                found.extend(_told(name, {}, {name: self._new.shape(name)}))
            else:
                found.extend(self._changes(name))
        if not self._patterns:
            found.extend(self._directive_changes())
        self._require_matches()
        places = {level: place for place, level in enumerate(Level)}
        found.sort(key=lambda change: places[change.level])
        return Comparison(tuple(found), len(chosen))

    def _is_meant(self, name: str) -> bool:
        """Return whether ``include`` lets a name pass; every pattern that does is noted."""
        if not self._patterns:
            return True
        folded = name.casefold()
        passing = [pattern for pattern in self._patterns if fnmatchcase(folded, pattern)]
        self._matched.update(passing)
        return bool(passing)

    def _require_matches(self) -> None:
        missed = [shown for p, shown in self._patterns.items() if p not in self._matched]
        if missed:
            raise SchemaTextError(
                f"include: no type and no root field matches {', '.join(missed)}.",
                hint="Patterns apply to GraphQL names: 'Customer*', '*SalesOrder*'.",
            )

    def _root_changes(self) -> Iterator[Change]:
        before, after = self._old.roots, self._new.roots
        for kind in ("query", "mutation", "subscription"):
            old, new = before.get(kind), after.get(kind)
            if old != new and old is not None and new is not None:
                told = f"The {kind} type changed from {old} to {new}."
                yield Change(Level.BREAKING, "ROOT_TYPE_CHANGED", "schema", told)

    def _changes(self, name: str) -> Iterator[Change]:
        text = self._old.text(name)
        is_root = name in self._roots and bool(self._patterns)
        if text is not None and not is_root and text == self._new.text(name):
            return
        old, new = self._shape(self._old, name), self._shape(self._new, name)
        if old != new:
            old, new = where_different(old, new)
            yield from _told(name, {name: old}, {name: new})
            if old.kind == new.kind:
                yield from _unnoticed(name, old, new)

    def _shape(self, source: Source, name: str) -> Shape:
        shape = source.shape(name)
        if name in self._roots and self._patterns:
            fields = tuple(field for field in shape.fields if self._is_meant(field.name))
            shape = shape._replace(fields=fields)
        return shape if self._descriptions else undescribed(shape)

    def _directive_changes(self) -> Iterator[Change]:
        old, new = (
            {d.name: d if self._descriptions else undescribed_directive(d) for d in s.directives}
            for s in (self._old, self._new)
        )
        for name in dict.fromkeys((*old, *new)):
            before = [old[name]] if name in old else []
            after = [new[name]] if name in new else []
            yield from _told(f"@{name}", {}, {}, before, after)


def _told(
    place: str,
    old: Mapping[str, Shape],
    new: Mapping[str, Shape],
    old_directives: Sequence[Directive] = (),
    new_directives: Sequence[Directive] = (),
) -> Iterator[Change]:
    """Let graphql-core tell the changes between two slices of schemas."""
    for change in find_schema_changes(_slice(old, old_directives), _slice(new, new_directives)):
        yield Change(_LEVELS[type(change)], change.type.name, place, change.description)


def _slice(shapes: Mapping[str, Shape], directives: Sequence[Directive]) -> Any:
    """Return the two things that graphql-core looks at of a schema.

    A schema proper would hold all types that these refer to, here nothing but names.
    """
    return SimpleNamespace(
        type_map={name: core_type(name, shape) for name, shape in shapes.items()},
        directives=tuple(map(core_directive, directives)),
    )


# What graphql-core passes over


def _unnoticed(name: str, old: Shape, new: Shape) -> Iterator[Change]:
    if None not in (old.one_of, new.one_of) and old.one_of != new.one_of:
        level, kind = (
            (Level.BREAKING, "ONE_OF_ADDED") if new.one_of else (Level.SAFE, "ONE_OF_REMOVED")
        )
        told = "takes exactly one field now" if new.one_of else "takes any number of fields now"
        yield Change(level, kind, name, f"Input {name} {told}.")
    if old.specified_by and new.specified_by and old.specified_by != new.specified_by:
        told = f"{name} changed its specification from {old.specified_by} to {new.specified_by}."
        yield Change(Level.DANGEROUS, "SPECIFIED_BY_CHANGED", name, told)
    called, valued = partial("Field {}.{}".format, name), partial("Enum value {}.{}".format, name)
    yield from _deprecations(name, old.fields, new.fields, called)
    yield from _deprecations(name, old.inputs, new.inputs, called)
    yield from _deprecations(name, old.values, new.values, valued)
    after = {field.name: field for field in new.fields}
    for field in old.fields:
        if field.name in after:
            inner = partial("Argument {}.{}({}:)".format, name, field.name)
            yield from _deprecations(name, field.arguments, after[field.name].arguments, inner)


def _deprecations(
    place: str,
    old: Sequence[Member | Value],
    new: Sequence[Member | Value],
    called: Callable[[str], str],
) -> Iterator[Change]:
    before = {part.name: part.deprecation for part in old}
    for part in new:
        if part.name not in before or before[part.name] == part.deprecation:
            continue
        kind, told = "DEPRECATION_REASON_CHANGED", f'is deprecated for "{part.deprecation}" now'
        if part.deprecation is None:
            kind, told = "DEPRECATION_REMOVED", "is no longer deprecated"
        elif before[part.name] is None:
            kind, told = "DEPRECATION_ADDED", f'was deprecated: "{part.deprecation}"'
        yield Change(Level.SAFE, kind, place, f"{called(part.name)} {told}.")
