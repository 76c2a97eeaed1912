"""Answers ``accountCombination``: reads what the environment says of an account and its dimensions, as the caller."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, structs

from gateway.dimensions.combinations import SEGMENTS, STRUCTURES, Facts, Question, judge
from gateway.documents.collect_fields import Nodes, Selection, fragments_of
from gateway.engine import Engine
from gateway.errors import BadArgument
from gateway.request import Answer, FeedOutline, GraphQLRequest, PlannedQuery
from schema.catalog import Catalog
from schema.catalog.records import RootKind
from schema.types.combinations import COMBINATION_TYPES
from schema.unified.lookups import MissingError, column_of, operand_of, where_input

Ask = Callable[[GraphQLRequest], Awaitable[Answer]]
_MOST = 1_000
"""Rows of a set that are read; account structures have some hundred rules at most."""


class Source(Struct, frozen=True):
    """A set that says something of combinations: its columns, and which of its rows are read."""

    name: str
    columns: tuple[str, ...]
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(column, values of which it has one)."""
    may_lack: bool = False
    """Whether environments without it have nothing of the kind."""


def sources_of(question: Question) -> tuple[Source, ...]:
    """Return the sets that are read for a combination."""
    active = (("Status", ("Active",)),)
    account = ("MainAccountId", (question.main_account,))
    company = ("LegalEntityId", (question.company,))
    states = ("IsSuspended", "ActiveFrom", "ActiveTo")
    values = (("DimensionValue", tuple(v for v in question.dimensions.values() if v)),)
    of_value = ("FinancialDimension", "DimensionValue", *states)
    structures = tuple(f"AccountStructureName{n}" for n in range(1, STRUCTURES + 1))
    segments = tuple(f"SegmentName{n:02d}" for n in range(1, SEGMENTS + 1))
    criteria = tuple(f"SegmentCriteria{n:02d}" for n in range(1, SEGMENTS + 1))
    sources = [
        Source("Ledgers", ("ChartOfAccounts", *structures), (company,)),
        Source(
            "MainAccounts",
            ("ChartOfAccounts", "MainAccountType", "DoNotAllowManualEntry", *states),
            (account,),
        ),
        Source(
            "MainAccountLegalEntities",
            ("ChartOfAccounts", "DoNotAllowManualEntry", *states),
            (account, company),
            may_lack=True,
        ),
        Source("AccountStructures", ("AccountStructureName", *segments), active),
        Source(
            "AccountStructureConstraints",
            ("AccountStructure", "ActiveFrom", "ActiveTo", *criteria),
            active,
        ),
        Source("AdvancedRules", ("AccountStructure",), active, may_lack=True),
    ]
    if values[0][1]:
        of_company = (("LegalEntityId", ("", question.company)), *values)
        sources += [
            Source(
                "FinancialDimensionValues",
                (*of_value, "IsTotal", "IsBlockedForManualEntry"),
                of_company,
            ),
            Source(
                "FinancialDimensionValueLegalEntityOverridesV2",
                of_value,
                (company, *values),
                may_lack=True,
            ),
        ]
    return tuple(sources)


class AccountCombinations:
    """Answers the field over one schema."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def outline(self, query: PlannedQuery, key: str, arguments: Mapping[str, Any]) -> FeedOutline:
        """Return what is read. Raises GatewayError, OperationRefused."""
        question = _question(arguments)
        text, hidden = reading(self._engine.schema.catalog, sources_of(question))
        engine = self._engine
        roots = engine.plan(engine.read(_request(query.request, text))).roots if text else ()
        return FeedOutline(
            key=key,
            how="what the environment says of the account, its dimensions and its account structures",
            notes=tuple(f"{name}: {why}" for name, why in hidden.items()),
            roots=roots,
        )

    async def answer(
        self, query: PlannedQuery, key: str, nodes: Nodes, arguments: Mapping[str, Any], ask: Ask
    ) -> Answer:
        """Answer one field. Raises BadArgument."""
        question = _question(arguments)
        text, hidden = reading(self._engine.schema.catalog, sources_of(question))
        read = await ask(_request(query.request, text)) if text else Answer({})
        facts = _facts(read.to_builtins(), hidden)
        verdict = judge(question, facts)
        value = {
            "allowed": verdict.allowed,
            "reasons": [{"subject": s, "message": m} for s, m in verdict.reasons],
            "unknown": list(verdict.unknown),
        }
        selection = Selection(
            query.prepared.operation,
            fragments_of(query.prepared.document),
            query.variables.coerced,
        )
        answer = Answer({key: _selected(selection, nodes, COMBINATION_TYPES, value)})
        answer.requests, answer.rows = read.requests, read.rows
        return answer


def _question(values: Mapping[str, Any]) -> Question:
    """Return the question of the field's arguments. Raises BadArgument."""
    dimensions: dict[str, str] = {}
    for item in values.get("dimensions") or ():
        if item["name"] in dimensions:
            raise BadArgument(f"dimensions: {item['name']} is there twice.")
        dimensions[item["name"]] = item["value"]
    return Question(
        company=values["company"],
        main_account=values["mainAccount"],
        dimensions=dimensions,
        day=str(values.get("date") or f"{datetime.now(UTC):%Y-%m-%d}"),
        by_hand=values.get("byHand") is not False,
    )


def reading(catalog: Catalog, sources: tuple[Source, ...]) -> tuple[str, dict[str, str]]:
    """Return the query for rows of these sets, by their names; and why some cannot be read."""
    fields: list[str] = []
    hidden: dict[str, str] = {}
    lists = {of: name for kind, of, name in catalog.set_roots() if kind is RootKind.LIST}
    for source in sources:
        try:
            fields.append(_list(catalog, source, lists.get(source.name)))
        except MissingError as lack:
            is_there = source.name in catalog.whole.model.entity_sets
            if is_there or not source.may_lack:
                hidden[source.name] = str(lack) if catalog.whole is catalog else "cannot be read"
    return (f"{{ {' '.join(fields)} }}" if fields else ""), hidden


def _list(catalog: Catalog, source: Source, name: str | None) -> str:
    """Return the list of a set's rows, with columns by their upstream names. Raises MissingError."""
    entity_set = catalog.model.entity_sets.get(source.name)
    if entity_set is None or not catalog.is_served(entity_set.type):
        raise MissingError(f"no entity set {source.name}")
    csdl = entity_set.type
    if name is None:
        raise MissingError(f"no list of {source.name}")
    conditions = " ".join(_condition(catalog, csdl, *term) for term in source.where)
    columns = " ".join(
        f"{c}: {column_of(catalog, csdl, c).name}" for c in _there(catalog, csdl, source)
    )
    where = f"where: {{{conditions}}}, " if conditions else ""
    return (
        f"{source.name}: {name}({where}first: {_MOST})"
        f" {{ nodes {{ {columns} }} pageInfo {{ hasNextPage }} }}"
    )


def _there(catalog: Catalog, csdl: str, source: Source) -> Iterator[str]:
    """Yield the columns of a set; those with a number may be fewer in an environment. Raises MissingError."""
    for column in source.columns:
        try:
            column_of(catalog, csdl, column)
        except MissingError:
            if not column[-1].isdigit():
                raise
            continue
        yield column


def _condition(catalog: Catalog, csdl: str, column: str, values: tuple[str, ...]) -> str:
    """Return a condition of ``where``. Raises MissingError."""
    field = column_of(catalog, csdl, column)
    found = where_input(catalog, csdl, field)
    if found is None or field.value is None:
        raise MissingError(f"{column} cannot be filtered by")
    operands = [operand_of(field.value, value) for value in values]
    is_name = field.value.enum is not None and field.value.scalar != "Boolean"
    texts = [str(o) if is_name else json.dumps(o) for o in operands]
    return f"{found[0]}: {{in: [{', '.join(texts)}]}}"


def _request(request: GraphQLRequest, text: str) -> GraphQLRequest:
    return structs.replace(request, query=text, variables={}, operation_name=None, companies=None)


def _facts(body: Mapping[str, Any], hidden: Mapping[str, str]) -> Facts:
    """Return the rows of an answer; a set with an error, or with more rows than were read, is not known."""
    rows: dict[str, Any] = {}
    unread = dict(hidden)
    failed = {e["path"][0]: e["message"] for e in body.get("errors") or () if e.get("path")}
    for name, page in (body.get("data") or {}).items():
        if page is None:
            unread[name] = failed.get(name, "could not be read")
        elif page["pageInfo"]["hasNextPage"]:
            unread[name] = f"has more than {_MOST:,} rows"
        else:
            rows[name] = page["nodes"]
    if not body.get("data"):
        errors = body.get("errors") or ()
        unread["rows"] = errors[0]["message"] if errors else "none could be read"
    return Facts(rows=rows, hidden=unread)


def _selected(
    selection: Selection, nodes: Nodes, types: tuple[str, ...], value: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a field selects of its value."""
    own, *below = types
    shown: dict[str, Any] = {}
    for key, fields in selection.subfields(nodes, frozenset((own,))).items():
        name = fields[0].name.value
        item: Any = own if name == "__typename" else value[name]
        if name == "reasons":
            item = [_selected(selection, fields, tuple(below), reason) for reason in item]
        shown[key] = item
    return shown
