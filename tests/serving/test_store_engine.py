"""Addresses, migrations and settings of the databases."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from serving.store import NotDurableError, SchemaError, Store, StoreUnavailableError, schema
from serving.store import engine as engines
from serving.store.engine import (
    HEAD_REVISION,
    migrate,
    open_engine,
    reading,
    require_durable,
    store_url,
    writing,
)
from serving.store.migrations.guards import drop_guards, set_guards


@pytest.fixture(name="engine")
def _engine(empty_store_url):
    engine = open_engine(empty_store_url)
    yield engine
    engine.dispose()


def tables(engine):
    return set(sa.inspect(engine).get_table_names())


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:////tmp/a.db", "sqlite+pysqlite"),
        ("/tmp/a.db", "sqlite+pysqlite"),
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg"),
    ],
)
def test_addresses(given, driver):
    assert store_url(given).drivername == driver


@pytest.mark.parametrize(
    "given", ["sqlite://", "sqlite:///:memory:", "mysql://u@h/d", "://", "postgresql://h:x/d"]
)
def test_addresses_that_cannot_hold_decisions(given):
    with pytest.raises(SchemaError, match="expected"):
        store_url(given)


def test_the_password_is_never_in_the_error():
    with pytest.raises(SchemaError) as caught:
        store_url("mysql://u:secret@h/d")
    assert "secret" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StoreUnavailableError, match="make it or change the address"):
        open_engine(f"sqlite:///{tmp_path}/nowhere/s.db")


def test_migrations_make_what_the_schema_says(engine):
    assert migrate(engine) == HEAD_REVISION
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_the_code_names_the_last_migration():
    config = Config()
    config.set_main_option("script_location", str(Path(engines.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD_REVISION]


def test_a_migration_that_fails_leaves_nothing(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE notes (something INTEGER)")
    with pytest.raises((sa.exc.DBAPIError, StoreUnavailableError)):
        migrate(engine)
    assert tables(engine) == {"notes"}


def test_migrating_twice_changes_nothing(engine):
    assert migrate(engine) == migrate(engine) == HEAD_REVISION


def test_many_workers_may_migrate_at_once(empty_store_url):
    errors = []

    def work():
        try:
            with Store(empty_store_url):
                pass
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_database_of_a_later_version_is_refused(engine):
    migrate(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="use the version of the program that made it"):
        migrate(engine)


def test_a_database_that_answers_before_the_disk_is_refused(store_url, monkeypatch):
    if store_url.startswith("sqlite"):
        monkeypatch.setattr(engines, "_SQLITE_PRAGMAS", ("journal_mode=WAL", "synchronous=NORMAL"))
    else:
        monkeypatch.setattr(engines, "_POSTGRESQL_OPTIONS", "-c synchronous_commit=off")
    engine = open_engine(store_url)
    with pytest.raises(NotDurableError, match="change the server's settings"):
        require_durable(engine)
    with pytest.raises(NotDurableError):
        Store(store_url).open()
    engine.dispose()


def test_guards_can_be_taken_away_and_set_again(engine):
    migrate(engine)
    with writing(engine) as connection:
        drop_guards(connection)
        connection.exec_driver_sql("DELETE FROM audit_rows")
        set_guards(connection)
    with reading(engine) as connection:
        kind = (
            "sqlite_master WHERE type='trigger'"
            if engine.dialect.name == "sqlite"
            else "pg_trigger WHERE NOT tgisinternal"
        )
        assert connection.exec_driver_sql(f"SELECT count(*) FROM {kind}").scalar_one() > 15


def test_a_reader_sees_one_state_however_long_it_reads(store_url, new_record):
    with Store(store_url) as store:
        store.record([new_record(1)])
        with reading(store.engine) as connection:
            count = sa.select(sa.func.count()).select_from(schema.decisions)
            assert connection.execute(count).scalar_one() == 1
            store.record([new_record(2)])
            assert connection.execute(count).scalar_one() == 1


def test_importing_the_store_touches_nothing(tmp_path):
    import os
    import subprocess
    import sys

    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    code = (
        "import sys, serving.store, serving.audit.verification; "
        "print(sorted(m for m in sys.modules if m.split('.')[0] in {'torch','mlflow','sklearn','pandas','alembic',"
        "'psycopg','bentoml'})); import os; print(os.listdir('.'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["[]", "[]"]
