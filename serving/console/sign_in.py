"""Coming in and going out: password, one-time link, language, static files."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.access.door import AccessDoor
from serving.access.gate import COOKIES
from serving.access.origin import address_of, from_here
from serving.console.page import LANGUAGE_COOKIE, Pages, actor_of_request, away, field
from serving.http.problems import NOT_FOUND, ProblemError

STATIC = Path(__file__).with_name("static")
_TYPES = {"console.css": "text/css", "console.js": "text/javascript", "mark.svg": "image/svg+xml"}


@cache
def static_file(name: str) -> tuple[bytes, str]:
    """Return a file of the console and its digest."""
    content = (STATIC / name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:16]


class SignIn:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/console/static/{name}", self.static, methods=["GET"]),
            Route("/console/login", self.login, methods=["GET", "POST"]),
            Route("/console/enter/{token}", self.enter, methods=["GET"]),
            Route("/console/logout", self.logout, methods=["POST"]),
            Route("/console/language", self.language, methods=["POST"]),
        ]

    async def static(self, request: Request) -> Response:
        """Return a file."""
        name = request.path_params["name"]
        if name not in _TYPES:
            raise ProblemError(NOT_FOUND, "No such file.")
        content, digest = static_file(name)
        headers = {"ETag": f'"{digest}"', "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=_TYPES[name])

    def door(self, request: Request) -> AccessDoor:
        """Return the door that the gate uses, or raise the 503 problem where no store is set."""
        found = request.scope.get("door")
        if isinstance(found, AccessDoor):
            return found
        return AccessDoor(self.pages.store())

    async def login(self, request: Request) -> Response:
        """Show the form, or check name and password."""
        there = _inside(request.query_params.get("next") or field(request, "next"))
        if request.method == "GET":
            if actor_of_request(request).how != "nobody":
                return self.pages.go(there)
            return self.pages.render(request, "login.html", next=there, problem="", name="")
        words, name = self.pages.words(request), field(request, "name", 80)
        password = (request.scope.get("form", {}).get("password") or [""])[0]
        found = await away(self.door(request).sign_in, name, password, address_of(request))
        if found.token is None:
            wait = found.wait_s
            problem = words("login.wait", seconds=wait) if wait else words("login.wrong")
            status = 429 if wait else 401
            return self.pages.render(request, "login.html", status, next=there, problem=problem, name=name)
        return _signed_in(self.pages.go(there), request, found.token)

    async def enter(self, request: Request) -> Response:
        """Use a one-time link."""
        token = await away(self.door(request).enter, request.path_params["token"])
        if token is None:
            words = self.pages.words(request)
            return self.pages.render(
                request, "login.html", 401, next="/console", problem=words("login.link_old"), name=""
            )
        return _signed_in(self.pages.go("/console"), request, token)

    async def logout(self, request: Request) -> Response:
        """End the session."""
        for name in COOKIES:
            if name in request.cookies:
                await away(self.door(request).sign_out, request.cookies[name])
        answer = self.pages.go("/console/login", self.pages.words(request)("login.gone"))
        for name in COOKIES:
            answer.delete_cookie(name, path="/", secure=name.startswith("__Host"), httponly=True)
        return answer

    async def language(self, request: Request) -> Response:
        """Choose the language of the pages."""
        chosen = field(request, "to", 2)
        answer = self.pages.go(_inside(field(request, "there")))
        if chosen in ("ko", "en"):
            answer.set_cookie(LANGUAGE_COOKIE, chosen, max_age=31_536_000, path="/console", samesite="lax")
        return answer


def _inside(path: str | None) -> str:
    """Return a path of the console; anything else a link might smuggle in becomes its first page."""
    if path and path.startswith("/console") and not any(c in path for c in "\\\r\n\t") and "//" not in path:
        return path
    return "/console"


def _signed_in(answer: Response, request: Request, token: str) -> Response:
    # Over plain HTTP a browser keeps a Secure cookie only for this machine, if at all.
    local = from_here(request)
    answer.set_cookie(
        COOKIES[1] if local else COOKIES[0],
        token,
        path="/",
        httponly=True,
        secure=not local,
        samesite="lax",
    )
    return answer
