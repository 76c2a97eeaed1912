"""Whole documents are read to the last property: our own, the generated catalogue, and real ones where they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from schema.model.records import ComplexType, EntityType, Model, OperationKind
from tests.support.metadata_documents import (
    BOOKKEEPING,
    CUSTOMERS,
    REAL_CATALOGUE,
    RELATIONSHIPS,
    TRADERS,
    TRIPS,
    catalogues,
    found,
    model_of,
    path_of,
)
from tests.support.soak import bounded

MEASURE = """
import gzip, re, sys, time
from schema.csdl.parse import parse_csdl
with gzip.open(sys.argv[1]) as file:
    model = parse_csdl(file)
# not ru_maxrss: a child process inherits that of its parent
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
print(len(model.entity_sets), time.process_time(), peak)
"""


def counts(model: Model) -> dict[str, int]:
    structured: list[EntityType | ComplexType] = [
        *model.entity_types.values(),
        *model.complex_types.values(),
    ]
    return {
        "sets": len(model.entity_sets),
        "singletons": len(model.singletons),
        "entity types": len(model.entity_types),
        "complex types": len(model.complex_types),
        "enums": len(model.enum_types),
        "properties": sum(len(t.properties) for t in structured),
        "navigations": sum(len(t.navigations) for t in structured),
        "bindings": sum(len(s.bindings) for s in model.entity_sets.values()),
        "actions": sum(o.kind is OperationKind.ACTION for o in model.operations),
        "functions": sum(o.kind is OperationKind.FUNCTION for o in model.operations),
        "imports": len(model.imports),
        "keyless": sum(not model.key_of(s.type) for s in model.entity_sets.values()),
        "findings": len(model.findings),
    }


OWN: dict[str, dict[str, int]] = {
    TRADERS: {
        "sets": 11,
        "entity types": 11,
        "properties": 50,
        "navigations": 20,
        "bindings": 20,
    },
    TRIPS: {
        "sets": 4,
        "singletons": 1,
        "entity types": 9,
        "complex types": 4,
        "enums": 1,
        "properties": 38,
        "navigations": 8,
        "bindings": 6,
        "actions": 2,
        "functions": 4,
        "imports": 2,
    },
    BOOKKEEPING: {
        "sets": 13,
        "entity types": 13,
        "complex types": 1,
        "enums": 5,
        "properties": 86,
        "navigations": 24,
        "bindings": 24,
        "actions": 4,
    },
    # three of the navigations are those of complex types; the findings are bindings to a set "owners"
    RELATIONSHIPS: {
        "sets": 11,
        "entity types": 14,
        "complex types": 6,
        "enums": 2,
        "properties": 72,
        "navigations": 27,
        "bindings": 26,
        "actions": 4,
        "functions": 3,
        "imports": 5,
        "findings": 3,
    },
}
REAL = {
    # one of the 2,059 enums is the AXType of the vocabulary schema in the same document; in Dataverse's, 22 of the
    # navigations are those of complex types, and the 92 findings are bindings to a set "owners"
    REAL_CATALOGUE: {
        "sets": 3868,
        "entity types": 3868,
        "enums": 2059,
        "properties": 67388,
        "navigations": 6806,
        "bindings": 6806,
        "actions": 3,
        "keyless": 7,
    },
    "dataverse-crm4-v9.1-2.4MB": {
        "sets": 269,
        "entity types": 299,
        "complex types": 349,
        "enums": 51,
        "properties": 8321,
        "navigations": 4936,
        "bindings": 4725,
        "actions": 184,
        "functions": 198,
        "imports": 202,
        "findings": 92,
    },
    "businesscentral-api-v2.0-common": {
        "sets": 87,
        "entity types": 87,
        "complex types": 4,
        "enums": 34,
        "properties": 1366,
        "navigations": 338,
        "actions": 21,
    },
    "northwind-v4-davidmoten": {
        "sets": 26,
        "entity types": 26,
        "properties": 182,
        "navigations": 22,
        "bindings": 22,
    },
    "trippin-rw-odata2ts": {
        "sets": 4,
        "singletons": 1,
        "entity types": 9,
        "complex types": 4,
        "enums": 1,
        "properties": 39,
        "navigations": 8,
        "bindings": 6,
        "actions": 2,
        "functions": 4,
        "imports": 2,
    },
    "finops-trimmed-essential": {
        "sets": 10,
        "entity types": 10,
        "enums": 6,
        "properties": 107,
        "actions": 1,
        "findings": 2,
    },
    "finops-trimmed-finance_customersv3": {
        "sets": 2,
        "entity types": 2,
        "enums": 26,
        "properties": 311,
        "findings": 38,
    },
    "finops-trimmed-procurement": {
        "sets": 14,
        "entity types": 14,
        "enums": 23,
        "properties": 273,
        "navigations": 2,
        "bindings": 2,
        "findings": 1,
    },
    "finops-trimmed-retail": {
        "sets": 19,
        "entity types": 19,
        "enums": 17,
        "properties": 257,
        "actions": 1,
        "findings": 12,
    },
}


@pytest.mark.heavy
@pytest.mark.parametrize("name", [*OWN, *found(*REAL)])
def test_a_whole_document_is_read_to_the_last_property(name: str) -> None:
    seen = counts(model_of(name))

    assert {key: count for key, count in seen.items() if count} == {**OWN, **REAL}[name]


def test_a_finops_customer_is_read_with_its_annotations() -> None:
    model = model_of(CUSTOMERS)

    of = {p.name: p for p in model.entity_types[model.entity_sets["CustomersV3"].type].properties}
    assert len(of) == 305
    assert model.key_of(model.entity_sets["CustomersV3"].type) == ("dataAreaId", "CustomerAccount")
    assert of["CustomerAccount"].ax_type == "String"
    assert of["CustomerAccount"].label is not None
    assert all("is left out: there is no entity set" in finding for finding in model.findings)


def test_derived_types_and_permissions_of_tripin_are_read() -> None:
    model = model_of(TRIPS)

    namespace = model.namespace
    flight = f"{namespace}.Flight"
    assert [n.name for n in model.navigations_of(flight)] == ["From", "To", "Airline"]
    assert model.key_of(flight) == ("PlanItemId",)
    assert model.entity_sets["People"].bindings[f"{flight}/Airline"] == "Airlines"
    assert not model.entity_types[f"{namespace}.Person"].properties[0].allow_edit
    assert {o.bound_to.name for o in model.operations if o.bound_to} == {
        f"{namespace}.Person",
        f"{namespace}.Trip",
    }


@pytest.mark.parametrize("name", catalogues(*bounded((), (REAL_CATALOGUE,))))
def test_the_whole_catalogue_is_read_in_seconds_and_little_memory(name: str) -> None:
    """In a process of its own, unpacking and interpreter included; the ceilings leave room for a busy machine."""
    command = [sys.executable, "-c", MEASURE, str(path_of(name))]
    root = Path(__file__).resolve().parents[4]

    answer = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)

    sets, seconds, kibibytes = answer.stdout.split()
    assert int(sets) == 3868
    assert float(seconds) < 15
    assert int(kibibytes) < 150 * 1024
