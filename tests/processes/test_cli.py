"""The commands that inspect: output, refusals and exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from gateway.config.loading import load_settings
from schema.csdl.parse import parse_csdl
from tests.support.process import Finished, invoke, run

COMMANDS = [
    ["serve"],
    ["sandbox"],
    ["explain"],
    ["export"],
    ["check"],
    ["settings"],
    ["schema", "print"],
    ["schema", "stats"],
    ["schema", "why"],
    ["schema", "diff"],
    ["schema", "simulate"],
    ["metadata", "pull"],
    ["metadata", "stats"],
    ["metadata", "relations"],
    *(["env", act] for act in ("add", "list", "show", "update", "disable", "enable")),
    *(["env", act] for act in ("remove", "check", "reload")),
    ["keys", "create"],
    ["keys", "list"],
    ["keys", "revoke"],
    ["secrets", "rotate"],
    ["secrets", "status"],
    ["audit", "verify"],
]
QUERY = """query Customers($first: Int = 2, $company: [String!]) {
  customersV3(first: $first, companies: $company) { nodes { customerAccount customerGroup { description } } }
}
query Other { legalEntities { totalCount } }
"""
EXAMPLES = Path(__file__).parents[2] / "gateway/graphiql/examples"


@pytest.fixture
def query(tmp_path: Path) -> str:
    path = tmp_path / "query.graphql"
    path.write_text(QUERY, "utf-8")
    return str(path)


def printed(result: Finished) -> str:
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


# Help


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_and_option_has_help(tmp_path: Path, command: list[str]) -> None:
    text = printed(invoke(tmp_path, *command, "--help"))

    # │ --option  -o  METAVAR  Help text [default] │
    options = re.findall(r"│ +(--[\w-]+)(?: +-\w)? +(.*?) *│", text)
    assert options
    assert [
        name for name, body in options if len(re.sub(r"^(<\S+[^>]*>|\S+)\s+", "", body)) < 12
    ] == []
    assert len(text.split("Usage:")[1].split("─")[0].splitlines()[2].strip()) > 20


@pytest.mark.parametrize("command", [[], ["--help"], ["schema"], ["metadata"], ["keys"], ["audit"]])
def test_commands_and_settings_are_listed(tmp_path: Path, command: list[str]) -> None:
    result = invoke(tmp_path, *command)

    names = {c[-1] for c in COMMANDS if c[:-1] == command[:1]} or {c[0] for c in COMMANDS}
    assert [name for name in names if name not in result.stdout + result.stderr] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["srve"],
        ["serve", "--workers", "0"],
        ["serve", "--port", "70000"],
        ["serve", "--nope"],
        ["serve", "--config", "/nowhere/gateway.toml"],
        ["sandbox", "--scale", "0"],
        ["sandbox", "--next-link", "hop"],
        ["sandbox", "--throttle", "often"],
        ["sandbox", "--set", "null_order=middle"],
        ["sandbox", "--metadata", "/nowhere/metadata.xml"],
        ["sandbox", "--database", "/nowhere/rows.sqlite"],
        ["explain"],
        ["explain", "/nowhere/query.graphql"],
        ["metadata", "relations", "--limit", "0"],
        ["metadata", "relations", "--set", "CustomerV3"],
        ["metadata", "pull", "/nowhere/metadata.xml"],
        ["schema", "why", "CustomerV3.nope"],
        ["keys", "create", "ci", "--expires", "soon"],
        ["keys", "create", ""],
        ["keys", "revoke", "nope"],
        ["audit", "verify"],
        ["audit", "verify", "/nowhere/audit.jsonl"],
    ],
    ids=" ".join,
)
def test_bad_arguments_exit_with_2(tmp_path: Path, arguments: list[str]) -> None:
    result = invoke(tmp_path, *arguments)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr


def test_help_does_not_wait_for_the_gateway() -> None:
    """It must not import what the commands need, which takes five times as long."""
    code = (
        "import sys; from gateway.__main__ import main; sys.argv = ['x', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'strawberry', 'graphql', 'sqlalchemy', 'msal', 'httpx', 'uvicorn', 'pydantic'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert result.stderr.strip() == "[]"


def test_the_sandbox_imports_only_what_it_needs() -> None:
    absent = {
        *("strawberry", "graphql", "msal", "sqlalchemy"),
        *("gateway.engine", "odata_query.grammar"),
    }
    code = f"import sys, gateway.cli.sandbox; print(sorted({absent!r} & sys.modules.keys()))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == "[]"


def test_the_version_is_that_of_the_distribution(tmp_path: Path) -> None:
    assert (
        printed(invoke(tmp_path, "--version"))
        == f"d365-graphql-gateway {version('d365-graphql-gateway')}\n"
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_completion(tmp_path: Path, shell: str) -> None:
    """A script that asks the command itself, which lists its subcommands."""
    complete = {"_D365_GRAPHQL_COMPLETE": f"source_{shell}"}
    script = subprocess.run(
        [Path(sys.executable).with_name("d365-graphql")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **complete},
    )

    assert f"_D365_GRAPHQL_COMPLETE=complete_{shell}" in script.stdout


# explain


def test_explain_prints_the_plan_and_the_requests(tmp_path: Path, query: str) -> None:
    variables = '{"first": 3, "company": ["usmf"]}'

    result = invoke(
        tmp_path, "explain", query, "--operation", "Customers", "--variables", variables
    )

    assert printed(result) == (
        "customersV3: CustomersV3 (companies: usmf), first 3 by dataAreaId, CustomerAccount (keyset cursors)\n"
        "  customerGroup: key batch, one request for all parents (more if the URL is too long)\n"
        "    GET CustomerGroups?$select=Description,dataAreaId,CustomerGroupId&$filter=dataAreaId eq {dataAreaId}"
        " and CustomerGroupId eq {CustomerGroupId}&cross-company=true\n"
        "\n"
        "{Column}: the value in the parent row.\n"
        "Requests of the root fields: 1\n"
        "  GET CustomersV3?$select=CustomerAccount,dataAreaId,CustomerGroupId&$filter=dataAreaId eq 'usmf'"
        "&$orderby=dataAreaId,CustomerAccount&$top=3&cross-company=true\n"
        "Estimated cost: 2 requests, 6 rows, 6.0 points\n"
    )


def test_explain_reads_standard_input_and_a_company_scope(tmp_path: Path) -> None:
    text = "{ customersV3 { totalCount } }"

    result = invoke(tmp_path, "explain", "-", "--companies", "usmf, demf", stdin=text)

    assert printed(result) == (
        "customersV3: CustomersV3 (companies: usmf, demf), count only\n"
        "\n"
        "Requests of the root fields: 1\n"
        "  GET CustomersV3/$count?$filter=dataAreaId eq 'usmf' or dataAreaId eq 'demf'&cross-company=true\n"
        "Estimated cost: 1 request, 0 rows, 2.0 points\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{ nope }", "(line 1, column 3)"),
        ("{", "Syntax Error"),
        ("{ customersV3(first: 5000) { totalCount } }", "PAGE_LIMIT_EXCEEDED"),
        ("subscription { x }", "Subscription"),
        ("mutation { x }", "Mutation"),
        ("query Q($n: Int!) { customersV3(first: $n) { totalCount } }", "$n"),
    ],
)
def test_explain_of_an_impossible_operation_exits_with_2(
    tmp_path: Path, text: str, message: str
) -> None:
    result = invoke(tmp_path, "explain", "-", stdin=text)

    assert result.returncode == 2
    assert message in result.stdout


def test_explain_prints_json(tmp_path: Path, query: str) -> None:
    result = invoke(tmp_path, "explain", query, "--operation", "Customers", "--json")

    content = json.loads(printed(result))
    assert content["errors"] == []
    assert content["requests"][0]["path"].startswith("CustomersV3?$select=")
    assert content["steps"][0]["field"] == "customersV3"


def test_explain_prints_errors_as_json(tmp_path: Path) -> None:
    result = invoke(tmp_path, "explain", "-", "--json", stdin="{ nothing }")

    assert result.returncode == 2
    content = json.loads(result.stdout)
    assert "nothing" in content["errors"][0]["message"]
    assert content["failed"] is True


@pytest.mark.parametrize("variables", ["{", "[]", "5", "[" * 5_000])
def test_variables_of_explain_must_be_an_object(tmp_path: Path, query: str, variables: str) -> None:
    result = invoke(tmp_path, "explain", query, "--variables", variables)

    assert result.returncode == 2
    assert "--variables is not" in result.stderr


def test_explain_refuses_bytes_that_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "q.graphql"
    path.write_bytes(b"{ \xff }")

    assert "is not UTF-8" in invoke(tmp_path, "explain", str(path)).stderr


# schema


@pytest.mark.heavy
def test_the_printed_schema_is_valid_and_fits_the_examples(tmp_path: Path) -> None:
    text = printed(invoke(tmp_path, "schema", "print"))

    api = build_schema(text)
    assert api.query_type is not None
    assert api.mutation_type is not None
    for example in EXAMPLES.glob("*.graphql"):
        assert validate(api, parse(example.read_text("utf-8"))) == []


def test_the_schema_is_counted(tmp_path: Path) -> None:
    text = printed(invoke(tmp_path, "schema", "stats"))

    counts = {
        name: int(number.replace(",", ""))
        for number, name in re.findall(r"^ *([\d,]+) +(.+)$", text, re.MULTILINE)
    }
    assert counts["entity sets"] > 40
    assert counts["types"] > counts["object"] > 0
    assert counts["mutations"] > counts["entity sets"]
    assert counts["fields of mutations' inputs"] > counts["create_input"] > 0
    assert counts["findings"] == 0


def test_type_counts_agree_between_commands(tmp_path: Path) -> None:
    """Stats, simulate and the printed SDL mean the same by a type."""
    few = {"D365_INCLUDE": "Customer*,Vendor*"}
    counted = json.loads(printed(invoke(tmp_path, "schema", "stats", "--json", **few)))
    simulated = json.loads(printed(invoke(tmp_path, "schema", "simulate", "--json", **few)))
    sdl = printed(invoke(tmp_path, "schema", "print", **few))
    defined = re.findall(r"^(?:type|input|enum|scalar|interface|union) \w+", sdl, re.MULTILINE)

    assert counted["types"] == simulated["types"] == len(defined)
    assert counted["types_by_kind"]["object"] > 10


def test_why_prints_json(tmp_path: Path) -> None:
    content = json.loads(printed(invoke(tmp_path, "schema", "why", "CustomerV3", "--json")))

    assert content["name"] == "CustomerV3"
    assert all(len(detail) == 2 for detail in content["details"])


@pytest.mark.parametrize(
    "text",
    [
        "query { customersV3 { totalCount } }",
        "{ customersV3 { totalCount } }",
        "\n{\n  customersV3 { totalCount }\n}",
        "# comment\n{ customersV3 { totalCount } }",
        "mutation { deleteCustomerV3(key: {}) { etag } }",
    ],
)
def test_diff_recognises_an_operation(tmp_path: Path, text: str) -> None:
    path = tmp_path / "operation.graphql"
    path.write_text(text)

    result = invoke(tmp_path, "schema", "diff", str(path))

    assert result.returncode == 2
    assert "contains an operation, not a schema" in result.stderr
    assert "`explain`" in result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CustomerV3.creditLimit", "Edm.Decimal"),
        ("customersV3", "CustomersV3"),
        ("createCustomerV3", "input: CustomerV3CreateInput!"),
    ],
)
def test_why_explains_the_origin_of_a_name(tmp_path: Path, name: str, message: str) -> None:
    assert message in printed(invoke(tmp_path, "schema", "why", name))


# metadata


def test_a_pulled_document_can_be_served_from(tmp_path: Path) -> None:
    target = tmp_path / "metadata.xml"

    text = printed(invoke(tmp_path, "metadata", "pull", str(target)))

    document = target.read_bytes()
    assert text == f"{len(document):,} bytes written to {target}.\n"
    model = parse_csdl(document, name="metadata.xml")
    counted = printed(invoke(tmp_path, "metadata", "stats", D365_METADATA=str(target)))
    assert f"{len(model.entity_sets):>9,}  entity sets\n" in counted
    assert f"{len(model.entity_types):>9,}  entity types\n" in counted


def test_suggested_relations_can_be_copied_into_the_settings(tmp_path: Path) -> None:
    before = printed(invoke(tmp_path, "metadata", "stats"))

    text = printed(
        invoke(tmp_path, "metadata", "relations", "--set", "CustomersV3", "--limit", "2")
    )

    result = tomllib.loads(text)["relations"]
    assert [relation["from_set"] for relation in result] == ["CustomersV3"] * 2
    # Nothing was switched on,
    assert printed(invoke(tmp_path, "metadata", "stats")) == before
    # and as a settings file they are.
    config = tmp_path / "gateway.toml"
    config.write_text(text, "utf-8")
    name = result[0]["name"]
    why = invoke(tmp_path, "schema", "why", f"CustomerV3.{name}", "--config", str(config))
    assert result[0]["to_set"] in printed(why)


def test_the_rest_of_the_suggestions_is_counted(tmp_path: Path) -> None:
    text = printed(invoke(tmp_path, "metadata", "relations", "--limit", "1"))

    assert re.search(r"^# [\d,]+ more; see --limit and --set\.$", text, re.MULTILINE)
    assert tomllib.loads(text)["relations"]


# settings


def test_printed_settings_load_again_and_hide_secrets(tmp_path: Path) -> None:
    values = {
        "D365_URL": "https://x.operations.dynamics.com/data",
        "D365_TENANT_ID": "contoso",
        "D365_CLIENT_ID": "app",
        "D365_CLIENT_SECRET": "s3cr3t",
        "D365_COMPANIES": "usmf, demf",
        "D365_SANDBOX__SCALE": "2",
    }
    text = printed(invoke(tmp_path, "settings", **values))

    assert "s3cr3t" not in text
    config = tmp_path / "gateway.toml"
    config.write_text(text, "utf-8")
    read = load_settings({"D365_CLIENT_SECRET": "s3cr3t"}, config)
    again = printed(
        invoke(tmp_path, "settings", "--config", str(config), D365_CLIENT_SECRET="s3cr3t")
    )
    assert again == text
    assert (read.companies, read.sandbox.scale) == (("usmf", "demf"), 2.0)


def test_sandbox_ignores_the_configured_environment(tmp_path: Path) -> None:
    elsewhere = {
        "D365_URL": "https://x.operations.dynamics.com/data",
        "D365_TENANT_ID": "contoso",
        "D365_DIALECT": "odata",
        "D365_METADATA": "/nowhere/metadata.xml",
    }
    text = printed(invoke(tmp_path, "metadata", "stats", "--sandbox", **elsewhere))

    assert text == printed(invoke(tmp_path, "metadata", "stats"))


def test_a_closed_pipe_is_not_an_error(tmp_path: Path) -> None:
    code = f"{sys.executable} -m gateway schema print | head -n 1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)

    assert result.stderr == ""
    assert result.stdout.count("\n") == 1


def test_module_and_command_are_the_same(tmp_path: Path) -> None:
    assert run(tmp_path, "settings").stdout == invoke(tmp_path, "settings").stdout
