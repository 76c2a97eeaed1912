"""GraphQL descriptions of mutations and their types."""

from __future__ import annotations

from collections.abc import Mapping

from schema.catalog.records import MutationField, TypeEntry, TypeKind, Verb
from schema.model.records import short

USER_ERROR = "Why a row was not written, for the person who has to correct it."
USER_ERROR_FIELDS: Mapping[str, str] = {
    "code": "A code of the documented registry, such as `CONFLICT` or `DUPLICATE_KEY`.",
    "message": "What is wrong, in plain words.",
    "field": "The rejected GraphQL field, if the upstream service names it.",
    "path": "Path in the arguments: field names and list positions.",
    "conflicts": "For `CONFLICT`: the fields whose current values differ from the submitted ones.",
}
FIELD_CONFLICT = "A field whose current value differs from the submitted one."
FIELD_CONFLICT_FIELDS: Mapping[str, str] = {
    "field": "The GraphQL field.",
    "current": "Its current value in the upstream service.",
    "sent": "The submitted value.",
}
USER_ERRORS = "Why rows were not written; empty if all were."
CALL_ERRORS = (
    "Errors of the call as a whole: its request could not be sent, or its answer did not arrive."
    " Errors of a single row stand with that row's result."
)
ROW = "The row after the write; after a conflict the upstream service's current row, after a delete null."
ETAG = "The current version of the row, for `ifMatch`."
RESULTS = "The result of each row, in the order of the input."
RESULT = "The return value of the operation."
INPUT = "The row; only the fields provided are sent."
INPUTS = "The rows, in order."
KEY = "The key of the row."
PATCH = "The fields to change; all others keep their values."
IF_MATCH = "The expected `etag` of the row; if it differs, nothing is written (`CONFLICT`)."
IDEMPOTENCY_KEY = "Key under which this is done once, and then answered again."
UNIQUE_BY = "Fields by whose values a row that is there is found: it is not created again."
CREATED = "For a create: whether the row is new. False: it was there (`uniqueBy`)."
NESTED = "Rows to create below the new row."
NESTED_CREATE = (
    "The rows, in order; the fields that join them to the new row are filled in automatically."
)

ATOMIC = "Either all mutations of the operation are written, or none is."
VALUE_FROM = "Takes the variable's value from a field of a row that an earlier mutation of the operation writes."
VALUE_FROM_PATH = "`alias.field`: the mutation's response key and a GraphQL field of its row."

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
    TypeKind.PATCH: "Changes to a `{}` row.",
    TypeKind.KEY: "The key of a `{}` row.",
    TypeKind.UPDATE_INPUT: "One `{}` row to change.",
    TypeKind.DELETE_INPUT: "One `{}` row to delete.",
    TypeKind.NESTED_INPUT: "A new `{}` row below another row.",
    TypeKind.NESTED_CREATE: "New `{}` rows below another row.",
    TypeKind.VALUE_INPUT: "A `{}` value.",
    TypeKind.PAYLOAD: "Result of writing a `{}` row.",
    TypeKind.PAYLOADS: "Results of writing `{}` rows.",
    TypeKind.OPERATION_PAYLOAD: "Result of `{}`.",
}


def mutation(field: MutationField) -> str:
    """Describe a field of ``Mutation``."""
    one, several = _VERBS[field.verb]
    text = (several if field.many else one).format(_named(field))
    own = field.service.description if field.service is not None else ""
    return f"{own.rstrip('.')}. {text}" if own else text


def _named(field: MutationField) -> str:
    if field.service is not None:
        return field.service.path
    if field.operation is not None:
        return short(field.operation.name)
    return "" if field.entity_set is None else field.entity_set.name


def companion(entry: TypeEntry) -> str:
    """Describe a type that exists for mutations only."""
    return _TYPES[entry.kind].format(short(entry.csdl))
