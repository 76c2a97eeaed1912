"""Answers requests below ``/data``: metadata, reads, writes, operations."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import orjson

from .answer import EntityWriter, level_of
from .exchange import Incoming, Outgoing
from .mutations import Mutations
from .operations import Binding, OperationResult, Operations
from .options import Options, parse_options, without_paging
from .reading import Page, Reader, Source
from .refusal import Refusal, not_found, styled_body
from .settings import SandboxSettings
from .store import ID, Store
from .urls import Target, parse_path, split_path
from .world import World

_MAX_PAGE = re.compile(r"odata\.maxpagesize\s*=\s*(\d+)")
_ANNOTATIONS = re.compile(
    r'odata\.include-annotations\s*=\s*"[^"]*(\*|totalrecordcountlimitexceeded)'
)
_LIMIT_EXCEEDED = "@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"


class Service:
    """Answers the requests of one account on one world."""

    def __init__(self, settings: SandboxSettings, world: World, store: Store) -> None:
        self._settings = settings
        self._world = world
        self._reader = Reader(world, store, settings)
        self._store = store
        self._mutations = Mutations(settings, world, store, self._reader)
        self.operations = Operations(world, store, self._mutations.body_rules)

    def answer(self, incoming: Incoming) -> Outgoing:
        """Return the response to a request whose path begins with ``/data``."""
        segments = split_path(incoming.path)[1:]
        if segments and self.operations.is_unbound(segments[0]):
            return self._unbound(incoming, segments)
        if incoming.method != "GET":
            return self._write(incoming, segments)
        if not segments:
            return self._service_document(incoming)
        if segments == ["$metadata"]:
            return Outgoing(headers={"content-type": "application/xml"}, body=self._world.document)
        return self._read(incoming, segments)

    def _write(self, incoming: Incoming, segments: list[str]) -> Outgoing:
        if not segments or segments == ["$metadata"]:
            raise Refusal(405, f"The service root does not take {incoming.method}.")
        target = self._parse(segments)
        if target.operation is not None:
            return self._bound(incoming, target, target.operation)
        return self._mutations.answer(incoming, target)

    def _unbound(self, incoming: Incoming, segments: list[str]) -> Outgoing:
        if len(segments) > 1:
            raise not_found()
        outcome = self.operations.perform(incoming, segments[0], None, None)
        return self._outcome(incoming, outcome, self._options(incoming))

    def _bound(self, incoming: Incoming, target: Target, name: str) -> Outgoing:
        """Return the response of the operation in which a path ends, on the row or the rows it is bound to."""
        options = self._options(incoming)
        source, single = self._locate(target, options)
        row = None
        if single:
            scope = Options(cross_company=options.cross_company)
            number = self._reader.entity(source, scope).cells[0]
            row = self._store.find(source.storage, {ID: number})[0]
        with self._store.transaction():
            binding = Binding(source, many=not single)
            outcome = self.operations.perform(incoming, name, binding, row)
        return self._outcome(incoming, outcome, options)

    def _outcome(self, incoming: Incoming, outcome: OperationResult, options: Options) -> Outgoing:
        """Return the response with the result of an operation, by its type."""
        returned = outcome.type
        if returned is None:
            return Outgoing(status=204)
        level = level_of(incoming.accept)
        writer = EntityWriter(self._world, self._reader, f"{incoming.origin}/data", level)
        if outcome.source is not None and returned.many:
            return self._collection(incoming, writer, outcome.source, options)
        if outcome.source is not None:
            page = self._reader.page(outcome.source, options, limit=1)
            if not page.entities:
                return Outgoing(status=204)
            return self._row(writer, outcome.source, page, options)
        name = f"Collection({returned.name})" if returned.many else returned.name
        root = f"{incoming.origin}/data/$metadata#"
        if outcome.value is None:
            return Outgoing(status=204)
        if returned.name in self._world.model.complex_types and not returned.many:
            return Outgoing.of_json({"@odata.context": f"{root}{name}", **outcome.value})
        return Outgoing.of_json({"@odata.context": f"{root}{name}", "value": outcome.value})

    def _options(self, incoming: Incoming) -> Options:
        return parse_options(
            incoming.query,
            finops=self._world.finops,
            skip_tokens=self._settings.next_link == "skiptoken",
            refuse_skip=self._settings.refuse_skip,
        )

    def _service_document(self, incoming: Incoming) -> Outgoing:
        model = self._world.model
        sets = [{"name": n, "kind": "EntitySet", "url": n} for n in model.entity_sets]
        singles = [{"name": n, "kind": "Singleton", "url": n} for n in model.singletons]
        body = {"@odata.context": f"{incoming.origin}/data/$metadata", "value": [*sets, *singles]}
        return Outgoing.of_json(body)

    def _parse(self, segments: list[str]) -> Target:
        name = segments[0].partition("(")[0]
        if name not in self._world.model.entity_sets and name not in self._world.model.singletons:
            body = styled_body(self._settings.unknown_set_body, 404, "Not Found")
            raise Refusal(404, f"Resource not found for the segment '{name}'.", body=body)
        return parse_path(segments, self._world)

    def _read(self, incoming: Incoming, segments: list[str]) -> Outgoing:
        target = self._parse(segments)
        if target.operation is not None:
            return self._bound(incoming, target, target.operation)
        options = self._options(incoming)
        source, single = self._locate(target, options)
        if target.count:
            return Outgoing.of_text(str(self._capped(self._reader.count(source, options))))
        if target.property is not None:
            return self._property(incoming, target, source, options)
        level = level_of(incoming.accept)
        writer = EntityWriter(self._world, self._reader, f"{incoming.origin}/data", level)
        if single:
            return self._entity(writer, target, source, options)
        return self._collection(incoming, writer, source, options)

    def _locate(self, target: Target, options: Options) -> tuple[Source, bool]:
        """Return the source of the rows a path leads to, and whether it is one entity."""
        model = self._world.model
        holder = model.entity_sets.get(target.entity_set) or model.singletons[target.entity_set]
        source = self._reader.collection(target.entity_set, holder.type)
        if target.key is not None:
            source = self._reader.with_key(source, target.key)
        single = target.key is not None
        for step in target.steps:
            source = self._reader.follow(source, step, cross_company=options.cross_company)
            single = step.key is not None or not step.navigation.many
        if target.cast is not None:
            source = self._reader.cast(source, target.cast)
        return source, single

    def _property(
        self, incoming: Incoming, target: Target, source: Source, options: Options
    ) -> Outgoing:
        name = target.property
        assert name is not None
        entity = self._reader.entity(
            source, Options(select=(name,), cross_company=options.cross_company)
        )
        stored = entity.cells[3]
        value = None if stored is None else source.storage.fields[name].to_json(stored)
        if value is None:
            return Outgoing(status=204)
        if target.raw:
            return Outgoing.of_text(orjson.dumps(value).decode().strip('"'))
        context = f"{incoming.origin}/data/$metadata#{target.entity_set}/{name}"
        return Outgoing.of_json({"@odata.context": context, "value": value})

    def _entity(
        self, writer: EntityWriter, target: Target, source: Source, options: Options
    ) -> Outgoing:
        page = self._reader.page(source, options, limit=1)
        if not page.entities:
            if target.steps and target.steps[-1].key is None:
                return Outgoing(status=204)
            raise not_found()
        return self._row(writer, source, page, options)

    def _row(self, writer: EntityWriter, source: Source, page: Page, options: Options) -> Outgoing:
        row = writer.rows(source, page.entities, options)[0]
        body = {"@odata.context": writer.context(source, options, single=True), **row}
        headers = {"etag": row["@odata.etag"]} if "@odata.etag" in row else {}
        return Outgoing.of_json(_without_context(body, writer), level=writer.level, headers=headers)

    def _collection(
        self, incoming: Incoming, writer: EntityWriter, source: Source, options: Options
    ) -> Outgoing:
        offset = options.skip if options.skip_token is None else _offset(options.skip_token)
        size, preferred = self._page_size(incoming)
        limit = size if options.top is None else min(size, options.top)
        page = self._reader.page(source, options, limit=limit, offset=offset)
        body: dict[str, Any] = {"@odata.context": writer.context(source, options, single=False)}
        if page.total is not None:
            body["@odata.count"] = self._capped(page.total)
            if self._settings.count_limit and _ANNOTATIONS.search(
                incoming.headers.get("prefer", "")
            ):
                body[_LIMIT_EXCEEDED] = page.total > self._settings.count_limit
        body["value"] = writer.rows(source, page.entities, options)
        if self._continues(page, limit, options.top):
            left = None if options.top is None else options.top - limit
            body["@odata.nextLink"] = self._next_link(incoming, offset + limit, left)
        headers = {"preference-applied": f"odata.maxpagesize={size}"} if preferred else {}
        return Outgoing.of_json(_without_context(body, writer), level=writer.level, headers=headers)

    def _capped(self, total: int) -> int:
        return min(total, self._settings.count_limit or total)

    def _page_size(self, incoming: Incoming) -> tuple[int, bool]:
        limit = self._settings.page_limit
        preferred = _MAX_PAGE.search(incoming.headers.get("prefer", ""))
        if preferred is None or not self._settings.honour_maxpagesize or int(preferred[1]) < 1:
            return limit, False
        return min(limit, int(preferred[1])), True

    def _continues(self, page: Page, limit: int, top: int | None) -> bool:
        if top is not None and top <= limit:
            return False
        return page.more or (self._settings.empty_last_page and len(page.entities) == limit)

    def _next_link(self, incoming: Incoming, offset: int, left: int | None) -> str:
        """Return the absolute address of the next page (section 3)."""
        items = without_paging(incoming.query)
        if self._settings.next_link_drops_cross_company:
            items = [item for item in items if not item.startswith("cross-company")]
        if left is not None:
            items.append(f"$top={left}")
        items.append(
            f"$skip={offset}"
            if self._settings.next_link == "skip"
            else f"$skiptoken={quote(f'row-{offset}')}"
        )
        origin = self._settings.next_link_origin or incoming.origin
        return f"{origin}{incoming.path}?{'&'.join(items)}"


def _offset(token: str) -> int:
    text = token.removeprefix("row-")
    if not text.isdigit() or text == token:
        raise Refusal(400, f"The skip token '{token}' is not valid.")
    return int(text)


def _without_context(body: dict[str, Any], writer: EntityWriter) -> dict[str, Any]:
    if writer.level == "none":
        body.pop("@odata.context", None)
    return body
