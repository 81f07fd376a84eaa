"""Plans, laboratory results and cases over HTTP."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.errors import UserError
from features.schema import FieldError, ListingError, parse_listing
from serving.http.bodies import body_of, checked
from serving.http.callers import caller_of
from serving.http.edge import json_response
from serving.http.problems import NOT_FOUND, NOT_READY, NOT_RECORDED, OUT_OF_STEP, WRONG_FIELDS, ProblemError
from serving.labs.book import LabError
from serving.labs.intake import ResultsRefusedError
from serving.labs.loop import LabOffice
from serving.plans.config import PlanConfig, read_plan_config
from serving.store.errors import BusyError, InvalidRecordError, NotFoundError, StoreUnavailableError

if TYPE_CHECKING:
    from serving.doors import Doors

BODY_MAX = 30_000_000
LISTINGS_MAX = 20_000
_SECONDS = 60.0
_TYPES = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
}
_Result = TypeVar("_Result")
_Text = Annotated[str, Field(max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlanRequest(_Body):
    """What is to be planned: a catalogue, and a configuration (None for the package's made-up example)."""

    listings: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=LISTINGS_MAX)]
    config: dict[str, Any] | None = None
    period: Annotated[str, Field(pattern=r"^[\w.-]{1,40}$")]
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    record: StrictBool = True


class ResultsRequest(_Body):
    """A results file (``content`` in base64) or its rows as objects."""

    laboratory: Annotated[str, Field(min_length=1, max_length=80)]
    file_name: _Text = "results.json"
    content: str | None = None
    results: list[dict[str, Any]] | None = None


class StepRequest(_Body):
    """A person's word that a step of a case is done."""

    step: _Text
    note: Annotated[str, Field(max_length=500)] = ""


class OrdersRequest(_Body):
    """An orders file in base64."""

    file_name: _Text = "orders.csv"
    content: str


class LabsDoor:
    """The one laboratory office of a service, made when it is first asked for."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._lock = threading.Lock()
        self._office: LabOffice | None = None

    def __call__(self) -> LabOffice:
        """Return the office, or raise the 503 problem."""
        store, bans = self._doors.store(), self._doors.bans()
        with self._lock:
            if self._office is None or self._office.store is not store:
                self._office = LabOffice(store, bans)
            return self._office


class LabsApi:
    """The handlers.

    Parameters
    ----------
    doors
        The way to the store, the bans and the predictor.
    """

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.office = LabsDoor(doors)

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/v1/plans", self.plans, methods=["GET", "POST"]),
            Route("/v1/plans/{plan_id}", self.plan, methods=["GET"]),
            Route("/v1/plans/{plan_id}/files/{name}", self.plan_file, methods=["GET"]),
            Route("/v1/plans/{plan_id}/estimates", self.estimates, methods=["GET"]),
            Route("/v1/lab-results", self.results, methods=["GET", "POST"]),
            Route("/v1/lab-orders", self.orders, methods=["POST"]),
            Route("/v1/lab-cases", self.cases, methods=["GET"]),
            Route("/v1/lab-cases/{case_id}/steps", self.step, methods=["POST"]),
        ]

    async def plans(self, request: Request) -> Response:
        """List the plans, or make one."""
        if request.method == "GET":
            book = await blocking(lambda: self.office().book)
            heads = [plan_head(head.body, head.made_by) for head in book.plans.values()]
            return json_response({"plans": heads})
        wanted = await body_of(request, PlanRequest, BODY_MAX, _SECONDS)
        made = await blocking(self._plan, wanted, caller_of(request))
        return json_response(made, status=201 if wanted.record else 200)

    def _plan(self, wanted: PlanRequest, actor: str) -> dict[str, Any]:
        from serving.plans.making import make_plan, usual_seed

        office = self.office()
        config = read_plan_config() if wanted.config is None else checked(PlanConfig, wanted.config)
        listings = [parse_listing(raw) for raw in wanted.listings]
        seed = usual_seed(wanted.period, office.taxonomy) if wanted.seed is None else wanted.seed
        made = make_plan(
            listings, self.doors.engine().predictor, self.doors.bans().desk.bank.reader, config, office.past_tests(),
            period=wanted.period, today=datetime.now(UTC).date(), seed=seed,
        )  # fmt: skip
        if wanted.record:
            office.keep_plan(made.plan, made.scored, actor)
        return made.body

    async def plan(self, request: Request) -> Response:
        """Show a plan with every item's propensity, stratum and reason."""
        plan_id = request.path_params["plan_id"]
        head = await blocking(lambda: self.office().book.plan(plan_id))
        return json_response(dict(head.body))

    async def plan_file(self, request: Request) -> Response:
        """Give a file of a plan: an order sheet, or the frame that the estimator needs."""
        plan_id, name = request.path_params["plan_id"], request.path_params["name"]
        content = await blocking(lambda: self.office().plan_file(plan_id, name))
        return file_response(name, content)

    async def estimates(self, request: Request) -> Response:
        """Give failure rates of the whole catalogue from a plan's results."""
        plan_id = request.path_params["plan_id"]

        def work() -> dict[str, Any]:
            from serving.labs.estimate import publish

            office = self.office()
            return publish(office.frame(plan_id), plan_id, office.book).to_json()

        return json_response(await blocking(work))

    async def results(self, request: Request) -> Response:
        """Take a results file in, whole or not at all; or list the files that were taken."""
        if request.method == "GET":
            book = await blocking(lambda: self.office().book)
            files = [
                {
                    "file_id": f.file_id, "name": f.name, "laboratory": f.laboratory, "rows": f.rows,
                    "taken_at": f.at.isoformat(timespec="seconds"), "taken_by": f.actor,
                }
                for f in book.files.values()
            ]  # fmt: skip
            return json_response({"files": files})
        wanted = await body_of(request, ResultsRequest, BODY_MAX, _SECONDS)
        name, content = _content(wanted)
        taken = await blocking(self.office().take, name, content, wanted.laboratory, caller_of(request))
        return json_response(taken.to_json(), status=201)

    async def orders(self, request: Request) -> Response:
        """Take an orders file in, as counts and sums alone."""
        wanted = await body_of(request, OrdersRequest, BODY_MAX, _SECONDS)
        content = _decoded(wanted.content)
        found = await blocking(self.office().take_orders, wanted.file_name, content, caller_of(request))
        return json_response(found, status=201)

    async def cases(self, request: Request) -> Response:
        """List cases with what is open of each."""
        views = await blocking(lambda: self.office().cases())
        return json_response({"cases": [view.to_json() for view in views]})

    async def step(self, request: Request) -> Response:
        """Take a person's word that a step is done."""
        wanted = await body_of(request, StepRequest, BODY_MAX, _SECONDS)
        case_id = request.path_params["case_id"]
        view = await blocking(self.office().confirm, case_id, wanted.step, caller_of(request), wanted.note)
        return json_response(view.to_json())


def plan_head(body: Any, made_by: str) -> dict[str, Any]:
    """Return what a list of plans shows of one."""
    return {
        "plan_id": body["plan_id"],
        "period": body["period"],
        "made": body["made"],
        "made_by": made_by,
        "items": len(body["items"]),
        "spent": sum(item["cost"] for item in body["items"]),
        "currency": body["config"]["currency"],
        "clusters": body["clusters"],
        "gap": body["gap"],
    }


def file_response(name: str, content: bytes) -> Response:
    """Return a file to be saved, never shown."""
    kind = _TYPES.get(name[name.rfind(".") :], "application/octet-stream")
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return Response(content, headers=headers, media_type=kind)


def _content(wanted: ResultsRequest) -> tuple[str, bytes]:
    if (wanted.content is None) == (wanted.results is None):
        raise ProblemError(WRONG_FIELDS, "Got neither or both of content and results; expected one of them.")
    if wanted.results is not None:
        return wanted.file_name, json.dumps(wanted.results, ensure_ascii=False).encode()
    return wanted.file_name, _decoded(wanted.content or "")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProblemError(WRONG_FIELDS, "content: got something that is not base64.") from None


async def blocking(work: Callable[..., _Result], *args: Any) -> _Result:
    """Do slow work in a thread; what the store or the caller did wrong becomes a problem.

    Raises
    ------
    ProblemError
        422 with every problem of a refused file or listing, 404, 409 or 503.
    """
    try:
        return await asyncio.to_thread(work, *args)
    except ResultsRefusedError as error:
        problems = tuple(
            FieldError(f"line {p.line}" if p.line else "(file)", p.message, p.code) for p in error.problems
        )
        detail = f"Nothing of the file was taken: {len(problems)} problems."
        raise ProblemError(WRONG_FIELDS, detail, errors=problems) from None
    except ListingError as error:
        raise ProblemError(
            WRONG_FIELDS, f"{len(error.errors)} fields are wrong.", errors=error.errors
        ) from None
    except NotFoundError as error:
        raise ProblemError(NOT_FOUND, str(error)) from None
    except LabError as error:
        missing = "which no plan has" in str(error) or "known are" in str(error) or "not exist" in str(error)
        raise ProblemError(NOT_FOUND if missing else OUT_OF_STEP, str(error)) from None
    except (UserError, InvalidRecordError) as error:
        raise ProblemError(WRONG_FIELDS, str(error)[:1000]) from None
    except ModuleNotFoundError as error:
        detail = f"This needs {error.name}: pip install 'listing-risk[laboratory]'."
        raise ProblemError(NOT_READY, detail) from None
    except (BusyError, StoreUnavailableError):
        detail = "The store did not take the record."
        raise ProblemError(NOT_RECORDED, detail, headers={"Retry-After": "2"}) from None
