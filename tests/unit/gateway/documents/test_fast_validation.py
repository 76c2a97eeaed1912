"""``fast_validation`` against graphql-core's ``validate``: what it accepts is valid, what clients write is accepted.

The mutants are valid documents with one to three of their words taken away, doubled, swapped or put in the place of
others, which gives unknown fields, wrong literals, undefined variables, merging conflicts and everything else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    Lexer,
    Source,
    TokenKind,
    build_schema,
    parse,
    validate,
)

from gateway.documents import field_merging as module
from gateway.documents.fast_validation import FastValidator
from tests.support.operations import Writer
from tests.support.soak import bounded
from tests.support.zoo_model import FO, schema_of

ZOO = schema_of(FO).core
WRITTEN = build_schema(
    """
    directive @late on FIELD
    interface Pet { name(loud: Boolean = false): String! kind: Kind owner: Owner }
    interface Lonely { only: Int }
    interface Winged implements Pet {
      name(loud: Boolean = false): String! kind: Kind owner: Owner wings: Int
    }
    type Dog implements Pet { name(loud: Boolean = false): String! kind: Kind owner: Owner bark: Int }
    type Bird implements Pet & Winged {
      name(loud: Boolean = false): String! kind: Kind owner: Owner wings: Int bark: String
    }
    type Owner { pets(first: Int! = 3, kinds: [Kind!]): [Pet!]! any: Either same: [[Int!]] best: Dog! }
    union Either = Dog | Owner
    enum Kind { BIG SMALL }
    scalar Anything
    input Point { x: Int! y: Int! = 0 tags: [String!] next: Point }
    input Pick @oneOf { a: Int b: String p: Point }
    type Query {
      pet(id: ID!, kind: Kind = BIG): Pet
      lonely: Lonely
      winged: Winged
      dog: Dog
      at(p: Point!): Int
      ways(points: [Point!], grid: [[Int!]!]): Int
      pick(by: Pick!): Owner
      any(value: Anything): Anything
      either: Either
    }
    type Mutation { move(p: Point!): Dog rename(name: String!): Owner }
    type Subscription { moved: Dog }
    """
)

ZOO_DOCUMENTS = (
    "{ orders { totalCount } }",
    "{ __typename orders(first: 2) { __typename nodes { id area text number t: __typename } } }",
    'query A { order(area: "a", orderId: 1) { id } } query B { lines { totalCount } }',
    "query($n: Int, $after: String) { orders(first: $n, after: $after) { nodes { id } } }",
    "query($n: Int! = 3) { orders(first: $n) { nodes { id } } lines(last: $n) { totalCount } }",
    "query($w: OrderWhere) { orders(where: $w) { edges { cursor node { id } } } }",
    "query($w: [OrderWhere!], $t: String!) { orders(where: {or: $w, text: {eq: $t}}) { nodes { id } } }",
    'query($t: String, $n: Int) { orders(where: {text: {in: [$t, "x"]}, number: {eq: $n}}) { nodes { id } } }',
    'query($t: String!) { orders(where: {text: {in: [$t, "x"], startsWith: """b"""}}) { nodes { id } } }',
    "query($d: SortDirection!) { orders(orderBy: [{text: $d}, {number: ASC}]) { nodes { id } } }",
    "{ orders(orderBy: {text: DESC}, first: null) { nodes { id } } }",
    "query($o: [OrderOrderBy!]) { orders(orderBy: $o) { nodes { id } } }",
    "{ orders(where: {and: [{not: {colour: {eq: RED}}}, {rights: {in: [READ]}}]}) { nodes { id } } }",
    (
        '{ orders(where: {due: {gte: "2024-01-01"}, amount: {lt: 1.50}, big: {eq: 5}, flag: {eq: true}})'
        " { nodes { amount big } } }"
    ),
    '{ orders(where: {ratio: {gt: 1}, uid: {eq: "00000000-0000-0000-0000-000000000000"}}) { totalCount } }',
    (
        "query($a: Boolean!, $b: Boolean = true) { orders { nodes @include(if: $a) { id @skip(if: $b)"
        " area @skip(if: true) @include(if: $a) } } }"
    ),
    "{ parties { nodes { name ... on Person { age friend { name } } ... on Firm { revenue } } } }",
    (
        "{ parties { nodes { ... on Node { id } ... { name } ... on Party { since } ...P } } }"
        " fragment P on PartyObject { area ...Q } fragment Q on Party { partyId name }"
    ),
    (
        "query($a: Boolean!) { orders { ...C @include(if: $a) nodes { ...O party { ...P } } } }"
        " fragment C on OrderConnection { totalCount nodes { area } }"
        " fragment O on Order { id area lines(first: 1) { totalCount } }"
        " fragment P on Party { name ... on Person @skip(if: $a) { age } }"
    ),
    "query A($n: Int) { ...F } query B($n: Int) { ...F } fragment F on Query { orders(first: $n) { totalCount } }",
    "{ a: orders(first: 1) { nodes { id } } a: orders(first: 1) { nodes { id area } totalCount } }",
    "{ orders { nodes { lines(first: 1) { totalCount } lines(first: 1) { nodes { id } } } } }",
    '{ node(id: "x") { id ... on Order { text } ... on Party { name } } nodes(ids: ["a"]) { id } }',
    '{ nodes(ids: "a") { __typename ...N } } fragment N on Node { id ...O } fragment O on Order { text }',
    "{ orders { nodes { home { city ... on Abroad { country } spot { north } } places { zone } } } }",
    '{ orders(where: {party: {name: {contains: "x"}}}) { pageInfo { hasNextPage endCursor } } }',
)
WRITTEN_DOCUMENTS = (
    "{ pet(id: 1) { name kind } }",
    '{ pet(id: "1", kind: SMALL) { name(loud: true) ... on Dog { bark } ... on Winged { wings } } }',
    "query($l: Boolean = true) { dog { name(loud: $l) } winged { name(loud: $l) ... on Bird { bark } } }",
    '{ at(p: {x: 1, y: 2, tags: ["a"], next: {x: 2, y: 3}}) ways(points: {x: 1, y: 1}, grid: [[1], [2, 3]]) }',
    "query($p: Point!, $x: Int!) { at(p: $p) b: at(p: {x: $x, y: $x}) }",
    "{ pick(by: {a: 1}) { same pets(first: 3, kinds: BIG) { name } best { name } } }",
    "query($s: String!) { pick(by: {b: $s}) { best { owner { best { name } } } } }",
    "{ either { ... on Dog { name } } }",
    "{ any(value: 1.5) b: any(value: RED) c: any(value: null) }",
    "mutation M($p: Point!) { move(p: $p) { name } b: move(p: {x: 1, y: 1}) { kind } }",
    'query Q { dog { name } } mutation M { rename(name: "x") { same } }',
)
NOT_SURE = (
    # valid, but rare: graphql-core decides
    "{ __schema { queryType { name } } }",
    "subscription { moved { name } }",
    "{ dog @late { name } }",
    "{ any(value: {a: [1]}) }",
    "query($n: Int) { dog { owner { pets(first: $n) { name } } } }",
    "{ dog { owner { pets { name } } } }",
    "{ at(p: {x: 1}) }",
    "query($a: Int = 1) { pick(by: {a: $a}) { same } }",
    "query($a: Int) { pick(by: {a: $a}) { same } }",
)
WRONG = (
    "{ gone }",
    "{ dog { gone } }",
    "{ dog }",
    "{ dog { name { x } } }",
    "{ dog { __typename { x } } }",
    "{ dog { __typename(a: 1) } }",
    "{ pet { name } }",
    "{ pet(id: null) { name } }",
    "{ pet(id: 1, id: 1) { name } }",
    "{ pet(id: 1, gone: 1) { name } }",
    "{ pet(id: 1, kind: HUGE) { name } }",
    '{ pet(id: 1, kind: "BIG") { name } }',
    "{ pet(id: 1.5) { name } }",
    "{ pet(id: {a: 1}) { name } }",
    "{ at(p: {y: 1}) }",
    "{ at(p: {x: 1, y: null}) }",
    "{ at(p: {x: 1, y: 1, x: 1}) }",
    "{ at(p: {x: 1, y: 1, gone: 1}) }",
    "{ at(p: 1) }",
    "{ at(p: {x: 3000000000, y: 1}) }",
    "{ ways(grid: [[1, null]]) }",
    "{ ways(grid: [null]) }",
    "{ pick(by: {}) { same } }",
    "{ pick(by: {a: null}) { same } }",
    '{ pick(by: {a: 1, b: "x"}) { same } }',
    "query($a: Int) { dog { name } }",
    "{ pet(id: $a) { name } }",
    "query($a: ID) { pet(id: $a) { name } }",
    "query($a: ID = null) { pet(id: $a) { name } }",
    "query($a: Int!) { pet(id: $a) { name } }",
    "query($a: ID!, $a: ID!) { pet(id: $a) { name } }",
    "query($a: Dog) { pet(id: $a) { name } }",
    "query($a: Gone) { pet(id: $a) { name } }",
    "query($a: ID! = {}) { pet(id: $a) { name } }",
    "query($a: ID! = null) { pet(id: $a) { name } }",
    "query($a: [Int]) { ways(grid: [$a]) }",
    "query($a: [[Int!]]) { ways(grid: $a) }",
    "query($a: Boolean) { dog { name @skip(if: $a) } }",
    "{ dog { name @skip(if: 1) } }",
    "{ dog { name @skip } }",
    "{ dog { name @skip(if: true, else: false) } }",
    "{ dog { name @skip(if: true) @skip(if: true) } }",
    "{ dog { name @gone } }",
    "query @skip(if: true) { dog { name } }",
    "query A { dog { name } } query A { dog { name } }",
    "{ dog { name } } query A { dog { name } }",
    "{ dog { name } } { dog { name } }",
    "{ dog { name name: kind } }",
    "{ dog { name name(loud: true) } }",
    "query($l: Boolean, $m: Boolean) { dog { name(loud: $l) name(loud: $m) } }",
    "{ pet(id: 1) { ... on Dog { bark } ... on Bird { bark } } }",
    "{ pet(id: 1) { ... on Dog { x: name } ... on Bird { x: kind } } }",
    "{ a: dog { name } a: dog { name: kind } }",
    "{ dog { ...F ...G } } fragment F on Dog { x: name } fragment G on Dog { x: kind }",
    "{ dog { ...F } } fragment F on Dog { owner { best { ...G } } } fragment G on Dog { name name: kind }",
    "{ dog { ...Gone } }",
    "{ dog { ...F } } fragment F on Bird { name }",
    "{ dog { ... on Bird { name } } }",
    "{ lonely { ... on Pet { name } ... on Lonely { only } } }",
    "{ either { name } }",
    "{ either { ... on Point { x } } }",
    "{ either { ... on Bird { gone } } }",
    "{ dog { ... on Kind { name } } }",
    "{ dog { ... on Gone { name } } }",
    "{ dog { ...F } } fragment F on Gone { name }",
    "{ dog { ...F } } fragment F on Kind { name }",
    "{ dog { ...F } } fragment F on Dog { name } fragment F on Dog { kind }",
    "{ dog { name } } fragment F on Dog { name }",
    "{ dog { name } } fragment F on Dog { ...F }",
    "{ dog { ...F } } fragment F on Dog { ...G } fragment G on Dog { ...F }",
    "{ dog { ...F } } fragment F on Dog { owner { best { ...F } } }",
    "query($l: Boolean) { dog { ...F } } query B { dog { ...F } } fragment F on Dog { name(loud: $l) }",
    "fragment F on Dog { name }",
    "type Extra { a: Int }",
    "{ dog { name } } type Extra { a: Int }",
    "mutation { gone }",
    "{ __type { name } }",
)


@pytest.mark.parametrize("text", ZOO_DOCUMENTS)
def test_what_clients_write_is_accepted(text: str) -> None:
    document = parse(text)
    errors = validate(ZOO, document)

    assert FastValidator(ZOO).accepts(document) is (errors == [])


@pytest.mark.parametrize("text", WRITTEN_DOCUMENTS)
def test_any_schema_may_be_accepted_against(text: str) -> None:
    document = parse(text)
    assert validate(WRITTEN, document) == []

    assert FastValidator(WRITTEN).accepts(document)


@pytest.mark.parametrize("text", NOT_SURE)
def test_what_is_rare_is_left_to_the_full_validation(text: str) -> None:
    document = parse(text)
    assert validate(WRITTEN, document) == []

    assert not FastValidator(WRITTEN).accepts(document)


@pytest.mark.parametrize("text", WRONG)
def test_nothing_wrong_is_accepted(text: str) -> None:
    document = parse(text)
    assert validate(WRITTEN, document)

    assert not FastValidator(WRITTEN).accepts(document)


def _words(text: str) -> list[tuple[TokenKind, str]]:
    lexer = Lexer(Source(text))
    words: list[tuple[TokenKind, str]] = []
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        words.append((token.kind, text[token.start : token.end]))
    return words


def _mutants(
    texts: Sequence[str], schema: GraphQLSchema, chances: random.Random, count: int
) -> Iterator[DocumentNode]:
    """Return documents that still parse."""
    pool = [word for text in texts for word in _words(text)]
    pool += [
        (TokenKind.NAME, w) for w in ("gone", "null", "true", "ASC", "RED", "BIG", "Query", "on")
    ]
    pool += [(TokenKind.INT, "5000000000"), (TokenKind.FLOAT, "0.5"), (TokenKind.STRING, '"z"')]
    pool += [(TokenKind.NAME, n) for n in list(schema.type_map)[:40] if not n.startswith("__")]
    by_kind: dict[TokenKind, list[str]] = {}
    for kind, word in pool:
        by_kind.setdefault(kind, []).append(word)
    values = [w for k in (TokenKind.INT, TokenKind.FLOAT, TokenKind.STRING) for w in by_kind[k]]
    made = 0
    while made < count:
        words = _words(chances.choice(texts))
        for _ in range(chances.choice((1, 1, 2, 3))):
            _mutate(words, by_kind, values, chances)
        try:
            yield parse(" ".join(word for _, word in words))
        except GraphQLError:
            continue
        made += 1


def _mutate(
    words: list[tuple[TokenKind, str]],
    by_kind: dict[TokenKind, list[str]],
    values: list[str],
    chances: random.Random,
) -> None:
    at, other = chances.randrange(len(words)), chances.randrange(len(words))
    kind, word = words[at]
    match chances.randrange(6):
        case 0:
            del words[at]
            if not words:
                words.append((kind, word))
        case 1:
            words.insert(other, words[at])
        case 2:
            words[at], words[other] = words[other], words[at]
        case 3:
            # a part of the document once more, somewhere else
            piece = words[min(at, other) : max(at, other)][:12]
            words[at:at] = piece
        case _ if word in values:
            words[at] = (kind, chances.choice(values))
        case _:
            words[at] = (kind, chances.choice(by_kind.get(kind, [word])))


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(bounded(3, 8)))
@pytest.mark.parametrize(
    ("schema", "texts"),
    [(ZOO, ZOO_DOCUMENTS), (WRITTEN, WRITTEN_DOCUMENTS + NOT_SURE + WRONG)],
    ids=["generated", "written"],
)
def test_what_is_accepted_is_valid(
    schema: GraphQLSchema, texts: tuple[str, ...], seed: int
) -> None:
    acceptor = FastValidator(schema)
    accepted = 0
    for document in _mutants(texts, schema, random.Random(seed), 400):
        if acceptor.accepts(document):
            accepted += 1
            errors = validate(schema, document)
            assert errors == [], document.loc and document.loc.source.body

    assert accepted > 10, "the mutants are too wild to say anything"


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(bounded(2, 6)))
def test_random_operations_are_accepted(seed: int) -> None:
    acceptor = FastValidator(ZOO)
    roots = [("orders", "orders"), ("p", "parties(first: 2)"), ("n", 'node(id: "x")')]
    for number in range(50):
        writer = Writer(random.Random(f"{seed}.{number}"), 4, ZOO, roots)
        document = parse(writer.operation().text)

        assert acceptor.accepts(document) is (validate(ZOO, document) == [])


def test_fragments_spread_many_times_are_not_walked_forever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each fragment spreads the next one under two keys: all of it would be 2^60 fields."""
    monkeypatch.setattr(module, "MAX_MERGED", 1_000)
    parts = [
        f"fragment F{i} on Dog {{ a: owner {{ best {{ ...F{i + 1} }} }}"
        f" b: owner {{ best {{ ...F{i + 1} }} }} }}"
        for i in range(60)
    ]
    text = "{ dog { ...F0 } } " + " ".join(parts) + " fragment F60 on Dog { name }"

    assert not FastValidator(WRITTEN).accepts(parse(text))


def test_a_long_chain_of_fragments_is_not_accepted() -> None:
    parts = [f"fragment F{i} on Dog {{ owner {{ best {{ ...F{i + 1} }} }} }}" for i in range(1_500)]
    text = "{ dog { ...F0 } } " + " ".join(parts) + " fragment F1500 on Dog { name }"

    assert not FastValidator(WRITTEN).accepts(parse(text))


def test_what_is_plain_in_one_type_is_looked_at_in_another() -> None:
    validator = FastValidator(ZOO)

    assert validator.accepts(parse("{ orders { totalCount nodes { text party { name } } } }"))
    assert validator.accepts(parse("{ orders { totalCount nodes { text } } }"))
    for wrong in (
        "nodes { totalCount }",
        "text",
        "totalCount { text }",
        "nodes { text(first: 1) }",
    ):
        assert not validator.accepts(parse(f"{{ orders {{ {wrong} }} }}"))
