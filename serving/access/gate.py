"""The one place where access is enforced: a layer around the application that knows who calls and what they may."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access.door import AccessDoor
from serving.access.origin import address_behind, address_of, from_here, is_loopback, within
from serving.access.secrets import csrf_token, same
from serving.access.settings import AccessSettings
from serving.access.table import NOBODY, PUBLIC, TABLE, Actor, Route, actor_of
from serving.http.edge import problem_response
from serving.http.problems import FORBIDDEN, NOT_FOUND, NOT_RECORDED, OVERLOADED, SIGN_IN, ProblemError
from serving.http.reading import read_body
from serving.store.errors import StoreError

if TYPE_CHECKING:
    from serving.store import Store

CONSOLE = "/console"
COOKIES = ("__Host-listing_risk", "listing_risk")
"""Name of the session's cookie over HTTPS and on this machine; the first one no other host can set."""
FORM_MAX = 1_000_000
FORM_FIELDS_MAX = 2_000
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BROWSER = frozenset({"account", "demo", "open", "proxy"})
Refuse = Callable[[Request, ProblemError], Awaitable[Response]]


class RouteTable:
    """Finds the permission that a request asks for."""

    def __init__(self, table: Mapping[Route, str] = TABLE) -> None:
        self._fixed = {route: asked for route, asked in table.items() if "{" not in route[1]}
        self._patterns = [
            (method, compile_path(path)[0], asked) for (method, path), asked in table.items() if "{" in path
        ]

    def permission(self, method: str, path: str) -> str | None:
        """Return what is asked for, None where the table has no such route."""
        method = "GET" if method == "HEAD" else method
        found = self._fixed.get((method, path))
        if found is not None:
            return found
        return next((a for m, pattern, a in self._patterns if m == method and pattern.match(path)), None)

    def knows(self, path: str) -> bool:
        """Whether the path exists with any method."""
        return any(p == path for _, p in self._fixed) or any(
            pattern.match(path) for _, pattern, _ in self._patterns
        )


@dataclass
class Bucket:
    """A number of requests that fills up again with time."""

    left: float
    at: float

    def take(self, per_minute: int, now: float) -> float:
        """Take one; return the seconds to wait, 0 where there was one."""
        self.left = min(per_minute, self.left + (now - self.at) * per_minute / 60)
        self.at = now
        if self.left >= 1:
            self.left -= 1
            return 0.0
        return (1 - self.left) * 60 / per_minute


class RateLimit:
    """Buckets by caller, of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def check(self, caller: str, per_minute: int) -> None:
        """Let the request in or raise the 429 problem."""
        now = self._clock()
        if len(self._buckets) > 10_000:
            self._buckets = {name: b for name, b in self._buckets.items() if now - b.at < 60}
        wait = self._buckets.setdefault(caller, Bucket(per_minute, now)).take(per_minute, now)
        if wait:
            detail = f"More than {per_minute} requests a minute came from one caller."
            raise ProblemError(OVERLOADED, detail, headers={"Retry-After": str(int(wait) + 1)})


class AccessGate:
    """ASGI middleware: every request gets an actor in ``scope["actor"]`` or is refused.

    Parameters
    ----------
    store
        Gives the open store, None where the service has none, or raises a problem while it is starting.
    host
        Address that the service listens on.
    settings
        Trusted proxies and rates.
    refuse
        Makes the page of a refusal under ``/console``; problems elsewhere are JSON.
    """

    def __init__(
        self,
        app: ASGIApp,
        store: Callable[[], Store | None],
        host: str,
        settings: AccessSettings | None = None,
        refuse: Refuse | None = None,
        table: Mapping[Route, str] = TABLE,
    ) -> None:
        self.app = app
        self.settings = settings or AccessSettings()
        self._store = store
        self._door: AccessDoor | None = None
        self._here = is_loopback(host)
        self._refuse = refuse
        self._table = RouteTable(table)
        self._rates = RateLimit()
        self._secret = secrets.token_hex(16)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Know who calls, check, and hand on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            receive = await self._admit(request, receive)
        except ProblemError as problem:
            answer = await self._answer(request, problem)
            await answer(scope, receive, send)
            return
        except StoreError:
            problem = ProblemError(NOT_RECORDED, "The store does not answer.", headers={"Retry-After": "2"})
            await problem_response(problem, scope["trace"])(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _admit(self, request: Request, receive: Receive) -> Receive:
        path, method = request.url.path, request.method
        # Nothing is named so, and PostgreSQL takes none.
        if "\0" in path or b"%00" in request.scope["query_string"]:
            raise ProblemError(NOT_FOUND, "The address holds a null character; see /docs.")
        asked = self._table.permission(method, path)
        if asked is None:
            if self._table.knows(path):
                request.scope["actor"] = NOBODY
                return receive  # the router says which methods there are
            if path.startswith(CONSOLE):
                request.scope["actor"] = (await self._who(request))[
                    0
                ]  # the page says it beside the usual navigation
            raise ProblemError(NOT_FOUND, "No such path; see /docs.")
        console = path.startswith(CONSOLE) or path == "/"
        if asked == PUBLIC and not console:
            request.scope["actor"] = NOBODY
            return receive
        request.scope["caller_address"] = address_behind(request, self.settings)
        actor, secret = await self._who(request)
        request.scope.update({"actor": actor, "csrf": csrf_token(secret), "door": self._door})
        self._check_rate(request, actor, asked)
        if actor.how == "nobody" and asked != PUBLIC:
            headers = {"WWW-Authenticate": 'Bearer realm="listing-risk"'}
            raise ProblemError(SIGN_IN, "No valid key or session came with the request.", headers=headers)
        if not actor.may(asked):
            raise ProblemError(
                FORBIDDEN, f"The role {actor.role!r}, or the key's scope, does not include {asked!r}."
            )
        if method in _SAFE or actor.how == "key":
            return receive
        return await self._check_origin(request, receive, actor, csrf_token(secret))

    async def _who(self, request: Request) -> tuple[Actor, str]:
        """Who calls, and the secret that the forms they get are bound to."""
        store = self._store()
        if store is not None and (self._door is None or self._door.store is not store):
            self._door = AccessDoor(store, self.settings)
        door, headers = self._door, request.headers
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and door is not None:
            seen, actor = door.known_key(key)
            if not seen:
                actor = await asyncio.to_thread(door.key_actor, key)
            return actor or NOBODY, self._secret
        cookie = next((request.cookies[name] for name in COOKIES if name in request.cookies), None)
        if cookie and door is not None:
            actor = await asyncio.to_thread(door.session_actor, cookie)
            if actor:
                return actor, cookie
        named = await self._named_by_proxy(request, door)
        if named:
            return named, self._secret_of(named)
        if self._here and from_here(request) and (door is None or not door.closed()):
            local = actor_of("local", "administrator", "open")
            return local, self._secret_of(local)
        return NOBODY, self._secret

    def _secret_of(self, actor: Actor) -> str:
        # The same in every worker process, and known to no page of another origin.
        base = self._door.store.url if self._door else self._secret
        return f"{base}:{actor.how}:{actor.name}"

    async def _named_by_proxy(self, request: Request, door: AccessDoor | None) -> Actor | None:
        if not self.settings.proxies or not within(request, self.settings):
            return None
        name = request.headers.get(self.settings.user_header, "")
        if not name or len(name) > 80 or not all(c.isalnum() or c in "._@-" for c in name):
            return None
        role = request.headers.get(self.settings.role_header, "")
        if not role and door is not None:
            role = await asyncio.to_thread(door.role_of, name) or ""
        return actor_of(name, role or "viewer", "proxy")

    def _check_rate(self, request: Request, actor: Actor, asked: str) -> None:
        if asked == "score" and actor.how != "nobody":
            return  # the service has its own limits on how many listings are inside at once
        if actor.how == "nobody":
            self._rates.check(f"address:{address_of(request)}", self.settings.failures_per_minute)
        else:
            self._rates.check(f"{actor.how}:{actor.name}", self.settings.per_minute)

    async def _check_origin(self, request: Request, receive: Receive, actor: Actor, token: str) -> Receive:
        """Refuse what another site made a browser send."""
        wrong = ProblemError(
            FORBIDDEN, "The request came from another page, or its form is too old; reload it."
        )
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise wrong
        origin = request.headers.get("origin")
        if origin and origin != "null" and urlsplit(origin).netloc != request.headers.get("host", ""):
            raise wrong
        console = request.url.path.startswith(CONSOLE)
        if not console and actor.how == "open":
            return (
                receive  # a program on this machine; a page cannot send JSON here without being asked first
            )
        sent = request.headers.get("x-csrf-token")
        if sent is None and console and _is_form(request.headers):
            body = await read_body(request, FORM_MAX, 30.0)
            form = _form(body)
            request.scope["form"] = form
            sent, receive = form.get("csrf", [""])[0], _replay(body)
        elif sent is None and console:
            sent = request.query_params.get("csrf", "")
        if actor.how in _BROWSER and not same(sent or "", token):
            raise wrong
        return receive

    async def _answer(self, request: Request, problem: ProblemError) -> Response:
        if not request.url.path.startswith(CONSOLE) or self._refuse is None:
            return problem_response(problem, request.scope["trace"])
        if problem.kind is SIGN_IN and request.method == "GET":
            there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/console/login?next={quote(there, safe='/')}", 303)
        request.scope["trace"].problem = problem.kind.slug
        request.scope.setdefault("actor", NOBODY)
        return await self._refuse(request, problem)


def _is_form(headers: Headers) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip() == "application/x-www-form-urlencoded"


def _form(body: bytes) -> dict[str, list[str]]:
    form: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        return {}
    for name, value in pairs:
        form.setdefault(name.replace("\0", ""), []).append(value.replace("\0", ""))
    return form


def _replay(body: bytes) -> Receive:
    """Give a body that was read already to whoever reads it next."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive
