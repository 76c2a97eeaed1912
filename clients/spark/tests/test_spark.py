"""Lists and their changes in Spark, row by row as the gateway exports them: executors in processes of their own."""

from __future__ import annotations

import datetime
import io
import re
import sys
from contextlib import redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import unquote

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import Row

from served_gateway import Gateway

FIELDS = (
    "dataAreaId,customerAccount,creditLimit,onHoldStatus,isOneTimeCustomer,addressValidFrom,"
    "customerGroup{description}"
)


def load(spark: SparkSession, gateway: Gateway, **options: Any) -> DataFrame:
    reader = spark.read.format("d365").option("url", gateway.url)
    return reader.options(**{"set": "CustomersV3", "profile": "small", **options}).load()


def as_exported(row: Row) -> dict[str, Any]:
    """Return a row with the values that NDJSON has, and decimals."""
    values: dict[str, Any] = {}
    for name, value in row.asDict().items():
        exported = value.isoformat() if isinstance(value, datetime.date) else value
        if isinstance(value, datetime.datetime):
            exported += "Z"
        first, _, rest = name.partition(".")
        if rest:
            values.setdefault(first, {})[rest] = exported
        else:
            values[name] = exported
    return values


def exported(gateway: Gateway, fields: str = FIELDS, **parameters: str) -> list[dict[str, Any]]:
    rows = gateway.rows("CustomersV3", fields=fields, **parameters)
    return [{**row, "creditLimit": Decimal(row["creditLimit"])} for row in rows]


def lists(gateway: Gateway) -> list[str]:
    """Return the upstream requests for customers since the last time, without their address."""
    urls = [unquote(request["url"]) for request in gateway.sent()]
    return [url.partition("/data/")[2] for url in urls if "/data/CustomersV3" in url]


@pytest.fixture(scope="module")
def whole(spark: SparkSession, gateway: Gateway) -> DataFrame:
    """All customers, read once."""
    return load(spark, gateway, select=FIELDS, rowsPerPartition=100).cache()


def test_rows_and_types_are_those_of_the_export(
    spark: SparkSession, gateway: Gateway, whole: DataFrame
) -> None:
    gateway.sent()
    rows = whole.collect()
    sent = lists(gateway)

    assert [as_exported(row) for row in rows] == exported(gateway)
    assert dict(whole.dtypes) == {
        "dataAreaId": "string",
        "customerAccount": "string",
        "creditLimit": "decimal(38,16)",
        "onHoldStatus": "string",
        "isOneTimeCustomer": "boolean",
        "addressValidFrom": "timestamp",
        "customerGroup.description": "string",
    }
    # Three places and three parts, of two pages each: all but the last are one row short of 100.
    places = [url for url in sent if "$skip=" in url]
    assert (len(rows), len(places), len(sent) - len(places)) == (252, 3, 6)


def test_a_schema_of_fewer_columns_reads_those(spark: SparkSession, gateway: Gateway) -> None:
    frame = (
        spark.read.format("d365")
        .schema("creditLimit decimal(38,16), `customerGroup.description` string")
        .options(url=gateway.url, set="CustomersV3", companies="usmf")
        .options(where='{"customerAccount": {"startsWith": "US-00"}}')
        .load()
    )
    gateway.sent()
    rows = frame.collect()
    sent = lists(gateway)

    parameters = {"companies": "usmf", "where": '{"customerAccount":{"startsWith":"US-00"}}'}
    fields = "creditLimit,customerGroup{description}"
    assert [as_exported(row) for row in rows] == exported(gateway, fields, **parameters)
    assert 0 < len(rows) < 20
    place, page = sent
    assert "$skip=99999" in place
    assert "CreditLimit" in page
    assert "OnHoldStatus" not in page
    assert "$filter=dataAreaId eq '…' and CustomerAccount eq '…'" in page


@pytest.mark.parametrize(
    ("condition", "passed_on"),
    [
        # The gateway answers it whole.
        (
            "creditLimit > 50000 AND onHoldStatus = 'NO'",
            "CreditLimit gt 50000 and OnHoldStatus eq ",
        ),
        # Upstream all match, as texts compare without case: Spark tests them again.
        ("customerAccount LIKE 'us-0%'", "CustomerAccount eq '…'"),
        (
            "addressValidFrom < TIMESTAMP '2020-01-01 00:00:00' AND creditLimit <> 0",
            " and CreditLimit ne ",
        ),
        ("customerAccount LIKE 'US-00%' OR creditLimit = 0", None),
    ],
)
def test_filters_that_are_passed_on_lose_no_row(
    spark: SparkSession,
    gateway: Gateway,
    whole: DataFrame,
    condition: str,
    passed_on: str | None,
) -> None:
    frame = load(spark, gateway, select=FIELDS, pushdown=True, partitions=2).where(condition)
    gateway.sent()
    rows = frame.collect()
    # The first request counts the rows.
    counted, *_ = lists(gateway)

    assert rows == whole.where(condition).collect()
    assert counted.startswith("CustomersV3/$count")
    if passed_on is None:
        assert "$filter" not in counted
    else:
        assert passed_on in counted


def test_explanations_show_filters_and_no_secret(spark: SparkSession, gateway: Gateway) -> None:
    for secret in ("token", "apiKey"):
        options = {secret: "sesame-open", "select": "creditLimit", "pushdown": True}
        frame = load(spark, gateway, **options).where("creditLimit > 1000 AND creditLimit <> 1500")
        text = io.StringIO()
        with redirect_stdout(text):
            frame.explain("formatted")
            frame.explain(extended=True)
            print(frame._jdf.queryExecution(), frame)
        assert "PushedFilters: [GreaterThan(creditLimit,1000" in text.getvalue()
        assert "NOT (creditLimit#" in text.getvalue()
        assert "sesame" not in text.getvalue()


def test_spark_still_mixes_up_filters_of_one_load(spark: SparkSession, gateway: Gateway) -> None:
    # Therefore `pushdown` is off by default. Once Spark is mended, its default and docs/data/spark.md can be changed.
    frame = load(spark, gateway, select="creditLimit", pushdown=True)
    few = frame.where("creditLimit > 50000").count()

    assert frame.count() == few < 252


def test_errors_name_the_list_and_the_hint(spark: SparkSession, gateway: Gateway) -> None:
    with pytest.raises(Exception, match="CustomerV3 has no field creditLimitt"):
        load(spark, gateway, select="creditLimitt")


def test_the_documentation_reads_filters_and_follows(
    spark: SparkSession, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[3] / "docs/data/spark.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    reading, filtering, following, merging = (
        block.replace("https://gateway.contoso.example", gateway.url) for block in blocks
    )
    dbutils = Mock()
    dbutils.secrets.get.return_value = "d365_key"
    names: dict[str, Any] = {"spark": spark, "dbutils": dbutils}
    exec(reading + filtering + following, names)

    few = exported(gateway, where='{"creditLimit":{"gt":"1000"}}')
    assert [row["customerAccount"] for row in names["customers"].collect()] == [
        row["customerAccount"] for row in few
    ]
    assert names["large"].count() == sum(
        row["creditLimit"] > 50000 and row["onHoldStatus"] == "NO" for row in exported(gateway)
    )
    assert names["changes"].isStreaming
    assert names["changes"].columns[:3] == ["_id", "_change_type", "dataAreaId"]

    # Delta is not installed: what is called, as far as that goes.
    delta = Mock()
    monkeypatch.setitem(sys.modules, "delta", delta)
    monkeypatch.setitem(sys.modules, "delta.tables", delta.tables)
    names["changes"] = Mock()
    exec(merging, names)
    names["changes"].writeStream.foreachBatch.assert_called_once_with(names["merge"])
    names["merge"](Mock(columns=["_id", "_change_type", "a.b"]), 0)
    merge = delta.tables.DeltaTable.forName.return_value.alias.return_value.merge
    assert merge.call_args.args[1] == "t._id = s._id"
    update = merge.return_value.whenMatchedDelete.return_value.whenMatchedUpdate
    update.assert_called_once_with(set={"_id": "s.`_id`", "a.b": "s.`a.b`"})


class Table:
    """A table by id, as users merge micro-batches into theirs; it can fail in the middle."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.batches: list[dict[str, str]] = []
        self.fails = False

    def merge(self, batch: DataFrame, _number: int) -> None:
        rows = batch.collect()
        self.batches.append({row["_id"]: row["_change_type"] for row in rows})
        for row in rows:
            if row["_change_type"] in ("DELETED", "FILTERED"):
                assert row["creditLimit"] is None
                self.rows.pop(row["_id"], None)
            else:
                values = as_exported(row)
                self.rows[values.pop("_id")] = values
                del values["_change_type"]
        if self.fails:
            raise RuntimeError("The table is away.")


def follow(spark: SparkSession, gateway: Gateway, table: Table, folder: Path) -> None:
    """Bring a table up to date."""
    changes = (
        spark.readStream.format("d365")
        .options(url=gateway.url, set="CustomersV3", profile="small", changes="true")
        .options(select=FIELDS, companies="usmf,demf", rowsPerBatch=60)
        .load()
    )
    writer = changes.writeStream.foreachBatch(table.merge).trigger(availableNow=True)
    query = writer.option("checkpointLocation", str(folder)).start()
    try:
        query.awaitTermination()
    finally:
        query.stop()


def set_limit(gateway: Gateway, account: str, limit: str) -> None:
    key = f'{{dataAreaId: "demf", customerAccount: "{account}"}}'
    patch = f'{{creditLimit: "{limit}"}}'
    document = (
        f"mutation {{ updateCustomerV3(key: {key}, patch: {patch}) {{ userErrors {{ code }} }} }}"
    )
    assert gateway.run(document) == {"updateCustomerV3": {"userErrors": []}}


def delete(gateway: Gateway, account: str) -> bool:
    """Return whether a customer could be deleted: those with orders cannot."""
    key = f'{{dataAreaId: "demf", customerAccount: "{account}"}}'
    document = f"mutation {{ deleteCustomerV3(key: {key}) {{ userErrors {{ code }} }} }}"
    return gateway.run(document) == {"deleteCustomerV3": {"userErrors": []}}


def test_a_stream_follows_the_list(spark: SparkSession, gateway: Gateway, tmp_path: Path) -> None:
    table = Table()
    follow(spark, gateway, table, tmp_path / "checkpoint")

    def expected() -> dict[str, dict[str, Any]]:
        rows = exported(gateway, f"id,{FIELDS}", companies="usmf,demf")
        return {row.pop("id"): row for row in rows}

    first = expected()
    assert table.rows == first
    assert len(table.batches) > 1
    assert {kind for batch in table.batches for kind in batch.values()} == {"CHANGED"}

    accounts = [row["customerAccount"] for row in first.values() if row["dataAreaId"] == "demf"]
    changed, *others = accounts
    set_limit(gateway, changed, "12.5")
    assert any(delete(gateway, account) for account in reversed(others))

    # The batch was stored, and Spark does not know it: it comes again, with what has changed meanwhile.
    table.batches.clear()
    table.fails = True
    with pytest.raises(Exception, match="The table is away"):
        follow(spark, gateway, table, tmp_path / "checkpoint")
    interrupted = list(table.batches)
    set_limit(gateway, changed, "13.5")
    table.fails = False
    table.batches.clear()
    follow(spark, gateway, table, tmp_path / "checkpoint")

    assert [sorted(batch.values()) for batch in interrupted] == [["CHANGED", "DELETED"]]
    assert table.batches[0].keys() >= interrupted[0].keys()
    assert table.rows == expected()
    assert len(table.rows) == len(first) - 1
