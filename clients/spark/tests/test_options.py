"""Options: checked before anything is sent, and never a secret in a text."""

from __future__ import annotations

import pytest

from d365_graphql_spark.columns import fields_of
from d365_graphql_spark.options import OptionError, read_options

LEAST = {"url": "https://gateway.example/", "set": "CustomersV3"}


@pytest.mark.parametrize(
    ("options", "export", "graphql"),
    [
        ({}, "/export/CustomersV3", "/graphql"),
        ({"profile": "ap"}, "/export/ap/CustomersV3", "/graphql/ap"),
        (
            {"environment": "a b", "profile": "ap"},
            "/e/a%20b/export/ap/CustomersV3",
            "/e/a%20b/graphql/ap",
        ),
    ],
)
def test_addresses(options: dict[str, str], export: str, graphql: str) -> None:
    read = read_options({**LEAST, **options})

    assert (read.url, read.export_path, read.graphql_path) == (
        "https://gateway.example",
        export,
        graphql,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"set": " "}, "The option set is missing."),
        ({"urll": "x"}, "There is no option urll."),
        ({"url": "file:///etc/passwd"}, "url is no address of a gateway"),
        ({"url": "https://me:sesame@gateway.example"}, "url has more than a host and a path"),
        ({"token": "sesame", "apiKey": "sesame"}, "token and apiKey are both set"),
        ({"token": "sesame\nx: y"}, "token or apiKey is no text that a header can hold."),
        ({"where": "creditLimit > 1"}, "where is no JSON object"),
        ({"where": "[]"}, "where is no JSON object"),
        ({"partitions": "0"}, "partitions is no whole number of at least 1."),
        ({"partitions": "2", "rowsPerPartition": "2"}, "partitions and rowsPerPartition"),
        ({"retries": "-1"}, "retries is no whole number of at least 0."),
        ({"pushdown": "yes"}, "pushdown is neither true nor false."),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError) as raised:
        read_options({**LEAST, **options})
    assert str(raised.value).startswith(message)
    assert "sesame" not in str(raised.value)


def test_names_have_no_case_and_secrets_no_text() -> None:
    read = read_options({"URL": LEAST["url"], "Set": "CustomersV3", "apikey": " sesame "})

    assert read.credential == "Bearer sesame"
    assert "sesame" not in repr(read)


def test_columns_become_fields() -> None:
    names = ["id", "group.name", "creditLimit", "group.terms"]

    assert fields_of(names) == "id group{name terms} creditLimit"
