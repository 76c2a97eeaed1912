"""What a version of a model promises: its fields and values stay as they are, until the number rises.

``versions.json`` has what each version says. If this fails because something was added, write it anew with
``UPDATE_CASES=1``. If something was taken away or has another type, raise ``version`` in the mapping, too.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from schema.unified.load import product_models
from schema.unified.records import FieldSpec, ModelSpec

FILE = Path(__file__).with_name("versions.json")
MODELS = {model.namespace: model for model in product_models()}


def type_of(field: FieldSpec) -> str:
    if field.part == "dimensions":
        return "[DimensionValuePart]"
    is_list = field.many or bool(field.collect) or bool(field.highest)
    return (
        f"[{field.type}]" if is_list else f"{field.type}Connection" if field.paged else field.type
    )


def promise(model: ModelSpec) -> dict[str, Any]:
    types = {
        name: {
            "roots": [root for root in (spec.list, spec.single) if root],
            "fields": {field.name: type_of(field) for field in spec.fields.values()},
            "writes": [
                v for v in ("create", "update", "upsert", "delete") if getattr(spec.writes, v)
            ],
        }
        for name, spec in model.types.items()
    }
    enums = {name: list(enum.values) for name, enum in model.enums.items()}
    return {"version": model.version, "types": types, "enums": enums}


def broken(before: Any, now: Any, place: str = "") -> list[str]:
    """Return what is there no longer, or is something else."""
    if isinstance(before, dict):
        return [
            text
            for name, value in before.items()
            for text in (
                broken(value, now[name], f"{place}.{name}") if name in now else [f"{place}.{name}"]
            )
        ]
    if isinstance(before, list):
        return [f"{place}.{value}" for value in before if value not in now]
    return [] if before == now else [place]


@pytest.mark.parametrize("namespace", MODELS)
def test_a_version_keeps_what_it_says(namespace: str) -> None:
    now = promise(MODELS[namespace])
    promises = json.loads(FILE.read_text("utf-8"))
    before = promises.get(namespace, now)

    if before["version"] == now["version"]:
        assert broken(before, now) == []
    if "UPDATE_CASES" in os.environ:
        promises[namespace] = now
        FILE.write_text(json.dumps(promises, indent=1) + "\n", "utf-8")
    assert promises.get(namespace) == now, "write it anew with UPDATE_CASES=1"


def test_what_a_version_breaks_is_noticed() -> None:
    now = promise(MODELS["directory"])
    fields = dict(now["types"]["User"]["fields"], name="Int")
    del fields["title"]
    changed = {**now, "types": {**now["types"], "User": {**now["types"]["User"], "fields": fields}}}

    assert broken(now, changed) == [".types.User.fields.name", ".types.User.fields.title"]
