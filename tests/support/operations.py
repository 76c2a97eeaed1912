"""Random operations over a GraphQL schema, valid by construction.

A response key tells its field and arguments (``lines_2`` is ``lines(first: 2)``), so that selections may be repeated,
merged and spread over fragments without ever being in conflict.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_composite_type,
    is_leaf_type,
    is_required_argument,
)
from hypothesis import strategies as st

PAGES = (
    ("", ""),
    ("", ""),
    ("_2", "(first: 2)"),
    ("_0", "(first: 0)"),
    ("_l", "(last: 1)"),
    ("_v", "(first: $n)"),
)
CONDITIONS = ("a", "b")


@dataclass
class Operation:
    """A document and variables for it."""

    text: str
    variables: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.text}\n# {self.variables}"


@dataclass
class Writer:
    """Writes one operation."""

    chances: random.Random
    size: int
    """Most items of a selection."""
    schema: GraphQLSchema
    roots: Sequence[tuple[str, str]]
    rows_always: bool = False
    """Whether every connection asks for at least one row; without, one may need no read at all."""
    fragments: list[tuple[str, Any, str]] = field(default_factory=list)

    @cached_property
    def mixed(self) -> frozenset[str]:
        """Names that mean another type in another object type: two of them cannot share a response key."""
        types: dict[str, set[str]] = {}
        for made in self.schema.type_map.values():
            if isinstance(made, GraphQLObjectType) and not made.name.startswith("__"):
                for name, found in made.fields.items():
                    types.setdefault(name, set()).add(str(found.type))
        return frozenset(n for n, found in types.items() if len(found) > 1)

    def pick(self, choices: Sequence[Any]) -> Any:
        return self.chances.choice(choices)

    def chance(self, one_in: int) -> bool:
        return self.chances.randrange(one_in) == 0

    def operation(self) -> Operation:
        query = self.schema.query_type
        assert query is not None
        parts = []
        for _ in range(self.chances.randint(1, 2)):
            key, call = self.pick(self.roots)
            if call == "__typename":
                parts.append(f"{key}: __typename")
                continue
            kind = get_named_type(query.fields[call.partition("(")[0]].type)
            parts.append(f"{key}: {call}{self.directive()} {self.selection(kind, 6)}")
        variables: dict[str, Any] = {name: self.chance(2) for name in CONDITIONS}
        variables["n"] = self.chances.randint(int(self.rows_always), 3)
        bodies = " ".join([*parts, *(f[2] for f in self.fragments)])
        used = [f"${n}: Boolean!" for n in CONDITIONS if f"${n})" in bodies]
        used += ["$n: Int"] if "$n)" in bodies else []
        head = f"query Q({', '.join(used)})" if used else "query Q"
        text = f"{head} {{ {' '.join(parts)} }}"
        for name, kind, body in self.fragments:
            text += f"\nfragment {name} on {kind.name} {body}"
        return Operation(text, variables)

    def directive(self) -> str:
        if not self.chance(8):
            return ""
        name = self.pick(("skip", "include"))
        value = self.pick(("$a", "$b", "true", "false"))
        return f" @{name}(if: {value})"

    def selection(self, kind: Any, depth: int) -> str:
        parts = [self.item(kind, depth) for _ in range(self.chances.randint(1, self.size))]
        if all(part.startswith("...") for part in parts):
            parts.append("__typename")
        if self.rows_always and kind.name.endswith("Connection"):
            parts.append("nodes { __typename }")
        return f"{{ {' '.join(parts)} }}"

    def item(self, kind: Any, depth: int) -> str:
        if self.chance(8):
            return self.pick(("__typename", "kind: __typename"))
        if depth > 0 and self.chance(6):
            return self.fragment(kind, depth)
        return self.field(kind, depth)

    def field(self, kind: Any, depth: int) -> str:
        fields = [
            (name, f)
            for name, f in kind.fields.items()
            if depth > 0 or is_leaf_type(get_named_type(f.type))
            # ``customFields`` reads columns by names of the service, which no schema has.
            if not any(map(is_required_argument, f.args.values()))
        ]
        composite = [(n, f) for n, f in fields if is_composite_type(get_named_type(f.type))]
        wiring = kind.name.endswith(("Connection", "Edge"))
        prefer = composite and (self.chance(3) or (wiring and not self.chance(4)))
        if not fields:
            return "__typename"
        name, found = self.pick(composite if prefer else fields)
        inner = get_named_type(found.type)
        call, key = name, name
        if "first" in found.args:
            pages = [p for p in PAGES if not self.rows_always or p[0] != "_0"]
            suffix, arguments = self.pick(pages)
            key, call = name + suffix, name + arguments
        if self.chance(6):
            key = f"x_{key}"
        if name in self.mixed:
            key = f"{kind.name}_{key}"
        head = call if key == name and call == name else f"{key}: {call}"
        below = "" if is_leaf_type(inner) else f" {self.selection(inner, depth - 1)}"
        return f"{head}{self.directive()}{below}"

    def fragment(self, kind: Any, depth: int) -> str:
        target = self.pick(self.overlapping(kind))
        fitting = [f for f in self.fragments if f[1] is target]
        if fitting and self.chance(2):
            return f"...{self.pick(fitting)[0]}{self.directive()}"
        style = self.chances.randint(0, 2)
        body = self.selection(target, depth - 1)
        if style == 0:
            name = f"F{len(self.fragments)}"
            self.fragments.append((name, target, body))
            return f"...{name}{self.directive()}"
        if style == 1 and target is kind:
            return f"...{self.directive()} {body}"
        return f"... on {target.name}{self.directive()} {body}"

    def overlapping(self, kind: Any) -> list[Any]:
        """Return the types that a row of this kind may be, or be seen as."""
        found = [kind]
        if isinstance(kind, GraphQLInterfaceType):
            found += self.schema.get_possible_types(kind)
        if isinstance(kind, GraphQLInterfaceType | GraphQLObjectType):
            found += kind.interfaces
        return found


def operations(
    schema: GraphQLSchema, roots: Sequence[tuple[str, str]], *, rows_always: bool = False
) -> st.SearchStrategy[Operation]:
    """Return random operations; ``roots`` are the root fields to choose from: (response key, call).

    Hypothesis draws a seed and a size only: hundreds of small draws an operation would cost more than running it.
    """

    def write(seed: int, size: int) -> Operation:
        return Writer(random.Random(seed), size, schema, roots, rows_always).operation()

    return st.builds(write, st.integers(0, 2**32), st.integers(1, 5))
