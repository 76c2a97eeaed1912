"""Descriptions of what writing adds to the schema."""

from __future__ import annotations

from collections.abc import Mapping

from schema.catalog.records import MutationField, TypeEntry, TypeKind, Verb
from schema.model.records import short

USER_ERROR = "Why a row was not written, in words for the person who must act."
USER_ERROR_FIELDS: Mapping[str, str] = {
    "code": "A code of the documented registry, such as `CONFLICT` or `DUPLICATE_KEY`.",
    "message": "What is wrong, without noise.",
    "field": "The GraphQL field that was refused, where the upstream tells.",
    "path": "Where in the arguments: names and list positions.",
    "conflicts": "For `CONFLICT`: the fields that differ from what was sent.",
}
FIELD_CONFLICT = "A field whose current value differs from the one that was sent."
FIELD_CONFLICT_FIELDS: Mapping[str, str] = {
    "field": "The GraphQL field.",
    "current": "Its value in the upstream now.",
    "sent": "The value that was to be written.",
}
USER_ERRORS = "Why something was not written; empty where all was."
CALL_ERRORS = (
    "What kept the upstream from being asked, or its answer from arriving, once for all rows; what is"
    " wrong with a row stands with that row."
)
ROW = "The row as it is now; after a conflict the one that stands in the upstream, after a delete null."
ETAG = "The row's version now, for `ifMatch`."
RESULTS = "What became of each row, in the order of the input."
RESULT = "What the operation returned."
INPUT = "The row; only the fields that are given are sent."
INPUTS = "The rows, in order."
KEY = "Which row."
PATCH = "The fields to change; the others keep their values."
IF_MATCH = "The `etag` that the row must still have; else nothing is written (`CONFLICT`)."
NESTED = "Rows to create below the new row."
NESTED_CREATE = "The rows, in order; the fields that join them to the new row are filled in."

ATOMIC = "All mutations of the operation are written together, or none is."
VALUE_FROM = (
    "The variable's value is a field of a row that an earlier mutation of the operation writes."
)
VALUE_FROM_PATH = "`alias.field`: the mutation's response key and the GraphQL field of its row."

_VERBS: Mapping[Verb, tuple[str, str]] = {
    Verb.CREATE: ("Creates a row of `{}`.", "Creates rows of `{}`."),
    Verb.UPDATE: ("Changes fields of a row of `{}`.", "Changes fields of rows of `{}`."),
    Verb.UPSERT: (
        "Changes the row of `{}` with this key, or creates it.",
        "Changes or creates rows of `{}`, each by its key.",
    ),
    Verb.DELETE: ("Deletes a row of `{}`.", "Deletes rows of `{}`."),
    Verb.ACTION: ("Calls the action `{}`.", "Calls the action `{}`."),
    Verb.SERVICE: ("Calls the custom service `{}`.", "Calls the custom service `{}`."),
}
_TYPES: Mapping[TypeKind, str] = {
    TypeKind.CREATE_INPUT: "A new `{}` row.",
    TypeKind.PATCH: "Changes of a `{}` row.",
    TypeKind.KEY: "The key of a `{}` row.",
    TypeKind.UPDATE_INPUT: "One `{}` row to change.",
    TypeKind.DELETE_INPUT: "One `{}` row to delete.",
    TypeKind.NESTED_INPUT: "A new `{}` row below another.",
    TypeKind.NESTED_CREATE: "New `{}` rows below another.",
    TypeKind.VALUE_INPUT: "A `{}` value.",
    TypeKind.PAYLOAD: "What became of a `{}` row.",
    TypeKind.PAYLOADS: "What became of `{}` rows.",
    TypeKind.OPERATION_PAYLOAD: "What `{}` answered.",
}


def mutation(field: MutationField) -> str:
    """Describe a field of ``Mutation``."""
    one, several = _VERBS[field.verb]
    text = (several if field.many else one).format(_named(field))
    said = field.service.description if field.service is not None else ""
    return f"{said.rstrip('.')}. {text}" if said else text


def _named(field: MutationField) -> str:
    if field.service is not None:
        return field.service.path
    if field.operation is not None:
        return short(field.operation.name)
    return "" if field.entity_set is None else field.entity_set.name


def companion(entry: TypeEntry) -> str:
    """Describe a type that writing adds."""
    return _TYPES[entry.kind].format(short(entry.csdl))
