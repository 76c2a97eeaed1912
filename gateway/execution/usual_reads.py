"""Queries that are read a shorter way than ``plan_runner``'s: one list, whose request depends on its plan alone."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from gateway.odata.dialect import Dialect
from gateway.operations.completion_compiler import RootCompletion
from gateway.operations.prepared_operation import Prepared
from gateway.planning.plan import BoundRoot, ListRoot, ReadPlan

from .connections import PageReading
from .expanded_children import is_raw
from .fast_path import Slicing
from .first_request import derive_request
from .level_reads import LevelReads, has_levels
from .single_read import SingleRead


class _NotUsual(Struct, frozen=True, eq=False):
    """A query that is known to be read the whole way."""

    prepared: Prepared
    plan: ReadPlan
    is_usual: bool = False


def usual_read(
    prepared: Prepared,
    roots: Sequence[BoundRoot],
    dialect: Dialect,
    slicing: Slicing,
    max_url_length: int,
) -> SingleRead | LevelReads | None:
    """Return how a usual query is read; None if it is not one."""
    root = roots[0]
    if len(roots) > 1 or not isinstance(root, ListRoot) or root.key is not None or root.together:
        return None
    plan = root.plan
    usual: SingleRead | LevelReads | _NotUsual | None = plan.derived.usual
    if usual is None or usual.plan is not plan or usual.prepared is not prepared:
        derive_request(plan, dialect, max_url_length)
        request = plan.derived.request
        if request is None or not isinstance(root.shape.complete, RootCompletion):
            return None
        if not _is_usual(prepared, plan, dialect):
            return None
        if is_raw(plan):
            usual = SingleRead(prepared, root, request, dialect, slicing)
        elif root.shape.rows.most < 2:
            # It would be tried in vain for each of the plans that read one row.
            return None
        elif has_levels(plan):
            usual = LevelReads(prepared, root, request, dialect, slicing, max_url_length)
        else:
            usual = _NotUsual(prepared, plan)
        plan.derived.usual = usual
    return usual if usual.is_usual and not isinstance(usual, _NotUsual) else None


def _is_usual(prepared: Prepared, plan: ReadPlan, dialect: Dialect) -> bool:
    derived, window, request = plan.derived, plan.window, plan.derived.request
    if request is None or window is None or derived.query is not plan.query:
        return False
    reading: PageReading = derived.page
    return (
        window.keyset
        and window.null_order is None
        and not window.count_only
        and not window.needs.cursors
        and not reading.counts_apart
        and not reading.is_filtered_here
        and dialect.path_fits(request.url.partition("?")[0])
        and not prepared.models
        and not prepared.needs_formats
    )
