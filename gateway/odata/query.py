"""The OData query tree: what one URL requests. It knows no product and no URL syntax.

A dialect rewrites a query into what its product can answer (or refuses), then ``render`` prints it. ``Expr`` is
a closed union: match it with ``assert_never``, so that the type checker lists the work when a node is added.

Vocabulary: OData URL Conventions 4.01,
https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from .body_reader import BodyReader
    from .long_values import SentText

Value: TypeAlias = str | int | float | bool | Decimal | None


class Literal(Struct, frozen=True):
    """A value and its Edm or qualified enum type.

    ``value`` is as in JSON: text for strings, dates (``2024-01-31T12:00:00Z``), durations, Guids, binary
    (base64) and enum members (``Backorder``), ``int``, ``Decimal``, ``bool``, or None.
    """

    value: Value
    type: str
    is_enum: bool = False


class Path(Struct, frozen=True):
    """A property, or one behind single-valued navigations: ``SalesOrderHeader/SalesOrderStatus``."""

    segments: tuple[str, ...]


class Operator(Enum):
    """A comparison, URL Conventions 5.1.1.1."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


class TextMatch(Enum):
    """A comparison of a string with a part of it, URL Conventions 5.1.1.7."""

    CONTAINS = "contains"
    STARTS_WITH = "startswith"
    ENDS_WITH = "endswith"


class Compare(Struct, frozen=True):
    """``path operator value``."""

    path: Path
    operator: Operator
    value: Literal


class Matches(Struct, frozen=True):
    """The string at ``path`` contains, starts or ends with the value; a ``*`` in it is no wildcard."""

    path: Path
    match: TextMatch
    value: Literal


class Wildcard(Struct, frozen=True):
    """``path eq '*text*'``, for products with ``Dialect.wildcard_eq``. Only lowering makes it."""

    path: Path
    pattern: str
    negated: bool = False


class In(Struct, frozen=True):
    """The value at ``path`` is one of ``values``; false if they are empty."""

    path: Path
    values: tuple[Literal, ...]


class IsNull(Struct, frozen=True):
    """The value at ``path`` is absent. ``type`` is the property's Edm type."""

    path: Path
    type: str


class Has(Struct, frozen=True):
    """A flags enum at ``path`` has all flags of the value, URL Conventions 5.1.1.1.9."""

    path: Path
    value: Literal


class And(Struct, frozen=True):
    """All terms hold; true if there are none."""

    terms: tuple[Expr, ...]


class Or(Struct, frozen=True):
    """One term holds; false if there are none."""

    terms: tuple[Expr, ...]


class Not(Struct, frozen=True):
    """The term does not hold."""

    term: Expr


class Some(Struct, frozen=True):
    """Some row of the collection ``path`` satisfies ``where`` (``any``); with None, the collection is not empty."""

    path: Path
    where: Expr | None


class Rule(Struct, frozen=True):
    """A filter that callers must pass and may not see: where people read a request, it is ``{rule}``."""

    term: Expr


Expr: TypeAlias = Compare | Matches | Wildcard | In | IsNull | Has | And | Or | Not | Some | Rule

TRUE = And(())
FALSE = Or(())


class Order(Struct, frozen=True):
    """One item of ``$orderby``."""

    path: Path
    descending: bool = False


class KeyPart(Struct, frozen=True):
    """One named part of a key predicate."""

    name: str
    value: Literal


class ListPart(Struct, frozen=True):
    """A named argument that is a collection; a URL carries it as a parameter alias (URL Conventions 5.1.2)."""

    name: str
    values: tuple[Literal, ...]


class Call(Struct, frozen=True):
    """A function call; ``name`` is an import's name, or qualified if it is bound."""

    name: str
    arguments: tuple[KeyPart | ListPart, ...] = ()


class Resource(Struct, frozen=True):
    """What the path of a URL names: a set, ``Set(key)``, ``Set(key)/Navigation``, singleton, function, ``…/$count``."""

    name: str = ""
    """Entity set or singleton; empty for an unbound function."""
    key: tuple[KeyPart, ...] = ()
    navigation: str | None = None
    call: Call | None = None
    count: bool = False
    """Whether only the number of rows is requested (``/$count``)."""


class Expand(Struct, frozen=True, kw_only=True):
    """One navigation of ``$expand`` with the options inside its parentheses."""

    navigation: str
    """May be prefixed by a derived type: ``Namespace.Flight/Airline``."""
    select: tuple[str, ...] = ()
    expand: tuple[Expand, ...] = ()
    where: Expr | None = None
    order: tuple[Order, ...] = ()
    top: int | None = None
    skip: int | None = None
    count: bool = False
    ruling: frozenset[str] = frozenset()
    """Those of ``select`` that only rules read; callers may not see them either."""


class Total(Struct, frozen=True):
    """One value that ``aggregate`` computes: ``CreditLimit with sum as Total``; without ``method``, ``$count``."""

    alias: str
    source: str = ""
    method: str = ""


class Apply(Struct, frozen=True):
    """``$apply``: the rows that pass ``where``, in groups by ``keys``, each with ``totals``.

    https://docs.oasis-open.org/odata/odata-data-aggregation-ext/v4.0/odata-data-aggregation-ext-v4.0.html
    """

    keys: tuple[str, ...]
    totals: tuple[Total, ...]


class Query(Struct, frozen=True, kw_only=True):
    """A read of one URL."""

    resource: Resource
    select: tuple[str, ...] = ()
    """Property names, or ``Namespace.Type/Property``; empty: everything."""
    expand: tuple[Expand, ...] = ()
    where: Expr | None = None
    apply: Apply | None = None
    """What of the rows that pass ``where`` is requested in their place, without ``select``, ``expand``, ``order``."""
    order: tuple[Order, ...] = ()
    top: int | None = None
    skip: int | None = None
    count: bool = False
    """Whether the total number of rows is requested with the rows (``$count=true``)."""
    ruling: frozenset[str] = frozenset()
    """Those of ``select`` that only rules read; callers may not see them either."""


class Request(Struct, frozen=True, weakref=True):
    """An HTTP request; made by ``render``, sent by ``client``. ``url`` is relative to the service root."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    shown: str | None = None
    """The URL as callers may see it, if a rule is part of it."""
    shown_body: bytes | None = None
    """The body as callers may see it, if presets of their roles are part of it."""
    reader: BodyReader | None = None
    """Takes the body of the answer while it arrives; None: it is read whole."""
    sent_text: SentText | None = None
    """What is sent in the place of a part of the body."""
