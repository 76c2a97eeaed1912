"""The changes between two schemas, and what they mean for clients.

graphql-core finds the changes of types; this module adds what it ignores: deprecations, ``@oneOf``, ``@specifiedBy``
and root types. After a breaking change, an operation that worked may fail. A dangerous one may surprise a client (an
enum value it has never seen). A safe one only adds.
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
    """The effect of a change on clients, the worst first."""

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
    """graphql-core's name of the change, or one of this module: ``FIELD_REMOVED``, ``DEPRECATION_ADDED``…"""
    place: str
    """The type, ``@directive`` or ``schema``."""
    description: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All changes between two schemas."""

    changes: tuple[Change, ...]
    """The worst first, otherwise in the order of the schemas."""
    compared: int
    """Number of types compared."""

    def of(self, level: Level) -> tuple[Change, ...]:
        """Return the changes of one level."""
        return tuple(change for change in self.changes if change.level is level)

    @property
    def counts(self) -> dict[Level, int]:
        """The number of changes of every level."""
        counted = Counter(change.level for change in self.changes)
        return {level: counted[level] for level in Level}


def compare(
    old: Source, new: Source, *, include: Sequence[str] = (), descriptions: bool = False
) -> Comparison:
    """Return the changes from one schema to another.

    ``include`` limits it to types and root fields that match a pattern, ignoring case: ``customer*`` matches
    ``CustomerV3``, ``CustomersV3Where`` and ``Query.customersV3``. ``descriptions`` compares descriptions too.
    Raises SchemaTextError if a text cannot be read or a pattern matches nothing.
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
        # Root types are always compared: patterns apply to their fields.
        chosen = [name for name in names if self._is_included(name) or name in self._roots]
        changes = list(self._root_changes())
        for name in chosen:
            if name not in still:
                changes.extend(_graphql_core_changes(name, {name: self._old.shape(name)}, {}))
            elif name not in known:
                changes.extend(_graphql_core_changes(name, {}, {name: self._new.shape(name)}))
            else:
                changes.extend(self._changes(name))
        if not self._patterns:
            changes.extend(self._directive_changes())
        self._require_matches()
        places = {level: place for place, level in enumerate(Level)}
        changes.sort(key=lambda change: places[change.level])
        return Comparison(tuple(changes), len(chosen))

    def _is_included(self, name: str) -> bool:
        """Return whether ``include`` selects a name; records which patterns match."""
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
                text = f"The {kind} type changed from {old} to {new}."
                yield Change(Level.BREAKING, "ROOT_TYPE_CHANGED", "schema", text)

    def _changes(self, name: str) -> Iterator[Change]:
        text = self._old.text(name)
        is_root = name in self._roots and bool(self._patterns)
        # Equal texts are equal types, without parsing. With patterns, root types are compared by selected fields only.
        if text is not None and not is_root and text == self._new.text(name):
            return
        old, new = self._shape(self._old, name), self._shape(self._new, name)
        if old != new:
            old, new = where_different(old, new)
            yield from _graphql_core_changes(name, {name: old}, {name: new})
            if old.kind == new.kind:
                yield from _ignored_by_graphql_core(name, old, new)

    def _shape(self, source: Source, name: str) -> Shape:
        shape = source.shape(name)
        if name in self._roots and self._patterns:
            fields = tuple(field for field in shape.fields if self._is_included(field.name))
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
            yield from _graphql_core_changes(f"@{name}", {}, {}, before, after)


def _graphql_core_changes(
    place: str,
    old: Mapping[str, Shape],
    new: Mapping[str, Shape],
    old_directives: Sequence[Directive] = (),
    new_directives: Sequence[Directive] = (),
) -> Iterator[Change]:
    """Yield the changes that graphql-core finds between parts of two schemas."""
    for change in find_schema_changes(_slice(old, old_directives), _slice(new, new_directives)):
        yield Change(_LEVELS[type(change)], change.type.name, place, change.description)


def _slice(shapes: Mapping[str, Shape], directives: Sequence[Directive]) -> Any:
    """Return a stand-in for a schema with the two attributes that graphql-core's comparison reads.

    A real schema would need every type that these refer to; here references are names only.
    """
    return SimpleNamespace(
        type_map={name: core_type(name, shape) for name, shape in shapes.items()},
        directives=tuple(map(core_directive, directives)),
    )


# Changes that graphql-core ignores


def _ignored_by_graphql_core(name: str, old: Shape, new: Shape) -> Iterator[Change]:
    if None not in (old.one_of, new.one_of) and old.one_of != new.one_of:
        level, kind = (
            (Level.BREAKING, "ONE_OF_ADDED") if new.one_of else (Level.SAFE, "ONE_OF_REMOVED")
        )
        text = "now takes exactly one field" if new.one_of else "now takes any number of fields"
        yield Change(level, kind, name, f"Input {name} {text}.")
    if old.specified_by and new.specified_by and old.specified_by != new.specified_by:
        text = f"{name} changed its specification from {old.specified_by} to {new.specified_by}."
        yield Change(Level.DANGEROUS, "SPECIFIED_BY_CHANGED", name, text)
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
    describe: Callable[[str], str],
) -> Iterator[Change]:
    before = {part.name: part.deprecation for part in old}
    for part in new:
        if part.name not in before or before[part.name] == part.deprecation:
            continue
        kind, text = (
            "DEPRECATION_REASON_CHANGED",
            f'is now deprecated with the reason "{part.deprecation}"',
        )
        if part.deprecation is None:
            kind, text = "DEPRECATION_REMOVED", "is no longer deprecated"
        elif before[part.name] is None:
            kind, text = "DEPRECATION_ADDED", f'was deprecated: "{part.deprecation}"'
        yield Change(Level.SAFE, kind, place, f"{describe(part.name)} {text}.")
