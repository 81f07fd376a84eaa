"""What goes on beside answering: checkpoints are signed, and what must not be kept longer is erased."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from serving.settings import state_folder

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from serving.doors import Doors
    from serving.store import Store

HOUR_S = 3600.0
BANS_S = 0.25
log = logging.getLogger("serving.keeping")


def checkpoint_folder(address: str, environ: Mapping[str, str]) -> Path:
    """Return where a store's checkpoints lie unless somebody says otherwise."""
    return beside_store(address, "checkpoints", environ)


def beside_store(address: str, name: str, environ: Mapping[str, str]) -> Path:
    """Return a folder that belongs to a store but is not in it.

    Parameters
    ----------
    address
        Of the store. Beside a SQLite file; for PostgreSQL a folder of this user named after the address.
    name
        What the folder is for.
    environ
        Usually ``os.environ``.
    """
    from serving.store.engine import store_url

    url = store_url(address)
    if url.get_backend_name() == "sqlite":
        return Path(f"{url.database}.{name}")
    named = url.set(password=None, query={}).render_as_string()
    digest = hashlib.sha256(named.encode()).hexdigest()[:16]
    return state_folder(environ) / name / digest


def sign_checkpoints(doors: Doors) -> AbstractContextManager[object]:
    """Sign a checkpoint now and then, where the settings name a store."""
    import os

    from serving.audit.verification import CheckpointKeeper, Checkpoints

    engine, settings = doors.engine(), doors.settings
    if engine.store is None or not settings.store:
        return nullcontext()
    folder = settings.checkpoints or checkpoint_folder(settings.store, os.environ)
    return CheckpointKeeper(engine.store, Checkpoints(folder))


def follow_bans(doors: Doors) -> AbstractContextManager[object]:
    """Take up bans that other processes placed, also while nothing is scored."""
    office = doors.engine().bans
    if office is None:
        return nullcontext()
    return now_and_then("bans", BANS_S, office.desk.refresh)


def erase_in_time(doors: Doors) -> AbstractContextManager[object]:
    """Erase text and photos after their time, where there is a store and a time is set."""
    engine, days = doors.engine(), doors.settings.retention_days
    if engine.store is None or days is None:
        return nullcontext()
    return now_and_then("retention", HOUR_S, lambda: erase(engine.store, timedelta(days=days)))


def erase(store: Store | None, keep: timedelta) -> None:
    """Erase what was received longer than ``keep`` ago."""
    from serving.store.retention import erase_expired

    if store is not None:
        done = erase_expired(store, datetime.now(UTC), keep)
        log.info("retention: %d inputs erased", done.inputs)


@contextmanager
def now_and_then(name: str, every_s: float, work: Callable[[], object]) -> Iterator[None]:
    """Do some work at once and then every so often, in a thread, until the block ends; a failure is logged.

    Parameters
    ----------
    name
        Of the thread.
    every_s
        Seconds between the end of one time and the next.
    work
        What is to be done; it runs in this thread alone.
    """
    stopping = threading.Event()

    def run() -> None:
        while True:
            try:
                work()
            except Exception as error:  # the next time may be better; what it is about must not end
                log.warning("%s: %s", name, type(error).__name__)
            if stopping.wait(every_s):
                return

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
