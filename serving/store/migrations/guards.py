"""Triggers that refuse to change or remove what is append-only.

They stop mistakes and careless tools. Whoever owns the database can drop them: that is what the chain is for.
"""

from __future__ import annotations

from sqlalchemy.engine import Connection

FROZEN = ("decisions", "labels", "bans", "policies", "models", "notes", "audit_rows", "audit_links")
_MESSAGE = "this table is append-only"


def set_guards(connection: Connection) -> None:
    """Refuse UPDATE and DELETE on every append-only table."""
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite:
        connection.exec_driver_sql(
            "CREATE OR REPLACE FUNCTION listing_risk_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN RAISE EXCEPTION '{_MESSAGE}: %', TG_TABLE_NAME; END $$"
        )
    for table in FROZEN:
        if not sqlite:
            connection.exec_driver_sql(
                f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION listing_risk_refuse()"
            )
        for verb in ("UPDATE", "DELETE"):
            name = f"{table}_no_{verb.lower()}"
            if sqlite:
                connection.exec_driver_sql(
                    f"CREATE TRIGGER {name} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
                )
            else:
                connection.exec_driver_sql(
                    f"CREATE TRIGGER {name} BEFORE {verb} ON {table} "
                    "FOR EACH ROW EXECUTE FUNCTION listing_risk_refuse()"
                )


def drop_guards(connection: Connection) -> None:
    """Take the triggers away, for a migration that must rewrite a table."""
    for table in FROZEN:
        sqlite = connection.dialect.name == "sqlite"
        for verb in ("update", "delete", *(() if sqlite else ("truncate",))):
            suffix = "" if sqlite else f" ON {table}"
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {table}_no_{verb}{suffix}")
