"""How the page prints OData requests: run by Node, the commands by a shell."""

import json
import subprocess

import pytest

from gateway.graphiql import PLAIN
from tests.support.node import ROOT, call_exported
from tests.support.requirements import need

MODULE = PLAIN.parent / "page" / "src" / "requests.js"


def call(name, *arguments):
    need(
        subprocess.run([ROOT / "scripts" / "has-node"], check=False).returncode == 0,
        "install Node 20 or newer",
    )
    return call_exported(MODULE, name, *arguments)


def test_an_address_is_split_into_its_options():
    found = call(
        "readable", "Set(A='x')?$filter=A eq 'Q&A''s' and B eq 1&$top=2&cross-company=true"
    )

    assert found == {
        "resource": "Set(A='x')",
        "options": [
            ["$filter", "A eq 'Q&A''s' and B eq 1"],
            ["$top", "2"],
            ["cross-company", "true"],
        ],
    }
    assert call("readable", "$batch") == {"resource": "$batch", "options": []}


INDENTED = [
    ('{"a":1250.00,"b":"x:{\\"y\\"},[1]"}', '{\n  "a": 1250.00,\n  "b": "x:{\\"y\\"},[1]"\n}'),
    ('{"a":[],"b":{ },"c":[1,[2]]}', None),
    ('{ "a" : 9007199254740993 }', '{\n  "a": 9007199254740993\n}'),
    ("--batch_gateway", "--batch_gateway"),
    ('{"a":', '{"a":'),
]


@pytest.mark.parametrize(("body", "wanted"), INDENTED)
def test_a_body_is_indented_and_its_values_stay_as_they_are_spelled(body, wanted):
    assert call("indented", body) == (wanted or json.dumps(json.loads(body), indent=2))


SERVICE = "https://x.operations.dynamics.com/data"
COMMANDS = [
    ("Set?$filter=A%20eq%20'x'", SERVICE, f"{SERVICE}/Set?$filter=A%20eq%20'x'"),
    ("/api/services/G/S/post", SERVICE, "https://x.operations.dynamics.com/api/services/G/S/post"),
    ("Set('a')", None, "https://given.example/data/Set('a')"),
]


@pytest.mark.parametrize(("path", "service", "address"), COMMANDS)
def test_a_shell_hands_curl_what_would_be_sent(path, service, address):
    request = {
        "method": "PATCH",
        "path": path,
        "headers": {"If-Match": 'W/"it\'s"'},
        "body": '{"a":"$HOME `b` \'c\'"}',
    }
    command = call("curl", request, service)
    shell = f"curl() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    given = {"TOKEN": "t", "D365_URL": "https://given.example/data"}
    ran = subprocess.run(["bash", "-c", shell], capture_output=True, check=True, env=given)

    assert ran.stdout.decode().split("\0")[:-1] == [
        *("-X", "PATCH"),
        *("-H", "Authorization: Bearer t"),
        *("-H", 'If-Match: W/"it\'s"'),
        *("--data-binary", request["body"]),
        address,
    ]
