"""Row rules: what stops the start, and what callers' claims make of a rule."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import SettingsError
from gateway.identity.caller import Caller
from gateway.odata.dialect import ODATA
from gateway.odata.finops import FINOPS
from gateway.odata.query import FALSE
from gateway.odata.render import filter_text
from gateway.planning.row_rules import RowRules, check_row_rules
from schema.policy import Policy, Role, SetGrant
from tests.support.roles import caller, policy_of, role
from tests.support.zoo_model import DIALECTS, schema_of

SCHEMAS = {name: schema_of(dialect) for name, dialect in DIALECTS.items()}
PROBLEMS: list[tuple[str, dict[str, Any], str]] = [
    ("odata", {"txt": {"eq": "x"}}, "where.txt: there is no txt. Did you mean text?"),
    ("odata", {"text": {"equals": "x"}}, "where.text.equals: there is no equals."),
    ("odata", {"text": "x"}, "where.text: it is not an object."),
    ("odata", {"text": {"eq": 5}}, "where.text.eq: String cannot represent"),
    ("odata", {"number": {"in": [1, "two"]}}, "where.number.in: "),
    ("odata", {"colour": {"eq": "PINK"}}, "where.colour.eq: "),
    ("odata", {"text": {"gt": None}}, "where.text.gt: it cannot be null."),
    ("odata", {"due": {"eq": "2024-13-01"}}, "where.due.eq: "),
    ("odata", {"any": {"eq": "x"}}, "where.any: there is no any."),
    ("odata", {}, "where: it is empty."),
    ("odata", {"text": {}}, "where.text: it is empty."),
    ("odata", {"or": [{"text": {"eq": "x"}}, {}]}, "where.or: it is empty."),
    ("odata", {"and": []}, "where.and: it is not a list of conditions."),
    ("odata", {"party": {"nam": {"eq": "x"}}}, "where.party.nam: there is no nam."),
    ("odata", {"lines": {"all": {}}}, "where.lines.all: there is no all."),
    ("odata", {"text": {"eq": "$claim.x"}}, "where.text.eq: $claim.x is no reference"),
    ("finops", {"text": {"eq": "x*"}}, "where: Finance & Operations reads a star"),
    ("finops", {"text": {"ne": "x*"}}, "where: Finance & Operations reads a star"),
    ("finops", {"text": {"contains": "x"}}, "where: Finance & Operations searches"),
    ("finops", {"text": {"startsWith": "$claims.x"}}, "where: Finance & Operations searches"),
    ("finops", {"lines": {"some": {}}}, "where.lines: there is no lines."),
]


@pytest.mark.parametrize(("dialect", "where", "message"), PROBLEMS, ids=str)
def test_a_rule_that_cannot_be_used_stops_the_start(
    dialect: str, where: dict[str, Any], message: str
) -> None:
    policy = policy_of(role("clerk", {"Orders": SetGrant(where=where)}))

    with pytest.raises(SettingsError) as refused:
        check(dialect, policy)

    assert refused.value.message.startswith(f'roles.clerk.sets."Orders".{message}')


def check(dialect: str, policy: Policy) -> None:
    schema = SCHEMAS[dialect]
    check_row_rules(policy, schema.catalog, schema.core, DIALECTS[dialect])


def test_a_pattern_is_checked_for_every_set_that_it_matches() -> None:
    everywhere = Role(name="clerk", sets=(("*", SetGrant(where={"area": {"eq": "A1"}})),))

    with pytest.raises(SettingsError) as refused:
        check("odata", policy_of(everywhere))

    assert refused.value.message == 'roles.clerk.sets."*".where.area (Items): there is no area.'
    fewer = Role(name="clerk", sets=(("[OLP]*", everywhere.sets[0][1]),))
    check("odata", policy_of(fewer))


def test_a_category_is_checked_by_its_sets() -> None:
    master = SetGrant(where={"area": {"eq": "A1"}})
    bookkeeper = Role(name="clerk", categories=(("Master", master),))

    check("odata", Policy({"clerk": bookkeeper}, {"Orders": "Master"}))
    with pytest.raises(SettingsError, match=r'sets."Master".where.area \(Items\)'):
        check("odata", Policy({"clerk": bookkeeper}, {"Items": "master"}))


def test_all_problems_are_reported_at_once() -> None:
    sets = {name: SetGrant(where={"gone": {"eq": "x"}}) for name in ("Orders", "Lines")}

    with pytest.raises(SettingsError) as refused:
        check("odata", policy_of(role("clerk", sets)))

    assert [line.strip().partition(":")[0] for line in refused.value.message.split("\n")] == [
        "Rules of roles cannot be used",
        'roles.clerk.sets."Orders".where.gone',
        'roles.clerk.sets."Lines".where.gone',
    ]


def test_companies_need_a_product_with_companies() -> None:
    with pytest.raises(SettingsError, match=r"roles.clerk: rows of .* have no company"):
        check("odata", policy_of(role("clerk", {}, companies=("usmf",))))


BOUND: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"text": {"eq": "$claims.t"}}, {"t": "it's"}, "Text eq 'it''s'"),
    ({"text": {"in": "$claims.t"}}, {"t": ["a", "b"]}, "Text eq 'a' or Text eq 'b'"),
    ({"text": {"in": "$claims.t"}}, {"t": "a"}, "Text eq 'a'"),
    ({"text": {"in": ["x", "$claims.t"]}}, {"t": ["a"]}, "Text eq 'x' or Text eq 'a'"),
    ({"text": {"in": ["x", "$claims.a.b"]}}, {"a": {"b": "c"}}, "Text eq 'x' or Text eq 'c'"),
    ({"number": {"gte": "$claims.n"}}, {"n": 5}, "Number ge 5"),
    ({"colour": {"eq": "$claims.c"}}, {"c": "DARK_GREEN"}, "Colour eq Zoo.Colour'DarkGreen'"),
    ({"open": {"eq": "$claims.o"}}, {"o": True}, "Open eq Zoo.NoYes'Yes'"),
    ({"uid": {"ne": "$claims.u"}}, {"u": "6f1a4b0e-8d1c-4f0e-9b59-0d4b3c7a2f10"}, "Uid ne 6f"),
    ({"party": {"name": {"eq": "$claims.t"}}}, {"t": "a"}, "Party/Name eq 'a'"),
    ({"lines": {"some": {"note": {"eq": "$claims.t"}}}}, {"t": "a"}, "Lines/any(x0:x0/Note eq"),
    ({"text": {"eq": None}}, {}, "Text eq null"),
    ({"text": {"nin": "$claims.t"}}, {"t": ["a"]}, "Text ne 'a'"),
]
NOTHING: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"text": {"eq": "$claims.t"}}, {}),
    ({"text": {"eq": "$claims.t"}}, {"t": None}),
    ({"text": {"eq": "$claims.t"}}, {"t": "\ud800"}),
    ({"text": {"in": "$claims.t"}}, {"t": ["a", "\ud800"]}),
    ({"text": {"eq": "$claims.t"}}, {"t": 5}),
    ({"text": {"eq": "$claims.t"}}, {"t": ["a"]}),
    ({"text": {"eq": "$claims.t"}}, {"t": {"a": "b"}}),
    ({"text": {"in": "$claims.t"}}, {"t": []}),
    ({"text": {"in": "$claims.t"}}, {"t": ["a", 5]}),
    ({"text": {"in": "$claims.t"}}, {"t": ["a", None]}),
    ({"text": {"in": ["x", "$claims.t"]}}, {}),
    ({"not": {"text": {"eq": "$claims.t"}}}, {}),
    ({"or": [{"text": {"eq": "x"}}, {"number": {"eq": "$claims.t"}}]}, {"t": "1"}),
    ({"number": {"eq": "$claims.n"}}, {"n": 2**40}),
    ({"number": {"eq": "$claims.n"}}, {"n": True}),
    ({"colour": {"eq": "$claims.c"}}, {"c": "DarkGreen"}),
    ({"due": {"eq": "$claims.d"}}, {"d": "tomorrow"}),
    ({"text": {"in": "$claims.t"}}, {"t": ["a"] * 5_000}),
]


def filter_for(dialect: str, where: dict[str, Any], **claims: Any) -> Any:
    schema, given = SCHEMAS[dialect], SetGrant(where=where)
    product = DIALECTS[dialect]
    rules = RowRules(
        policy_of(role("clerk", {"Orders": given})), schema.catalog, schema.core, product
    )
    rules.check()
    return rules.filter_of(given, "Orders", caller(**claims))


@pytest.mark.parametrize(("where", "claims", "text"), BOUND, ids=str)
def test_claims_become_values_of_the_filter(
    where: dict[str, Any], claims: dict[str, Any], text: str
) -> None:
    from gateway.odata.lower import lower_where

    assert text in filter_text(lower_where(ODATA, filter_for("odata", where, **claims)))


@pytest.mark.parametrize(("where", "claims"), NOTHING, ids=str)
@pytest.mark.parametrize("dialect", ["odata", "finops"])
def test_a_claim_without_a_fitting_value_gives_no_rows(
    dialect: str, where: dict[str, Any], claims: dict[str, Any]
) -> None:
    assert filter_for(dialect, where, **claims) == FALSE


@pytest.mark.parametrize("operator", ["eq", "ne", "in"])
def test_a_star_in_a_claim_is_no_pattern(operator: str) -> None:
    """``eq 'A*'`` would give every row that begins with A, and ``ne`` is left out when it is sent."""
    where = {"text": {operator: "$claims.t"}}

    assert filter_for("finops", where, t="A*") == FALSE
    assert filter_for("finops", where, t="A") != FALSE
    assert filter_for("odata", where, t="A*") != FALSE


def test_the_user_of_the_environment_is_a_reference_too() -> None:
    given = SetGrant(where={"text": {"eq": "$user.company"}})
    schema = SCHEMAS["odata"]
    rules = RowRules(
        policy_of(role("clerk", {"Orders": given})), schema.catalog, schema.core, ODATA
    )

    assert filter_text(rules.filter_of(given, "Orders", Caller(user={"company": "usmf"}))) == (
        "Text eq 'usmf'"
    )
    assert rules.filter_of(given, "Orders", Caller(claims={"company": "usmf"})) == FALSE


def test_finance_and_operations_has_companies() -> None:
    schema = SCHEMAS["finops"]
    bound = policy_of(role("clerk", {}, companies=("usmf", "$claims.companies")))

    check_row_rules(bound, schema.catalog, schema.core, FINOPS)
