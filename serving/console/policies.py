"""The policy in force, what another one would change, shadow, promotion and going back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.errors import UserError
from serving.console.page import Pages, actor_of_request, away, field, form_of, now_utc
from serving.policy.desk import Ground, PolicyDesk, PolicyDeskError
from serving.policy.document import SIZE_MAX, PolicyError, parse_policy

HERE = "/console/policy"
TRY_MAX = 20_000
"""Decisions that the page tries a policy on; the command has no such limit."""


class PolicyRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route(HERE, self.policy, methods=["GET"]),
            Route(f"{HERE}/try", self.attempt, methods=["POST"]),
            Route(f"{HERE}/shadow", self.shadow, methods=["POST"]),
            Route(f"{HERE}/shadow/end", self.end_shadow, methods=["POST"]),
            Route(f"{HERE}/promote", self.promote, methods=["POST"]),
            Route(f"{HERE}/rollback", self.rollback, methods=["POST"]),
        ]

    def desk(self) -> PolicyDesk:
        """Return the desk of the open store, on the ground of the bundle that is loaded."""
        predictor = self.pages.doors.engine().predictor
        points = predictor.bundle.manifest.operating_points
        return PolicyDesk(
            self.pages.store(), Ground(predictor.taxonomy, points, predictor.checks.certificates)
        )

    async def policy(self, request: Request) -> Response:
        """Show what is in force and its history."""
        return self.pages.render(request, "policy.html", **await away(self._shown))

    def _shown(self) -> dict[str, Any]:
        predictor, desk = self.pages.doors.engine().predictor, self.desk()
        running = desk.shadow()
        text = next(
            (str(x.body["text"]) for x in desk.history() if x.version == predictor.policy.version), ""
        )
        return {
            "rules": predictor.policy.rules,
            "version": predictor.policy.version,
            "model": predictor.model_version,
            "points": predictor.bundle.manifest.operating_points,
            "uncovered": predictor.policy.uncovered,
            "history": desk.history()[:40],
            "wanted": desk.wanted(),
            "follows": self.pages.doors.settings.policy is None,
            "shadow": None if running is None else desk.shadow_report(running.version),
            "text": text,
            "diff": None,
            "problems": (),
            "days": 30,
        }

    async def attempt(self, request: Request) -> Response:
        """Validate a policy and say what it would have changed."""
        text, days = _text(request), _days(field(request, "days", 3))
        shown = await away(self._shown) | {"text": text, "days": days}
        try:
            shown["diff"] = await away(self._diff, text, days)
        except PolicyError as error:
            return self.pages.render(request, "policy.html", 422, **(shown | {"problems": error.problems}))
        return self.pages.render(request, "policy.html", **shown)

    def _diff(self, text: str, days: int) -> Any:
        desk = self.desk()
        return desk.diff(
            desk.document("in-force"), parse_policy(text), now_utc() - timedelta(days=days), TRY_MAX
        )

    async def shadow(self, request: Request) -> Response:
        """Run a policy in shadow."""
        return await self._change(request, "policy.shadowed", _text(request))

    async def end_shadow(self, request: Request) -> Response:
        """End the shadow run."""
        return await self._change(request, "policy.shadow_ended")

    async def promote(self, request: Request) -> Response:
        """Put a policy in force."""
        return await self._change(request, "policy.promoted", _text(request), field(request, "why"))

    async def rollback(self, request: Request) -> Response:
        """Go back to the one before."""
        return await self._change(request, "policy.rolled_back", field(request, "why"))

    async def _change(self, request: Request, done: str, *given: str) -> Response:
        words, actor = self.pages.words(request), actor_of_request(request).name
        try:
            version = await away(self._do, done, actor, *given)
        except PolicyError as error:
            shown = await away(self._shown) | {"text": given[0], "problems": error.problems}
            return self.pages.render(request, "policy.html", 422, **shown)
        except (PolicyDeskError, UserError) as error:
            return self.pages.go(HERE, words("refused.because", why=str(error)))
        return self.pages.go(HERE, words(done, version=version))

    def _do(self, done: str, actor: str, *given: str) -> str:
        desk = self.desk()
        if done == "policy.shadowed":
            return desk.start_shadow(given[0], actor)
        if done == "policy.shadow_ended":
            return desk.end_shadow(actor)
        if done == "policy.promoted":
            return desk.promote(given[0], actor, why=given[1])
        return desk.rollback(actor, given[0])


def _text(request: Request) -> str:
    """The policy of the form; browsers send line ends as CR LF, which would change its hash."""
    return (form_of(request).get("text") or [""])[0][:SIZE_MAX].replace("\r\n", "\n")


def _days(text: str) -> int:
    return min(max(int(text), 1), 366) if text.isdigit() else 30
