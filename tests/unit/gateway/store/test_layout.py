"""The layout of the store: migrated by command or at first use, at once or not at all."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr

from gateway.config.settings import Settings
from gateway.errors import StoreLayoutMismatch
from gateway.store import layout
from gateway.store.api_keys import open_register
from gateway.store.database import Database
from gateway.store.layout import VERSION_TABLE, VERSIONS, Layout
from gateway.store.opening import open_database
from gateway.store.revisions import revisions_in
from gateway.store.tables import API_KEYS, METADATA, REVISIONS
from tests.support.stores import take_back

pytestmark = pytest.mark.slow

EMPTY, CURRENT = Layout(None), Layout(VERSIONS[-1])


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a store without tables."""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        return Settings(store=server.new_database(migrated=False))
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = open_database(settings)
    yield database
    database.close()


def test_the_versions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(layout.__file__).parent / "migrations"))
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())

    assert tuple(revision.revision for revision in reversed(revisions)) == VERSIONS


def test_migrations_make_the_tables_of_the_program(database: Database) -> None:
    assert database.migrate() == (EMPTY, CURRENT)
    with database.writing() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        if database.schema:
            connection.execute(sa.DDL(f"SET LOCAL search_path = {database.schema}"))
        differences = compare_metadata(context, METADATA)

    assert differences == []
    assert database.migrate() == (CURRENT, CURRENT)


def test_a_newer_layout_is_left_alone(database: Database, settings: Settings) -> None:
    database.migrate()
    with database.writing() as connection:
        table = sa.table(VERSION_TABLE, sa.column("version_num"), schema=database.schema)
        connection.execute(table.update().values(version_num="9999"))
    register = open_register(settings)

    assert database.layout().state == "newer"
    for use in (register.list, lambda: register.create("x", ["a"], None), database.migrate):
        with pytest.raises(StoreLayoutMismatch, match=rf"newer version.*9999.*{VERSIONS[-1]}"):
            use()
    register.close()


def test_several_may_migrate_at_once(settings: Settings) -> None:
    databases = [open_database(settings) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        layouts = list(pool.map(lambda database: database.migrate(), databases))
    for database in databases:
        database.close()

    # Exactly one has done it.
    assert sorted(layouts, key=lambda pair: pair == (CURRENT, CURRENT)) == [
        (EMPTY, CURRENT),
        *[(CURRENT, CURRENT)] * 3,
    ]


INTERRUPTED = """
import sys, time
from alembic.operations import Operations
from gateway.config.settings import Settings
from gateway.store import database
from gateway.store.opening import open_database

def stop(*arguments, **options):
    print("stopped", flush=True)
    time.sleep(60)

def upgrade(*arguments):
    whole(*arguments)
    stop()

setting, value, step = sys.argv[1:]
whole = database.upgrade
if step == "commit":
    database.upgrade = upgrade
else:
    setattr(Operations, step, stop)
open_database(Settings(**{setting: value})).migrate()
"""


@pytest.mark.heavy
@pytest.mark.parametrize("step", ["create_table", "bulk_insert", "commit"])
def test_a_killed_migration_has_changed_nothing(
    database: Database, settings: Settings, step: str
) -> None:
    kill_migration(settings, step)

    assert database.layout() == EMPTY
    assert database.migrate() == (EMPTY, CURRENT)
    register = open_register(settings)
    register.create("after", ["a"], None)
    register.close()


@pytest.mark.heavy
@pytest.mark.parametrize("step", ["bulk_insert", "commit"])
def test_a_killed_migration_leaves_what_was_stored(
    database: Database, settings: Settings, step: str
) -> None:
    migrate_to(database, "0002")
    key = {"id": "k", "name": "ci", "digest": "d", "roles": '["a"]', "created": 1.0}
    with database._open().begin() as connection:
        connection.execute(API_KEYS.insert().values({**key, "environments": '["b"]'}))
        connection.execute(REVISIONS.update().values(number=7))
    kill_migration(settings, step)

    assert database.layout() == Layout("0002")
    assert database.migrate() == (Layout("0002"), CURRENT)
    register = open_register(settings)
    assert [(k.id, k.roles, k.environments) for k in register.list()] == [("k", ("a",), ("b",))]
    register.close()
    with database.reading() as connection:
        numbers = revisions_in(connection)
    assert (numbers["api_keys"], numbers["environments"]) == (7, 0)


def kill_migration(settings: Settings, step: str) -> None:
    """Begin a migration in another process, and kill that at a step."""
    if isinstance(settings.store, SecretStr):
        arguments = ["store", settings.store.get_secret_value()]
    else:
        arguments = ["data_dir", str(settings.data_dir)]
    program = [sys.executable, "-c", INTERRUPTED, *arguments, step]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stopped\n"
        process.send_signal(signal.SIGKILL)


def migrate_to(database: Database, version: str) -> None:
    """Give a new database the layout of an earlier version."""
    with database._begin_migration() as connection:
        if database.schema:
            connection.execute(sa.schema.CreateSchema(database.schema))
        config = Config()
        config.set_main_option("script_location", str(Path(layout.__file__).parent / "migrations"))
        config.attributes.update(connection=connection, schema=database.schema)
        command.upgrade(config, version)


def test_files_of_earlier_versions_are_brought_over(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    register = open_register(settings)
    key, _ = register.create("before", ["a"], None)
    register.close()
    file = tmp_path / "store" / "gateway.db"
    with sqlite3.connect(file) as connection:
        connection.execute(f"DROP TABLE {VERSION_TABLE}")
        take_back(connection)
        connection.execute("CREATE TABLE store_layout (version INTEGER NOT NULL)")
        connection.execute("INSERT INTO store_layout VALUES (1)")
    connection.close()
    database = open_database(settings)
    state = database.layout()
    register = open_register(settings)
    keys = register.list()
    register.close()

    assert state.state == "behind"
    assert [(k.id, k.name) for k in keys] == [(key.id, "before")]
    assert database.layout() == CURRENT
    database.close()


def test_a_current_layout_needs_no_alembic(tmp_path: Path) -> None:
    database = open_database(Settings(data_dir=tmp_path))
    database.migrate()
    database.close()
    code = (
        "import sys; from pathlib import Path; from gateway.config.settings import Settings;"
        "from gateway.store.api_keys import open_register;"
        "r = open_register(Settings(data_dir=Path(sys.argv[1]))); r.list(); r.create('x', [], None);"
        "sys.exit(bool({'alembic', 'psycopg'} & sys.modules.keys()))"
    )

    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0
