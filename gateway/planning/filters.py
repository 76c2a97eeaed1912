"""A coerced ``where`` argument as an OData expression.

The argument has passed validation, so every operator has a meaning for its field. What a product cannot be asked
literally, its dialect rewrites later. A comparison never matches rows whose value is answered as null: the null date
1900-01-01 is not "before 2024".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, assert_never

from gateway.errors import BadArgument
from gateway.odata.dialect import Dialect
from gateway.odata.local_filter import evaluate
from gateway.odata.lower import lower_where
from gateway.odata.query import (
    FALSE,
    And,
    Compare,
    Expr,
    Has,
    In,
    IsNull,
    Literal,
    Matches,
    Not,
    Operator,
    Or,
    Path,
    Rule,
    Some,
    TextMatch,
)
from gateway.odata.where_operators import COMPARISONS, TEXT_MATCHES
from gateway.operations.value_conversion import FIRST_DAY, day_bounds, to_literal
from schema.catalog import Catalog
from schema.catalog.records import Clean, Field, InputField, InputRole, TypeKind, ValueType
from schema.operators import WhereOperator

Test = Callable[[ValueType, Path, object, str], Expr]
"""Makes the expression of one operator: value type, path, operand, and the place for messages."""
RelatedBound = Callable[[Field, tuple[str, ...]], Expr | None]
MAX_ITEMS = 4_000
"""Items of one list; more would fit into no URL, and are refused before any work is done for them."""


class _Position(NamedTuple):
    """Where a part of a filter stands."""

    prefix: tuple[str, ...] = ()
    """Navigations to the row that it tests."""
    is_negated: bool = False
    """Whether the row passes if it does not hold."""


_START = _Position()


def all_of(*terms: Expr | None) -> Expr | None:
    """Return the conjunction of the terms that are not None; None if all are."""
    present = tuple(t for t in terms if t is not None)
    return present[0] if len(present) == 1 else And(present) if present else None


class WhereReader:
    """Reads the ``where`` arguments of one catalogue."""

    def __init__(
        self,
        catalog: Catalog,
        related_bound: RelatedBound | None = None,
        dialect: Dialect | None = None,
    ) -> None:
        """``related_bound`` returns what rows of a relation must pass besides their filter; it needs ``dialect``."""
        self._catalog = catalog
        self._related_bound = related_bound
        self._dialect = dialect

    def read(self, csdl: str, where: object) -> Expr | None:
        """Return the expression of a ``where`` argument for rows of a type; None if it excludes nothing.

        Raises BadArgument for an operand that its operator does not take.
        """
        return None if where is None else self._where(self._name(csdl), where, _START)

    def _name(self, csdl: str) -> str:
        return self._catalog.name_of(TypeKind.WHERE, csdl)

    def _where(self, input_name: str, where: object, at: _Position) -> Expr | None:
        assert isinstance(where, Mapping)
        fields = self._catalog.inputs_of(input_name)
        terms = [self._term(fields[n], v, at) for n, v in where.items() if v is not None]
        return all_of(*terms)

    def _term(self, item: InputField, value: object, at: _Position) -> Expr | None:
        match item.role:
            case InputRole.AND | InputRole.OR:
                return self._list(item, value, at)
            case InputRole.NOT:
                negated = _Position(at.prefix, is_negated=not at.is_negated)
                inner = self._where(item.type_name, value, negated)
                return None if inner is None else Not(inner)
            case InputRole.TO_ONE:
                assert item.of is not None
                behind = at._replace(prefix=(*at.prefix, item.of.source))
                inner = self._where(item.type_name, value, behind)
                return None if inner is None else self._of_row(inner, item.of, at)
            case InputRole.TO_MANY:
                return self._collection(item, value, at.prefix)
            case _:
                assert item.of is not None
                return all_of(*column_terms(item.of, value, Path((*at.prefix, item.of.source))))

    def _list(self, item: InputField, values: object, at: _Position) -> Expr | None:
        assert isinstance(values, list)
        _check_length(values, f"where.{item.name}")
        terms = [self._where(item.type_name, value, at) for value in values]
        # An empty term excludes nothing, so it can be left out of a conjunction.
        if item.role is InputRole.AND:
            return all_of(*terms)
        # An empty alternative holds for every row, no alternative for none: `or: [{}]` and `or: []`.
        return Or(tuple(And(()) if t is None else t for t in terms))

    def _of_row(self, inner: Expr, of: Field, at: _Position) -> Expr:
        """Return the test of a related row that shows only inside its bound; else there is none, as for null."""
        bound = self._bound_of(of, at.prefix)
        if bound is None:
            return inner
        # ``ne`` holds if there is no row at all, so it holds for a row that does not show, too. Whether a test does
        # depends on what is sent for it: for ``not`` of ``gt`` that may be ``le``, and neither holds then.
        assert self._dialect is not None
        test = _without_lists(inner)
        sent = lower_where(self._dialect, Not(test) if at.is_negated else test)
        holds = bool(evaluate(sent, lambda _: None, case_insensitive=False))
        if holds is not at.is_negated:
            return Or((inner, Not(bound)))
        return And((inner, bound))

    def _bound_of(self, of: Field, prefix: tuple[str, ...] | None) -> Expr | None:
        """Return the bound of related rows; ``prefix`` None: with paths that start at those rows (inside ``any``)."""
        if self._related_bound is None:
            return None
        return self._related_bound(of, () if prefix is None else (*prefix, of.source))

    def _collection(self, item: InputField, value: object, prefix: tuple[str, ...]) -> Expr | None:
        assert item.of is not None
        assert isinstance(value, Mapping)
        path = Path((*prefix, item.of.source))
        input_name = self._name(item.of.target)
        terms: list[Expr] = []
        for name, inner in value.items():
            if inner is not None:
                where = self._where(input_name, inner, _START)
                some = Some(path, all_of(where, self._bound_of(item.of, None)))
                terms.append(some if name == InputRole.SOME.value else Not(some))
        return all_of(*terms)


def _without_lists(expr: Expr) -> Expr:
    """Return a filter as it is for a row without related rows."""
    match expr:
        case And(terms):
            return And(tuple(map(_without_lists, terms)))
        case Or(terms):
            return Or(tuple(map(_without_lists, terms)))
        case Not(term) | Rule(term):
            inner = _without_lists(term)
            return Not(inner) if isinstance(expr, Not) else inner
        case Some():
            return FALSE
        case _:
            return expr


def column_terms(field: Field, operators: object, path: Path) -> Iterator[Expr]:
    """Yield the expressions of the operators on one column. Raises BadArgument."""
    assert isinstance(operators, Mapping)
    assert field.value is not None
    for name, operand in operators.items():
        what = f"where.{field.name}.{name}"
        if operand is None:
            yield _null_operand(field.value, path, name, what)
        else:
            yield _TESTS[name](field.value, path, operand, what)


def _null_operand(value: ValueType, path: Path, operator: str, what: str) -> Expr:
    if operator in (WhereOperator.EQ, WhereOperator.NE):
        return _null(value, path, operator == WhereOperator.EQ)
    if operator == WhereOperator.IS_NULL:
        raise BadArgument(f"{what} takes true or false.")
    raise BadArgument(f"{what} cannot be null.", hint="Leave it out, or use isNull.")


def _check_length(items: list[Any], what: str) -> None:
    if len(items) > MAX_ITEMS:
        raise BadArgument(
            f"{what} has {len(items):,} items; the limit is {MAX_ITEMS:,}.",
            hint="No URL can hold so many: split the list over several operations.",
        )


def _null(value: ValueType, path: Path, is_null: bool) -> Expr:
    test = IsNull(path, value.edm)
    return test if is_null else Not(test)


def _is_null(value: ValueType, path: Path, operand: object, what: str) -> Expr:  # noqa: ARG001 - a row of _TESTS
    return _null(value, path, operand is True)


def _has(value: ValueType, path: Path, operand: object, what: str) -> Expr:
    return Has(path, to_literal(value, operand, what=what))


def _matches(match: TextMatch, value: ValueType, path: Path, operand: object, what: str) -> Expr:
    return Matches(path, match, to_literal(value, operand, what=what))


def _one_of(value: ValueType, path: Path, operand: object, what: str) -> Expr:
    assert isinstance(operand, list)
    _check_length(operand, what)
    if value.clean in (Clean.DATE, Clean.KEY_DATE):
        return Or(tuple(_compare(Operator.EQ, value, path, item, what) for item in operand))
    return In(path, tuple(to_literal(value, item, what=what) for item in operand))


def _none_of(value: ValueType, path: Path, operand: object, what: str) -> Expr:
    return Not(_one_of(value, path, operand, what))


def _compare(operator: Operator, value: ValueType, path: Path, operand: object, what: str) -> Expr:
    if value.clean in (Clean.DATE, Clean.KEY_DATE):
        return _compare_day(value, path, operator, operand, what)
    test = Compare(path, operator, to_literal(value, operand, what=what))
    return _without_null_date(value, path, operator, test)


def _without_null_date(value: ValueType, path: Path, operator: Operator, test: Expr) -> Expr:
    """Exclude 1900-01-01, which stands for null, from comparisons that it would pass."""
    nullable = value.clean in (Clean.NULL_DATE, Clean.DATE)
    if nullable and operator in (Operator.LT, Operator.LE):
        return And((Compare(path, Operator.GE, Literal(FIRST_DAY, value.edm)), test))
    return test


def _compare_day(
    value: ValueType, path: Path, operator: Operator, operand: object, what: str
) -> Expr:
    """Compare whole days: an X++ date is noon UTC on the wire, so a day is the span to the next one."""
    start, following = (Literal(bound, value.edm) for bound in day_bounds(operand, what))
    before = partial(Compare, path, Operator.LT)
    since = partial(Compare, path, Operator.GE)
    match operator:
        case Operator.EQ:
            return And((since(start), before(following)))
        case Operator.NE:
            return Or((before(start), since(following)))
        case Operator.GT:
            return since(following)
        case Operator.GE:
            return since(start)
        case Operator.LT:
            return _without_null_date(value, path, operator, before(start))
        case Operator.LE:
            return _without_null_date(value, path, operator, before(following))


def _test_of(operator: WhereOperator) -> Test:
    match operator:
        case (
            WhereOperator.EQ
            | WhereOperator.NE
            | WhereOperator.GT
            | WhereOperator.GTE
            | WhereOperator.LT
            | WhereOperator.LTE
        ):
            return partial(_compare, COMPARISONS[operator])
        case WhereOperator.CONTAINS | WhereOperator.STARTS_WITH | WhereOperator.ENDS_WITH:
            return partial(_matches, TEXT_MATCHES[operator])
        case WhereOperator.IN:
            return _one_of
        case WhereOperator.NIN:
            return _none_of
        case WhereOperator.HAS:
            return _has
        case WhereOperator.IS_NULL:
            return _is_null
        case _:
            assert_never(operator)


# Computed once from the exhaustive match: matching costs about a microsecond per operator of a request.
_TESTS: Mapping[str, Test] = {operator.value: _test_of(operator) for operator in WhereOperator}
