"""Values that a row shows to some callers only: emptied or masked in the rows of a plan as they come in.

Several roles unite by cell (``schema.policy.view``): a row's value of a column shows in plain if one role gives both
the row and the column, masked if one gives the row and masks the column, and is null else. Which roles give a row is
decided here by their rules, on columns that the plan adds. A rule that a row does not decide exactly as the upstream
would (related rows, the order of texts) counts as not passed.

It is done once for each decoded row, before anything reads it: joins, cursors, completion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct

from gateway.errors import GatewayError
from gateway.odata.query import Expr
from gateway.odata.simplify import leaves, paths
from gateway.operations.row_types import RowType
from gateway.operations.value_conversion import account_number, display_value
from schema.catalog.records import Clean, Field
from schema.policy import ColumnAccess, Grant, Mask

from .local_rules import is_exact
from .row_bounds import RowBounds

if TYPE_CHECKING:
    from gateway.storage.sealing import Sealer

_MASKS = (Mask.LAST4, Mask.HASH, Mask.NULL)
"""If several roles mask a value that shows, the first of these masks counts."""
CACHED_CELLS = 500
"""Selections of columns whose cells are kept for a caller."""
_SHOWN = 4
_DIGEST = 8
"""Bytes of a digest that stands for a value."""
_LONG_ENOUGH = 8
Redact = Callable[[Sequence[Any]], None]
Place = tuple[str, str]


class Cell(Struct, frozen=True):
    """A column whose values depend on the row."""

    field: Field
    plain: tuple[int, ...]
    """Rules of which a row must pass one for its value to show in plain."""
    masked: tuple[tuple[Mask, tuple[int, ...]], ...]
    """Mask → rules of which a row must pass one for its value to show masked."""


class Cells(Struct, frozen=True):
    """The cells of one level's rows."""

    rules: tuple[Expr | None, ...]
    """Rules of the roles that give rows; None: every row passes. One that cannot be decided here is left out."""
    cells: tuple[Cell, ...]
    columns: tuple[Field, ...]
    """What the rules read."""


def cells_of(
    bounds: RowBounds, csdl: str, set_name: str | None, fields: Iterable[Field]
) -> Cells | None:
    """Return the cells among the columns of rows of a set; None if all of their values show in plain."""
    if bounds.is_plain(csdl, set_name):
        return None
    columns = {(f.declared_by, f.source): f for f in fields if f.prop is not None}
    place = (csdl, set_name, *columns)
    if place not in bounds.cells:
        if len(bounds.cells) >= CACHED_CELLS:
            bounds.cells.clear()
        bounds.cells[place] = _cells_among(bounds, csdl, set_name, columns)
    cells: Cells | None = bounds.cells[place]
    return cells


def _cells_among(
    bounds: RowBounds, csdl: str, set_name: str | None, columns: Mapping[Place, Field]
) -> Cells | None:
    sets = (set_name,) if set_name is not None else bounds.sets_of(csdl)
    keys = bounds.always_shown(csdl)
    accesses: dict[Place, tuple[Field, list[ColumnAccess]]] = {}
    for place, field in columns.items():
        each = [bounds.view.column(s, field.source, is_key=field.source in keys) for s in sets]
        if not all(access.is_plain for access in each):
            accesses[place] = (field, each)
    if not accesses:
        return None
    if len(sets) != 1:
        # Rows of several sets, and it is not known which: nothing of these columns shows.
        return Cells((), tuple(Cell(field, (), ()) for field, _ in accesses.values()), ())
    return _cells(bounds, sets[0], [(field, access) for field, (access,) in accesses.values()])


def _cells(
    bounds: RowBounds, set_name: str, columns: Sequence[tuple[Field, ColumnAccess]]
) -> Cells | None:
    rules: list[Expr | None] = []
    numbers: dict[str, int] = {}
    for grant in bounds.view.readers(set_name):
        rule = bounds.rule_of(grant, set_name)
        if rule is None or _is_decided_by_row(rule, grant, bounds):
            numbers[grant.role] = len(rules)
            rules.append(rule)
    every = (_cell(field, access, numbers) for field, access in columns)
    # A role that gives every row in plain leaves nothing to hide.
    cells = tuple(c for c in every if not any(rules[n] is None for n in c.plain))
    if not cells:
        return None
    used = {n for c in cells for n in (*c.plain, *(n for _, ns in c.masked for n in ns))}
    names = {
        path.segments[0]: None
        for n in sorted(used)
        if (rule := rules[n]) is not None
        for path in paths(rule)
    }
    return Cells(tuple(rules), cells, _fields(bounds, set_name, names))


def _fields(bounds: RowBounds, set_name: str, names: Iterable[str]) -> tuple[Field, ...]:
    """Return columns of a set by their names; there are none if a rule reads no column."""
    if not names:
        return ()
    catalog = bounds.rules.catalog
    info = catalog.object(catalog.model.entity_sets[set_name].type)
    return tuple(info.by_source(name) for name in names)


def _cell(field: Field, access: ColumnAccess, numbers: Mapping[str, int]) -> Cell:
    plain = tuple(numbers[role] for role in access.plain if role in numbers)
    masked = {
        mask: tuple(numbers[role] for role, own in access.masked if own is mask and role in numbers)
        for mask in _MASKS
    }
    return Cell(field, plain, tuple((mask, rules) for mask, rules in masked.items() if rules))


def _is_decided_by_row(rule: Expr, grant: Grant, bounds: RowBounds) -> bool:
    """Return whether the columns of a row tell what the upstream would say of a rule."""
    model = bounds.rules.catalog.model
    return grant.is_local and all(is_exact(leaf, model) for leaf in leaves(rule))


def redaction(
    cells: Cells | None, row_type: RowType, bounds: RowBounds, below: Mapping[str, Redact]
) -> Redact | None:
    """Return the function that redacts decoded rows, and those in their slots; None if there is nothing to do.

    ``below``: slot of a relation that ``$expand`` brings → the redaction of its rows.
    """
    if cells is None and not below:
        return None
    own = None if cells is None else _Redaction(cells, row_type, bounds)

    def redact(rows: Sequence[Any]) -> None:
        # Answers that do not fit their types may hold anything in the place of a row.
        rows = [row for row in rows if type(row) is row_type.struct]
        for slot, redact_below in below.items():
            redact_below(_rows_in(rows, slot))
        if own is not None:
            for row in rows:
                own.redact(row)

    return redact


def _rows_in(rows: Sequence[Any], slot: str) -> list[Any]:
    found: list[Any] = []
    for row in rows:
        value = getattr(row, slot)
        found.extend(value if isinstance(value, list) else [value])
    return found


class _Redaction:
    """Redacts the rows of one level."""

    def __init__(self, cells: Cells, row_type: RowType, bounds: RowBounds) -> None:
        self._rules = cells.rules
        by_source = {source: name for (_, source), name in row_type.attributes.items()}
        self._read = tuple((f.source, by_source[f.source]) for f in cells.columns)
        # Types of one family may declare a column each: it has one attribute, and is redacted once.
        places: dict[str, list[Cell]] = {}
        for cell in cells.cells:
            places.setdefault(row_type.attribute(cell.field), []).append(cell)
        self._cells = tuple((name, same[0], _text_of(same)) for name, same in places.items())
        self._bounds = bounds
        self._sealer = bounds.sealer

    def redact(self, row: Any) -> None:
        values = {source: getattr(row, name) for source, name in self._read}
        passed = [rule is None or self._bounds.passes(rule, values) for rule in self._rules]
        for attribute, cell, text in self._cells:
            value = getattr(row, attribute)
            if value is None or value is UNSET or any(passed[n] for n in cell.plain):
                continue
            mask = next((m for m, rules in cell.masked if any(passed[n] for n in rules)), None)
            shown = _masked(mask, value, self._sealer, text) if isinstance(value, str) else None
            setattr(row, attribute, shown)


def _text_of(cells: Sequence[Cell]) -> Clean | None:
    """Return how a column's texts are converted; None if it has none that a mask could show in part."""
    values = [cell.field.value for cell in cells]
    texts = [value for value in values if value is not None and value.edm == "Edm.String"]
    return texts[0].clean if texts else None


def _masked(mask: Mask | None, value: str, sealer: Sealer, text: Clean | None) -> str | None:
    """Return what shows of a text under a mask; None: nothing of it shows."""
    if mask is None or mask is Mask.NULL or text is None:
        return None
    if text is not Clean.ACCOUNT:
        return _covered(mask, value, sealer)
    try:
        return display_value(_covered(mask, account_number(value), sealer))
    except GatewayError:
        return None


def _covered(mask: Mask, value: str, sealer: Sealer) -> str:
    if mask is Mask.HASH:
        return sealer.digest("mask", value.encode())[:_DIGEST].hex()
    return _last4(value)


def _last4(text: str) -> str:
    # Not even the length shows.
    return "****" + (text[-_SHOWN:] if len(text) >= _LONG_ENOUGH else "")
