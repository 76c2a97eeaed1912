"""What PATCH changes: whether a user may sign in, and the members of a group. Each is a mutation of the caller.

So rights, presets, limits and the audit log are those of mutations.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import structs
from scim2_models import ForbiddenException, InvalidValueException, UniquenessException

from gateway.unified.lists import UnifiedListFailed, UnifiedLists
from schema.catalog.records import Verb
from schema.unified.api import UnifiedKind
from schema.unified.lookups import MissingError, operand_of

from .lookups import list_of
from .objects import GroupKind

_ASSIGNED = {"AssignmentStatus": "Enabled", "AssignmentMode": "Manual"}
"""Columns of a new assignment of a role, of those that the environment has."""
_TAKEN = "DUPLICATE_KEY"


async def set_active(lists: UnifiedLists, id_: str, *, active: bool) -> None:
    """Switch a user on or off; ``id_``: of the unified user. Raises SCIMException, UnifiedListFailed."""
    writes = lists.schema.writes
    unified = None if writes is None else writes.unified
    fields = () if unified is None else unified.fields.values()
    name = next((f.name for f in fields if (f.view, f.verb) == ("User", Verb.UPDATE)), None)
    if name is None or unified is None or "status" not in unified.inputs(UnifiedKind.PATCH, "User"):
        raise ForbiddenException(detail="You may not change whether users are active")
    patch_type = unified.name_of(UnifiedKind.PATCH, "User")
    query = (
        f"mutation Unified($id: ID!, $patch: {patch_type}!)"
        f" {{ change: {name}(id: $id, patch: $patch) {{ userErrors {{ code message }} }} }}"
    )
    await _run(lists, query, {"id": id_, "patch": {"status": "ACTIVE" if active else "INACTIVE"}})


async def change_members(
    lists: UnifiedLists, kind: GroupKind, group: str, add: Collection[str], remove: Collection[str]
) -> None:
    """Add users to a role or user group, and remove others, by their keys. Raises SCIMException, UnifiedListFailed."""
    members = _Members(lists, kind, group)
    parts: list[str] = []
    variables: dict[str, Any] = {}
    if remove:
        variables["remove"] = [{"key": members.row(user)} for user in sorted(remove)]
        parts.append(members.field("remove", Verb.DELETE))
    if add:
        variables["add"] = [members.row(user, is_new=True) for user in sorted(add)]
        # A row may be there, and not be enabled.
        parts.append(members.field("add", Verb.UPSERT, Verb.CREATE))
    declared = ", ".join(f"${name}: {members.types[name]}" for name in variables)
    await _run(lists, f"mutation Unified({declared}) @atomic {{ {' '.join(parts)} }}", variables)


class _Members:
    """The rows of the members of a group, and their mutations."""

    def __init__(self, lists: UnifiedLists, kind: GroupKind, group: str) -> None:
        self._kind, self._group = kind, group
        catalog, self._writes = lists.schema.catalog, lists.schema.writes
        entity_set = catalog.model.entity_sets.get(kind.set)
        self._root = list_of(catalog, kind.set)
        if entity_set is None or self._root is None or self._writes is None:
            raise _forbidden()
        self._mutations = dict(self._writes.of_root(self._root, kind.set))
        self._object = catalog.object(entity_set.type)
        self.types: dict[str, str] = {}

    def field(self, name: str, *verbs: Verb) -> str:
        """Return a field of the mutation, by the first of the verbs that the caller may use; note its input's type."""
        mutation = next((self._mutations[v] for v in verbs if v in self._mutations), None)
        if mutation is None or self._writes is None:
            raise _forbidden()
        (argument, *_) = self._writes.inputs_of_field(self._writes[mutation])
        self.types[name] = f"[{argument.type_name}!]!"
        return (
            f"{name}: {mutation}({argument.name}: ${name})"
            " { results { userErrors { code message } } userErrors { code message } }"
        )

    def row(self, user: str, *, is_new: bool = False) -> Mapping[str, Any]:
        """Return the key of a member, or the input of a new one."""
        values: dict[str, Any] = {}
        try:
            for column, value in ((self._kind.member, user), (self._kind.of, self._group)):
                values[self._object.by_source(column).name] = value
        except KeyError:
            raise _forbidden() from None
        for column, value in _ASSIGNED.items() if is_new else ():
            try:
                field = self._object.by_source(column)
                if field.value is not None:
                    values[field.name] = operand_of(field.value, value)
            except (KeyError, MissingError):
                continue
        return values


async def _run(lists: UnifiedLists, query: str, variables: Mapping[str, Any]) -> None:
    request = structs.replace(lists.request, query=query, variables=variables)
    answer = await lists.read(request)
    body = answer.to_builtins()
    if body.get("errors"):
        raise UnifiedListFailed(answer)
    for payload in body["data"].values():
        results = [payload, *payload.get("results", ())]
        for error in (error for result in results for error in result["userErrors"]):
            if error["code"] == _TAKEN:
                raise UniquenessException(detail=error["message"])
            raise InvalidValueException(detail=error["message"])


def _forbidden() -> ForbiddenException:
    return ForbiddenException(detail="You may not change the members of this group")
