"""The service as BentoML serves it, around the stub bundle: ``bentoml serve stub_service:service``."""

from __future__ import annotations

import os

from stub_bundle import StubBundle

from serving.app import Engine, create_app
from serving.policy.document import load_policy
from serving.predictor import Predictor
from serving.service import service_of
from serving.settings import read_settings
from serving.store import Store, StoreSink

settings = read_settings(os.environ)


def engine() -> Engine:
    predictor = Predictor(StubBundle(), load_policy())
    if not settings.store:
        return Engine(predictor)
    store = Store(settings.store).open()
    return Engine(predictor, StoreSink(store), store)


app = create_app(engine, settings)
service = service_of(app, settings.workers)
