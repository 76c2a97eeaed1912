"""How the rows of a relation are loaded: with their parents, in a key batch, or over each parent's path.

    strategy    further requests     possible if
    ``$expand``  none                 the dialect's ``$expand`` can carry what is asked: :func:`expansion`
    key batch    one for all parents  the join columns are known, and the target has an entity set
    path         one for each parent  the parent has an address: an entity set and a key

The first one that is possible is taken: :func:`expansion`, then :func:`fallback_strategy`. All of them bring whole
lists, out of which the pages of many parents are cut, unless ``$expand`` takes options. Where the lists are known to be
much longer than their pages, each parent's page is a read of its own (:func:`may_read_own_pages`), twenty to a
``$batch``.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from gateway.errors import UnsupportedQuery
from gateway.odata.dialect import Dialect
from gateway.odata.query import Expr
from schema.catalog.records import Field, ObjectInfo

from .page_window import Window
from .plan import Join, Via
from .proven_order import may_sort_here
from .residual_columns import residual_columns


class Relation(Struct, frozen=True):
    """A navigation as it is read from the rows of one plan."""

    field: Field
    parent: ObjectInfo
    parent_set: str | None
    """Entity set of the parents; None if they have no address."""
    target: ObjectInfo
    join: Join | None
    """None if the metadata does not say which columns join it."""

    @property
    def has_key_batch(self) -> bool:
        """Whether the rows of all parents can be read by filter on the join columns."""
        return self.join is not None and self.field.target_set is not None

    @property
    def has_path(self) -> bool:
        """Whether each parent has an address, under which its rows can be read."""
        return self.parent_set is not None and bool(self.parent.key)

    @property
    def has_fallback(self) -> bool:
        """Whether the rows can be read without ``$expand``."""
        return self.has_key_batch or self.has_path


def may_read_own_pages(
    relation: Relation, where: Expr | None, window: Window | None, dialect: Dialect
) -> bool:
    """Return whether the page of each parent may be read by itself, in a ``$batch``: the lengths of lists decide."""
    if (
        window is None
        or not window.keyset
        or not (relation.has_key_batch and dialect.batches_reads)
    ):
        return False
    return where is None or not residual_columns(relation.target, where, dialect)


class Expansion(Enum):
    """What ``$expand`` brings of a relation."""

    WINDOW = "window"
    """The rows of the page only."""
    WHOLE = "whole"
    """All rows; the gateway cuts the page out of them."""


def expansion(
    relation: Relation, where: Expr | None, window: Window | None, dialect: Dialect
) -> Expansion | None:
    """Return what ``$expand`` brings if the dialect can carry what is asked, else None.

    ``where`` and ``window`` are None for a relation to one row that is not filtered.
    """
    if dialect.expand_options:
        return _with_options(relation, where, window, dialect)
    # Without options $expand always brings the whole list, unfiltered and in any order. So the page must be one that
    # can be cut out of it here; the default order may be taken as it comes if there is no other way to read the rows.
    if where is not None:
        return None
    if window is None or _may_sort_here(window, dialect):
        return Expansion.WHOLE
    is_only_way = not relation.has_fallback
    return Expansion.WHOLE if window.is_default_order and is_only_way else None


def _with_options(
    relation: Relation, where: Expr | None, window: Window | None, dialect: Dialect
) -> Expansion | None:
    """``$expand`` with ``$filter``, ``$orderby`` and ``$top`` (OData URL Conventions 4.01, 5.1.3)."""
    if where is not None and residual_columns(relation.target, where, dialect):
        return None
    if window is None:
        # A row that a filter excludes would come as null, like a row that does not exist.
        return Expansion.WHOLE if where is None else None
    if not window.keyset:
        return Expansion.WHOLE
    if window.has_cursor and (window.needs.total or window.null_order == "unknown"):
        # Behind a cursor $count counts the rest only, and rows with nulls may stand on either side of it.
        return None if relation.has_fallback else Expansion.WHOLE
    return Expansion.WINDOW


def _may_sort_here(window: Window, dialect: Dialect) -> bool:
    """Return whether whole lists can be put in the window's order here, and its page be cut out of them."""
    is_plain = window.is_default_order and window.keyset and not window.has_cursor
    return is_plain and may_sort_here(window.order, dialect)


def fallback_strategy(relation: Relation) -> Via:
    """Return how a relation is loaded that is not expanded. Raises UnsupportedQuery if there is no way."""
    if relation.has_key_batch:
        return Via.KEYS
    if relation.has_path:
        return Via.PATH
    raise UnsupportedQuery(
        f"{relation.field.name} cannot be read from here: the metadata does not say which columns join it.",
        hint="Declare the relation in the settings, or read it from the row's own root field.",
    )
