"""Prices mutation operations: their writes, and the reads of their payloads. Pure; nothing is sent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil

from msgspec import Struct

from gateway.odata.batch import MAX_READS
from gateway.odata.dialect import Dialect
from gateway.request import GraphQLRequest
from gateway.writes.fresh_reads import shares_requests
from gateway.writes.operations import Mutations
from gateway.writes.outline import MutationOutline
from gateway.writes.payload_reader import selects_keys_only
from schema.catalog.records import Verb

from .gate import Price
from .price import Pricing, Tally, price_by_key, price_children, price_formats

_NATURAL_KEYS = 30
"""Natural keys for which the address of a read has room."""


class BatchSizes(Struct, frozen=True):
    """How many writes are sent together."""

    changeset: int
    """The most rows of a list's changeset."""
    batch: int
    """The most writes of a ``$batch`` that do not depend on each other; 0: such are sent one by one."""
    is_independent: bool = False
    """Whether the rows of a list are written by themselves."""


def batch_sizes(mutations: Mutations, request: GraphQLRequest) -> BatchSizes:
    """Return how many writes of the mutations of a request are sent together."""
    limits = mutations.limits
    is_independent = limits.is_independent or request.independent
    return BatchSizes(limits.changeset_size, mutations.batch_size, is_independent)


def price_mutations(
    mutations: Sequence[MutationOutline],
    pricing: Pricing,
    *,
    atomic: bool,
    sizes: BatchSizes,
    needs_formats: bool = False,
) -> Price:
    """Return the price of a mutation operation; ``needs_formats``: it writes or reads parts of display values."""
    tally = Tally(pricing.seconds)
    if needs_formats:
        price_formats(tally, pricing)
    if atomic:
        _atomic(mutations, tally)
        # What decides about rows of one set is read once.
        before: Collection[MutationOutline] = {_set_of(m): m for m in mutations}.values()
    else:
        before = mutations
    for mutation in before:
        _reads_before(mutation, pricing.dialect, tally)
    for mutation in mutations:
        _mutation(mutation, pricing, tally, None if atomic else sizes)
    return tally.price()


def _atomic(mutations: Sequence[MutationOutline], tally: Tally) -> None:
    """Add the one changeset of an operation."""
    for number, mutation in enumerate(mutations):
        rows = mutation.rows + sum(mutation.below)
        tally.add(_set_of(mutation), "write", 0 if number else 1, parts=rows)


def _mutation(
    mutation: MutationOutline, pricing: Pricing, tally: Tally, sizes: BatchSizes | None
) -> None:
    """Add a mutation; ``sizes`` is None if its rows are in the operation's changeset."""
    field, name = mutation.field, _set_of(mutation)
    if field.operation is not None or field.service is not None:
        imported = field.operation_import
        if imported is None:
            tally.add(name, "call", 1)
        else:
            # Its address looks like that of a new row.
            tally.add(imported.name, "write", 1)
        if mutation.payload is not None:
            price_children(mutation.payload.answered, 1, pricing, tally)
        return
    if sizes is not None:
        rows = mutation.rows + sum(mutation.below)
        requests = _requests(mutation, sizes)
        tally.add(name, "write", requests, parts=rows if rows > requests else None)
    _reads_after(mutation, pricing, tally)


def _set_of(mutation: MutationOutline) -> str:
    of = mutation.field.entity_set
    return "" if of is None else of.name


def _requests(mutation: MutationOutline, sizes: BatchSizes) -> int:
    """Return the requests in which the rows of a mutation are written."""
    size = sizes.changeset
    if mutation.rows > 1 and sizes.batch > 1 and (mutation.below or sizes.is_independent):
        return _in_batches(mutation, size, sizes.batch)
    if mutation.below:
        return sum(_with_rows_below(below, size, mutation) for below in mutation.below)
    # An upsert of one row is a change, and a creation if there is no such row.
    return ceil(mutation.rows / size)


def _in_batches(mutation: MutationOutline, size: int, batch: int) -> int:
    """Return the requests for rows that do not depend on each other: they go first, then the rows below them."""
    below = [rows for rows in mutation.below if rows <= size]
    alone = sum(_with_rows_below(rows, size, mutation) for rows in mutation.below if rows > size)
    heads = len(below) if mutation.below else mutation.rows
    if mutation.has_keys:
        return alone + ceil((heads + sum(below)) / batch)
    return alone + ceil(heads / batch) + ceil(sum(below) / batch)


def _with_rows_below(below: int, size: int, mutation: MutationOutline) -> int:
    """Return the requests for a row with rows below it: one changeset, or the row first and then the others."""
    if not below or (mutation.has_keys and below <= size):
        return 1
    return 1 + ceil(below / size)


def _reads_before(mutation: MutationOutline, dialect: Dialect, tally: Tally) -> None:
    """Add the reads of rows that rules, a list of upserts, or natural keys depend on."""
    verb = mutation.field.verb
    if mutation.field.service is not None and mutation.field.service.done:
        tally.add("", "key", 1, 1)
    if mutation.looked_up:
        reads = ceil(mutation.looked_up / _NATURAL_KEYS)
        shared = shares_requests(mutation.looked_up, dialect)
        requests = ceil(reads / MAX_READS) if shared else reads
        tally.add(_set_of(mutation), "page", requests, parts=reads if shared else None)
    is_list_of_upserts = verb is Verb.UPSERT and mutation.field.many
    if is_list_of_upserts or (mutation.is_ruled and verb is not Verb.CREATE):
        tally.add(_set_of(mutation), "page" if mutation.rows > 1 else "key", 1, mutation.rows)


def _reads_after(mutation: MutationOutline, pricing: Pricing, tally: Tally) -> None:
    """Add the reads of the payload."""
    payload, verb = mutation.payload, mutation.field.verb
    if payload is None or verb is Verb.DELETE:
        return
    # Rows below a header change its totals, so that the answer to its creation is out of date.
    is_outdated = bool(mutation.below) and not selects_keys_only(payload.answered)
    if verb is Verb.CREATE and not (mutation.is_ruled or is_outdated):
        price_children(payload.answered, mutation.rows, pricing, tally)
    else:
        shared = shares_requests(mutation.rows, pricing.dialect)
        price_by_key(payload.fresh, mutation.rows, pricing, tally, shared=shared)
