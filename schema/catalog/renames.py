"""Checks the setting ``renames`` at start-up, so that a rename without effect is reported at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from schema.errors import SchemaError, did_you_mean
from schema.model.records import Model, short

from .names import Names

_GRAPHQL_NAME = re.compile(r"(?!__)[_A-Za-z][_0-9A-Za-z]*", re.ASCII)


def check_renames(renames: Mapping[str, str], model: Model, types: Names, roots: Names) -> None:
    """Raise SchemaError listing every invalid rename."""
    problems = [
        p for key, name in renames.items() for p in _problems(key, name, model, types, roots)
    ]
    if problems:
        raise SchemaError(
            "Some renames are invalid:",
            hint="Write CsdlName = graphqlName; CsdlName is a type, Type.Property, Enum.Member or Query.EntitySet.",
            problems=problems,
        )


def _problems(key: str, name: str, model: Model, types: Names, roots: Names) -> Iterator[str]:
    if _GRAPHQL_NAME.fullmatch(name) is None:
        yield f"{key}: {name!r} is not a GraphQL name."
    requesters = (owner for names in (types, roots) for owner in names.owners())
    # Companions (``CustomerV3 edge``) cannot be renamed: they follow their type.
    owners = dict.fromkeys(owner for owner in requesters if " " not in owner)
    if key not in owners and not _is_member(key, model):
        yield f"{key}: the metadata has no such name.{did_you_mean(key, owners)}"


def _is_member(key: str, model: Model) -> bool:
    owner, _, member = key.rpartition(".")
    names = (*model.entity_types, *model.complex_types, *model.enum_types)
    same_name = (name for name in names if owner == short(name))
    return any(member in _member_names(name, model) for name in same_name)


def _member_names(name: str, model: Model) -> set[str]:
    enum = model.enum_types.get(name)
    if enum is not None:
        return {m.name for m in enum.members}
    declared = model.structured(name)
    return {p.name for p in declared.properties} | {n.name for n in declared.navigations}
