"""The typed client is what its generator makes of today's OpenAPI document, and it talks to the service."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import httpx
import pytest

from serving.http.openapi import openapi_document
from serving.settings import Limits

ROOT = Path(__file__).parents[2] / "client"
REMAKE = "the service's OpenAPI document changed: run `python client/generate.py` and commit what it writes"


@pytest.fixture(scope="module")
def client_package():
    sys.path.insert(0, str(ROOT))
    import listing_risk_client

    yield listing_risk_client
    sys.path.remove(str(ROOT))


class Through(httpx.BaseTransport):
    """Hands a request to the application that runs in this process."""

    def __init__(self, app):
        self.app = app

    def handle_request(self, request):
        request.read()
        headers = {"content-type": request.headers["content-type"]} if request.content else {}
        answer = self.app.request(request.method, str(request.url), content=request.content, headers=headers)
        return httpx.Response(answer.status_code, content=answer.content)


def test_the_committed_client_is_the_generated_one():
    spec = importlib.util.spec_from_file_location("generate_client", ROOT / "generate.py")
    assert spec and spec.loader
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    for name, text in generator.files(openapi_document(Limits())).items():
        assert (ROOT / "listing_risk_client" / name).read_text() == text, REMAKE


def test_it_scores_and_says_what_the_service_says(client_package, client_of):
    http = httpx.Client(transport=Through(client_of()), base_url="http://127.0.0.1")
    with client_package.Client(http=http) as client:
        listing = client_package.ScoreRequest(id="a-1", title="나무 딸랑이", attributes={"p:lead": "0.9"})
        answer = client.score(listing, explain="always")
        assert answer.listing_id == "a-1"
        assert {cell.hazard: cell.p for cell in answer.hazards}["lead"] == 0.9
        assert client.model().model_version == answer.model_version
        many = client.score_many({"listings": [{"id": "1", "title": "a"}, {"id": "2"}]})
        assert many.results[0].decision is not None
        assert many.results[1].problem is not None
        with pytest.raises(client_package.ServiceError, match="422") as error:
            client.score({"id": "x"})
        assert error.value.problem["errors"]
