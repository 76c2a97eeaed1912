"""A gateway over the sandbox on a port, in a process and an environment of its own, and one Spark session."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from d365_graphql_spark import register
from served_gateway import Gateway

PROGRAM = os.environ.get(
    "GATEWAY_PROGRAM", str(Path(__file__).parents[3] / ".venv" / "bin" / "d365-graphql")
)
SETTINGS = """
log_level = "debug"
log_format = "json"

[profiles.small]
max_page_size = 50
default_page_size = 10

[changes]
sweep_interval = 0
swept = ["CustomersV3"]
"""
_QUICK = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"
"""Of Java, which would spend more on compiling than these tests run."""


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    own = {k: v for k, v in os.environ.items() if not k.upper().startswith("D365_")}
    folders = {"XDG_CACHE_HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
    log = folder / "log"
    (folder / "gateway.toml").write_text(SETTINGS)
    command = [PROGRAM, "serve", "-c", "gateway.toml", "--sandbox", "--port", "0"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            env={**own, **folders},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if match := re.search(r"GraphQL: +(http://\S+)/graphql", line):
                    yield Gateway(match[1], log)
                    break
            else:
                pytest.fail(log.read_text("utf-8"))
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    # Executors have the package as those of a cluster do, whose nodes have it installed.
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    session = (
        SparkSession.builder.master(os.environ.get("SPARK_TEST_MASTER", "local-cluster[1,2,512]"))
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", "1g")
        .config("spark.executor.memory", "512m")
        .config("spark.driver.extraJavaOptions", _QUICK)
        .config("spark.executor.extraJavaOptions", _QUICK)
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.python.filterPushdown.enabled", "true")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    register(session)
    yield session
    session.stop()
