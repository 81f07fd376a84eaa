"""The stub bundle and an application around it, run in process."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class AppClient:
    """Plain calls to an ASGI application whose lifespan runs."""

    def __init__(self, app: Any, portal: BlockingPortal) -> None:
        self.app = app
        self.portal = portal
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.portal.call(lambda: self.http.request(method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)

    def together(self, path: str, bodies: list[Any]) -> list[httpx.Response]:
        """Post all at once."""

        async def all_of_them() -> list[httpx.Response]:
            import asyncio

            return await asyncio.gather(*(self.http.post(path, json=body) for body in bodies))

        return self.portal.call(all_of_them)


@pytest.fixture(scope="session")
def stub() -> ModuleType:
    if "stub_bundle" not in sys.modules:
        path = Path(__file__).parents[1] / "files" / "stub_bundle.py"
        spec = importlib.util.spec_from_file_location("stub_bundle", path)
        assert spec and spec.loader
        sys.modules["stub_bundle"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["stub_bundle"])
    return sys.modules["stub_bundle"]


@pytest.fixture
def predictor(stub: ModuleType) -> Any:
    from serving.policy.document import load_policy
    from serving.predictor import Predictor

    return Predictor(stub.StubBundle(), load_policy(), clock=lambda: NOON)


@pytest.fixture
def client_of(stub: ModuleType) -> Iterator[Callable[..., AppClient]]:
    """Start an application; limits, sink, logging and bundle may be given."""
    from serving.app import Engine, create_app
    from serving.policy.document import load_policy
    from serving.predictor import Predictor
    from serving.settings import Limits, Settings

    with start_blocking_portal() as portal:
        lifespans: list[Any] = []

        def start(
            limits: Any = None,
            sink: Any = None,
            log: str = "off",
            bundle: Any = None,
            bans: Any = None,
            store: Any = None,
        ) -> AppClient:
            predictor = Predictor(bundle or stub.StubBundle(), load_policy(), clock=lambda: NOON)
            engine = Engine(bans.decider if bans else predictor, sink, store, bans)
            app = create_app(lambda: engine, Settings(limits=limits or Limits(), log=log))
            lifespan = portal.wrap_async_context_manager(app.router.lifespan_context(app))
            lifespan.__enter__()
            lifespans.append(lifespan)
            return AppClient(app, portal)

        yield start
        for lifespan in lifespans:
            lifespan.__exit__(None, None, None)


@pytest.fixture
def client(client_of: Callable[..., AppClient]) -> AppClient:
    return client_of()
