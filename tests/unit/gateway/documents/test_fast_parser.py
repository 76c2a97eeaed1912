"""``fast_parser`` against graphql-core's parser: the same nodes, or none.

What it reads is compared node by node, with positions; what graphql-core refuses must be left to it. The texts are
documents with their tokens taken away, doubled, swapped or replaced, and any sequences of characters that mean
something.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable

import pytest
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    Lexer,
    Location,
    Source,
    TokenKind,
    parse,
    print_ast,
    visit,
)
from graphql.language import Visitor
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.documents.fast_parser import LONGEST, parse_document, parse_plain
from gateway.documents.lexemes import Lexemes, Place
from tests.support.soak import bounded

TOKENS = 15_000
PLAIN = (
    "{a}",
    "{}",
    "  { a b, c }  \n\n",
    "\ufeff{ a\ufeff b }\ufeff",
    "{ on true null query fragment: a type }",
    "{ a: b c: d { e: f { g } } }",
    "query { a } mutation M { a } subscription S @x { a }",
    "query Q($a: Int, $b: [Int!]! = [1, -2], $c: [[T]] = {x: E, y: null} @d(e: true) @f) { a(b: $a) }",
    '{ a(b: 0, c: -1.5e+3, d: 1E9, e: true, f: false, g: null, h: RED, i: [], j: {}, k: [[$a], {l: "m"}]) }',
    r'{ a(b: "", c: "é \" \\ \/ \n \u00e9 \u{1F600} \ud83d\ude00 # no comment", d: "a" e: "\t") }',
    '{ a(b: """""", c: """\n    two\n      lines \\""" "" \\n\n  """, d: """a "quoted\\" b""" ) }',
    "# first\n{ # second } \n a # third\r b ##\r\n, c }# last",
    '{ a @include(if: $b) @skip(if: false) b(c: "#") @d { e } }',
    "{ ...F ... on T { a } ...@x { b } ... { c } ...F@y ... on U @z { d } }",
    "fragment F on T @x { a } { ...F } fragment query on on { b }",
    '{ a(b: """a\r\n  b\r  c\n  d""")\r\n c(d: "\U0001f600 \x00") }',
)
LEFT = (
    "",
    "  # nothing\n",
    "{ a ",
    "{ a } }",
    "{ a } ?",
    "{ a() }",
    "{ a(b:) }",
    "{ a(: 1) }",
    "{ a(b: 01) }",
    "{ a(b: 1x) }",
    "{ a(b: 1.) }",
    "{ a(b: .5) }",
    "{ a(b: -) }",
    "{ a(b: 1.2.3) }",
    "{ a(b: 1e) }",
    '{ a(b: "x) }',
    '{ a(b: "x\n") }',
    r'{ a(b: "\x") }',
    r'{ a(b: "\u12") }',
    r'{ a(b: "\ud800") }',
    r'{ a(b: "\") }',
    '{ a(b: """x") }',
    '{ a(b: """x\\""") }',
    '{ a(b: """x"""") }',
    "{ a(b: 'x') }",
    '{ a(b: "\ud800") }',
    "{ é }",
    "{ a .. }",
    "{ ...on }",
    "{ ...F(x: 1) }",
    "{ a: }",
    "{ a @ }",
    "{ a ! }",
    "query() { a }",
    "query($a: Int = $b) { a }",
    "query($a: Int @x(y: $b)) { a }",
    "query($a) { a }",
    "query Q",
    "fragment on on T { a }",
    "fragment F { a }",
    "fragment F on T",
    "other { a }",
    "type T { a: Int }",
    '"described" query { a }',
    'query("described" $a: Int) { a }',
    "extend type T { a: Int }",
    "{" * 100 + "}" * 100,
)


def locations(document: DocumentNode) -> list[object]:
    """Return class, attributes, start and end of each node, in the order of a visit."""
    found: list[object] = []

    class Each(Visitor):
        def enter(self, node: object, *_: object) -> None:
            loc = node.loc  # type: ignore[attr-defined]
            names = vars(node).keys() - {"token_count"}
            found.append((type(node), names, loc.start, loc.end, loc.source.body))

    visit(document, Each())
    return found


def outcome(read: Callable[[], DocumentNode]) -> object:
    """Return a document as a dictionary, or the error."""
    try:
        return read().to_dict(locations=True)
    except GraphQLSyntaxError as error:
        return error.formatted


def compare(text: str, max_tokens: int = TOKENS) -> bool:
    """Return whether the text is read, after comparing it with what graphql-core reads."""
    document = parse_plain(text, max_tokens)
    if document is None:
        return False
    expected = parse(text, max_tokens=max_tokens)
    assert document.to_dict(locations=True) == expected.to_dict(locations=True)
    assert locations(document) == locations(expected)
    assert document == expected
    assert print_ast(document) == print_ast(expected)
    assert document.token_count == expected.token_count
    return True


@pytest.mark.parametrize("text", PLAIN)
def test_documents_have_the_nodes_of_the_library(text: str) -> None:
    assert compare(text)


@pytest.mark.parametrize("text", LEFT)
def test_other_texts_are_left_to_the_library(text: str) -> None:
    assert not compare(text)
    assert outcome(lambda: parse_document(text, TOKENS)) == outcome(
        lambda: parse(text, max_tokens=TOKENS)
    )


def test_documents_with_parts_taken_away_or_moved() -> None:
    chance = random.Random(18)
    words = [Lexemes(text).tokens for text in (*PLAIN, *PLAIN, *LEFT)]
    every = [token for tokens in words for token in tokens]
    read = 0
    for _ in range(bounded(3_000, 200_000)):
        tokens = list(chance.choice(words))
        for _ in range(chance.randint(1, 2)):
            at = chance.randrange(len(tokens))
            tokens[at : at + chance.randint(0, 2)] = chance.choices(every, k=chance.randint(0, 2))
            tokens = tokens or [""]
        read += compare(chance.choice((" ", " ", "", "\n", ",")).join(tokens))
    assert read > bounded(200, 10_000)


PIECES = st.sampled_from(
    [
        *"{}():$!=@[]|&.\"\\#-+,. \t\n\r0aeEu1'\x00\ufeffé",
        *('"""', "...", "on", "query", "fragment", "true", "null", "12", "0.5", r"\u", r"\n"),
        *("\ud83d", "\ude00", "\U0001f600"),
    ]
)
SOUP = st.lists(PIECES, max_size=12).map("".join)


@settings(max_examples=bounded(400, 30_000), deadline=None, database=None)
@given(
    SOUP, st.sampled_from(("%s", "{%s}", "{a(b:%s)}", '{a(b:"%s")}', '{a(b:"""%s""")}', "{a%s}"))
)
def test_any_characters_are_read_alike_or_left(soup: str, frame: str) -> None:
    text = frame % soup
    # Valid but left are descriptions, and pairs of surrogates.
    may_be_rare = frame == "%s" or any("\ud800" <= c <= "\udfff" for c in text)
    if not compare(text) and not may_be_rare:
        with pytest.raises(GraphQLSyntaxError):
            parse(text)


@settings(max_examples=bounded(300, 30_000), deadline=None, database=None)
@given(SOUP)
def test_tokens_stand_where_the_library_finds_them(text: str) -> None:
    lexer, expected = Lexer(Source(text)), []
    try:
        while (token := lexer.advance()).kind is not TokenKind.EOF:
            expected.append((token.start, token.end))
    except GraphQLSyntaxError:
        return
    lexemes = Lexemes(text)
    count = lexemes.tokens.index("")
    assert [lexemes.span(i) for i in range(count)] == expected
    assert lexemes.span(count) == (len(text), len(text))


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7])
def test_the_limit_of_tokens_counts_comments(count: int) -> None:
    text = "{ a b # one\n}"  # five, with the comment
    compare(text, count)
    if count < 5:
        with pytest.raises(GraphQLSyntaxError, match=f"more than {count} tokens"):
            parse_document(text, count)
    else:
        assert parse_document(text, count).token_count == 5


def test_long_texts_stop_at_the_limit_of_tokens() -> None:
    with pytest.raises(GraphQLSyntaxError, match="more than 10 tokens"):
        parse_document("{ a" * LONGEST, 10)


def test_errors_point_to_nodes_of_the_fast_parser() -> None:
    text = '{\n  a(b: """\n  x""") {\n    here\n  }\n}'
    document = parse_plain(text, TOKENS)
    assert document is not None
    nodes: list[object] = []

    class Each(Visitor):
        def enter_field(self, node: object, *_: object) -> None:
            nodes.append(node)

    visit(document, Each())
    error = GraphQLError("no", nodes[-1])  # type: ignore[arg-type]
    assert error.locations == [(4, 5)]
    assert "here" in str(error)


def test_places_are_compared_by_their_positions() -> None:
    lexemes = Lexemes("{ a b }")
    place = Place(1, 1, lexemes)
    expected = parse("{ a b }").definitions[0].selection_set.selections[0].loc  # type: ignore[attr-defined]
    assert isinstance(expected, Location)
    assert place == expected
    assert hash(place) == hash(expected)
    assert str(place) == str(expected)
    assert place != Place(2, 2, lexemes)
    assert place != "2:3"
    assert not gc.is_tracked(place)


def test_long_runs_that_never_end_are_left_at_once() -> None:
    for text in ('"' + "\\a" * 20_000, '"""' + '\\"""' * 9_000, "#" * 50_000, " \n" * 25_000):
        assert not compare("{ a(b: " + text)
