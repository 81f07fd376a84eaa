"""One listing: what it says, why it was stopped, what is known near it, what was decided, and deciding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.schema import Listing, ListingError, Seller, SellerHistory, parse_listing
from serving.console.desk_door import desk_of, told
from serving.console.item_view import (
    certificate_findings,
    filled,
    photos_of,
    phrases_of,
    price_of,
    text_fields,
    words_of,
)
from serving.console.page import Pages, actor_of_request, away, field
from serving.http.problems import NOT_FOUND, ProblemError
from serving.review.rules import CHOICES, Said, needs_second, suspected
from serving.store import StoredDecision, desk, desk_reads
from serving.store.engine import reading
from serving.store.records import moment

_PHOTO_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})


class ItemRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/console/items/{decision_id}", self.item, methods=["GET"]),
            Route("/console/items/{decision_id}/claim", self.claim, methods=["POST"]),
            Route("/console/items/{decision_id}/skip", self.skip, methods=["POST"]),
            Route("/console/items/{decision_id}/note", self.note, methods=["POST"]),
            Route("/console/items/{decision_id}/decide", self.decide, methods=["POST"]),
            Route("/console/photos/{decision_id}/{position:int}", self.photo, methods=["GET"]),
        ]

    async def item(self, request: Request) -> Response:
        """Show a listing under one of its decisions."""
        actor = actor_of_request(request)
        shown = await away(self._shown, request.path_params["decision_id"], actor.name)
        return self.pages.render(request, "item.html", **shown)

    def _shown(self, decision_id: str, actor: str) -> dict[str, Any]:
        review = desk_of(self.pages)
        store, now = review.store, review.now()
        stored = store.decision(decision_id)
        key = (stored.marketplace, stored.listing_id)
        with reading(store.engine) as connection:
            claim = desk.read_claim(connection, key, now)
            waits = desk_reads.waits(connection, *key)
            blind = claim is not None and claim.actor == actor and claim.golden_id is not None
            history = desk_reads.history_of(connection, *key)
            context = {
                "claim": claim,
                "claimed_until": moment(claim.until) if claim else None,
                "proposal": desk.open_proposal_on(connection, key),
                "labels": desk_reads.labels_of(connection, *key),
                "notes": [(n, moment(n.at)) for n in desk.read_item_notes(connection, key)],
                "photos": photos_of(stored.listing or {}, desk_reads.photo_positions(connection, stored.seq)),
            }
        if blind:
            # A golden item must look like any other: nothing that came after it is shown.
            history = tuple(line for line in history if line.seq <= stored.seq)
            context |= {"labels": (), "notes": (), "proposal": None}
        latest = history[0] if history else None
        in_force = latest is not None and latest.id == stored.id
        mine = claim is not None and claim.actor == actor and claim.decision_id == stored.id
        return (
            context
            | self._facts(stored)
            | {
                "one": stored,
                "history": history,
                "in_force": in_force,
                "mine": mine,
                "open": in_force and (blind or waits),
                "latest_id": latest.id if latest else "",
                "seconds": [c for c in CHOICES if needs_second(Said(c), stored, review.rules)],
            }
        )

    def _facts(self, stored: StoredDecision) -> dict[str, Any]:
        listing, phrases = stored.listing or {}, phrases_of(stored)
        seller = filled(listing.get("seller"), Seller.model_fields)
        return {
            "listing": filled(listing, Listing.model_fields),
            "seller": seller | {"history": filled(seller["history"], SellerHistory.model_fields)},
            "price": price_of(listing),
            "fields": text_fields(listing, phrases),
            "words": words_of(phrases),
            "hazards": stored.body.get("hazards", ()),
            "rules": stored.body.get("rules", ()),
            "past": stored.body.get("past_results", ()),
            "matches": stored.body.get("matches", ()),
            "suspected": suspected(stored),
            "findings": self._findings(stored) or certificate_findings(stored),
        }

    def _findings(self, stored: StoredDecision) -> tuple[str, ...]:
        """What the register says today of the certificates that the seller claims."""
        if stored.listing is None or self.pages.doors.loaded is None:
            return ()
        check = self.pages.doors.loaded.predictor.checks.certificates
        try:
            listing = parse_listing(stored.listing)
        except ListingError:
            return ()
        group, audience = str(stored.body.get("group") or ""), str(stored.body.get("audience") or "general")
        return tuple(sorted(check(listing, group, audience)))

    async def claim(self, request: Request) -> Response:
        """Take a certain item."""
        return await self._do(request, desk_of(self.pages).claim)

    async def skip(self, request: Request) -> Response:
        """Give an item back."""
        decision_id, words = request.path_params["decision_id"], self.pages.words(request)

        async def work() -> Response:
            await away(desk_of(self.pages).skip, actor_of_request(request).name, decision_id)
            return self.pages.go("/console/queue", words("item.skipped"))

        return await told(self.pages, request, work, f"/console/items/{decision_id}")

    async def note(self, request: Request) -> Response:
        """Note something."""
        return await self._do(request, desk_of(self.pages).note, field(request, "text", 2_000))

    async def _do(self, request: Request, work: Callable[..., Any], *args: Any) -> Response:
        here = f"/console/items/{request.path_params['decision_id']}"

        async def doing() -> Response:
            await away(work, actor_of_request(request).name, request.path_params["decision_id"], *args)
            return self.pages.go(here)

        return await told(self.pages, request, doing, here)

    async def decide(self, request: Request) -> Response:
        """Take a person's decision."""
        decision_id, actor = request.path_params["decision_id"], actor_of_request(request).name
        words = self.pages.words(request)
        said = [field(request, name) for name in ("choice", "hazard")]

        async def work() -> Response:
            review = desk_of(self.pages)
            found = await away(review.decide, actor, decision_id, *said, field(request, "note", 2_000))
            message = words(
                "item.proposed" if found.done == "proposed" else "item.done",
                choice=words(f"choice.{said[0]}"),
            )
            if field(request, "then") == "next":
                claim = await away(review.take, actor)
                if claim is not None:
                    return self.pages.go(f"/console/items/{claim.decision_id}", message)
            if field(request, "then") == "next" or found.done == "noted":
                return self.pages.go("/console/queue", message)
            return self.pages.go(f"/console/items/{found.decision_id or decision_id}", message)

        return await told(self.pages, request, work, f"/console/items/{decision_id}")

    async def photo(self, request: Request) -> Response:
        """Return a stored photo as it was judged."""
        position = request.path_params["position"]
        found = await away(self._photo, request.path_params["decision_id"], position)
        if found is None or found[0] not in _PHOTO_TYPES:
            raise ProblemError(NOT_FOUND, "No such photo is stored, or it was erased after its time.")
        headers = {
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-store",
            "Content-Disposition": "inline",
        }
        return Response(found[1], headers=headers, media_type=found[0])

    def _photo(self, decision_id: str, position: int) -> tuple[str, bytes] | None:
        store = self.pages.store()
        seq = store.decision(decision_id).seq
        with reading(store.engine) as connection:
            return desk_reads.photo_of(connection, seq, position)
