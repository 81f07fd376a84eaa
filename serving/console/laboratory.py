"""Pages of the laboratory loop: plans, results upload, cases, failure rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from features.taxonomy import load_taxonomy
from serving.console.page import Pages, actor_of_request, away, field, language_for
from serving.console.plan_form import form_context, plan_from, read_form
from serving.http.callers import caller_of
from serving.http.problems import TOO_LARGE, WRONG_FIELDS, ProblemError
from serving.labs.api import LabsDoor, blocking, file_response, plan_head
from serving.labs.book import PlanHead
from serving.labs.cases import BY_PEOPLE, REVIEW
from serving.labs.files import SIZE_MAX
from serving.labs.intake import ResultsRefusedError
from serving.plans.page import plan_page
from serving.plans.words import Language

_HERE = "/console/laboratory"
# The plan's page brings its own styles; nothing else may run in it.
_PLAN_CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_PLAN_HEADERS = {
    "Content-Security-Policy": _PLAN_CSP,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
_CASES = 100
_RATES = 80


class LaboratoryRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.office = LabsDoor(pages.doors)

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route(_HERE, self.overview, methods=["GET"]),
            Route(f"{_HERE}/plans", self.make, methods=["POST"]),
            Route(f"{_HERE}/plans/{{plan_id}}", self.plan, methods=["GET"]),
            Route(f"{_HERE}/plans/{{plan_id}}/rates", self.rates, methods=["GET"]),
            Route(f"{_HERE}/plans/{{plan_id}}/files/{{name}}", self.file, methods=["GET"]),
            Route(f"{_HERE}/results", self.results, methods=["POST"]),
            Route(f"{_HERE}/orders", self.orders, methods=["POST"]),
            Route(f"{_HERE}/cases/{{case_id}}/confirm", self.confirm, methods=["POST"]),
        ]

    async def overview(self, request: Request) -> Response:
        """Show plans, the upload form and the cases."""
        context = await away(self._overview)
        return self.pages.render(request, "laboratory.html", **context)

    def _overview(self) -> Mapping[str, Any]:
        office = self.office()
        book = office.book
        with_results = set(book.by_sample())
        plans = [
            _plan_row(head, sum(s.sample_id in with_results for s in book.samples_of(head.plan_id)))
            for head in reversed(book.plans.values())
        ]
        views = office.cases()
        laboratories = {code for head in book.plans.values() for code in head.body["config"]["laboratories"]}
        return {
            "plans": plans,
            "laboratories": sorted(laboratories),
            "cases": [view.to_json() for view in views[:_CASES]],
            "by_people": (*BY_PEOPLE, REVIEW),
            "files": list(reversed(book.files.values()))[:20],
            "form": form_context(office.bans.catalogue.size() if office.bans else 0),
        }

    async def make(self, request: Request) -> Response:
        """Make a plan and show it, or record it."""
        sent, language = await read_form(request), cast("Language", language_for(request))
        actor = caller_of(request)

        def work() -> tuple[int, str]:
            made = plan_from(sent, self.office(), self.pages.doors, actor)
            titles = {listing_id: listing.title for listing_id, listing in made.listings.items()}
            page = "" if sent.record else plan_page(made.body, load_taxonomy(), titles, language)
            return len(made.plan.items), page

        count, page = await blocking(work)
        if page:
            return HTMLResponse(page, headers=_PLAN_HEADERS)
        words = self.pages.words(request)
        return self.pages.go(_HERE, words("labs.planned", period=sent.period, items=count))

    async def plan(self, request: Request) -> Response:
        """Show the page that explains a plan."""
        plan_id, language = request.path_params["plan_id"], cast("Language", language_for(request))

        def work() -> str:
            office = self.office()
            head = office.book.plan(plan_id)
            return plan_page(head.body, load_taxonomy(), office.titles(plan_id), language)

        return HTMLResponse(await blocking(work), headers=_PLAN_HEADERS)

    async def rates(self, request: Request) -> Response:
        """Show failure rates of the whole catalogue from a plan's results."""
        plan_id = request.path_params["plan_id"]

        def work() -> Mapping[str, Any]:
            from serving.labs.estimate import publish

            office = self.office()
            found = publish(office.frame(plan_id), plan_id, office.book).to_json()
            rows = [
                r
                for r in found["rates"]
                if r["naive"]["tested"] and (r["by"] == "all" or r["hazard"] == "any")
            ]
            rows.sort(key=lambda r: (r["by"] != "all", r["hazard"] != "any", r["by"], -r["naive"]["failed"]))
            return {"found": found, "rows": rows[:_RATES]}

        return self.pages.render(request, "laboratory_rates.html", plan_id=plan_id, **await blocking(work))

    async def file(self, request: Request) -> Response:
        """Give a file of a plan."""
        plan_id, name = request.path_params["plan_id"], request.path_params["name"]
        return file_response(name, await blocking(lambda: self.office().plan_file(plan_id, name)))

    async def results(self, request: Request) -> Response:
        """Take an uploaded results file in; a refusal shows everything that is wrong."""
        laboratory, name, content = await _upload(request)
        words = self.pages.words(request)

        def work() -> Any:
            try:
                return self.office().take(name, content, laboratory, caller_of(request))
            except ResultsRefusedError as error:
                return error

        taken = await blocking(work)
        if isinstance(taken, ResultsRefusedError):
            return self.pages.render(
                request,
                "laboratory_refused.html",
                422,
                name=name,
                problems=taken.problems[:200],
                count=len(taken.problems),
            )
        report = taken.to_json()
        bans = len((report["settled"] or {}).get("bans", ()))
        message = words(
            "labs.taken",
            name=name,
            results=report["results"],
            failed=len(report["failed_samples"]),
            bans=bans,
        )
        return self.pages.go(_HERE, message)

    async def orders(self, request: Request) -> Response:
        """Take an uploaded orders file in, as counts."""
        _, name, content = await _upload(request)
        found = await blocking(self.office().take_orders, name, content, caller_of(request))
        words = self.pages.words(request)
        return self.pages.go(_HERE, words("labs.orders_taken", listings=len(found["listings"])))

    async def confirm(self, request: Request) -> Response:
        """Take a person's word that a step is done."""
        case_id, step = request.path_params["case_id"], field(request, "step", 40)
        actor = actor_of_request(request)
        await blocking(self.office().confirm, case_id, step, actor.name or "local", field(request, "note"))
        return self.pages.go(_HERE, self.pages.words(request)("labs.step_done"))


def _plan_row(head: PlanHead, tested: int) -> dict[str, Any]:
    sheets: Sequence[str] = [name for name in head.body.get("files", {}) if name.endswith(".xlsx")]
    return plan_head(head.body, head.made_by) | {
        "tested": tested,
        "sheets": [(name.removesuffix(".xlsx").rpartition("-")[2], name) for name in sheets],
    }


async def _upload(request: Request) -> tuple[str, str, bytes]:
    """Read a form with one file; the gate has checked its token.

    Raises
    ------
    ProblemError
        413 or 422.
    """
    length = request.headers.get("content-length", "")
    if not length.isascii() or not length.isdigit() or int(length) > SIZE_MAX + 100_000:
        raise ProblemError(
            TOO_LARGE, f"A file may have {SIZE_MAX} bytes at most.", headers={"Connection": "close"}
        )
    async with request.form(max_files=1, max_fields=8) as form:
        upload = form.get("file")
        if not isinstance(upload, UploadFile) or not upload.filename:
            raise ProblemError(WRONG_FIELDS, "Got no file; choose one and send the form again.")
        content = await upload.read(SIZE_MAX + 1)
        name = upload.filename.replace("\\", "/").rpartition("/")[2][:150]
        return str(form.get("laboratory", ""))[:80], "".join(c for c in name if c >= " "), content
