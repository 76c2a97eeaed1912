"""A peer: Strawberry as its documentation shows it, plain resolvers over the rows of ``workload``, held in memory.

``python -m tests.bench.stock_strawberry`` prints its port. It speaks the same GraphQL as the gateway does for these
rows, and has no upstream at all: what it takes is the execution and HTTP alone.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import strawberry
import uvicorn
from strawberry.asgi import GraphQL

from gateway.process.garbage_collection import freeze
from tests.bench.workload import CUSTOMER, LINE_VALUES, PLAIN, Column, answer

ROWS = 1_000
PYTHON = {"Edm.String": str, "Edm.Decimal": Decimal, "Edm.Int32": int}


def made(name: str, columns: tuple[Column, ...], **more: type) -> type:
    """Make a Strawberry type as if it were written by hand: a field for each column."""
    fields = {column.graphql: PYTHON[column.type] for column in columns}
    space = {"__annotations__": {**fields, **more}, "__module__": __name__}
    return strawberry.type(type(name, (), space))


def rows() -> list[dict[str, Any]]:
    """Return the upstream's rows, customer and lines within; decimals are exact."""
    selects = [",".join(c.name for c in columns) for columns in (PLAIN, CUSTOMER, LINE_VALUES)]
    below = f"Customer($select={selects[1]}),Lines($select={selects[2]})"
    url = f"Orders?$select={selects[0]}&$expand={below}&$top={ROWS}"
    rows: list[dict[str, Any]] = json.loads(answer(url), parse_float=Decimal)["value"]
    return rows


def schema() -> strawberry.Schema:
    """Build the schema over the rows."""
    customer = made("Customer", CUSTOMER)
    line = made("Line", LINE_VALUES)
    lines = made("LineConnection", (), nodes=list[line])  # type: ignore[valid-type]

    def lines_of(self: Any, first: int = 50) -> Any:
        return lines(nodes=self.all_lines[:first])

    order = type(
        "Order",
        (),
        {
            "__annotations__": {
                **{c.graphql: PYTHON[c.type] for c in PLAIN},
                "customer": customer,
                "all_lines": strawberry.Private[list],
            },
            "lines": strawberry.field(resolver=lines_of, graphql_type=lines),
        },
    )
    order = strawberry.type(order)
    orders = made("OrderConnection", (), nodes=list[order])  # type: ignore[valid-type]
    held = [
        order(
            **_values(PLAIN, row),
            customer=customer(**_values(CUSTOMER, row["Customer"])),
            all_lines=[line(**_values(LINE_VALUES, found)) for found in row["Lines"]],
        )
        for row in rows()
    ]

    def all_orders(first: int = 50) -> Any:
        return orders(nodes=held[:first])

    query = type(
        "Query", (), {"orders": strawberry.field(resolver=all_orders, graphql_type=orders)}
    )
    return strawberry.Schema(query=strawberry.type(query))


def _values(columns: tuple[Column, ...], row: Mapping[str, Any]) -> dict[str, Any]:
    return {c.graphql: PYTHON[c.type](row[c.name]) for c in columns}


async def main() -> None:
    app = GraphQL[None, None](schema())
    config = uvicorn.Config(
        app, log_config=None, access_log=False, log_level="warning", lifespan="off"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        freeze()
        print(listener.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    with asyncio.Runner(
        loop_factory=uvicorn.Config(f"{__name__}:main").get_loop_factory()
    ) as runner:
        runner.run(main())
