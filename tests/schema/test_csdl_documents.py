"""Real and reconstructed documents, read where they lie beside the project; nothing is copied."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schema.csdl import parse_csdl
from schema.model import ComplexType, EntityType, Model, OperationKind

DOCUMENTS = Path(__file__).resolve().parents[2] / "../shared/metadata"
FULL = "finops-full-reconstructed"

MEASURE = """
import gzip, re, sys, time
from schema.csdl import parse_csdl
with gzip.open(sys.argv[1]) as file:
    model = parse_csdl(file)
# not ru_maxrss: a child process inherits that of its parent
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
print(len(model.entity_sets), time.process_time(), peak)
"""


def path_of(name: str) -> Path:
    path = DOCUMENTS / f"{name}.xml.gz"
    if not path.exists():
        reason = f"the metadata documents are not beside the project: no {path.name}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def read(name: str) -> Model:
    with gzip.open(path_of(name)) as file:
        return parse_csdl(file, name=name)


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


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # one of the 2,059 enums is the AXType of the vocabulary schema in the same document
        (
            FULL,
            {
                "sets": 3868,
                "entity types": 3868,
                "enums": 2059,
                "properties": 67388,
                "navigations": 6806,
                "bindings": 6806,
                "actions": 3,
                "keyless": 7,
            },
        ),
        # 22 of the navigations are those of complex types; the 92 findings are bindings to a set "owners"
        (
            "dataverse-crm4-v9.1-2.4MB",
            {
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
        ),
        (
            "businesscentral-api-v2.0-common",
            {
                "sets": 87,
                "entity types": 87,
                "complex types": 4,
                "enums": 34,
                "properties": 1366,
                "navigations": 338,
                "actions": 21,
            },
        ),
        (
            "northwind-v4-davidmoten",
            {
                "sets": 26,
                "entity types": 26,
                "properties": 182,
                "navigations": 22,
                "bindings": 22,
            },
        ),
        (
            "trippin-rw-odata2ts",
            {
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
        ),
        (
            "finops-trimmed-essential",
            {
                "sets": 10,
                "entity types": 10,
                "enums": 6,
                "properties": 107,
                "actions": 1,
                "findings": 2,
            },
        ),
        (
            "finops-trimmed-finance_customersv3",
            {"sets": 2, "entity types": 2, "enums": 26, "properties": 311, "findings": 38},
        ),
        (
            "finops-trimmed-procurement",
            {
                "sets": 14,
                "entity types": 14,
                "enums": 23,
                "properties": 273,
                "navigations": 2,
                "bindings": 2,
                "findings": 1,
            },
        ),
        (
            "finops-trimmed-retail",
            {
                "sets": 19,
                "entity types": 19,
                "enums": 17,
                "properties": 257,
                "actions": 1,
                "findings": 12,
            },
        ),
    ],
)
def test_a_whole_document_is_read_to_the_last_property(name: str, expected: dict[str, int]) -> None:
    found = counts(read(name))

    assert {key: count for key, count in found.items() if count} == expected


def test_a_customer_of_finance_and_operations_is_read_with_its_annotations() -> None:
    model = read("finops-trimmed-finance_customersv3")

    of = {p.name: p for p in model.entity_types[model.entity_sets["CustomersV3"].type].properties}
    assert len(of) == 305
    assert model.key_of(model.entity_sets["CustomersV3"].type) == ("dataAreaId", "CustomerAccount")
    assert of["CustomerAccount"].ax_type == "String"
    assert of["CustomerAccount"].label is not None
    assert all("is left out: there is no entity set" in finding for finding in model.findings)


def test_derived_types_and_permissions_of_tripin_are_read() -> None:
    model = read("trippin-rw-odata2ts")

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


def test_the_whole_catalogue_is_read_in_seconds_and_little_memory() -> None:
    """In a process of its own, unpacking and interpreter included; the ceilings leave room for a busy machine."""
    command = [sys.executable, "-c", MEASURE, str(path_of(FULL))]
    root = Path(__file__).resolve().parents[2]

    answer = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)

    sets, seconds, kibibytes = answer.stdout.split()
    assert int(sets) == 3868
    assert float(seconds) < 15
    assert int(kibibytes) < 150 * 1024
