"""Accounts and keys: who may come in, and as what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.errors import UserError
from serving.access.door import AccessDoor, AccessError
from serving.access.table import GRANTS, PERMISSIONS, ROLES, actor_of
from serving.console.page import Pages, actor_of_request, away, field, form_of, now_utc
from serving.store.records import moment

HERE = "/console/people"


class PeopleRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route(HERE, self.people, methods=["GET"]),
            Route(f"{HERE}/add", self.add, methods=["POST"]),
            Route(f"{HERE}/disable", self.disable, methods=["POST"]),
            Route(f"{HERE}/keys", self.issue, methods=["POST"]),
            Route(f"{HERE}/keys/revoke", self.revoke, methods=["POST"]),
        ]

    def door(self) -> AccessDoor:
        """Return the door of the open store."""
        return AccessDoor(self.pages.store(), self.pages.doors.settings.access)

    async def people(self, request: Request) -> Response:
        """Show accounts, keys and the table of who may do what."""
        return await self._page(request)

    async def _page(self, request: Request, **more: Any) -> Response:
        shown = await away(self._shown)
        context: dict[str, Any] = {"shown_key": "", "link": ""} | shown | more
        return self.pages.render(request, "people.html", **context)

    def _shown(self) -> dict[str, Any]:
        door, now = self.door(), now_utc()
        keys = [
            {"one": k, "made": moment(k.created_at), "ends": moment(k.expires_at)} for k in door.api_keys()
        ]
        return {
            "accounts": [{"one": a, "made": moment(a.created_at)} for a in door.accounts()],
            "keys": [row | {"over": row["ends"] < now} for row in keys],
            "roles": ROLES,
            "grants": GRANTS,
            "permissions": PERMISSIONS,
        }

    async def add(self, request: Request) -> Response:
        """Add an account; without a password a one-time link is shown instead."""
        name, role, by = (
            field(request, "name", 80),
            field(request, "role", 40),
            actor_of_request(request).name,
        )
        password = (form_of(request).get("password") or [""])[0]
        address = f"{request.url.scheme}://{request.url.netloc}"
        try:
            _may_give(request, role)
            await away(self.door().add_account, name, role, password or None, by)
            link = "" if password else await away(self.door().account_link, name, address, by)
        except UserError as error:
            return self._refused(request, error)
        if link:
            return await self._page(request, link=link)
        return self.pages.go(HERE, self.pages.words(request)("people.added", name=name))

    async def disable(self, request: Request) -> Response:
        """Let a person in no more."""
        name, words = field(request, "name", 80), self.pages.words(request)
        try:
            await away(self.door().disable_account, name, actor_of_request(request).name)
        except UserError as error:
            return self._refused(request, error)
        return self.pages.go(HERE, words("people.disabled", name=name))

    async def issue(self, request: Request) -> Response:
        """Issue a key; it is on this one page and nowhere else."""
        days = field(request, "days", 3)
        scopes = [scope for scope in form_of(request).get("scope", []) if scope in PERMISSIONS]
        role = field(request, "role", 40)
        try:
            _may_give(request, role, scopes)
            _, shown = await away(
                self.door().issue_key,
                field(request, "name", 80),
                role,
                scopes,
                int(days) if days.isdigit() else 90,
                actor_of_request(request).name,
            )
        except UserError as error:
            return self._refused(request, error)
        return await self._page(request, shown_key=shown)

    async def revoke(self, request: Request) -> Response:
        """Take a key back."""
        door = request.scope.get("door") or self.door()
        try:
            await away(door.revoke_key, field(request, "key_id", 40), actor_of_request(request).name)
        except UserError as error:
            return self._refused(request, error)
        return self.pages.go(HERE, self.pages.words(request)("people.revoked"))

    def _refused(self, request: Request, error: UserError) -> Response:
        return self.pages.go(HERE, self.pages.words(request)("refused.because", why=str(error)))


def _may_give(request: Request, role: str, scopes: Sequence[str] = ()) -> None:
    """Refuse to give what the giver may not do: a key cut to the management of access is no way to the rest.

    Raises
    ------
    AccessError
    """
    given = set(scopes) or actor_of("", role).scopes
    if more := sorted(given - actor_of_request(request).scopes):
        raise AccessError(f"got {more[0]!r} to give, which is not allowed to you yourself")
