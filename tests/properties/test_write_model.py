"""Random mutations against a plain model in memory: after each, the sandbox's rows and the answers agree with it.

Rows are customer groups (key, description, payment terms that must exist) and journals with lines. The model knows
what F&O does with each write, and that a changeset is all or nothing; it knows nothing of requests.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from gateway.runtime.assembly import Gateway
from gateway.sandbox import create_sandbox
from gateway.sandbox.settings import SandboxSettings
from tests.support.faulty_writes import Faulty, Told, assembled_over, faulty
from tests.support.soak import bounded

SIZE = 2
"""Rows of a changeset of a list (``faulty_writes.SETTINGS``)."""
KEYS = ("M1", "M2", "M3", "M4")
NUMBERS = ("J1", "J2")
TERMS = ("Net10", "Net30", "no such terms")
TEXTS = ("a", "b", 'c "ü" &%+ 日本')


class Refused(Exception):
    """The model says no; ``str`` is the code."""


@dataclass(frozen=True)
class Op:
    """One row to write."""

    verb: str
    key: str
    text: str | None = None
    terms: str | None = None

    @property
    def fields(self) -> dict[str, str]:
        given = {"description": self.text, "paymentTermId": self.terms}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def item(self) -> dict[str, Any]:
        """The row as an element of ``input``."""
        if self.verb in ("create", "upsert"):
            return {"customerGroupId": self.key, **self.fields}
        key = {"customerGroupId": self.key}
        return {"key": key, "patch": self.fields} if self.verb == "update" else {"key": key}


@dataclass(frozen=True)
class Journal:
    """A journal to create with its lines; without a number the upstream gives one."""

    number: str | None
    text: str
    currencies: tuple[str, ...]

    @property
    def item(self) -> dict[str, Any]:
        lines = [
            {
                "lineNumber": str(at),
                "accountType": "LEDGER",
                "accountDisplayValue": "140200-001-022",
                "debitAmount": str(at),
                "currencyCode": currency,
                "voucher": "V",
            }
            for at, currency in enumerate(self.currencies, 1)
        ]
        given = {} if self.number is None else {"journalBatchNumber": self.number}
        below = {"ledgerJournalLine": {"create": lines}} if lines else {}
        return {**given, "journalName": "GenJrn", "description": self.text, **below}


@dataclass(frozen=True)
class Step:
    """One operation: ``kind`` says how its rows are written."""

    kind: str
    ops: tuple[Op | Journal, ...] = ()


@dataclass
class Model:
    """What the upstream should hold."""

    groups: dict[str, tuple[str, str]] = field(default_factory=dict)
    journals: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def write(self, op: Op | Journal) -> None:
        """Write one row. Raises Refused."""
        if isinstance(op, Journal):
            self._journal(op)
        elif op.verb == "create" or (op.verb == "upsert" and op.key not in self.groups):
            self._check(op)
            if op.key in self.groups:
                raise Refused("DUPLICATE_KEY")
            self.groups[op.key] = (op.text or "", op.terms or "")
        elif op.key not in self.groups:
            raise Refused("NOT_FOUND")
        elif op.verb == "delete":
            del self.groups[op.key]
        else:
            self._check(op)
            text, terms = self.groups[op.key]
            self.groups[op.key] = (op.text or text, op.terms or terms)

    def _check(self, op: Op) -> None:
        if op.terms == "no such terms":
            raise Refused("RELATED_RECORD_NOT_FOUND")

    def _journal(self, op: Journal) -> None:
        assert op.number is not None
        if op.number in self.journals:
            raise Refused("DUPLICATE_KEY")
        if "no such currency" in op.currencies:
            raise Refused("RELATED_RECORD_NOT_FOUND")
        self.journals[op.number] = (op.text, op.currencies)

    def together(self, ops: Sequence[Op | Journal]) -> list[str | None]:
        """Write rows as one changeset: None for each that is written, else the culprit's code, or ROLLED_BACK."""
        before = copy.deepcopy((self.groups, self.journals))
        for at, op in enumerate(ops):
            try:
                self.write(op)
            except Refused as refused:
                self.groups, self.journals = before
                codes: list[str | None] = ["ROLLED_BACK"] * len(ops)
                codes[at] = str(refused)
                return codes
        return [None] * len(ops)


# Steps

KEY = st.sampled_from(KEYS)
TEXT = st.sampled_from(TEXTS)
TERM = st.one_of(st.none(), st.sampled_from(TERMS[:2]), st.sampled_from(TERMS))
NEW = {verb: st.builds(Op, st.just(verb), KEY, TEXT, TERM) for verb in ("create", "upsert")}
CHANGE = st.builds(Op, st.just("update"), KEY, TEXT, TERM)
GONE = st.builds(Op, st.just("delete"), KEY)
BY_VERB = {**NEW, "update": CHANGE, "delete": GONE}
ANY = st.one_of(*BY_VERB.values())
CURRENCIES = st.lists(st.sampled_from(("USD", "EUR", "USD", "no such currency")), max_size=3).map(
    tuple
)
NUMBERED = st.builds(Journal, st.none(), TEXT, CURRENCIES)
GIVEN = st.builds(Journal, st.sampled_from(NUMBERS), TEXT, CURRENCIES)
STEP = st.one_of(
    st.builds(Step, st.just("each"), st.lists(ANY, min_size=1, max_size=3).map(tuple)),
    st.builds(Step, st.just("atomic"), st.lists(ANY, min_size=1, max_size=4).map(tuple)),
    st.sampled_from(sorted(BY_VERB)).flatmap(
        lambda verb: st.builds(
            Step, st.just("list"), st.lists(BY_VERB[verb], max_size=5).map(tuple)
        )
    ),
    st.builds(Step, st.just("each"), st.tuples(st.one_of(NUMBERED, GIVEN))),
    st.builds(Step, st.just("atomic"), st.tuples(GIVEN, ANY)),
    st.builds(Step, st.just("list"), st.lists(st.one_of(NUMBERED, GIVEN), max_size=3).map(tuple)),
)


def operation(step: Step) -> tuple[str, dict[str, Any]]:
    """Print a step as GraphQL."""
    if step.kind == "list":
        if not step.ops:
            return (
                "mutation { x0: deleteCustomerGroups(input: []) { results { userErrors { code } } } }",
                {},
            )
        name, selected = _named(step.ops[0])
        row = f"results {{ {selected} userErrors {{ code path }} }} userErrors {{ code }}"
        text = f"mutation ($input: [{_input_type(step.ops[0])}!]!) {{ x0: {name}s(input: $input) {{ {row} }} }}"
        return text, {"input": [op.item for op in step.ops]}
    fields, definitions, variables = [], [], {}
    for at, op in enumerate(step.ops):
        name, selected = _named(op)
        if isinstance(op, Journal) or op.verb in ("create", "upsert"):
            definitions.append(f"$v{at}: {_input_type(op)}!")
            variables[f"v{at}"] = op.item
            arguments = f"input: $v{at}"
        else:
            definitions.append(f"$v{at}: CustomerGroupKey!")
            variables[f"v{at}"] = op.item["key"]
            arguments = f"key: $v{at}"
            if op.verb == "update":
                definitions.append(f"$p{at}: CustomerGroupPatch!")
                variables[f"p{at}"] = op.item["patch"]
                arguments += f", patch: $p{at}"
        fields.append(f"x{at}: {name}({arguments}) {{ {selected} userErrors {{ code path }} }}")
    atomic = " @atomic" if step.kind == "atomic" else ""
    return f"mutation ({', '.join(definitions)}){atomic} {{ {' '.join(fields)} }}", variables


def _named(op: Op | Journal) -> tuple[str, str]:
    if isinstance(op, Journal):
        lines = "ledgerJournalLine { nodes { lineNumber currencyCode } }"
        return (
            "createLedgerJournalHeader",
            f"ledgerJournalHeader {{ journalBatchNumber description {lines} }}",
        )
    selected = "" if op.verb == "delete" else "description paymentTermId"
    return f"{op.verb}CustomerGroup", f"customerGroup {{ customerGroupId {selected} }}"


def _input_type(op: Op | Journal) -> str:
    if isinstance(op, Journal):
        return "LedgerJournalHeaderCreateInput"
    kinds = {"create": "Create", "upsert": "Create", "update": "Update", "delete": "Delete"}
    return f"CustomerGroup{kinds[op.verb]}Input"


# Checks


def changesets(step: Step) -> Iterator[list[int]]:
    """Return the places of the rows that are written together."""
    together: list[int] = []
    # Of a list with rows below any of its rows, no row depends on another.
    alone = step.kind == "each" or any(isinstance(op, Journal) and op.currencies for op in step.ops)
    for at in range(len(step.ops)):
        if step.kind != "atomic" and together and (alone or len(together) == SIZE):
            yield together
            together = []
        together.append(at)
        if alone and step.kind != "atomic":
            yield together
            together = []
    if together:
        yield together


def payloads(step: Step, reported: Told) -> list[dict[str, Any]]:
    if step.kind == "list":
        result: list[dict[str, Any]] = reported.data["x0"]["results"]
        return result
    return [reported.data[f"x{at}"] for at in range(len(step.ops))]


def check_answers(step: Step, model: Model, answers: list[dict[str, Any]]) -> None:
    """Let the model do what the step does, and compare what each says of every row."""
    assert len(answers) == len(step.ops)
    for places in changesets(step):
        ops = [_numbered(step.ops[at], answers[at]) for at in places]
        expected = model.together(ops)
        codes = [[e["code"] for e in answers[at]["userErrors"]] for at in places]
        if expected[0] is None:
            assert codes == [[]] * len(places)
            continue
        culprit = next(at for at, code in enumerate(expected) if code != "ROLLED_BACK")
        assert codes[culprit][0] == expected[culprit]
        assert all(code for code in codes)
        for result in codes:
            assert set(result) <= {expected[culprit], "ROLLED_BACK"}


def _numbered(op: Op | Journal, answer: dict[str, Any]) -> Op | Journal:
    """Put in the number that the upstream gave."""
    if not isinstance(op, Journal) or op.number is not None:
        return op
    row = answer["ledgerJournalHeader"]
    return Journal(row["journalBatchNumber"] if row else "(none)", op.text, op.currencies)


def check_rows(step: Step, model: Model, answers: list[dict[str, Any]]) -> None:
    """Compare the rows of payloads with the model's; those of earlier writes may be out of date by now."""
    for op, answer in zip(step.ops, answers, strict=True):
        done = not answer["userErrors"]
        if isinstance(op, Journal):
            row = answer["ledgerJournalHeader"]
            assert (row is not None) is done
            if row is not None:
                lines = tuple(n["currencyCode"] for n in row["ledgerJournalLine"]["nodes"])
                assert (row["description"], lines) == model.journals[row["journalBatchNumber"]]
        elif op.verb == "delete" or not done:
            assert answer["customerGroup"] is None
        elif sum(o.key == op.key for o in step.ops if isinstance(o, Op)) == 1:
            row = answer["customerGroup"]
            assert (row["description"], row["paymentTermId"]) == model.groups[op.key]


def check_database(over: Faulty, model: Model, before: int, numbers: Iterable[str]) -> None:
    """Compare all groups, the number of journals, and those with these numbers."""
    groups = {
        row["CustomerGroupId"]: (row["Description"], row["PaymentTermId"])
        for row in over.rows("CustomerGroups", dataAreaId="usmf")
        if row["CustomerGroupId"] in KEYS
    }
    assert groups == model.groups
    assert len(over.rows("LedgerJournalHeaders")) == before + len(model.journals)
    for number in numbers:
        text, currencies = model.journals[number]
        (header,) = over.rows("LedgerJournalHeaders", JournalBatchNumber=number, dataAreaId="usmf")
        lines = over.rows("LedgerJournalLines", JournalBatchNumber=number, dataAreaId="usmf")
        assert (header["Description"], tuple(r["CurrencyCode"] for r in lines)) == (
            text,
            currencies,
        )


pytestmark = pytest.mark.heavy
WITHOUT_EXPLAINING = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)


@pytest.fixture(scope="module")
def sandbox() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.1))


@pytest.fixture(scope="module")
def gateway(sandbox: Starlette) -> Gateway:
    return asyncio.run(assembled_over(sandbox))


async def walk(gateway: Gateway, sandbox: Starlette, steps: Sequence[Step]) -> None:
    model = Model()
    async with faulty(gateway, sandbox) as over:
        before = len(over.rows("LedgerJournalHeaders"))
        try:
            for step in steps:
                query, variables = operation(step)
                reported = await over.ask(query, **variables)
                assert reported.errors == []
                answers = payloads(step, reported)
                known = set(model.journals)
                check_answers(step, model, answers)
                check_rows(step, model, answers)
                check_database(over, model, before, model.journals.keys() - known)
            check_database(over, model, before, model.journals)
        finally:
            _clean(sandbox, model)


def _clean(sandbox: Starlette, model: Model) -> None:
    store = sandbox.state.store
    for key in KEYS:
        store.delete("CustomerGroups", CustomerGroupId=key)
    for number in (*NUMBERS, *model.journals):
        store.delete("LedgerJournalHeaders", JournalBatchNumber=number)
        store.delete("LedgerJournalLines", JournalBatchNumber=number)


@settings(max_examples=40, deadline=None, phases=WITHOUT_EXPLAINING)
@given(steps=st.lists(STEP, min_size=1, max_size=30))
def test_rows_and_answers_agree_with_a_model(
    gateway: Gateway, sandbox: Starlette, steps: list[Step]
) -> None:
    asyncio.run(walk(gateway, sandbox, steps))


@pytest.mark.parametrize("seed", range(bounded(1, 5)))
def test_rows_and_answers_agree_with_a_model_on_a_long_walk(
    gateway: Gateway, sandbox: Starlette, seed: int
) -> None:
    """Longer than Hypothesis walks, so that rows come and go many times."""
    chance = random.Random(seed)
    asyncio.run(walk(gateway, sandbox, [random_step(chance) for _ in range(200)]))


def random_step(chance: random.Random) -> Step:
    kind = chance.choice(("each", "atomic", "list", "list", "journal"))
    if kind == "journal":
        return Step(chance.choice(("each", "list")), (_random_journal(chance),))
    verbs = [chance.choice(sorted(BY_VERB)) for _ in range(chance.randint(1, 5))]
    if kind == "list":
        verbs = [verbs[0]] * len(verbs)
    return Step(kind, tuple(_random_op(verb, chance) for verb in verbs))


def _random_op(verb: str, chance: random.Random) -> Op:
    key = chance.choice(KEYS)
    if verb == "delete":
        return Op(verb, key)
    terms = chance.choice((None, *TERMS[:2], *TERMS))
    return Op(verb, key, chance.choice(TEXTS), terms)


def _random_journal(chance: random.Random) -> Journal:
    currencies = chance.choices(
        ("USD", "EUR", "no such currency"), (8, 8, 1), k=chance.randint(0, 3)
    )
    return Journal(chance.choice((None, *NUMBERS)), chance.choice(TEXTS), tuple(currencies))
