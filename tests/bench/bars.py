"""What was promised, beside what was measured. A bar that is missed fails nothing: it is printed as missed."""

from __future__ import annotations

import re

from tests.bench.measure import GC_FROZEN
from tests.bench.verdicts import Bar

SCHEMA, EXECUTION, HTTP = "schema", "execution", "over HTTP"
ENVIRONMENTS = "environments"
AT_16 = {"connections": 16}
SENT = {"way": "streamed"}
TO_JSON, ROWS = "to JSON read and written", {"rows": 500}

WARM, COLD = ({"what": re.compile(rf"\b{word}\b")} for word in ("warm", "cold"))
TOGETHER = "callers, policy, metrics, 1 % traces"
SANDBOX = {"what": "serve, sandbox"}
ALL_SETS = {"sets": lambda sets: sets is not None and sets > 3_800}

BARS = (
    Bar(
        "Under load",
        "reference reads at a ttl of 300 s, saved",
        0.9,
        "",
        "cache_mix",
        "saved",
        at_least=True,
    ),
    Bar(
        "Under load",
        "metrics and 1 % traces, to none",
        1.05,
        "x",
        "telemetry",
        "ratio",
        {"case": "100 rows x 10"},
    ),
    Bar("Under load", "telemetry itself", 40, "µs", "telemetry_parts", "cpu_us", {"part": "all"}),
    Bar("Under load", "pricing a list", 20, "µs", "cost_pricing", "median_us", {"case": "a list"}),
    Bar(
        "Under load",
        "estimated requests at p90, off by",
        0.2,
        "",
        "cost_accuracy",
        "p90",
        {"case": re.compile(r", warm$")},
    ),
    *(
        Bar(
            "Under load",
            f"capacity used, {what}",
            0.97,
            "",
            report,
            "attained",
            rows,
            at_least=True,
        )
        for report, what, rows in (
            ("overload", "simulated", {"way": "ours", "retry_after": None}),
            ("overload", "simulated, waits of 1 s", {"way": "ours", "retry_after": 1.0}),
            ("replicas", "four replicas, simulated", {"replicas": 4, "retry_after": None}),
        )
    ),
    Bar(
        "Under load",
        "four replicas over sockets, to a fixed 16",
        0.97,
        "",
        "replicas_sockets",
        "to_fixed",
        {"replicas": 4},
        at_least=True,
    ),
    Bar("Under load", "calls refused", 0.03, "", "overload", "refused", {"way": "ours"}),
    Bar("Under load", "calls refused, replicas", 0.03, "", "replicas", "refused", {"replicas": 4}),
    Bar(
        "Under load",
        "people beside an export, p95 to alone",
        1.3,
        "",
        "overload_lanes",
        "to_alone",
        {"what": "beside an export, lanes"},
    ),
    Bar("Under load", "admission of a request", 20, "us", "overload_cpu", "cpu_us"),
    # Schema at scale
    Bar(SCHEMA, "warm start, whole catalogue", 0.5, "s", "start", "seconds", WARM),
    Bar(SCHEMA, "warm start, peak", 75, "MiB", "start", "peak_mib", WARM),
    Bar(SCHEMA, "cold start, whole catalogue", 2.5, "s", "start", "seconds", COLD),
    Bar(SCHEMA, "cold start, peak", 150, "MiB", "start", "peak_mib", COLD),
    Bar(SCHEMA, "start with the sandbox", 0.5, "s", "start", "seconds", SANDBOX),
    Bar(SCHEMA, "a further worker, not shared", 35, "MiB", "start", "own_mib"),
    # A quick run touches a part: its memory says nothing of all.
    Bar(SCHEMA, "all sets touched, peak", 300, "MiB", "touch", "peak_mib", ALL_SETS),
    Bar(SCHEMA, "introspection, whole catalogue, CPU", 3, "s", "introspection", "cpu_s"),
    Bar(SCHEMA, "introspection, peak", 130, "MiB", "introspection", "peak_mib"),
    Bar(
        SCHEMA,
        "first touch of an entity, whole catalogue",
        5,
        "ms",
        "catalogues",
        "last_ms",
        {"step": "first touch of an entity"},
    ),
    *(
        Bar(
            SCHEMA,
            f"operation with an {what}, whole catalogue",
            10,
            "ms",
            "catalogues",
            "last_ms",
            {"step": what},
        )
        for what in ("unknown field at the root", "unknown field of an entity")
    ),
    *(
        Bar(
            SCHEMA,
            f"{what}, whole catalogue",
            limit,
            unit,
            "policy",
            column,
            {"step": "a role's first operation"},
        )
        for what, limit, unit, column in (
            ("first operation of a role with rules", 10, "ms", "median_ms"),
            ("100 roles with rules, more memory", 20, "MiB", "more_mib"),
        )
    ),
    # Many environments
    *(
        Bar(ENVIRONMENTS, what, limit, unit, report, column, rows)
        for what, limit, unit, report, column, rows in (
            (
                "registered and idle, each",
                1,
                "MiB",
                "environments",
                "each",
                {"state": "registered"},
            ),
            ("idle again after use, each", 1, "MiB", "environments", "each", {"state": "closed"}),
            (
                "50 in use, whole catalogue",
                1_024,
                "MiB",
                "environments",
                "fifty",
                {"state": "in use"},
            ),
            ("first query of an idle one, CPU", 300, "ms", "first_query", "cpu_ms", {}),
            ("own environment beside 1,000, to alone", 1.05, "x", "own_path", "ratio", {}),
            ("p95 beside a loaded neighbour, to alone", 1.1, "x", "neighbour", "ratio", {}),
        )
    ),
    # Execution
    Bar(
        EXECUTION,
        "1,000 rows x 50 expanded, to the floor",
        0.9,
        "x",
        "execute",
        "ratio",
        {"shape": "expanded", "gc": GC_FROZEN},
    ),
    Bar(
        EXECUTION,
        "the same with cleaned values",
        1.2,
        "x",
        "execute",
        "ratio",
        {"shape": "cleaned", "gc": GC_FROZEN},
    ),
    Bar(
        EXECUTION,
        "the same by key batches",
        1.5,
        "x",
        "execute",
        "ratio",
        {"shape": "key batches", "gc": GC_FROZEN},
    ),
    *(
        Bar(
            EXECUTION,
            f"unified list, {shape}, to written by hand",
            1.3,
            "x",
            "unified",
            "ratio",
            {"shape": shape},
        )
        for shape in ("expanded", "key batches")
    ),
    *(
        Bar(topic, what, limit, "x", report, column, rows)
        for topic, what, limit, report, column, rows in (
            (
                EXECUTION,
                f"5 levels x 100 rows by key batches, {TO_JSON}",
                1.2,
                "deep",
                "ratio",
                ROWS,
            ),
            (
                HTTP,
                "waiting at 64 connections, p99 to p50",
                2,
                "tails",
                "p99_to_p50",
                {"what": re.compile("^this gateway")},
            ),
        )
    ),
    *(
        Bar(EXECUTION, what, limit, "ms", "documents", "median_ms", {"step": re.compile(step)})
        for what, limit, step in (
            ("new operation of 60 fields", 0.8, "new document"),
            ("cached operation until its first request is sent", 0.2, "until the first request"),
        )
    ),
    *(
        Bar(EXECUTION, what, 0.7, "x", "new_documents", "left", rows, at_least=True)
        for what, rows in (
            (f"time left by 1,000 a second with {kind}, 10 fields", {"fields": 10, "kind": kind})
            for kind in ("new variables", "a new literal", "a new alias", "new columns")
        )
    ),
    Bar(
        EXECUTION,
        "1,000 keys through the loaders, beside printing their addresses",
        1,
        "ms",
        "loaders",
        "overhead_ms",
        {"keys": 1_000, "longest_address": 2_000},
    ),
    Bar(
        HTTP,
        "identity and view of a warm caller, a request",
        50,
        "µs",
        "identity",
        "median_us",
        {"case": "warm caller"},
    ),
    Bar(
        HTTP,
        "requests for tokens on behalf of each of 10,000 callers",
        1,
        "per token life",
        "on_behalf",
        "requests_per_caller",
    ),
    *(
        Bar(HTTP, f"gateway CPU for {case}", limit, "ms", "load", "cpu_ms", {"case": case, **AT_16})
        for case, limit in (("1 row x 10", 0.8), ("100 rows x 10", 2.5), ("1,000 rows x 50", 25))
    ),
    *(
        Bar(
            HTTP,
            f"gateway CPU for a row of an export, {form}",
            10,
            "µs",
            "export",
            "us_per_row",
            {"format": form},
        )
        for form in ("ndjson", "parquet")
    ),
    *(
        Bar(
            HTTP,
            f"resident memory of an export, {form}",
            100,
            "MiB",
            "export",
            "peak",
            {"format": form},
        )
        for form in ("ndjson", "csv", "parquet", "arrow")
    ),
    *(
        Bar(
            HTTP,
            f"{what} of an export by data packages, {form}",
            limit,
            unit,
            "export_package",
            column,
            {"format": form},
        )
        for form in ("ndjson", "parquet")
        for what, limit, unit, column in (
            ("gateway CPU for a row", 10, "µs", "us_per_row"),
            ("resident memory", 100, "MiB", "peak"),
        )
    ),
    Bar(
        HTTP,
        "memory of an export, to that of its beginning (our own: flat)",
        1.15,
        "x",
        "export",
        "growth",
    ),
    Bar(
        HTTP,
        "pace of exports, to that of a service alone with 20,000 rows/s",
        0.9,
        "x",
        "export_pace",
        "of_service",
        at_least=True,
    ),
    Bar(
        EXECUTION,
        "exponent of growth over rows, fields, aliases (our own: linear)",
        1.25,
        "",
        "growth",
        "last",
    ),
    *(
        Bar(topic, f"exponent of growth over {what} (our own: linear)", 1.25, "", report, "last")
        for topic, what, report in (
            (SCHEMA, "sets, to 8,000", "catalogues"),
            (ENVIRONMENTS, "environments and subscriptions, to 500 and 1,000", "crowds"),
        )
    ),
    *(
        Bar(
            HTTP,
            f"{case} to {peer}, in this run",
            least,
            "x",
            "peers_ratios",
            "ratio",
            {"case": case, "peer": peer, "what": "this gateway"},
            at_least=True,
        )
        for case, peer, least in (
            ("1 row x 10", "bytes handed on", 0.65),
            ("100 rows x 10", "JSON read and written", 0.9),
            ("1,000 rows x 50", "JSON read and written", 1.3),
            ("100 rows x 10", "GraphQL Mesh", 6),
            ("100 rows x 10", "stock Strawberry, no upstream", 10),
        )
    ),
    *(
        Bar(HTTP, f"{TOGETHER}: {what}", limit, unit, "layers_together", column, at_least=at_least)
        for what, limit, unit, column, at_least in (
            ("to without", 0.85, "x", "ratio", True),
            ("CPU of a request", 60, "µs", "together_us", False),
        )
    ),
    *(
        Bar(
            HTTP, f"10,000 rows x 50 while they are read, {what}", limit, unit, "wide", column, SENT
        )
        for what, limit, unit, column in (
            ("first byte after the upstream's", 50, "ms", "first_ms"),
            ("more memory", 20, "MiB", "more_mib"),
        )
    ),
    Bar(
        HTTP,
        "another request while 10,000 rows x 50 are answered",
        50,
        "ms",
        "waiting",
        "longest_ms",
    ),
    Bar(
        HTTP,
        "memory of later waves of 100 answers, to the second (our own: bounded)",
        1.15,
        "x",
        "memory",
        "to_second",
    ),
    Bar(
        HTTP,
        "two workers to one, requests a second as measured",
        1.8,
        "x",
        "workers",
        "to_one",
        {"workers": 2},
        at_least=True,
    ),
    Bar(
        HTTP,
        "two workers to one, by the CPU of a request (our own)",
        1.8,
        "x",
        "workers",
        "capacity",
        {"workers": 2},
        at_least=True,
    ),
    Bar(
        HTTP,
        "two workers, of what the cores leave them (our own)",
        0.85,
        "x",
        "workers",
        "of_possible",
        {"workers": 2},
        at_least=True,
    ),
)
