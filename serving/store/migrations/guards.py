"""Triggers that refuse to change or remove what is append-only.

They stop mistakes and careless tools. Whoever owns the database can drop them: that is what the chain is for.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection

FROZEN = ("decisions", "labels", "bans", "policies", "models", "notes", "audit_rows", "audit_links")
ERASABLE = ("inputs",)  # may be updated once, to be erased
_KEPT = ("images",)  # may be updated, never deleted
_MESSAGE = "this table is append-only"
_ERASING_WRONGLY = "NEW.erased_by IS NULL OR OLD.erased_by IS NOT NULL OR NEW.payload IS NOT NULL"


def _triggers() -> list[tuple[str, str, str, str]]:
    """Name, table, verb and condition of every trigger."""
    found = [
        (f"{table}_no_{verb.lower()}", table, verb, "") for table in FROZEN for verb in ("UPDATE", "DELETE")
    ]
    found += [(f"{table}_no_delete", table, "DELETE", "") for table in ERASABLE + _KEPT]
    return found + [(f"{table}_erase_only", table, "UPDATE", _ERASING_WRONGLY) for table in ERASABLE]


def set_guards(connection: Connection) -> None:
    """Refuse UPDATE and DELETE on every append-only table."""
    if connection.dialect.name == "sqlite":
        for name, table, verb, condition in _triggers():
            connection.exec_driver_sql(
                f"CREATE TRIGGER {name} BEFORE {verb} ON {table} {f'WHEN {condition} ' if condition else ''}"
                f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
            )
        return
    connection.exec_driver_sql(
        "CREATE OR REPLACE FUNCTION listing_risk_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN RAISE EXCEPTION USING MESSAGE = '{_MESSAGE}: ' || TG_TABLE_NAME; END $$"
    )
    for name, table, verb, condition in _triggers():
        connection.exec_driver_sql(
            f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW "
            f"{f'WHEN ({condition}) ' if condition else ''}EXECUTE FUNCTION listing_risk_refuse()"
        )
    for table in (*FROZEN, *ERASABLE, *_KEPT):
        connection.exec_driver_sql(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION listing_risk_refuse()"
        )


def freeze(connection: Connection, tables: Sequence[str]) -> None:
    """Refuse UPDATE and DELETE on tables of a later migration; the first one must have run."""
    for table in tables:
        for verb in ("UPDATE", "DELETE"):
            name = f"{table}_no_{verb.lower()}"
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql(
                    f"CREATE TRIGGER {name} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
                )
            else:
                connection.exec_driver_sql(
                    f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW "
                    "EXECUTE FUNCTION listing_risk_refuse()"
                )
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql(
                f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION listing_risk_refuse()"
            )


def drop_guards(connection: Connection) -> None:
    """Take the triggers away, for a migration that must rewrite a table."""
    sqlite = connection.dialect.name == "sqlite"
    names = [(name, table) for name, table, _, _ in _triggers()]
    if not sqlite:
        names += [(f"{table}_no_truncate", table) for table in (*FROZEN, *ERASABLE, *_KEPT)]
    for name, table in names:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{'' if sqlite else f' ON {table}'}")
