"""What can go wrong when something is recorded, in words that the service can answer with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.store.outage import Cause


class StoreError(Exception):
    """Root of everything that the store raises on purpose."""


class StoreUnavailableError(StoreError):
    """The database did not take the record, or did not say that it took it; answer 503.

    Nothing was acknowledged. When the connection broke during the commit itself the record may still be there:
    a caller that repeats with the same idempotency key gets that record back.

    Attributes
    ----------
    cause
        What the database suffers from, in one word.
    """

    def __init__(self, message: str, cause: Cause = "other") -> None:
        self.cause: Cause = cause
        super().__init__(message)


class DamagedTextError(StoreUnavailableError):
    """A stored text that no writer of ours can have written; the audit says which."""


class BusyError(StoreError):
    """Too much is waiting to be written; answer 429.

    Attributes
    ----------
    retry_after_s
        Seconds after which a new attempt makes sense.

    """

    def __init__(self, waiting: int, limit: int, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(
            f"got a record while {waiting} are waiting, the limit is {limit}: "
            f"try again after {retry_after_s:g} s"
        )


class ConflictError(StoreError):
    """An idempotency key came back with another body; answer 409."""


class InvalidRecordError(StoreError, ValueError):
    """A record that no database could hold, such as an identifier with a NUL character; answer 422."""


class NotDurableError(StoreError):
    """The database is set to acknowledge before data is on disk; decisions may not be recorded there."""


class SchemaError(StoreError):
    """The database has tables of another version than this code."""


class NotFoundError(StoreError, KeyError):
    """Nothing is stored under this identifier."""

    def __str__(self) -> str:
        return str(self.args[0])
