"""How the client talks: one connection, keys, and errors that say what the service said."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel


class ServiceError(Exception):
    """The service answered with a problem.

    Attributes
    ----------
    status
        HTTP status.
    problem
        The problem document (RFC 9457), empty where the answer was none.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(
            f"{status}: {problem.get('title', 'no problem document')}. {problem.get('detail', '')}"
        )


class Transport:
    """A connection to a service.

    Parameters
    ----------
    address
        Such as ``http://127.0.0.1:3000``.
    key
        API key, where the service asks for one.
    http
        A client of your own instead: its base address, transport, timeouts and retries are kept.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:3000",
        key: str | None = None,
        *,
        timeout: float = 30.0,
        http: httpx.Client | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = http or httpx.Client(base_url=address, timeout=timeout, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    @staticmethod
    def quoted(part: str | int) -> str:
        """Write a part of a path."""
        return quote(str(part), safe="")

    def call(
        self, method: str, path: str, body: BaseModel | Mapping[str, Any] | None, query: Mapping[str, Any]
    ) -> Any:
        """Ask, and return the answer's JSON; None where it has none."""
        answer = self._ask(method, path, body, query)
        return answer.json() if answer.content else None

    def content(
        self, method: str, path: str, body: BaseModel | Mapping[str, Any] | None, query: Mapping[str, Any]
    ) -> bytes:
        """Ask, and return the answer as it came."""
        return self._ask(method, path, body, query).content

    def _ask(
        self, method: str, path: str, body: BaseModel | Mapping[str, Any] | None, query: Mapping[str, Any]
    ) -> httpx.Response:
        sent = body.model_dump(mode="json", exclude_unset=True) if isinstance(body, BaseModel) else body
        asked = {name: value for name, value in query.items() if value is not None}
        answer = self.http.request(method, path, json=sent, params=asked)
        if answer.is_success:
            return answer
        try:
            problem = answer.json()
        except ValueError:
            problem = {}
        raise ServiceError(answer.status_code, problem if isinstance(problem, dict) else {})
