"""The built-in catalogue: some hundred real sets of F&O as a ``schema.model.records.Model``.

Read from the TOML files of ``data/``, which hold names, keys, types, enums and navigations as F&O has them (section 6),
in a compact form that is explained at their heads. What is the same everywhere in F&O's documents is added here:
nullability, labels, annotations (section 7).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from schema.model.records import (
    Capabilities,
    EntitySet,
    EntityType,
    EnumMember,
    EnumType,
    Model,
    Navigation,
    Operation,
    OperationKind,
    Property,
    ReferentialConstraint,
    TypeRef,
)

from .labels import label_id

NAMESPACE = "Microsoft.Dynamics.DataEntities"
_AREAS = (
    "organization",
    "ledger",
    "products",
    "purchasing",
    "sales",
    "people",
    "documents",
    "books",
)
# group in the files → Edm type and the X++ kind that the AXType annotation tells (section 7)
KINDS = {
    "text": ("Edm.String", "String"),
    "decimal": ("Edm.Decimal", "Real"),
    "int32": ("Edm.Int32", "Int32"),
    "int64": ("Edm.Int64", "Int64"),
    "date": ("Edm.DateTimeOffset", "Date"),
    "moment": ("Edm.DateTimeOffset", "UtcDateTime"),
    "guid": ("Edm.Guid", "Guid"),
    "boolean": ("Edm.Boolean", "Enum"),
    "binary": ("Edm.Binary", "Container"),
    "noyes": (f"{NAMESPACE}.NoYes", "Enum"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFacts:
    """What F&O knows of a set beyond its ``$metadata``."""

    aot: str
    """Name of the X++ data entity, as ``/metadata/DataEntities`` and write errors use it."""
    category: str = "Master"
    rows_of: str = ""
    """The set whose table it shares: versions of one entity are views of the same records."""
    sources: int = 1
    """Data sources of the entity: pairs in its etag (section 5.2)."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A metadata document, and facts that it does not hold."""

    model: Model
    facts: Mapping[str, SetFacts]

    def storage_of(self, entity_set: str) -> str:
        """Return the set whose table holds the rows of a set."""
        facts = self.facts.get(entity_set)
        return entity_set if facts is None or not facts.rows_of else facts.rows_of


@cache
def built_in() -> Catalogue:
    """Return the built-in catalogue, read once a process (some 20 ms)."""
    specs = _specs()
    types = [_entity_type(name, spec) for name, spec in specs.items()]
    sets = [_entity_set(name, spec) for name, spec in specs.items()]
    enums = [_enum_type(name, members) for name, members in _read("enums").items()]
    model = Model(
        namespace=NAMESPACE,
        entity_sets={s.name: s for s in sets},
        entity_types={t.name: t for t in types},
        enum_types={e.name: e for e in enums},
        operations=tuple(op for spec in specs.values() for op in _actions(spec)),
    )
    return Catalogue(model, {name: _facts(spec) for name, spec in specs.items()})


@cache
def _specs() -> dict[str, dict[str, Any]]:
    return {name: spec for area in _AREAS for name, spec in _read(area).items()}


@cache
def _read(area: str) -> dict[str, Any]:
    source = files(__package__).joinpath("data", f"{area}.toml")
    return tomllib.loads(source.read_text(encoding="utf-8"))


def _facts(spec: dict[str, Any]) -> SetFacts:
    return SetFacts(
        aot=spec.get("aot", spec["type"] + "Entity"),
        category=spec["category"],
        rows_of=spec.get("rows_of", ""),
        sources=spec.get("sources", 1),
    )


def _enum_type(name: str, members: str) -> EnumType:
    pairs = (member.split("=") for member in members.split())
    return EnumType(
        name=f"{NAMESPACE}.{name}",
        members=tuple(
            EnumMember(name=m, value=int(v), label=label_id(f"{name}.{m}")) for m, v in pairs
        ),
        label=label_id(name),
    )


def _entity_type(name: str, spec: dict[str, Any]) -> EntityType:
    return EntityType(
        name=f"{NAMESPACE}.{spec['type']}",
        key=tuple(spec["key"].split()),
        properties=tuple(_properties(name, spec)),
        navigations=tuple(_navigation(n, text) for n, text in spec.get("links", {}).items()),
        read_only=spec.get("read_only", False),
        label=label_id(name),
    )


def _properties(name: str, spec: dict[str, Any]) -> list[Property]:
    kinds = _kinds(spec)
    keys = spec["key"].split()
    flags = {flag: set(spec.get(flag, "").split()) for flag in ("required", "computed", "fixed")}
    flags["required"] |= set(keys) - _given_by_service(spec.get("rows_of", name))
    ordered = keys + [name for name in kinds if name not in keys]
    return [
        property_of(
            name,
            kinds.get(name, KINDS["text"]),
            keys,
            **{flag: name in names for flag, names in flags.items()},
        )
        for name in ordered
    ]


def _given_by_service(storage: str) -> set[str]:
    """Return the key parts that need not be sent: the company, number sequences, line numbers."""
    rules = _read("writing").get(storage, {})
    named = (rules.get(kind, "").split() for kind in ("numbers", "counts", "optional"))
    return {"dataAreaId"}.union(*named)


def _kinds(spec: dict[str, Any]) -> dict[str, tuple[str, str]]:
    kinds = {name: kind for group, kind in KINDS.items() for name in spec.get(group, "").split()}
    for pair in spec.get("enums", "").split():
        name, _, enum = pair.partition(":")
        kinds[name] = (f"{NAMESPACE}.{enum}", "Enum")
    return kinds


def property_of(
    name: str,
    kind: tuple[str, str],
    keys: Sequence[str],
    *,
    required: bool,
    computed: bool = False,
    fixed: bool = False,
) -> Property:
    """Return a property with what is the same everywhere in F&O's documents."""
    edm, ax_type = kind
    is_enum = not edm.startswith("Edm.")
    return Property(
        name=name,
        type=TypeRef(edm),
        # section 7: enums are nullable, in keys too; strings but in keys; all else not
        nullable=is_enum or (edm == "Edm.String" and name not in keys),
        label=label_id(name),
        ax_type=ax_type,
        allow_edit=name not in keys and not fixed and not computed,
        allow_edit_on_create=not computed,
        required=required,
    )


def _navigation(name: str, text: str) -> Navigation:
    body, _, partner = text.partition("/")
    cardinality, target, *pairs = body.split()
    on = tuple(
        ReferentialConstraint(own, theirs or own)
        for own, _, theirs in (p.partition("=") for p in pairs)
    )
    return Navigation(
        name=name,
        target=f"{NAMESPACE}.{_specs()[target]['type']}",
        many=cardinality == "many",
        partner=partner or None,
        on=on,
    )


def _actions(spec: dict[str, Any]) -> Iterator[Operation]:
    """Read ``submit = "one"`` and ``query = "many -> many Set"``: what it is bound to, and its result."""
    for name, text in spec.get("actions", {}).items():
        binding, _, result = text.partition(" -> ")
        *many, returned = result.split() or [""]
        yield Operation(
            name=f"{NAMESPACE}.{name}",
            kind=OperationKind.ACTION,
            bound_to=TypeRef(f"{NAMESPACE}.{spec['type']}", many=binding == "many"),
            returns=TypeRef(_result_type(returned), many=bool(many)) if returned else None,
        )


def _result_type(name: str) -> str:
    return name if name.startswith("Edm.") else f"{NAMESPACE}.{_specs()[name]['type']}"


def _entity_set(name: str, spec: dict[str, Any]) -> EntitySet:
    bindings = {n: text.split()[1] for n, text in spec.get("links", {}).items()}
    read_only = spec.get("read_only", False)
    can = Capabilities(insertable=not read_only, updatable=not read_only, deletable=not read_only)
    return EntitySet(
        name=name,
        type=f"{NAMESPACE}.{spec['type']}",
        bindings=bindings,
        can=can,
        label=label_id(name),
    )
