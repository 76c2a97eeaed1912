"""The catalogue's size: what a start from a snapshot, a first touch and a mistake cost with 50 to 8,000 sets."""

from __future__ import annotations

import asyncio
import gc
import gzip
import time
from contextlib import suppress
from dataclasses import replace
from itertools import count

from msgspec import structs

from gateway.config.settings import Settings
from gateway.documents.refusal import OperationRefused
from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import make_catalog
from gateway.odata.finops import FINOPS
from gateway.process.garbage_collection import paused
from gateway.request import GraphQLRequest
from gateway.storage.model_snapshots import open_anonymous
from schema.catalog import Catalog
from schema.csdl.parse import parse_csdl
from schema.model.exposure import expose
from schema.model.records import Model
from schema.types.build import build_schema
from tests.bench import whole
from tests.bench.bench_growth import NOTES, grown
from tests.bench.measure import Report, Sample, frozen_gc, ms, percent
from tests.bench.workload import Service

SIZES = (50, 500, 2_000)
"""Beside the whole; slices by initial letters have a few more."""
LARGEST = 8_000
"""More than any environment has: the whole, and copies of its sets and their types beside it."""
TOUCHED = 20


async def catalogues(quick: bool) -> list[Report]:
    """Measure over slices of the full-size document; quick leaves the one of 2,000 sets out."""
    report = Report("catalogues", "slices of the full-size document, from a snapshot; CPU time")
    content = await asyncio.to_thread(lambda: gzip.decompress(whole.source().read_bytes()))
    started = time.process_time()
    model = parse_csdl(content, name=whole.source().name)
    report.notes.append(f"Parsing all of it once: {time.process_time() - started:.2f} s.")
    slices = [part(model, size) for size in (SIZES[:2] if quick else SIZES)]
    slices += [model, enlarged(model, LARGEST)]
    sizes = [len(found.entity_sets) for found in slices]
    measured = [costs(found) for found in slices]
    for step in measured[0]:
        samples = [found[step] for found in measured]
        seconds = [sample.median for sample in samples]
        report.add(
            step=step,
            **grown(sizes, seconds),
            last_ms=ms(seconds[-1]),
            spread=percent(samples[-1].spread),
            worst_ms=ms(max(samples[-1].values)),
        )
    report.notes += [*NOTES, f"last_ms, worst_ms: median and worst with {LARGEST:,} sets."]
    return [report]


def part(model: Model, size: int) -> Model:
    """Keep about so many entity sets, and what they refer to."""
    names = sorted(model.entity_sets)
    if size <= 100:
        return expose(model, include=tuple(names[:size]), exclude=())
    # By letters: thousands of exact names are matched one by one.
    letters = "".join(dict.fromkeys(name[0] for name in names))
    for end in range(1, len(letters)):
        kept = [name for name in names if name[0] in letters[:end]]
        if len(kept) >= size:
            return expose(model, include=(f"[{letters[:end]}]*",), exclude=())
    return model


def enlarged(model: Model, size: int) -> Model:
    """Return a model with copies of sets and of their types, until there are so many sets."""
    sets, types = dict(model.entity_sets), dict(model.entity_types)
    for number in count(2):
        for original in model.entity_sets.values():
            if len(sets) >= size:
                return replace(model, entity_sets=sets, entity_types=types)
            kind = structs.replace(
                model.entity_types[original.type], name=f"{original.type}Copy{number}"
            )
            copied = structs.replace(original, name=f"{original.name}Copy{number}", type=kind.name)
            sets[copied.name], types[kind.name] = copied, kind
    raise AssertionError


def costs(model: Model) -> dict[str, Sample]:
    """Return the seconds of each step with this model."""
    settings = Settings()
    read = make_catalog(settings, model, FINOPS, {})
    # Made here: with the catalogue that is measured, they would be what touches its entities first.
    texts, naming = lists(read, TOUCHED), read.naming()
    opened = open_anonymous(b"bench", model, b"")
    assert opened is not None
    # As in a start: the collector rests, then puts aside what is there.
    gc.collect()
    with paused():
        started = time.process_time()
        catalog = make_catalog(settings, opened.model, FINOPS, {}, naming)
        schema = build_schema(catalog, LoadedResolvers(catalog))
        engine = Engine(schema, Service(), FINOPS, ExecutionSettings(), lambda _: None)
        built = time.process_time() - started
    with frozen_gc():
        return {"catalogue and schema": Sample((built,)), **touches(engine, texts)}


def touches(engine: Engine, texts: list[str]) -> dict[str, Sample]:
    """Return the seconds of first touches, and of operations that hold a mistake."""
    touched = [ready(engine, text) for text in texts]
    unknown = [ready(engine, f"{{ customrsV{i} {{ nodes {{ id }} }} }}") for i in range(9)]
    wrong = (text.replace("{ nodes {", f"{{ nodes {{ nme{i}") for i, text in enumerate(texts[:9]))
    nested = [ready(engine, text) for text in wrong]
    return {
        "first query of all": Sample((touched[0],)),
        "first touch of an entity": Sample(tuple(touched[1:])),
        "unknown field at the root": Sample(tuple(unknown)),
        "unknown field of an entity": Sample(tuple(nested)),
    }


def lists(catalog: Catalog, most: int) -> list[str]:
    """Write queries of ten fields for lists that are spread over the catalogue."""
    items = [r for r in catalog.roots.values() if r.kind.name == "LIST"]
    step = max(1, len(items) // most)
    texts = []
    for root in items[::step][:most]:
        fields = [f.name for f in catalog.object(root.csdl).fields.values() if f.value is not None]
        texts.append(f"{{ {root.name}(first: 1) {{ nodes {{ {' '.join(fields[:10])} }} }} }}")
    return texts


def ready(engine: Engine, text: str) -> float:
    started = time.process_time()
    with suppress(OperationRefused):
        engine.plan(engine.read(GraphQLRequest(query=text)))
    return time.process_time() - started
