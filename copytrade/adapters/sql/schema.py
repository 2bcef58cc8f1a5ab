"""The version of a database's schema, and bringing it up to date."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, inspect

import copytrade
from copytrade.adapters.sql.engine import (
    existing_folder,
    is_sqlite,
    parse_url,
    shown,
    sqlite_engine,
    sqlite_path,
    translated,
)
from copytrade.ports.ledger import NoLedgerYetError, SchemaOutdatedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection

_ONE_UPGRADE: Final = 0x75706772
"""The advisory lock that lets one process upgrade at a time; 'upgr' in ASCII."""


def upgrade(url: str, *, to: str = "head") -> tuple[str | None, str]:
    """Bring the schema up to date in one transaction, creating a missing SQLite file.

    Returns the revision before, None where there was no schema, and the one after.

    :raises LedgerUnavailableError: the database cannot be opened.
    :raises SchemaOutdatedError: the schema is of a later version of this program.
    """
    parsed = parse_url(url)
    with _connected(parsed) as connection:
        before = _revision(connection)
        _refuse_unknown(parsed, before)
        command.upgrade(_config(connection), to)
        return before, _revision(connection) or ""


def downgrade(url: str, *, to: str) -> None:
    """Take the schema back to a revision, or to nothing with `base`; what later revisions added is lost.

    :raises LedgerUnavailableError: the database cannot be opened.
    """
    with _connected(parse_url(url)) as connection:
        command.downgrade(_config(connection), to)


def current(url: str) -> str | None:
    """Return the schema's revision, None where there is no schema or no file yet.

    :raises LedgerUnavailableError: the database cannot be opened.
    """
    parsed = parse_url(url)
    if is_sqlite(parsed) and not sqlite_path(parsed).exists():
        return None
    with _connected(parsed) as connection:
        return _revision(connection)


def head() -> str:
    """Return the revision this program needs."""
    return str(_scripts().get_current_head())


def require_current(url: str) -> None:
    """Check that the schema is the one this program needs.

    :raises LedgerUnavailableError: the database cannot be opened.
    :raises NoLedgerYetError: there is no file.
    :raises SchemaOutdatedError: it is another.
    """
    found = current(url)
    if found == head():
        return
    parsed = parse_url(url)
    require_file(url)
    _refuse_unknown(parsed, found)
    raise SchemaOutdatedError(
        f"the schema of {shown(parsed)} is at {found or 'nothing'} and {head()} is needed: run copytrade db upgrade"
    )


def require_file(url: str) -> None:
    """Check that a SQLite database is there at all; a server is asked for nothing.

    :raises LedgerUnavailableError: there is no folder for it either.
    :raises NoLedgerYetError: there is no file.
    """
    parsed = parse_url(url)
    if not is_sqlite(parsed) or sqlite_path(parsed).exists():
        return
    path = (existing_folder(parsed) / sqlite_path(parsed).name).absolute()
    raise NoLedgerYetError(
        f"no database here yet: there is no {path} (`copytrade leaders add ADDRESS`, `copytrade run` or "
        "`copytrade db upgrade` makes it; DATABASE_URL names another)"
    )


def _refuse_unknown(url: URL, revision: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaOutdatedError(
            f"the schema of {shown(url)} is at {revision}, which this version of copytrade does not know: "
            "a later one made it (copytrade db upgrade there, then use that one)"
        )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    engine = sqlite_engine(url, begin="BEGIN IMMEDIATE") if is_sqlite(url) else create_engine(url, poolclass=NullPool)
    try:
        with translated(url), engine.begin() as connection:
            if not is_sqlite(url):
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ONE_UPGRADE})")
            yield connection
    finally:
        engine.dispose()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_script_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_script_folder()))


def _script_folder() -> Path:
    """Return where the migrations are: inside an installed package, beside it in a checkout."""
    package = Path(copytrade.__file__).resolve().parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"
