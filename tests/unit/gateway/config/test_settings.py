"""Settings: three layers, one table, and all problems at once."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.config.loading import load_settings
from gateway.config.rendering import settings_table, to_toml
from gateway.config.setting_models import Relation, SandboxOptions
from gateway.config.settings import Settings
from gateway.config.value_types import toml_value
from gateway.errors import SettingsError

REAL = {
    "D365_URL": "https://x.operations.dynamics.com/data",
    "D365_TENANT_ID": "contoso",
    "D365_CLIENT_ID": "app-1",
    "D365_CLIENT_SECRET": "hush-hush",
}


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(*args: object, **options: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(*args, **options)  # type: ignore[arg-type]
    return caught.value.message.split("\n  ")


def test_nothing_set_is_the_sandbox() -> None:
    settings = load_settings({})

    assert (settings.url, settings.auth, settings.cache_dir) == (None, "none", None)
    assert settings == Settings()


def test_options_override_environment_overrides_file(tmp_path: Path) -> None:
    config = toml(tmp_path, 'port = 1\nhost = "a"\nmax_rows = 7\n[sandbox]\nscale = 2\nseed = 5\n')
    environ = {"D365_PORT": "2", "D365_HOST": "b", "D365_SANDBOX__SCALE": "3"}

    settings = load_settings(environ, config, port=3, host=None)

    assert (settings.port, settings.host, settings.max_rows) == (3, "b", 7)
    assert settings.sandbox == SandboxOptions(scale=3, seed=5)


def test_a_variable_overrides_one_value_of_a_table(tmp_path: Path) -> None:
    config = toml(tmp_path, "[writes]\nmax_rows = 7\nchangeset_size = 5\n")

    writes = load_settings({"D365_WRITES__MAX_ROWS": "9"}, config).writes

    assert (writes.max_rows, writes.changeset_size) == (9, 5)


def test_a_real_environment_needs_four_variables() -> None:
    settings = load_settings(REAL)

    assert settings.auth == "client_credentials"
    assert settings.scope == "https://x.operations.dynamics.com/.default"
    assert settings.client_secret is not None
    assert settings.client_secret.get_secret_value() == "hush-hush"


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("https://X.example/data/", "https://X.example/data"),
        (" https://x.example:8443/a/data// ", "https://x.example:8443/a/data"),
        ("http://localhost:5000", "http://localhost:5000"),
    ],
)
def test_a_service_root_loses_its_trailing_slash(text: str, root: str) -> None:
    assert load_settings({"D365_URL": text, "D365_AUTH": "none"}).url == root


def test_the_scope_is_the_origin_in_lower_case_unless_given() -> None:
    url = "https://X.Example:8443/data"

    assert Settings(url=url).scope == "https://x.example:8443/.default"
    assert Settings(url=url, scope="api://y/.default").scope == "api://y/.default"


def test_lists_and_tables_come_from_text_or_toml(tmp_path: Path) -> None:
    config = toml(
        tmp_path,
        'companies = ["usmf", "dat"]\n[names]\n"Ns.A/B" = "b"\n'
        '[[relations]]\nfrom_set = "A"\nfields = ["x"]\nto_set = "B"\nto_fields = ["y"]\nname = "bs"\n',
    )
    environ = {
        "D365_COMPANIES": " usmf,dat ,",
        "D365_NAMES": '{"Ns.A/B": "b"}',
        "D365_RELATIONS": '[{"from_set":"A","fields":["x"],"to_set":"B","to_fields":["y"],"name":"bs"}]',
    }

    from_file, from_text = load_settings({}, config), load_settings(environ)

    assert from_file == from_text
    assert from_text.companies == ("usmf", "dat")
    assert from_text.names == {"Ns.A/B": "b"}
    assert from_text.relations == (
        Relation(from_set="A", fields=("x",), to_set="B", to_fields=("y",), name="bs"),
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_settings({"D365_URL": "", "D365_PORT": ""}) == Settings()


def test_other_variables_are_ignored() -> None:
    assert load_settings({"PATH": "/bin", "D3650": "x"}) == Settings()


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {"HOME": "/h"}, "/h/.cache/d365-graphql"),
        ("linux", {"HOME": "/h", "XDG_CACHE_HOME": "/c"}, "/c/d365-graphql"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Caches/d365-graphql"),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/d365-graphql"),
        ("linux", {"HOME": "/h", "D365_CACHE_DIR": "/mine"}, "/mine"),
        ("linux", {"HOME": "/h", "D365_CACHE_DIR": "none"}, None),
        ("linux", {}, None),
    ],
)
def test_the_cache_is_where_the_platform_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, platform: str, environ: dict[str, str], folder: str | None
) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    assert load_settings(environ).cache_dir == (Path(folder) if folder else None)


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {"HOME": "/h"}, "/h/.local/share/d365-graphql"),
        ("linux", {"HOME": "/h", "XDG_DATA_HOME": "/d"}, "/d/d365-graphql"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Application Support/d365-graphql"),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/d365-graphql/data"),
        ("linux", {"HOME": "/h", "D365_DATA_DIR": "none"}, None),
        ("linux", {}, None),
    ],
)
def test_data_are_where_the_platform_keeps_data(
    monkeypatch: pytest.MonkeyPatch, platform: str, environ: dict[str, str], folder: str | None
) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    assert load_settings(environ).data_dir == (Path(folder) if folder else None)


def test_secret_keys_are_long_and_never_printed() -> None:
    old = "first-" + "x" * 30, "second-" + "y" * 30
    settings = load_settings({"D365_SECRET_KEY": "z" * 32, "D365_SECRET_KEY_OLD": ", ".join(old)})

    assert tuple(key.get_secret_value() for key in settings.secret_key_old) == old
    assert not any(word in to_toml(settings) for word in ("first-", "second-", "zzz"))
    assert problems({"D365_SECRET_KEY": "short"}) == [
        "D365_SECRET_KEY (environment): accepted: 32 characters or more"
    ]
    assert not any("first-" in p for p in problems({"D365_SECRET_KEY_OLD": "first-key"}))


def test_the_authority_may_be_a_host_or_an_address() -> None:
    assert Settings(authority="login.microsoftonline.us").authority == (
        "https://login.microsoftonline.us"
    )
    assert Settings(authority="http://127.0.0.1:9/").authority == "http://127.0.0.1:9"


# -- problems


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    config = toml(
        tmp_path,
        'prt = 1\nclean_noyes = "maybe"\nmax_rows = 1.5\n[sandbox]\nscal = 1\nseed = "a"\n'
        '[[relations]]\nfrom_set = "A"\nfield = ["x"]\nto_set = "B"\nto_fields = ["y"]\nname = 5\n',
    )
    environ = {
        "D365_ULR": "x",
        "D365_PORT": "many",
        "D365_CONCURRENCY": "53",
        "D365_DIALECT": "dataverse",
        "D365_NAMES": "{",
        "D365_SANDBOX": "{}",
        "D365_SANDBOX__LATENCY_MS": "-1",
        "d365_read_timeout": "0",
    }

    head, *rest = problems(environ, config, max_depth=0)

    assert head == "17 settings are invalid:"
    assert set(rest) == {
        "D365_SANDBOX (environment): no such setting; did you mean D365_SANDBOX__SEED?",
        "D365_ULR (environment): no such setting; did you mean D365_URL?",
        "D365_PORT (environment): 'many': accepted: a whole number",
        "D365_CONCURRENCY (environment): '53': accepted: less than or equal to 52",
        "D365_DIALECT (environment): 'dataverse': accepted: 'finops' or 'odata'",
        "D365_NAMES (environment): '{': expected JSON: line 1, column 2",
        "D365_SANDBOX__LATENCY_MS (environment): '-1': accepted: greater than or equal to 0",
        "D365_READ_TIMEOUT (environment): '0': accepted: greater than 0",
        "option --max-depth: 0: accepted: greater than or equal to 1",
        f"{config}: prt: no such setting; did you mean port?",
        f"{config}: clean_noyes: 'maybe': accepted: true or false",
        f"{config}: max_rows: 1.5: accepted: a whole number",
        f"{config}: sandbox.scal: no such setting; did you mean scale?",
        f"{config}: sandbox.seed: 'a': accepted: a whole number",
        f"{config}: relations[0].field: no such setting; did you mean fields?",
        f"{config}: relations[0].fields: is missing",
        f"{config}: relations[0].name: 5: accepted: text",
    }


def test_suggestions_come_from_the_same_table(tmp_path: Path) -> None:
    config = toml(
        tmp_path,
        '[writes]\nmax_row = 7\n[[writes.services]]\nname = "post"\npath = "a/b/c"\n'
        'input.amount = { type = "Decimal!", wir = "_amount" }\n',
    )

    _, *rest = problems({}, config)

    assert set(rest) == {
        f"{config}: writes.max_row: no such setting; did you mean max_rows?",
        f"{config}: writes.services[0].input.amount.wir: no such setting; did you mean wire?",
    }


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("x.operations.dynamics.com/data", "an address such as"),
        ("ftp://x/data", "an address such as"),
        ("https://me:pw@x/data", "user and password"),
        ("https://x/data?a=1", "without '?'"),
        ("https://x.operations.dynamics.com", "https://x.operations.dynamics.com/data"),
    ],
)
def test_an_invalid_service_root_is_reported(url: str, reason: str) -> None:
    (problem,) = problems({"D365_URL": url, "D365_AUTH": "none"})

    assert problem.startswith("D365_URL (environment): ")
    assert reason in problem
    assert "pw@" not in problem


def test_a_remote_authority_must_be_https() -> None:
    (problem,) = problems({"D365_AUTHORITY": "http://login.example"})

    assert "https" in problem


@pytest.mark.parametrize(
    ("environ", "absent"),
    [
        ({"D365_URL": "https://x/data"}, "D365_TENANT_ID, D365_CLIENT_ID, D365_CLIENT_SECRET"),
        ({"D365_URL": "https://x/data", "D365_TENANT_ID": "t"}, "D365_CLIENT_ID, D365_CLIENT_SECRET"),
        (
            {**REAL, "D365_AUTH": "client_credentials", "D365_CLIENT_SECRET": ""},
            "D365_CLIENT_SECRET",
        ),
    ],
)  # fmt: skip
def test_missing_sign_in_settings_are_reported(environ: dict[str, str], absent: str) -> None:
    (problem,) = problems(environ)

    assert f"needs {absent} (" in problem
    assert "D365_AUTH=none" in problem


def test_a_bad_secret_is_not_shown(tmp_path: Path) -> None:
    (problem,) = problems({}, toml(tmp_path, "client_secret = 12345678\n"))

    assert "client_secret" in problem
    assert "12345678" not in problem


def test_accepted_values_are_named_in_plain_words(tmp_path: Path) -> None:
    problem = "\n".join(problems({}, toml(tmp_path, 'admin_token = "sh0rt"\nserve_all = false\n')))

    assert "admin_token: accepted: 16 characters or more" in problem
    assert "serve_all: false: false needs profiles" in problem
    assert "sh0rt" not in problem


def test_a_default_page_size_over_the_maximum_is_reported() -> None:
    (problem,) = problems({"D365_MAX_PAGE_SIZE": "10"})

    assert problem.endswith("expected at least default_page_size (50)")


def test_an_invalid_page_size_is_reported_once() -> None:
    (problem,) = problems({"D365_DEFAULT_PAGE_SIZE": "x", "D365_MAX_PAGE_SIZE": "10"})

    assert problem.startswith("D365_DEFAULT_PAGE_SIZE")


def test_both_sides_of_a_relation_need_equally_many_fields(tmp_path: Path) -> None:
    text = '[[relations]]\nfrom_set="A"\nfields=["x","z"]\nto_set="B"\nto_fields=["y"]\nname="n"\n'

    (problem,) = problems({}, toml(tmp_path, text))

    assert problem.endswith("relations[0]: fields and to_fields must be equally long, not 2 and 1")


def test_a_value_that_is_not_a_list_is_reported(tmp_path: Path) -> None:
    (problem,) = problems({}, toml(tmp_path, "companies = 5\n"))

    assert problem.endswith("companies: 5: accepted: a list")


def test_a_value_that_is_not_a_table_is_reported(tmp_path: Path) -> None:
    (problem,) = problems({"D365_SANDBOX__SEED": "x"}, toml(tmp_path, "sandbox = 5\n"))

    assert problem == "D365_SANDBOX__SEED (environment): 'x': accepted: a whole number"
    assert "sandbox" in problems({}, toml(tmp_path, "sandbox = 5\n"))[0]


def test_throttle_has_a_fixed_form() -> None:
    settings = load_settings({"D365_SANDBOX__THROTTLE": "every=5,retry-after=1"})

    assert settings.sandbox.throttle == "every=5,retry-after=1"
    (problem,) = problems({"D365_SANDBOX__THROTTLE": "often"})
    assert problem.endswith("'often': accepted: every=N or every=N,retry-after=SECONDS")


def test_label_texts_can_be_switched_off(tmp_path: Path) -> None:
    off = load_settings({"D365_LANGUAGE": "none"})

    assert off.language is None
    assert load_settings({}, toml(tmp_path, to_toml(off))) == off


def test_a_long_value_is_shortened() -> None:
    (problem,) = problems({"D365_PORT": "9" * 5_000 + "x"})

    assert len(problem) < 200


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"port = = 1\n", "line 1"),
        (b"\nport = 1\nport = 2\n", "line 3"),
        (b"host = '\xff'\n", "not UTF-8"),
    ],
)
def test_an_invalid_file_is_reported_with_its_line(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    config = tmp_path / "gateway.toml"
    config.write_bytes(content)

    (problem,) = problems({}, config)

    assert problem.startswith(f"{config}: ")
    assert reason in problem


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    (problem,) = problems({}, tmp_path / "nope.toml")

    assert problem.endswith("nope.toml: cannot be read: No such file or directory")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 5


# -- the table and the print


def test_each_setting_has_variable_default_and_description() -> None:
    rows = {row.name: row for row in settings_table()}

    assert rows["url"][1:3] == ("D365_URL", "")
    assert rows["default_page_size"][1:3] == ("D365_DEFAULT_PAGE_SIZE", "50")
    assert rows["sandbox.scale"][1:3] == ("D365_SANDBOX__SCALE", "1.0")
    assert rows["companies"].default == "[]"
    assert all(re.search(r"[.]$", row.help) for row in rows.values())
    assert {name.split(".")[0] for name in rows} == set(Settings.model_fields)


def test_every_variable_of_the_table_is_read() -> None:
    for row in settings_table():
        assert row.variable.startswith("D365_")
        try:
            load_settings({row.variable: "1"})
        except SettingsError as error:
            assert "no such setting" not in error.message  # noqa: PT017 (either outcome is fine)


def test_printed_settings_load_again_without_secrets(tmp_path: Path) -> None:
    environ = {
        **REAL,
        "D365_COMPANIES": "usmf,größe",
        "D365_NAMES": '{"Ns.A/\\"B\\"": "b"}',
        "D365_SANDBOX__METADATA": "/m/x.xml",
        "D365_RELATIONS": '[{"from_set":"A","fields":["x"],"to_set":"B","to_fields":["y"],"name":"bs"}]',
    }
    settings = load_settings(environ)

    text = to_toml(settings)

    assert "hush-hush" not in text
    assert '# client_secret = "********"' in text
    again = load_settings({"D365_CLIENT_SECRET": "hush-hush"}, toml(tmp_path, text))
    assert again == settings


def test_printed_defaults_load_again(tmp_path: Path) -> None:
    config = toml(tmp_path, to_toml(Settings()))

    assert load_settings({"HOME": "/h"}, config) == Settings()


def test_the_secret_is_not_in_the_repr() -> None:
    assert "hush-hush" not in repr(load_settings(REAL))


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@given(TEXT | NUMBERS | st.booleans() | st.lists(st.text("a\x7f\"\\'\n")))
def test_toml_values_read_back(value: object) -> None:
    assert tomllib.loads(f"a = {toml_value(value)}") == {"a": value}
