"""Builds conditions from odata-query's tree, with F&O's refusals (section 2.2).

Operands know their type, because F&O refuses to compare different ones. Text compares folded, decimals exactly; ``*``
in a string that is compared by ``eq`` or ``ne`` is a wildcard in F&O only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from odata_query import ast

from schema.model.records import Navigation

from . import sql
from .comparisons import Comparisons
from .filter_literals import Has
from .links import Links
from .operands import Constant, Operand, constant, literal_for, negate, number, type_mismatch
from .refusal import Refusal, internal, unknown_property
from .sql import Sql
from .store import ID, Storage, Store
from .values import NUMBERS, Field, Kind, fold
from .world import World

_MAX_LENGTH = 65_536
"""Characters of a filter."""
_VERBS = {
    ast.Eq: "Equal",
    ast.NotEq: "NotEqual",
    ast.Lt: "LessThan",
    ast.LtE: "LessThanOrEqual",
    ast.Gt: "GreaterThan",
    ast.GtE: "GreaterThanOrEqual",
}
_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%"}


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows that a condition is about."""

    storage: Storage
    type_name: str
    entity_set: str | None
    depth: int = 0
    """Navigations followed so far."""


class Filters:
    """Builds conditions for a store."""

    def __init__(self, world: World, store: Store, *, null_logic: str = "specification") -> None:
        self._world = world
        self._store = store
        self._links = Links(world, store)
        self._comparisons = Comparisons(specified=null_logic == "specification")

    def condition(self, text: str, scope: Scope) -> Sql:
        """Return the condition of a ``$filter``. Raises Refusal."""
        if len(text) > _MAX_LENGTH:
            raise Refusal(414, "The request URI is too long.")
        from .grammar import parse_filter  # noqa: PLC0415 - its tables take time: the first filter makes them

        return self._boolean(parse_filter(text, strict=self._world.finops), scope)

    def column(self, path: tuple[str, ...], scope: Scope) -> Operand:
        """Return the operand of a property path such as ``SalesOrderHeaderV2/SalesOrderStatus``."""
        if len(path) == 1:
            return self._property(path[0], scope)
        fields = self._world.fields_of(scope.type_name)
        if path[0] in fields and fields[path[0]].kind is Kind.JSON:
            return self._inside(fields[path[0]], path[1:], scope)
        return self._through(path, scope)

    def _property(self, name: str, scope: Scope) -> Operand:
        field = self._world.fields_of(scope.type_name).get(name)
        if field is None:
            raise unknown_property(name, scope.type_name)
        return Operand(field.kind, scope.storage.column(name), scope.storage.compared(name), field)

    def _inside(self, field: Field, path: tuple[str, ...], scope: Scope) -> Operand:
        """Return the operand of a path into a complex value, for services that support it."""
        value = sql.call("json_extract", scope.storage.column(field.name), "$." + ".".join(path))
        folded = sql.call("rtrim", sql.call("lower", value))
        return Operand(Kind.TEXT, value, folded if self._world.folds_text else value)

    def _through(self, path: tuple[str, ...], scope: Scope) -> Operand:
        navigation = self._world.navigations_of(scope.type_name).get(path[0])
        if navigation is None:
            raise unknown_property(path[0], scope.type_name)
        if navigation.many or (self._world.finops and scope.depth):
            raise Refusal(
                400, f"The navigation property '{path[0]}' cannot be used in a property path."
            )
        target_set = self._world.set_of_navigation(scope.type_name, scope.entity_set, navigation)
        name = self._world.storage_of_navigation(scope.type_name, scope.entity_set, navigation)
        target = self._store.storage(name)
        alias = _nested(target, scope)
        inner = self.column(path[1:], Scope(alias, navigation.target, target_set, scope.depth + 1))
        on = self._joined_on(scope.storage, alias, navigation)

        def lookup(value: Sql) -> Sql:
            order = [alias.table.columns[ID]]
            return sql.lookup(sql.select([value], alias.table, sql.all_of(*on), order, limit=1))

        return Operand(inner.kind, lookup(inner.plain), lookup(inner.compared), inner.field)

    def _joined_on(self, owner: Storage, target: Storage, navigation: Navigation) -> list[Sql]:
        """Return the join of rows of ``target`` with the row of ``owner`` whose navigation leads to them."""
        pairs = self._world.join_of(navigation)
        if not pairs:
            return [self._links.condition(owner, target, navigation)]
        equal = [
            sql.compare(target.compared(p.referenced), "=", owner.compared(p.property))
            for p in pairs
        ]
        return [*equal, *self._links.of_type(target, navigation.target)]

    def _boolean(self, node: Any, scope: Scope) -> Sql:
        match node:
            case ast.BoolOp(op=op):
                return self._joined(op, list(_flat(node, type(op))), scope)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return sql.negated(self._boolean(inner, scope))
            case ast.Compare():
                return self._compare(node, scope)
            case ast.CollectionLambda():
                return self._lambda(node, scope)
            case ast.Call():
                return self._predicate(node, scope)
        if isinstance(node, ast.Boolean):
            return sql.TRUE if node.py_val else sql.FALSE
        operand = self._operand(node, scope)
        if isinstance(operand, Operand) and operand.kind is Kind.BOOLEAN:
            return sql.equal(operand.compared, 1)
        raise Refusal(400, "The $filter expression must evaluate to a single boolean value.")

    def _joined(self, op: Any, nodes: list[Any], scope: Scope) -> Sql:
        if isinstance(op, ast.And):
            return sql.all_of(*(self._boolean(node, scope) for node in nodes))
        # Clients send keys as long `or` chains, since F&O has no `in`: equal left sides become one SQL IN,
        # for speed and because SQLite limits the depth of expressions.
        chains: dict[str, list[Any]] = {}
        rest: list[Sql] = []
        for node in nodes:
            match node:
                case ast.Compare(
                    comparator=ast.Eq(), left=ast.Identifier(name=name), right=ast.String(val=v)
                ) if "*" not in v:
                    chains.setdefault(name, []).append(node.right)
                case _:
                    rest.append(self._boolean(node, scope))
        return sql.any_of(
            *(self._one_of(name, values, scope) for name, values in chains.items()), *rest
        )

    def _one_of(self, name: str, literals: list[Any], scope: Scope) -> Sql:
        operand = self._property(name, scope)
        values = [self._literal(operand, constant(literal), "Equal") for literal in literals]
        return self._comparisons.among(operand.compared, values)

    def _compare(self, node: Any, scope: Scope) -> Sql:
        comparator = node.comparator
        if isinstance(comparator, ast.In):
            return self._in(node, scope)
        left, right = self._operand(node.left, scope), self._operand(node.right, scope)
        if isinstance(comparator, Has):
            return self._has(left, right)
        if isinstance(left, Constant) and isinstance(right, Operand):
            return self._compared(_swapped(comparator), right, left)
        if isinstance(left, Constant):
            raise Refusal(400, "A comparison of two literals is not supported.")
        return self._compared(comparator, left, right)

    def _compared(self, comparator: Any, left: Operand, right: Operand | Constant) -> Sql:
        verb = _VERBS[type(comparator)]
        if self._world.finops and left.kind is Kind.ENUM and verb not in ("Equal", "NotEqual"):
            raise Refusal(
                400, f"The operator kind '{verb}' is not supported for type '{left.type_name}'."
            )
        if isinstance(right, Operand):
            return self._columns(comparator, left, right)
        pattern = self._pattern(left, right, verb)
        if pattern is not None:
            like = sql.like(left.compared, pattern)
            return sql.negated(like) if isinstance(comparator, ast.NotEq) else like
        return self._comparisons.with_value(
            comparator, left.compared, self._literal(left, right, verb)
        )

    def _literal(self, left: Operand, right: Constant, verb: str) -> Any:
        return literal_for(left, right, verb, folds=self._world.folds_text)

    def _columns(self, comparator: Any, left: Operand, right: Operand) -> Sql:
        verb = _VERBS[type(comparator)]
        if left.kind is not right.kind and not {left.kind, right.kind} <= NUMBERS:
            raise type_mismatch(left.type_name, right.type_name, verb)
        ours, theirs = left.compared, right.compared
        if left.kind in NUMBERS and left.kind is not right.kind:
            ours, theirs = number(left), number(right)
        return self._comparisons.between_columns(comparator, ours, theirs)

    def _pattern(self, left: Operand, right: Constant, verb: str) -> str | None:
        """Return the LIKE pattern of ``eq '*retail*'``, or None if the literal is no wildcard."""
        wild = self._world.finops and left.kind is Kind.TEXT and right.kind is Kind.TEXT
        if not wild or "*" not in right.value or verb not in ("Equal", "NotEqual"):
            return None
        return _like(fold(right.value)).replace("*", "%")

    def _in(self, node: Any, scope: Scope) -> Sql:
        if self._world.finops:
            raise Refusal(400, "The 'in' operator is not supported.")
        operand = self._operand(node.left, scope)
        if not isinstance(operand, Operand):
            raise Refusal(400, "The left side of 'in' must be a property.")
        values = [self._literal(operand, constant(item), "Equal") for item in node.right.val]
        return self._comparisons.among(operand.compared, values)

    def _has(self, left: Operand | Constant, right: Operand | Constant) -> Sql:
        if self._world.finops:
            raise Refusal(400, "The 'has' operator is not supported.")
        if not isinstance(left, Operand) or not isinstance(right, Constant):
            raise Refusal(400, "'has' needs a property and an enumeration literal.")
        value = self._literal(left, right, "Has")
        return sql.compare(sql.calculate(left.compared, "&", value), "=", value)

    def _operand(self, node: Any, scope: Scope) -> Operand | Constant:
        match node:
            case ast.Identifier(name=name):
                return self._property(name, scope)
            case ast.Attribute():
                return self.column(_path(node), scope)
            case ast.BinOp(op=op, left=left, right=right):
                return self._arithmetic(op, self._operand(left, scope), self._operand(right, scope))
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return negate(self._operand(inner, scope))
            case ast.Call():
                return self._function(node, scope)
        return constant(node)

    def _arithmetic(self, op: Any, left: Operand | Constant, right: Operand | Constant) -> Operand:
        for side in (left, right):
            if side.kind not in NUMBERS:
                raise type_mismatch(left.type_name, right.type_name, type(op).__name__)
        value = sql.calculate(number(left), _ARITHMETIC[type(op)], number(right))
        return Operand(Kind.REAL, value, value)

    def _predicate(self, node: Any, scope: Scope) -> Sql:
        name = node.func.full_name()
        if self._world.finops:
            raise internal()
        if name not in ("contains", "startswith", "endswith"):
            raise Refusal(400, f"An unknown function with name '{name}' was found.")
        operand, literal = self._operand(node.args[0], scope), self._operand(node.args[1], scope)
        if not isinstance(operand, Operand) or not isinstance(literal, Constant):
            raise Refusal(400, f"'{name}' needs a property and a literal.")
        if not self._world.folds_text:
            return _has_part(name, operand.compared, str(literal.value))
        text = _like(str(literal.value).casefold())
        before, after = ("" if name == "startswith" else "%"), ("" if name == "endswith" else "%")
        return sql.like(operand.compared, f"{before}{text}{after}")

    def _function(self, node: Any, scope: Scope) -> Operand:
        if self._world.finops:
            raise internal()
        name = node.func.full_name()
        function = _FUNCTIONS.get(name)
        if function is None:
            raise Refusal(400, f"An unknown function with name '{name}' was found.")
        operand = self._operand(node.args[0], scope)
        if not isinstance(operand, Operand):
            raise Refusal(400, f"'{name}' needs a property.")
        kind, apply = function
        value = apply(operand.plain)
        return Operand(kind, value, value)

    def _lambda(self, node: Any, scope: Scope) -> Sql:
        if self._world.finops:
            raise Refusal(400, "Lambda expressions are not supported.")
        navigation = self._world.navigations_of(scope.type_name).get(
            getattr(node.owner, "name", "")
        )
        if navigation is None or not navigation.many:
            raise Refusal(400, "The lambda's collection is not supported.")
        target_set = self._world.set_of_navigation(scope.type_name, scope.entity_set, navigation)
        target = self._store.storage(
            self._world.storage_of_navigation(scope.type_name, scope.entity_set, navigation)
        )
        alias = _nested(target, scope)
        on = self._joined_on(scope.storage, alias, navigation)
        every = isinstance(node.operator, ast.All)
        if node.lambda_ is not None:
            inner = _without(node.lambda_.expression, node.lambda_.identifier.name)
            condition = self._boolean(
                inner, Scope(alias, navigation.target, target_set, scope.depth + 1)
            )
            on.append(sql.negated(condition) if every else condition)
        found = sql.exists(sql.select([sql.TRUE], alias.table, sql.all_of(*on)))
        return sql.negated(found) if every else found


_FUNCTIONS: dict[str, tuple[Kind, Callable[[Any], Sql]]] = {
    "tolower": (Kind.TEXT, partial(sql.call, "lower")),
    "toupper": (Kind.TEXT, partial(sql.call, "upper")),
    "trim": (Kind.TEXT, partial(sql.call, "trim")),
    "length": (Kind.INTEGER, partial(sql.call, "length")),
    "year": (Kind.INTEGER, lambda v: sql.cast(sql.call("strftime", "%Y", v), "INTEGER")),
    "month": (Kind.INTEGER, lambda v: sql.cast(sql.call("strftime", "%m", v), "INTEGER")),
    "day": (Kind.INTEGER, lambda v: sql.cast(sql.call("strftime", "%d", v), "INTEGER")),
}


def _nested(target: Storage, scope: Scope) -> Storage:
    """Return a storage for a statement within that of the scope, which may read the same table."""
    table = target.table.labelled(f"~{scope.depth + 1}")
    return Storage(target.name, table, target.fields, target.types)


def _flat(node: Any, op: type) -> Iterator[Any]:
    """Yield the operands of a chain of one operator, without recursion on its length."""
    pending = [node]
    while pending:
        at = pending.pop()
        if isinstance(at, ast.BoolOp) and isinstance(at.op, op):
            pending += [at.right, at.left]
        else:
            yield at


def _path(node: Any) -> tuple[str, ...]:
    if isinstance(node, ast.Identifier):
        return (node.name,)
    return (*_path(node.owner), node.attr)


def _without(node: Any, variable: str) -> Any:
    """Return an expression without the lambda's variable: ``d/Amount`` → ``Amount``."""
    match node:
        case ast.Attribute(owner=ast.Identifier(name=name), attr=attr) if name == variable:
            return ast.Identifier(attr)
        case ast.Attribute():
            return ast.Attribute(_without(node.owner, variable), node.attr)
        case ast.BoolOp():
            left, right = _without(node.left, variable), _without(node.right, variable)
            return ast.BoolOp(node.op, left, right)
        case ast.BinOp():
            left, right = _without(node.left, variable), _without(node.right, variable)
            return ast.BinOp(node.op, left, right)
        case ast.Compare():
            return ast.Compare(
                node.comparator, _without(node.left, variable), _without(node.right, variable)
            )
        case ast.UnaryOp():
            return ast.UnaryOp(node.op, _without(node.operand, variable))
        case ast.Call():
            return ast.Call(node.func, [_without(arg, variable) for arg in node.args])
    return node


def _swapped(comparator: Any) -> Any:
    """Return the comparator for exchanged sides."""
    swapped: dict[type, Callable[[], Any]] = {
        ast.Lt: ast.Gt,
        ast.LtE: ast.GtE,
        ast.Gt: ast.Lt,
        ast.GtE: ast.LtE,
    }
    make = swapped.get(type(comparator))
    return comparator if make is None else make()


def _has_part(function: str, column: Any, text: str) -> Sql:
    """Return the condition of a text function that respects case: SQLite's LIKE ignores that of ASCII."""
    if function == "contains" or not text:
        return sql.compare(sql.call("instr", column, text), ">", 0)
    start = 1 if function == "startswith" else -len(text)
    return sql.equal(sql.call("substr", column, start, len(text)), text)


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
