"""Answers POST, PATCH, PUT and DELETE on rows: preconditions, writes, responses (section 5.1)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from schema.model.records import short

from . import sql
from .answer import EntityWriter, etag, level_of
from .data_events import DataEvents
from .exchange import Incoming, Outgoing
from .infolog import Infolog
from .options import Options, parse_options
from .payload import BodyRules, json_object, read_values
from .reading import Reader, Source
from .refusal import Refusal, not_found
from .settings import SandboxSettings
from .store import ID, TAG, Storage, Store
from .urls import Target
from .world import World
from .writing import Row, RowWriter, WriteTarget, type_of_row

_TAG = re.compile(r'(?:W/)?"[^"]*"')
_RETURN = re.compile(r"return\s*=\s*(minimal|representation)")


class Mutations:
    """Answers the writes of one account on one world."""

    def __init__(
        self, settings: SandboxSettings, world: World, store: Store, reader: Reader
    ) -> None:
        self._settings = settings
        self._world = world
        self._store = store
        self._reader = reader
        self._writes = RowWriter(settings, world, store)
        self._body_rules = BodyRules(
            finops=world.finops,
            refuse_null=settings.null_in_body == "refuse",
            hours_east=settings.hours_east,
        )

    @property
    def body_rules(self) -> BodyRules:
        """How bodies are read; those of actions as well."""
        return self._body_rules

    def answer(self, incoming: Incoming, target: Target) -> Outgoing:
        """Return the response to a write of the row or set that a path addresses."""
        if target.steps or target.property or target.count:
            raise _not_allowed(incoming.method)
        single = target.key is not None
        if incoming.method not in (("PATCH", "PUT", "DELETE") if single else ("POST",)):
            raise _not_allowed(incoming.method)
        options = parse_options(incoming.query, finops=self._world.finops, skip_tokens=False)
        self._check_ability(incoming.method, target)
        outgoing = self._written(incoming, target, options)
        if self._store.events is not None:
            body = json_object(incoming) if incoming.body else {}
            values = {**body, **(target.key or {})}
            self._tell(self._store.events, incoming.method, target, values)
        return outgoing

    def _written(self, incoming: Incoming, target: Target, options: Options) -> Outgoing:
        if target.key is None:
            return self._create(incoming, target, options, {})
        if incoming.method == "DELETE":
            return self._delete(incoming, target, options)
        return self._update(incoming, target, options)

    def _tell(self, events: DataEvents, method: str, target: Target, values: Row) -> None:
        """Send an event, if the write stays."""
        facts = self._world.catalogue.facts.get(target.entity_set)
        type_name = short(self._world.type_of(target.entity_set))
        entity = f"{type_name}Entity" if facts is None else facts.aot
        self._store.after_commit(lambda: events.tell(entity, method, values))

    def _check_ability(self, method: str, target: Target) -> None:
        """Raise Refusal for writes that the set does not support; status and text are [U]."""
        model = self._world.model
        entity_set = model.entity_sets.get(target.entity_set)
        if entity_set is None:
            return
        can = entity_set.can
        able = {"POST": can.insertable, "DELETE": can.deletable}.get(method, can.updatable)
        if not able or getattr(model.structured(entity_set.type), "read_only", False):
            raise Refusal(405, f"The entity set '{target.entity_set}' does not take {method}.")

    def _create(self, incoming: Incoming, target: Target, options: Options, key: Row) -> Outgoing:
        body = json_object(incoming)
        at = self._writes.target(target.entity_set, self._type_of_body(body, target))
        given = {**read_values(body, at.type_name, self._world, self._body_rules), **key}
        number = self._writes.create(at, given)
        return self._created(incoming, at, number, options)

    def _type_of_body(self, body: dict[str, Any], target: Target) -> str:
        """Return the type of the new row: what ``@odata.type`` says, or that of the path."""
        base = target.cast or self._world.type_of(target.entity_set)
        named = body.get("@odata.type") or body.get("@type") or base
        name = str(named).removeprefix("#")
        if name not in self._world.model.family(base) or not self._world.is_concrete(name):
            raise Refusal(400, f"A row of type '{name}' cannot be made in '{target.entity_set}'.")
        return name

    def _created(
        self, incoming: Incoming, at: WriteTarget, number: int, options: Options
    ) -> Outgoing:
        source = _row_source(at, number)
        writer = self._writer(incoming)
        shown = Options(select=options.select, expand=options.expand, cross_company=True)
        whole = self._reader.entity(source, Options(cross_company=True))
        names = self._reader.names(source, Options())
        # Headers hold Latin-1 at most; an address holds ASCII (RFC 3986, section 2.5).
        address = "".join(
            c if c.isascii() else quote(c) for c in writer.address(whole, source, names) or ""
        )
        headers = (
            {"location": address, "odata-entityid": address}
            if self._settings.created_headers and address
            else {}
        )
        if self._world.finops:
            headers["etag"] = etag(whole.cells[1])
        path = address.removeprefix(incoming.origin)
        preference = self._preference(incoming)
        if preference is not None:
            headers["preference-applied"] = f"return={preference}"
        if (preference or self._settings.created) == "minimal":
            return Outgoing(status=204, headers=headers, created=path)
        row = writer.rows(source, [self._reader.entity(source, shown)], shown)[0]
        body = {"@odata.context": writer.context(source, shown, single=True), **row}
        if writer.level == "none":
            del body["@odata.context"]
        outgoing = Outgoing.of_json(body, level=writer.level, headers=headers)
        outgoing.status, outgoing.created = 201, path
        return outgoing

    def _update(self, incoming: Incoming, target: Target, options: Options) -> Outgoing:
        row = self._row(target, options)
        at = self._target(target, row)
        matching = incoming.headers.get("if-match")
        if row is None:
            return self._upsert(incoming, target, options, matching)
        if incoming.headers.get("if-none-match", "").strip() == "*" and not self._world.finops:
            raise _stale()
        self._precondition(matching, row, at.infolog)
        given = read_values(json_object(incoming), at.type_name, self._world, self._body_rules)
        replace = incoming.method == "PUT" and self._settings.put == "replace"
        self._writes.update(at, row, given, replace=replace)
        return self._updated(incoming, at, row)

    def _upsert(
        self, incoming: Incoming, target: Target, options: Options, matching: str | None
    ) -> Outgoing:
        """Create the missing row, if the service does so; F&O answers 404 (section 5.1)."""
        able = not self._world.finops if self._settings.upsert is None else self._settings.upsert
        if not able or matching is not None or not target.key:
            raise not_found() if matching is None or self._world.finops else _stale()
        return self._create(incoming, target, options, dict(target.key))

    def _updated(self, incoming: Incoming, at: WriteTarget, row: Row) -> Outgoing:
        number = row[ID]
        assert isinstance(number, int)
        source = _row_source(at, number)
        entity = self._reader.entity(source, Options(cross_company=True))
        headers = {"etag": etag(entity.cells[1])} if self._settings.etag_on_update else {}
        if self._preference(incoming) != "representation":
            return Outgoing(status=204, headers=headers)
        writer = self._writer(incoming)
        values = writer.rows(source, [entity], Options())[0]
        body = {"@odata.context": writer.context(source, Options(), single=True), **values}
        headers["preference-applied"] = "return=representation"
        return Outgoing.of_json(body, level=writer.level, headers=headers)

    def _delete(self, incoming: Incoming, target: Target, options: Options) -> Outgoing:
        row = self._row(target, options)
        if row is None:
            raise not_found()
        at = self._target(target, row)
        self._precondition(incoming.headers.get("if-match"), row, at.infolog)
        self._writes.delete(at, row)
        return Outgoing(status=204)

    def _row(self, target: Target, options: Options) -> Row | None:
        """Return the addressed row, in the companies that the request reaches (section 1.2)."""
        source = self._reader.collection(target.entity_set, self._world.type_of(target.entity_set))
        source = self._reader.with_key(source, target.key or {})
        if target.cast is not None:
            source = self._reader.cast(source, target.cast)
        scope = Options(cross_company=options.cross_company)
        entities = self._reader.page(source, scope, limit=1).entities
        if not entities:
            return None
        return self._store.find(source.storage, {ID: entities[0].cells[0]})[0]

    def _target(self, target: Target, row: Row | None) -> WriteTarget:
        at = self._writes.target(target.entity_set)
        if row is None or self._world.finops:
            return at
        return self._writes.target(target.entity_set, type_of_row(at.storage, row))

    def _precondition(self, matching: str | None, row: Row, infolog: Infolog) -> None:
        """Raise Refusal if the caller's etag is outdated; without ``If-Match`` the last write wins (section 5.2)."""
        if matching is None or matching.strip() == "*":
            return
        if etag(str(row[TAG])) not in _TAG.findall(matching):
            raise _stale() if self._settings.conflict == "412" else infolog.conflict()

    def _preference(self, incoming: Incoming) -> str | None:
        preference = _RETURN.search(incoming.headers.get("prefer", ""))
        honoured = self._settings.honour_return_preference
        honoured = not self._world.finops if honoured is None else honoured
        return preference[1] if preference is not None and honoured else None

    def _writer(self, incoming: Incoming) -> EntityWriter:
        root = f"{incoming.origin}/data"
        return EntityWriter(self._world, self._reader, root, level_of(incoming.accept))


def _row_source(at: WriteTarget, number: int) -> Source:
    storage: Storage = at.storage
    test = sql.equal(storage.table.columns[ID], number)
    return Source(storage, at.type_name, at.entity_set, (test,))


def _stale() -> Refusal:
    return Refusal(412, "The precondition given in one of the request headers was not met.")


def _not_allowed(method: str) -> Refusal:
    return Refusal(405, f"The requested resource does not support http method '{method}'.")
