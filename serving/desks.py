"""The desks of one service over its store: notices, complaints, sellers, appeals, evidence, endpoints.

One set for all rooms, made when first asked for, so that what one desk has read the others need not read again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from features.errors import UserError
from features.schema import ListingError
from serving.events.vault import SecretVault
from serving.events.webhooks import EndpointDesk, UnknownEndpointError
from serving.events.webhooks_address import AddressRules
from serving.evidence.pack import EvidenceDesk
from serving.http.problems import NOT_FOUND, NOT_RECORDED, WRONG_FIELDS, ProblemError
from serving.notices.complaints_desk import ComplaintDesk
from serving.notices.desk import NoticeDesk
from serving.notices.intake import UnknownNoticeError
from serving.notices.office import NoticeOffice
from serving.notices.reconcile_desk import Reconciler
from serving.sellers.appeals import UnknownAppealError
from serving.sellers.appeals_desk import AppealDesk
from serving.sellers.desk import SellerDesk
from serving.store.errors import BusyError, InvalidRecordError, NotFoundError, StoreUnavailableError

if TYPE_CHECKING:
    from serving.doors import Doors, Engine
    from serving.store import Store

_Result = TypeVar("_Result")
_UNKNOWN = (UnknownNoticeError, UnknownAppealError, UnknownEndpointError, NotFoundError)


class Desks:
    """Every desk over one open store.

    Parameters
    ----------
    engine
        With a store.
    store
        Its store.
    own_hosts
        Hosts of one's own network that events may go to, see `serving.events.webhooks_address`.
    secret_keys
        Keys that webhooks' secrets lie under, see `serving.events.vault`.
    """

    def __init__(
        self, engine: Engine, store: Store, own_hosts: str = "", secret_keys: Sequence[str] = ()
    ) -> None:
        self.engine = engine
        self.store = store
        self.notices = NoticeDesk(store)
        self.complaints = ComplaintDesk(store)
        self.sellers = SellerDesk(store)
        self.appeals = AppealDesk(self.sellers, engine.bans)
        self.endpoints = EndpointDesk(store, AddressRules.of(own_hosts), vault=SecretVault(secret_keys))
        self.reconciler = Reconciler(self.notices)

    @property
    def office(self) -> NoticeOffice:
        """Where notices meet what is on sale.

        Raises
        ------
        ProblemError
            503 where bans are not kept.
        """
        if self.engine.bans is None:
            raise ProblemError(NOT_RECORDED, "No ban could be kept, so no notice is taken in.")
        return NoticeOffice(self.notices, self.engine.bans)

    @property
    def evidence(self) -> EvidenceDesk:
        """Where evidence is put together, with the bundle in force now."""
        bans = self.engine.bans
        manifest = getattr(self.engine.predictor.bundle, "manifest", None)
        return EvidenceDesk(
            self.store, self.notices, bans.desk.book if bans else None, manifest if _real(manifest) else None
        )


def _real(manifest: Any) -> bool:
    return all(hasattr(manifest, name) for name in ("digest", "data", "labels_sha256", "taxonomy_sha256"))


_made: WeakKeyDictionary[Doors, Desks] = WeakKeyDictionary()
_lock = threading.Lock()


def desks_of(doors: Doors) -> Desks:
    """Return the desks of a service.

    Raises
    ------
    ProblemError
        503 where no store is set.
    """
    engine, store = doors.engine(), doors.store()
    with _lock:
        found = _made.get(doors)
        if found is None or found.store is not store or found.engine is not engine:
            found = _made[doors] = Desks(
                engine, store, doors.settings.webhook_hosts, doors.settings.supply.secret_keys
            )
        return found


async def away(work: Callable[..., _Result], *args: Any, **named: Any) -> _Result:
    """Do work that waits for the store in a thread; what went wrong becomes a problem.

    Raises
    ------
    ProblemError
        404, 422 or 503.
    """
    try:
        return await asyncio.to_thread(work, *args, **named)
    except _UNKNOWN as error:
        raise ProblemError(NOT_FOUND, str(error)) from None
    except ListingError as error:
        detail = f"{len(error.errors)} fields are wrong."
        raise ProblemError(WRONG_FIELDS, detail, errors=error.errors) from None
    except (UserError, InvalidRecordError) as error:
        raise ProblemError(WRONG_FIELDS, str(error)) from None
    except (BusyError, StoreUnavailableError):
        detail = "The store did not take the record."
        raise ProblemError(NOT_RECORDED, detail, headers={"Retry-After": "2"}) from None
