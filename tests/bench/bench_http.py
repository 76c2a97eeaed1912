"""The gateway over HTTP against a direct httpx call for the same rows; the upstream replays recorded bytes."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import httpx
import orjson

from tests.bench.measure import GC_FROZEN, PLAIN, Report, in_turn, ms, percent
from tests.bench.processes import gateway, running
from tests.bench.recording import CUSTOMER_VALUES, Case, record

ORDER_VALUES = (
    "dataAreaId salesOrderNumber salesOrderName orderingCustomerAccountNumber currencyCode"
    " invoiceCustomerAccountNumber paymentTermsName deliveryTermsCode deliveryModeCode"
    " defaultShippingSiteId defaultShippingWarehouseId customersOrderReference salesTaxGroupCode"
    " salesOrderStatus requestedShippingDate requestedReceiptDate orderCreationDateTime"
)
LINE_VALUES = (
    "lineNumber itemNumber lineDescription orderedSalesQuantity lineAmount salesUnitSymbol"
)
QUERIES = {
    "1 row x 10": "{ customersV3(first: 1) { nodes { %s } } }",
    "100 rows x 10": "{ customersV3(first: 100) { nodes { %s } } }",
    "1,000 rows, lines expanded": "{ salesOrderHeadersV2(first: 1000) { nodes { %s"
    " dimensionSet { displayValue } salesOrderLines(first: 50) { nodes { %s } } } } }",
}
SETTING = f"static upstream on loopback; gateway: {GC_FROZEN}"
STATIC = str(Path(__file__).with_name("static_upstream.py"))


def queries() -> dict[str, str]:
    one, hundred, thousand = QUERIES
    return {
        one: QUERIES[one] % CUSTOMER_VALUES,
        hundred: QUERIES[hundred] % CUSTOMER_VALUES,
        thousand: QUERIES[thousand] % (ORDER_VALUES, LINE_VALUES),
    }


async def over_http(quick: bool) -> list[Report]:
    """Measure latency against a direct call; what it costs under load is ``bench_load``'s."""
    latency = Report("http, latency", f"one request at a time; {SETTING}")
    with tempfile.TemporaryDirectory() as folder:
        cases = await record(Path(folder), queries())
        with running([sys.executable, STATIC, folder], os.environ) as upstream:
            origin = f"http://127.0.0.1:{upstream.line_with('')}"
            with gateway(D365_URL=f"{origin}/data", D365_AUTH="none") as (_, address):
                for case in cases:
                    await _latency(latency, case, address, origin, quick)
    latency.notes.append(
        "Latency: one httpx client, gateway (POST, JSON decoded) and upstream (GET, JSON decoded) in turn."
    )
    return [latency]


async def _latency(report: Report, case: Case, address: str, origin: str, quick: bool) -> None:
    rounds = (15 if quick else 50) if case.leaves > 10_000 else (60 if quick else 300)
    async with httpx.AsyncClient(timeout=30, headers=PLAIN) as client:

        async def ours() -> None:
            results = orjson.loads((await client.post(address, json={"query": case.query})).content)
            assert "errors" not in results, results["errors"]

        async def direct() -> None:
            orjson.loads((await client.get(origin + case.target)).content)

        results = await in_turn({"gateway": ours, "direct": direct}, rounds, warm=5)
    a, b = results["gateway"], results["direct"]
    report.add(
        case=case.name,
        leaves=case.leaves,
        p50_ms=ms(a.median),
        p95_ms=ms(a.at(0.95)),
        spread=percent(a.spread),
        direct_p50_ms=ms(b.median),
        direct_p95_ms=ms(b.at(0.95)),
        ratio_p50=round(a.median / b.median, 2),
        ratio_p95=round(a.at(0.95) / b.at(0.95), 2),
    )
