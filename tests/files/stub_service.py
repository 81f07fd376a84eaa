"""The service as BentoML serves it, around the stub bundle: ``bentoml serve stub_service:service``."""

from __future__ import annotations

import os

from stub_bundle import StubBundle

from serving.app import Engine, create_app
from serving.policy_document import load_policy
from serving.predictor import Predictor
from serving.service import service_of
from serving.settings import read_settings

settings = read_settings(os.environ)
app = create_app(lambda: Engine(Predictor(StubBundle(), load_policy())), settings)
service = service_of(app, settings.workers)
