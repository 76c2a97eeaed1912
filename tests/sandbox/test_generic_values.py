"""Values of services other than Finance & Operations: durations, binary, abstract types, links without columns."""

from __future__ import annotations

from urllib.parse import quote

import pytest

pytestmark = pytest.mark.anyio
HEAD = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">"""
TAIL = "</Schema></edmx:DataServices></edmx:Edmx>"


def keyed(name: str, *members: str, key: str = "Edm.Int32", more: str = "") -> str:
    """An entity type with a key ``Id``."""
    return (
        f'<EntityType Name="{name}"{more}><Key><PropertyRef Name="Id"/></Key>'
        f'<Property Name="Id" Type="{key}" Nullable="false"/>{"".join(members)}</EntityType>'
    )


def container(*members: str) -> str:
    return f'<EntityContainer Name="C">{"".join(members)}</EntityContainer>'


@pytest.fixture
def serve(sandbox, tmp_path):
    def make(*schema: str, **settings: object):
        path = tmp_path / "metadata.xml"
        path.write_text(HEAD + "".join(schema) + TAIL)
        return sandbox(metadata=path, **settings)

    return make


TRACKS = (
    keyed("Track", '<Property Name="Took" Type="Edm.Duration"/>'),
    container('<EntitySet Name="Tracks" EntityType="N.Track"/>'),
)
LENGTHS = {1: "PT90M", 2: "PT2H", 3: "-PT1H", 4: "P1D", 5: "PT1.5S", 6: "PT10H", 7: None}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"$orderby": "Took"}, [7, 3, 5, 1, 2, 6, 4]),
        ({"$orderby": "Took desc"}, [4, 6, 2, 1, 5, 3, 7]),
        ({"$filter": "Took gt duration'PT2H'"}, [4, 6]),
        ({"$filter": "Took le duration'PT1.5S'"}, [3, 5]),
        ({"$filter": "Took eq duration'PT1H30M'"}, [1]),
        ({"$filter": "Took eq duration'PT24H'"}, [4]),
        ({"$filter": "Took in (duration'PT120M',duration'PT36000S')"}, [2, 6]),
        ({"$filter": "Took ne null"}, [1, 2, 3, 4, 5, 6]),
    ],
)
async def test_durations_compare_and_sort_by_length(serve, options, expected):
    ask = serve(*TRACKS)
    store = ask.app.state.store
    for row in store.rows("Tracks"):
        store.delete("Tracks", Id=row["Id"])
    store.insert("Tracks", [{"Id": n, "Took": took} for n, took in LENGTHS.items()])

    answer = await ask("/data/Tracks", params=options)

    assert answer.status_code == 200, answer.text
    ids = [row["Id"] for row in answer.json()["value"]]
    assert (ids if "$orderby" in options else sorted(ids)) == expected
    assert {row["Id"]: row["Took"] for row in answer.json()["value"]}.items() <= LENGTHS.items()


@pytest.mark.parametrize("key", ["Edm.Duration", "Edm.Binary"])
async def test_keys_of_durations_and_binary_are_found(serve, key):
    ask = serve(
        keyed("Thing", '<Property Name="Note" Type="Edm.String"/>', key=key),
        container('<EntitySet Name="Things" EntityType="N.Thing"/>'),
    )
    prefix = key.removeprefix("Edm.").lower()
    full = {"accept": "application/json;odata.metadata=full"}
    rows = (await ask("/data/Things", headers=full)).json()["value"]

    for row in rows:
        address = f"Things({prefix}'{quote(row['Id'], safe='')}')"
        assert row["@odata.id"].endswith(address)
        answer = await ask(f"/data/{address}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["Note"] == row["Note"]
    made = await ask("/data/Things", "POST", json={"Id": rows[0]["Id"], "Note": "again"})
    assert made.status_code == 400, "a key that is taken"
