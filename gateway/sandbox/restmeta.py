"""Answers the REST metadata service below ``/metadata`` (section 1.3).

Labels, public entities and enumerations, data entities. Its ``$filter`` is not that of ``/data``: it supports
``contains`` and ``tolower``, Booleans, and enum literals of another namespace. It is answered from lists in memory, by
an evaluator of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

from odata_query import ast

from schema.model.records import (
    EntitySet,
    EntityType,
    Navigation,
    Operation,
    Parameter,
    Property,
    TypeRef,
    short,
)

from .catalogue import SetFacts
from .exchange import Incoming, Outgoing
from .filter_literals import EnumLiteral
from .labels import translations_of
from .options import Options, parse_options
from .refusal import Refusal, not_found, unknown_property
from .urls import split_path
from .world import World

Record = dict[str, Any]
_KEY = re.compile(r"(\w+)(?:\((.*)\))?")
_PART = re.compile(r"(?:(\w+)=)?'((?:[^']|'')*)',?")
_LANGUAGE = re.compile(r"Language eq '([^']*)'")
_KEYS = {
    "Labels": ("Id", "Language"),
    "PublicEntities": ("Name",),
    "PublicEnumerations": ("Name",),
    "DataEntities": ("Name",),
}


class RestMetadata:
    """Answers ``/metadata`` for a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def answer(self, incoming: Incoming) -> Outgoing:
        """Return the response to a request whose path begins with ``/metadata``."""
        if incoming.method != "GET":
            raise Refusal(405, "The metadata service only reads.", headers={"allow": "GET"})
        segments = split_path(incoming.path)[1:]
        root = f"{incoming.origin}/metadata"
        if not segments:
            names = [{"name": name, "kind": "EntitySet", "url": name} for name in _KEYS]
            return Outgoing.of_json({"@odata.context": f"{root}/$metadata", "value": names})
        match = _KEY.fullmatch(segments[0])
        if match is None or match[1] not in _KEYS or len(segments) > 1:
            raise not_found()
        name, key = match[1], match[2]
        if key is not None:
            record = self._record(name, key)
            return Outgoing.of_json(
                {"@odata.context": f"{root}/$metadata#{name}/$entity", **record}
            )
        options = parse_options(incoming.query, finops=False, skip_tokens=False)
        return Outgoing.of_json(
            {"@odata.context": f"{root}/$metadata#{name}", **self._collection(name, options)}
        )

    def _record(self, name: str, text: str) -> Record:
        parts = _KEYS[name]
        values = {part or parts[0]: value.replace("''", "'") for part, value in _PART.findall(text)}
        if set(values) != set(parts):
            raise Refusal(400, f"The key of '{name}' is {', '.join(parts)}.")
        for record in self._records(name):
            if all(str(record[part]).casefold() == values[part].casefold() for part in parts):
                return record
        raise not_found()

    def _collection(self, name: str, options: Options) -> Record:
        records = list(self._records(name))
        if options.filter is not None:
            tree = _tree(options.filter)
            records = [record for record in records if _holds(tree, record)]
        body: Record = {"@odata.count": len(records)} if options.count else {}
        end = None if options.top is None else options.skip + options.top
        page = records[options.skip : end]
        if options.select:
            page = [
                {name: record[name] for name in options.select if name in record} for record in page
            ]
        return {**body, "value": page}

    def _records(self, name: str) -> Iterable[Record]:
        makers: dict[str, Callable[[], Iterable[Record]]] = {
            "Labels": lambda: self._labels,
            "PublicEntities": self._public_entities,
            "PublicEnumerations": self._enumerations,
            "DataEntities": self._data_entities,
        }
        return makers[name]()

    @cached_property
    def _labels(self) -> list[Record]:
        texts = translations_of(self._world.model)
        return [{"Id": label, "Language": lang, "Value": text} for label, lang, text in texts]

    def _sets(self) -> Iterator[tuple[EntitySet, EntityType, SetFacts]]:
        for entity_set in self._world.model.entity_sets.values():
            entity_type = self._world.model.entity_types[entity_set.type]
            facts = self._world.catalogue.facts.get(entity_set.name)
            yield entity_set, entity_type, facts or SetFacts(aot=f"{short(entity_type.name)}Entity")

    def _data_entities(self) -> Iterator[Record]:
        for entity_set, entity_type, facts in self._sets():
            yield {
                "Name": facts.aot,
                "PublicEntityName": short(entity_type.name),
                "PublicCollectionName": entity_set.name,
                "LabelId": entity_type.label,
                "DataServiceEnabled": True,
                "DataManagementEnabled": True,
                "EntityCategory": facts.category,
                "IsReadOnly": entity_type.read_only,
            }

    def _public_entities(self) -> Iterator[Record]:
        model = self._world.model
        for entity_set, entity_type, _ in self._sets():
            key = model.key_of(entity_type.name)
            yield {
                "Name": short(entity_type.name),
                "EntitySetName": entity_set.name,
                "LabelId": entity_type.label,
                "IsReadOnly": entity_type.read_only,
                "ConfigurationEnabled": True,
                "Properties": [_property(p, key) for p in model.properties_of(entity_type.name)],
                "NavigationProperties": [
                    _navigation(n) for n in model.navigations_of(entity_type.name)
                ],
                "PropertyGroups": [],
                "Actions": [
                    _action(o)
                    for o in model.operations
                    if o.bound_to is not None and o.bound_to.name == entity_type.name
                ],
            }

    def _enumerations(self) -> Iterator[Record]:
        for enum in self._world.model.enum_types.values():
            members = [
                {"Name": m.name, "Value": m.value, "LabelId": m.label, "ConfigurationEnabled": True}
                for m in enum.members
            ]
            yield {"Name": short(enum.name), "LabelId": enum.label, "Members": members}


def _property(prop: Property, key: tuple[str, ...]) -> Record:
    return {
        "Name": prop.name,
        "TypeName": prop.type.name,
        "DataType": prop.ax_type or prop.type.name.removeprefix("Edm."),
        "LabelId": prop.label,
        "IsKey": prop.name in key,
        "IsMandatory": prop.required,
        "ConfigurationEnabled": True,
        "AllowEdit": prop.allow_edit,
        "AllowEditOnCreate": prop.allow_edit_on_create,
        "IsDimension": prop.name.endswith("DisplayValue"),
        "DimensionRelation": None,
        "IsDynamicDimension": False,
        "DimensionLegalEntityProperty": None,
        "DimensionTypeProperty": None,
    }


def _navigation(navigation: Navigation) -> Record:
    kind = "#Microsoft.Dynamics.Metadata.ReferentialConstraint"
    return {
        "Name": navigation.name,
        "RelatedEntity": short(navigation.target),
        "RelatedRelationName": navigation.partner,
        "Cardinality": "Multiple" if navigation.many else "Single",
        "Constraints": [
            {"@odata.type": kind, "Property": pair.property, "ReferencedProperty": pair.referenced}
            for pair in navigation.on
        ],
    }


def _action(operation: Operation) -> Record:
    """Return an action; its binding parameter is listed with the others ([R: C3])."""
    bound = operation.bound_to
    assert bound is not None
    binding = Parameter(name=short(bound.name), type=bound)
    return {
        "Name": short(operation.name),
        "BindingKind": "BoundToEntitySet" if bound.many else "BoundToEntityInstance",
        "Parameters": [
            {"Name": p.name, "Type": _type(p.type)} for p in (binding, *operation.parameters)
        ],
        "ReturnType": None if operation.returns is None else _type(operation.returns),
        "FieldLookup": None,
    }


def _type(ref: TypeRef) -> Record:
    return {"TypeName": ref.name, "IsCollection": ref.many}


def _tree(text: str) -> Any:
    """Return the tree of a filter. Raises Refusal.

    Of the filter for one language, which each start of a gateway sends, it is made without the parser.
    """
    language = _LANGUAGE.fullmatch(text)
    if language is not None:
        return ast.Compare(ast.Eq(), ast.Identifier("Language"), ast.String(language[1]))
    from .grammar import parse_filter  # noqa: PLC0415 - its tables take time: the first filter makes them

    return parse_filter(text, strict=False)


def _holds(node: Any, record: Record) -> bool:
    """Return whether a record satisfies a filter's tree."""
    match node:
        case ast.BoolOp(op=ast.And()):
            return _holds(node.left, record) and _holds(node.right, record)
        case ast.BoolOp():
            return _holds(node.left, record) or _holds(node.right, record)
        case ast.UnaryOp(op=ast.Not()):
            return not _holds(node.operand, record)
        case ast.Compare(comparator=ast.Eq()):
            return bool(_value(node.left, record) == _value(node.right, record))
        case ast.Compare(comparator=ast.NotEq()):
            return bool(_value(node.left, record) != _value(node.right, record))
        case ast.Call():
            return _called(node, record)
    raise Refusal(400, "The $filter expression is not supported by the metadata service.")


def _called(node: Any, record: Record) -> bool:
    tests: dict[str, Callable[[str, str], bool]] = {
        "contains": lambda text, part: part in text,
        "startswith": str.startswith,
        "endswith": str.endswith,
    }
    test = tests.get(node.func.full_name())
    if test is None:
        raise Refusal(400, f"An unknown function with name '{node.func.full_name()}' was found.")
    text, part = (_value(arg, record) for arg in node.args)
    return test(str(text), str(part))


def _value(node: Any, record: Record) -> Any:
    match node:
        case ast.Identifier(name=name):
            if name not in record:
                raise unknown_property(name, "Microsoft.Dynamics.Metadata")
            return record[name]
        case ast.Call(func=ast.Identifier(name="tolower")):
            return str(_value(node.args[0], record)).lower()
        case ast.Call(func=ast.Identifier(name="toupper")):
            return str(_value(node.args[0], record)).upper()
        case EnumLiteral(val=value):
            return value
        case ast.Null():
            return None
    if hasattr(node, "py_val"):
        return node.py_val
    raise Refusal(400, "The $filter expression is not supported by the metadata service.")
