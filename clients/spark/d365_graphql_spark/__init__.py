"""Lists of a d365-graphql-gateway in Spark: ``register(spark)``, then ``spark.read.format("d365")``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .connection import GatewayError
from .source import D365DataSource

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["D365DataSource", "GatewayError", "register"]


def register(spark: SparkSession) -> None:
    """Make the format ``d365`` known to a session."""
    spark.dataSource.register(D365DataSource)
