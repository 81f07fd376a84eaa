"""What ``/readyz`` says: whether decisions can be made and recorded, and where not, why and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.errors import OutsideError, UserError
from features.schema import FieldError
from serving.http.problems import NOT_READY, ProblemError
from serving.store.errors import NotDurableError, SchemaError, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from serving.store.outage import Cause
    from serving.store.writer import WriterState

STARTING = "The bundle is not loaded."
BY_ITSELF = "The service goes on by itself within seconds after that; nothing is decided meanwhile."

ADVICE: dict[Cause, str] = {
    "full": "The disk of the store is full. Make room on it, or move the store to a larger one.",
    "read-only": "The store may only be read. Give the service the right to write: the file and its folder on SQLite, "
    "default_transaction_read_only=off and the primary server on PostgreSQL.",
    "locked": "Another process holds the lock of the store. End whatever works on the database beside the service.",
    "away": "The database does not answer. Start it, or see whether its disk, folder or network is there.",
    "no-handles": "The process has no file handles left. Raise its limit (ulimit -n, LimitNOFILE=), or put a proxy "
    "before it that limits connections.",
    "damaged": "The database file is damaged. Restore the last backup and run listing-risk audit verify on it.",
    "tables": "The tables are not those of this version. Restore them, or start the version that made them.",
    "other": "The store does not take records. The service's log names the driver's error.",
}
"""What is wrong with the store, and what to do, by cause."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing can be decided now.

    Attributes
    ----------
    part
        ``store`` or ``bundle``.
    cause
        One word for machines.
    advice
        What is wrong and what to do, for people; no address and no secret: anybody may read it.
    """

    part: str
    cause: str
    advice: str

    def problem(self) -> ProblemError:
        """Return the problem document that says so."""
        detail = f"{self.advice} {BY_ITSELF}"
        named = (FieldError(self.part, self.advice, self.cause),)
        return ProblemError(NOT_READY, detail, named, {"Retry-After": "2"})


def of_store(state: WriterState) -> Trouble | None:
    """Return what keeps the store from taking records, None while it takes them."""
    return None if state.up else _store(state.cause or "other")


def of_start(error: BaseException) -> Trouble:
    """Return why the service could not load what it needs; it tries again until it can."""
    if isinstance(error, StoreUnavailableError):
        return _store(error.cause)
    if isinstance(error, NotDurableError | SchemaError):
        return Trouble("store", "settings", _sentence(error))
    if isinstance(error, StoreError):
        return _store("other")
    if isinstance(error, MemoryError):
        return Trouble(
            "bundle", "memory", "There is no memory left to load the bundle. Give the service more."
        )
    if isinstance(error, UserError | OutsideError):
        return Trouble("bundle", "refused", _sentence(error))
    words = "The bundle could not be loaded. The service's log has the place in the code."
    return Trouble("bundle", "failed", words)


def _store(cause: Cause) -> Trouble:
    return Trouble("store", cause, ADVICE[cause])


def _sentence(error: BaseException) -> str:
    """Return what an error of ours says, as a sentence."""
    words = str(error).strip()
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."[:1_000]
