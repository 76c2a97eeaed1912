"""The GraphQL API as plain records: values, fields, object types, root fields.

The catalogue creates them; ``schema.types`` (Strawberry), ``gateway.planning`` (OData) and the printers read them.
Records of which a catalogue has hundreds of thousands are msgspec structs: creating one takes a tenth of the time of
a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple

from msgspec import Struct

from schema.model.records import (
    EntitySet,
    Navigation,
    Operation,
    OperationImport,
    Property,
    Singleton,
)

from .display_values import DisplayValue


class Clean(StrEnum):
    """How an upstream value is converted into the GraphQL value."""

    NONE = "none"
    NO_YES = "no_yes"
    """Enum ``NoYes`` ↔ Boolean."""
    NULL_DATE = "null_date"
    """1900-01-01 ↔ null."""
    DATE = "date"
    """An X++ date in an Edm.DateTimeOffset (noon UTC) ↔ ``Date``; 1900-01-01 ↔ null."""
    KEY_DATE = "key_date"
    """The same in a key, which is never null."""
    ACCOUNT = "account"
    """An account number whose delimiters are escaped: ``US\\-009`` ↔ ``US-009``."""


@dataclass(frozen=True, slots=True)
class EnumInfo:
    """An enum type and the names of its values in GraphQL and CSDL."""

    name: str
    """GraphQL name."""
    csdl: str
    """Qualified name."""
    flags: bool
    to_graphql: Mapping[str, str] = field(hash=False)
    """CSDL member → GraphQL value, in document order."""
    descriptions: Mapping[str, str] = field(hash=False)
    """GraphQL value → description."""
    to_csdl: Mapping[str, str] = field(hash=False)
    description: str = ""


class ValueType(Struct, frozen=True):
    """The type of a primitive or enum value: in GraphQL, in OData, and the conversion between them."""

    scalar: str
    """GraphQL name of the scalar or enum."""
    edm: str
    """``Edm.Decimal`` or the qualified enum name."""
    kind: str
    """Kind of value, see ``edm.EdmType.kind``; ``enum`` or ``flags`` for enums. Decides the operators."""
    clean: Clean = Clean.NONE
    enum: EnumInfo | None = None

    @property
    def is_enum(self) -> bool:
        """Whether the upstream type is an enum, even if GraphQL shows a Boolean."""
        return self.enum is not None

    @property
    def many(self) -> bool:
        """Whether one value is a list in GraphQL: the members of a flags enum."""
        return self.kind == "flags"


ETAG = "@odata.etag"
"""Name of the annotation that holds a row's version (JSON format 4.01 section 4.6.5)."""


CUSTOM_FIELDS = "customFields"
"""Name of the field of rows that reads columns by their upstream names."""
CUSTOM_NAMES = "names"
"""Its argument."""


class FieldKind(Enum):
    """What a field of an object type returns."""

    ID = "id"
    VALUE = "value"
    COMPLEX = "complex"
    TO_ONE = "to_one"
    TO_MANY = "to_many"
    REST = "rest"
    """The undeclared properties of an open type, as JSON."""
    ETAG = "etag"
    """The version of a row, an annotation of its JSON."""
    CUSTOM = "custom"
    """Columns that an argument names as the upstream does, as JSON."""
    PARTS = "parts"
    """The parts of a display value: main account and dimensions."""


class Field(Struct, frozen=True, kw_only=True):
    """A field of a generated object or interface type."""

    name: str
    kind: FieldKind
    type_name: str
    """GraphQL named type: a scalar, enum, object, interface, or the connection of a to-many navigation."""
    source: str = ""
    """CSDL property or navigation."""
    declared_by: str = ""
    """Qualified CSDL type that declares it."""
    nullable: bool = True
    many: bool = False
    """Whether it is a list of values or complex values (never a connection)."""
    value: ValueType | None = None
    prop: Property | None = None
    navigation: Navigation | None = None
    target: str = ""
    """Qualified CSDL type of a complex value or navigation."""
    target_set: str | None = None
    parts: DisplayValue | None = None
    """The column of which it has the parts."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """A generated object or interface type."""

    name: str
    csdl: str
    fields: Mapping[str, Field] = field(hash=False)
    key: tuple[Field, ...] = ()
    interfaces: tuple[str, ...] = ()
    description: str = ""
    is_open: bool = False
    has_company: bool = False

    @property
    def etag(self) -> Field | None:
        """The field of the row's version; None for rows without a key."""
        return next((f for f in self.fields.values() if f.kind is FieldKind.ETAG), None)

    def by_source(self, source: str) -> Field:
        """Return the value or navigation field of a CSDL name. Raises KeyError if there is none."""
        for candidate in self.fields.values():
            if candidate.source == source:
                return candidate
        raise KeyError(source)


class TypeKind(StrEnum):
    """The families of generated GraphQL types."""

    OBJECT = "object"
    INTERFACE = "interface"
    CONNECTION = "connection"
    EDGE = "edge"
    WHERE = "where"
    COLLECTION_WHERE = "collection_where"
    ORDER_BY = "order_by"
    ENUM = "enum"
    FILTER = "filter"
    CREATE_INPUT = "create_input"
    PATCH = "patch"
    KEY = "key"
    UPDATE_INPUT = "update_input"
    DELETE_INPUT = "delete_input"
    NESTED_INPUT = "nested_input"
    NESTED_CREATE = "nested_create"
    VALUE_INPUT = "value_input"
    PAYLOAD = "payload"
    PAYLOADS = "payloads"
    OPERATION_PAYLOAD = "operation_payload"


class TypeEntry(NamedTuple):
    """The name of a generated type, its family and its CSDL type."""

    name: str
    kind: TypeKind
    csdl: str
    """Qualified CSDL type; for a FILTER the scalar's GraphQL name or the qualified enum."""


class InputRole(Enum):
    """What a field of an input type means."""

    VALUE = "value"
    TO_ONE = "to_one"
    TO_MANY = "to_many"
    AND = "and"
    OR = "or"
    NOT = "not"
    SOME = "some"
    NONE = "none"
    OPERATOR = "operator"
    ORDER = "order"
    WRITE = "write"
    """A value, or complex value, of a row to write."""
    PARTS = "parts"
    """The parts of a display value of a row to write."""
    NESTED = "nested"
    """Rows to create below a new row."""
    CREATE = "create"
    KEY = "key"
    PATCH = "patch"
    IF_MATCH = "if_match"


class InputField(Struct, frozen=True, kw_only=True):
    """A field of a generated input type."""

    name: str
    role: InputRole
    type_name: str
    nullable: bool = True
    many: bool = False
    """Whether it is a list of non-null items."""
    of: Field | None = None
    """The object field that a VALUE, TO_ONE, TO_MANY or ORDER field concerns."""
    description: str = ""


class Result(Struct, frozen=True):
    """The type of a root field: ``Result("Node", nullable=False, many=True, gaps=True)`` is ``[Node]!``."""

    type_name: str
    nullable: bool = True
    many: bool = False
    gaps: bool = False
    """Whether the items of the list may be null."""


class RootKind(Enum):
    """What a generated field of ``Query`` returns."""

    LIST = "list"
    BY_KEY = "by_key"
    SINGLETON = "singleton"
    FUNCTION = "function"
    NODE = "node"
    NODES = "nodes"
    AGGREGATE = "aggregate"
    """What the rows of a set add up to."""
    ENTITIES = "entities"
    """``_entities``: rows by Apollo Federation's representations."""


class Argument(Struct, frozen=True, kw_only=True):
    """An argument of a generated field."""

    name: str
    type_name: str
    nullable: bool = True
    many: bool = False
    description: str = ""
    of: Field | None = None
    """The key field that a by-key argument provides."""
    value: ValueType | None = None
    """Type of a function parameter."""
    source: str = ""


class RootField(Struct, frozen=True, kw_only=True):
    """A generated field of ``Query``."""

    name: str
    kind: RootKind
    entity_set: EntitySet | None = None
    singleton: Singleton | None = None
    operation: Operation | None = None
    operation_import: OperationImport | None = None
    csdl: str = ""
    """Qualified type of the rows; empty for node, nodes and functions that return plain values."""


class Verb(StrEnum):
    """What a generated field of ``Mutation`` does."""

    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"
    ACTION = "action"
    SERVICE = "service"


class MutationField(Struct, frozen=True, kw_only=True):
    """A generated field of ``Mutation``."""

    name: str
    verb: Verb
    many: bool = False
    """Whether it takes a list of rows."""
    entity_set: EntitySet | None = None
    csdl: str = ""
    """Qualified type of the rows written, or returned by an action; empty for plain values."""
    operation: Operation | None = None
    operation_import: OperationImport | None = None
    service: ServiceInfo | None = None
    view: str = ""
    """The unified type whose rows it writes, by its name in the mapping; empty: it writes rows as they are."""


class ServiceField(Struct, frozen=True):
    """A parameter, or a value of the result, of a custom service."""

    name: str
    """GraphQL name."""
    wire: str
    """Name in the JSON body."""
    type_name: str
    nullable: bool = True
    many: bool = False


class ServiceInfo(Struct, frozen=True):
    """A custom service of the settings: ``POST /api/services/{path}``."""

    name: str
    path: str
    """``{group}/{service}/{operation}``."""
    input: tuple[ServiceField, ...] = ()
    output: tuple[ServiceField, ...] = ()
    description: str = ""
    done: str = ""
    """By-key field of ``Query`` and Boolean field of its row, which shows that a call was done; empty: nothing does."""


class PayloadRole(Enum):
    """What a field of a payload returns."""

    ROW = "row"
    ETAG = "etag"
    CREATED = "created"
    RESULT = "result"
    RESULTS = "results"
    OUTPUT = "output"
    USER_ERRORS = "user_errors"


class PayloadField(Struct, frozen=True, kw_only=True):
    """A field of a generated payload type."""

    name: str
    role: PayloadRole
    result: Result
    description: str = ""
    value: ValueType | None = None
    """Set for an OUTPUT, and for a RESULT that is not a row."""
    source: str = ""
