"""How a page of the console is made: template, texts, navigation, headers. The rooms say only what is on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote, unquote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from serving.access.table import NOBODY, Actor
from serving.console.shown import FILTERS
from serving.console.wording import Wording, language_of
from serving.http.problems import NOT_FOUND, ProblemError
from serving.store import NotFoundError, StoreUnavailableError

if TYPE_CHECKING:
    from serving.doors import Doors
    from serving.store import Store

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
LANGUAGE_COOKIE, MESSAGE_COOKIE = "listing_risk_language", "listing_risk_message"
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation: where it leads, its text, who sees it, and the heading it stands under."""

    path: str
    text: str
    permission: str
    section: str = "work"


class PageRoom(Protocol):
    """Pages that belong together."""

    def routes(self) -> Sequence[Route]:
        """Return every route."""
        ...


@cache
def environment() -> Environment:
    """Return the templates; everything put into them is escaped."""
    made = Environment(
        loader=PackageLoader("serving.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= FILTERS
    return made


class Pages:
    """Makes pages; every room of the console gets it.

    Parameters
    ----------
    doors
        The service's engine and settings.
    places
        Entries of the navigation, in order.
    """

    def __init__(self, doors: Doors, places: Sequence[Place]) -> None:
        self.doors = doors
        self.places = places

    def store(self) -> Store:
        """Return the open store, or raise the 503 problem."""
        return self.doors.store()

    def render(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        """Return a page.

        Parameters
        ----------
        template
            File in ``templates/``; it extends ``layout.html`` and gets ``t``, ``actor``, ``form_token``, ``here``.
        context
            What the template shows.
        """
        actor = actor_of_request(request)
        words = Wording(language_for(request))
        message = unquote(request.cookies.get(MESSAGE_COOKIE, ""))
        shared = {
            "t": words,
            "actor": actor,
            "form_token": request.scope.get("csrf", ""),
            "here": request.url.path,
            "there": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "places": [place for place in self.places if actor.may(place.permission)],
            "message": message[:300],
            "hazard_names": self.hazard_names(words.language),
            "group_names": self.group_names(words.language),
        }
        page = environment().get_template(template).render(shared | context)
        answer = HTMLResponse(page, status, headers=HEADERS)
        if message:
            answer.delete_cookie(MESSAGE_COOKIE, path="/console")
        return answer

    def hazard_names(self, language: str) -> Mapping[str, str]:
        """Return the names of the taxonomy's hazards."""
        loaded = self.doors.loaded
        if loaded is None:
            return {}
        return {h.code: h.names.get(language, h.code) for h in loaded.predictor.taxonomy.hazards}

    def group_names(self, language: str) -> Mapping[str, str]:
        """Return the names of the taxonomy's product groups."""
        loaded = self.doors.loaded
        if loaded is None:
            return {}
        groups = loaded.predictor.taxonomy.groups
        return {code: getattr(group, "names", {}).get(language, code) for code, group in groups.items()}

    def go(self, path: str, message: str = "", **query: object) -> Response:
        """Send the browser on after a form, with a line to show there."""
        asked = {name: value for name, value in query.items() if value not in (None, "")}
        answer = RedirectResponse(path + (f"?{urlencode(asked)}" if asked else ""), 303, headers=HEADERS)
        if message:
            answer.set_cookie(
                MESSAGE_COOKIE,
                quote(message[:300]),
                max_age=60,
                path="/console",
                httponly=True,
                samesite="lax",
            )
        return answer

    def words(self, request: Request) -> Wording:
        """Return the texts in the reader's language."""
        return Wording(language_for(request))

    async def refuse(self, request: Request, problem: ProblemError) -> Response:
        """Return the page of a refusal."""
        words = self.words(request)
        return self.render(
            request,
            "refused.html",
            problem.kind.status,
            title=words.pick({"ko": problem.kind.title_ko, "en": problem.kind.title}),
            detail=words.name("refused", problem.kind.slug, problem.detail),
        )


async def away(work: Callable[..., _Result], *args: Any) -> _Result:
    """Do work that waits for the store in a thread.

    Raises
    ------
    ProblemError
        404 where something is not there, 503 where the store does not answer.
    """
    try:
        return await asyncio.to_thread(work, *args)
    except NotFoundError as error:
        raise ProblemError(NOT_FOUND, str(error)) from None
    except StoreUnavailableError as error:
        from serving.http.problems import NOT_RECORDED

        raise ProblemError(NOT_RECORDED, str(error), headers={"Retry-After": "2"}) from None


def actor_of_request(request: Request) -> Actor:
    """Return who asks, as the gate found."""
    return request.scope.get("actor", NOBODY)


def language_for(request: Request) -> str:
    """Return the language a page is shown in: the one chosen, or the first the browser asks for that we have."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return chosen if chosen in ("ko", "en") else language_of(request.headers.get("accept-language", ""))


def form_of(request: Request) -> Mapping[str, list[str]]:
    """Return the form that the gate read and checked; empty where there was none."""
    return request.scope.get("form", {})


def field(request: Request, name: str, limit: int = 500) -> str:
    """Return one field of the form, cut to a length, without control characters."""
    text = form_of(request).get(name, [""])[0]
    return "".join(c for c in text if c >= " " or c == "\n").strip()[:limit]


def now_utc() -> datetime:
    """Return the time, in UTC."""
    from datetime import UTC

    return datetime.now(UTC)


def mark(text: str) -> Markup:
    """Escape a text."""
    return Markup.escape(text)
