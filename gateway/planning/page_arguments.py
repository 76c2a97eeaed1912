"""The paging arguments of a connection (``first last after before orderBy``) as a window.

A cursor is accepted for the list that it was made for only. Its values are converted to their upstream types here, so
that a forged cursor is refused before a request is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from gateway.errors import BadArgument, InvalidCursor, PageLimitExceeded
from gateway.odata.dialect import Dialect, NullOrder
from gateway.odata.literals import parse_value
from gateway.operations.connection_parts import ConnectionRequirements
from gateway.operations.cursors import Cursor, parse_cursor, parse_shift
from schema.catalog.records import ObjectInfo

from .page_window import OrderTerm, Window

if TYPE_CHECKING:
    from gateway.storage.sealing import Sealer


class Paging(Struct, frozen=True):
    """Reads paging arguments for one dialect, under the settings' limits."""

    dialect: Dialect
    default_page: int
    max_page: int
    sealer: Sealer | None = None
    """Seals cursors, if roles decide who sees what."""
    tag: str = ""
    """Tag of the environment, to which cursors belong."""

    def window(
        self,
        info: ObjectInfo,
        arguments: Mapping[str, Any],
        needs: ConnectionRequirements,
        bound_to: tuple[object, ...],
        *,
        may_shift: bool = False,
    ) -> Window:
        """Return the window. ``bound_to`` identifies the list for its cursors: place, filter, company scope.

        ``may_shift``: whether ``after`` may be a shifted cursor, see ``operations.cursors``.

        Raises BadArgument, PageLimitExceeded or InvalidCursor.
        """
        size, backward = self._size(arguments)
        order_argument = arguments.get("orderBy")
        order = _order(info, order_argument)
        # Rows after a cursor are found by comparison, which enums and Guids may lack.
        keyset = bool(info.key) and all(self._comparable(t) for t in order)
        window = Window(
            size=size,
            backward=backward,
            order=order,
            keyset=keyset,
            is_default_order=not order_argument,
            list_key=(*bound_to, self.tag) if self.tag else bound_to,
            needs=needs,
            null_order=self._null_order(order) if keyset else None,
            sealer=self.sealer,
        )
        if arguments.get("after") is None and arguments.get("before") is None:
            return window
        binding, skip = window.binding, 0

        def cursor(name: str) -> Cursor | None:
            nonlocal skip
            text, is_inclusive = arguments.get(name), False
            if text is None:
                return None
            if may_shift and keyset and not backward and name == "after" and text[:1] in ("=", "+"):
                text, is_inclusive, skip = parse_shift(text)
                if skip and not text:
                    return None
            parsed = parse_cursor(
                text, binding=binding, terms=len(order), argument=name, sealer=self.sealer
            )
            if is_inclusive:
                parsed = structs.replace(parsed, is_inclusive=True)
            return _with_typed_values(parsed, order, name) if keyset else _with_offset(parsed, name)

        after, before = cursor("after"), cursor("before")
        return structs.replace(window, after=after, before=before, skip=skip)

    def _null_order(self, order: Sequence[OrderTerm]) -> NullOrder | None:
        """Return where nulls stand in the order; None if no term can be null."""
        may_be_null = self.dialect.has_nulls and any(term.nullable for term in order)
        return self.dialect.null_order if may_be_null else None

    def _comparable(self, term: OrderTerm) -> bool:
        value = term.field.value
        return value is not None and self.dialect.orderable_comparison(value.edm, value.is_enum)

    def _size(self, arguments: Mapping[str, Any]) -> tuple[int, bool]:
        first, last = arguments.get("first"), arguments.get("last")
        if first is not None and last is not None:
            raise BadArgument("first and last cannot be combined.", hint="Use one of them.")
        size = first if first is not None else last
        name = "last" if last is not None else "first"
        if size is None:
            # The settings may limit pages to fewer rows than the default.
            return min(self.default_page, self.max_page), False
        if size < 0:
            raise BadArgument(f"{name} is {size}; it cannot be negative.")
        if size > self.max_page:
            raise PageLimitExceeded(
                f"{name} is {size}; the limit is {self.max_page}.",
                hint="Page with `after: pageInfo.endCursor`.",
            )
        return size, last is not None


def _order(
    info: ObjectInfo, order_argument: Sequence[Mapping[str, str]] | None
) -> tuple[OrderTerm, ...]:
    """Return the terms of the order, with the key at the end, so that no two rows are equal in it."""
    terms: dict[str, OrderTerm] = {}
    for item in order_argument or ():
        ((name, direction),) = item.items()
        terms.setdefault(name, OrderTerm(info.fields[name], direction == "DESC"))
    # Without the key rows that are equal in the order could be skipped or repeated between pages.
    for part in info.key:
        terms.setdefault(part.name, OrderTerm(part))
    return tuple(terms.values())


def _with_typed_values(cursor: Cursor, order: Sequence[OrderTerm], argument: str) -> Cursor:
    """Return a keyset cursor with its values converted to the types of the order."""
    try:
        pairs = zip(order, cursor.values, strict=True)
        return structs.replace(cursor, values=tuple(parse_value(t.edm, v) for t, v in pairs))
    except ValueError as error:
        raise _damaged(argument) from error


def _with_offset(cursor: Cursor, argument: str) -> Cursor:
    if cursor.offset is None:
        raise _damaged(argument)
    return cursor


def _damaged(argument: str) -> InvalidCursor:
    return InvalidCursor(
        f"{argument}: this cursor is not valid for this list.", hint="Start again without a cursor."
    )
