"""The outermost layer of the application: request ids, problem documents, counters and log lines."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from prometheus_client import Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.problems import (
    CONTENT_TYPE,
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    NOT_READY,
    ProblemError,
    body,
)
from serving.http.turning_away import KNOCK, Refusal, TurningAway
from serving.logs import event, frames
from serving.metrics import Metrics

UNMATCHED = "(unmatched)"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

access = logging.getLogger("serving.access")
errors = logging.getLogger("serving.errors")


@dataclass
class Trace:
    """What is known of one request; lives in the scope's state."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.perf_counter)
    status: int = 500
    answered: bool = False
    problem: str = ""
    facts: dict[str, int | str] = field(default_factory=dict)


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def problem_response(problem: ProblemError, trace: Trace) -> Response:
    """Return a problem document and note its kind in the trace."""
    trace.problem = problem.kind.slug
    content = orjson.dumps(body(problem, trace.id))
    return Response(content, problem.kind.status, problem.headers, media_type=CONTENT_TYPE)


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a `ProblemError`."""
    if not isinstance(error, ProblemError):
        raise error
    return problem_response(error, request.scope["trace"])


async def on_http(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: an unknown path, a wrong method."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if error.status_code == METHOD_NOT_ALLOWED.status:
        allowed = headers.get("Allow", "another one")
        problem = ProblemError(METHOD_NOT_ALLOWED, f"This path takes {allowed}.", headers=headers)
    elif error.status_code == NOT_FOUND.status:
        problem = ProblemError(NOT_FOUND, "No such path; see /docs.")
    else:
        problem = ProblemError(INTERNAL, "The service failed.")
    return problem_response(problem, request.scope["trace"])


class Edge:
    """ASGI middleware around the whole application.

    An error that nobody caught ends here as a 500 problem: were it raised further, the server would write its
    message to the log, and messages quote what they choked on.

    Parameters
    ----------
    metrics
        Counts requests, by route template.
    log
        Whether requests are logged.
    turning_away
        Says which requests are too many; such a request ends here, before anything is spent on it.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        log: bool = True,
        turning_away: TurningAway | None = None,
    ) -> None:
        self.app = app
        self.metrics = metrics
        self.log = log
        self.turning_away = turning_away or TurningAway(metrics)
        self._counted: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        knock = scope.get(KNOCK) or self.turning_away.ask(scope["method"], scope["path"], scope["headers"])
        if isinstance(knock, Refusal):
            await send({"type": "http.response.start", "status": knock.status, "headers": knock.headers})
            await send({"type": "http.response.body", "body": knock.content})
            return
        scope[KNOCK] = knock
        trace = Trace()
        scope["trace"] = trace
        request_id = trace.id.encode()

        async def traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                trace.status, trace.answered = message["status"], True
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        try:
            await self.app(scope, receive, traced)
        except Exception as error:
            await self._failed(error, trace, scope, receive, traced)
        finally:
            if knock is not None:
                knock.over()
            self._finish(scope, trace)

    async def _failed(
        self, error: Exception, trace: Trace, scope: Scope, receive: Receive, send: Send
    ) -> None:
        event(errors, logging.ERROR, "failed", {"request_id": trace.id, "error": frames(error)})
        if trace.answered:
            return
        problem = ProblemError(INTERNAL, "The service failed; nothing was decided.")
        await problem_response(problem, trace)(scope, receive, send)

    def _count(self, route: str, method: str, trace: Trace) -> float:
        seconds = time.perf_counter() - trace.started
        counters = self._counted.get((route, method, trace.status))
        if counters is None:
            counters = self._counted[route, method, trace.status] = (
                self.metrics.requests.labels(route, method, trace.status),
                self.metrics.seconds.labels(route),
            )
        counters[0].inc()
        counters[1].observe(seconds)
        if trace.problem:
            self.metrics.problems.labels(trace.problem).inc()
        return seconds

    def _finish(self, scope: Scope, trace: Trace) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        seconds = self._count(route, method, trace)
        if self.log:
            fields: dict[str, int | float | str] = {
                "request_id": trace.id,
                "method": method,
                "route": route,
                "status": trace.status,
                "ms": round(seconds * 1000, 2),
                **trace.facts,
            }
            if trace.problem:
                fields["problem"] = trace.problem
            event(access, logging.INFO, "request", fields)


def not_ready() -> ProblemError:
    """Return the problem of a service that is starting or shutting down."""
    return ProblemError(NOT_READY, "The bundle is not loaded.", headers={"Retry-After": "1"})
