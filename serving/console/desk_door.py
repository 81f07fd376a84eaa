"""The way from the console to the review desk, and from its refusals to a line on the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from serving.bans.book import BanError
from serving.console.page import Pages
from serving.http.problems import NOT_RECORDED, ProblemError
from serving.review.desk import ReviewDesk
from serving.review.rules import DeskRules, ReviewError
from serving.store import QueueFilter, StoreError

FILTERS = ("action", "hazard", "product_group", "language", "seller_id", "marketplace")


def rules_of(pages: Pages) -> DeskRules:
    """Return the desk's rules from the settings."""
    from datetime import timedelta

    access = pages.doors.settings.access
    return DeskRules(
        two_person=access.two_person,
        lease=timedelta(minutes=access.lease_minutes),
        golden_share=access.golden_share,
    )


def desk_of(pages: Pages) -> ReviewDesk:
    """Return the review desk of the open store."""
    return ReviewDesk(pages.store(), rules_of(pages))


def filter_of(given: Callable[[str], str | None]) -> QueueFilter:
    """Return the filter that a query or a form asks for; empty fields do not filter."""
    return QueueFilter(**{name: (given(name) or "").strip()[:256] or None for name in FILTERS})


def filter_query(only: QueueFilter) -> dict[str, str]:
    """Return a filter as fields of a query."""
    return {name: value for name in FILTERS if (value := getattr(only, name)) is not None}


async def told(
    pages: Pages, request: Request, work: Callable[[], Awaitable[Response]], back: str
) -> Response:
    """Do what a form asks for; a refusal sends the browser back with the reason.

    Raises
    ------
    ProblemError
        503 where the store did not take the record.
    """
    try:
        return await work()
    except (ReviewError, BanError) as error:
        return pages.go(back, pages.words(request)("refused.because", why=str(error)))
    except StoreError as error:
        raise ProblemError(NOT_RECORDED, str(error), headers={"Retry-After": "2"}) from None
