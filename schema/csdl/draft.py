"""What has been read of a document before every name in it is known.

Records are made as their elements close, while an alias may be declared and a type defined further
down. So a draft holds model records whose *references* are still as the document spells them;
``csdl_resolve`` replaces the few that must change. In a Finance & Operations document that is none
of 67,388 properties, which is why the records are not made twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Final, TypeVar

from schema.model.records import (
    ComplexType,
    EntitySet,
    EntityType,
    EnumType,
    Operation,
    OperationImport,
    Singleton,
    TypeDefinition,
    TypeRef,
)

from .annotations import Facts, Terms, facts_of
from .xml import Element, Note

_COLLECTION: Final = "Collection("

T = TypeVar("T")


class TypeRefs(dict[str, TypeRef]):
    """Type text → its one ``TypeRef``: tens of thousands of properties share a few hundred."""

    def __missing__(self, text: str) -> TypeRef:
        bare = text.strip()
        many = bare.startswith(_COLLECTION) and bare.endswith(")")
        name = bare[len(_COLLECTION) : -1].strip() if many else bare
        self[text] = TypeRef(intern(name), many)
        return self[text]


class TermNames(dict[str, str]):
    """Term as spelt → its full name; empty while its prefix may be an alias that is still to be declared."""

    def __init__(self, aliases: Mapping[str, str]) -> None:
        super().__init__()
        self._aliases = aliases

    def __missing__(self, term: str) -> str:
        prefix, _, last = term.rpartition(".")
        namespace = self._aliases.get(prefix, prefix)
        if "." not in namespace:
            return ""
        self[term] = f"{namespace}.{last}"
        return self[term]


@dataclass
class Draft:
    """The state of one reading; never leaves the ``csdl`` modules."""

    aliases: dict[str, str] = field(default_factory=dict)
    type_refs: TypeRefs = field(default_factory=TypeRefs)
    entity_types: dict[str, EntityType] = field(default_factory=dict)
    complex_types: dict[str, ComplexType] = field(default_factory=dict)
    enum_types: dict[str, EnumType] = field(default_factory=dict)
    type_definitions: dict[str, TypeDefinition] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    namespace: str = ""
    container: str = ""
    """Qualified name of the container; empty until it is read."""
    entity_sets: dict[str, EntitySet] = field(default_factory=dict)
    singletons: dict[str, Singleton] = field(default_factory=dict)
    imports: dict[str, OperationImport] = field(default_factory=dict)
    notes: dict[str, list[Note]] = field(default_factory=dict)
    """Target as spelt → annotations that wait for the end: from outside, or of an alias unknown yet."""
    findings: list[str] = field(default_factory=list)
    term_names: TermNames = field(init=False)

    def __post_init__(self) -> None:
        self.term_names = TermNames(self.aliases)

    def declare_alias(self, alias: str | None, namespace: str) -> None:
        if alias is not None:
            self.aliases[alias] = namespace

    def full(self, name: str) -> str:
        """Return a qualified name with its alias, if it has one, replaced by the namespace."""
        prefix, dot, last = name.rpartition(".")
        namespace = self.aliases.get(prefix)
        return name if namespace is None or not dot else intern(f"{namespace}.{last}")

    def add(self, records: dict[str, T], name: str, record: T) -> None:
        """Keep a record under its name; of two with one name the first is kept."""
        if name in records:
            self.findings.append(f"{name} is defined twice; the first definition is used.")
        else:
            records[name] = record

    def facts(self, element: Element, terms: Terms, owner: str, part: str = "") -> Facts:
        """Return what the annotations inside an element state of it: of ``owner``, or of that part of it."""
        if not element.notes:
            return {}
        full = self.term_names
        for note in element.notes:
            if not full[note[0]]:
                target = f"{owner}/{part}" if part else owner
                # A record is made once. What cannot be read yet waits with the annotations from outside.
                self.notes.setdefault(target, []).append(note)
        return facts_of(element.notes, terms, full)
