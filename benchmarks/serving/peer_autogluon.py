"""AutoGluon's tabular predictor on the title's words, behind FastAPI: which hazard comes first, with probabilities.

Runs with an interpreter of its own that has autogluon.tabular with LightGBM, fastapi and uvicorn:

    PYTHON peer_autogluon.py fit FOLDER PAST_RESULTS
    PEER_MODEL=FOLDER PYTHON -m uvicorn peer_autogluon:app

The predictor gives one class a row, so a product with several hazards counts under its first one.
"""

# pyright: reportMissingImports=false
# No `from __future__ import annotations`: FastAPI reads them, and they name classes of a function.

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

FIT_SECONDS = 90


def fit(folder: Path, past: Path) -> None:
    """Fit on past results: rows with ``product`` and ``hazards``."""
    import pandas as pd
    from autogluon.tabular import TabularPredictor

    rows = [json.loads(line) for line in past.read_text(encoding="utf-8").splitlines()]
    frame = pd.DataFrame({"title": [r["product"] for r in rows], "hazard": [r["hazards"][0] for r in rows]})
    TabularPredictor("hazard", path=str(folder), verbosity=0).fit(
        frame, time_limit=FIT_SECONDS, hyperparameters={"GBM": {}}
    )


def _app() -> Any:
    import pandas as pd
    from autogluon.tabular import TabularPredictor
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Listing(BaseModel):
        id: str
        title: str

    class Listings(BaseModel):
        listings: list[Listing]

    loaded: list[Any] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        predictor = TabularPredictor.load(os.environ["PEER_MODEL"])
        predictor.persist()
        loaded.append(predictor)
        yield

    app = FastAPI(lifespan=lifespan)

    def probabilities(titles: list[str]) -> list[dict[str, float]]:
        return loaded[0].predict_proba(pd.DataFrame({"title": titles})).to_dict("records")

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v1/score")
    def score(listing: Listing) -> dict[str, Any]:
        return {"listing_id": listing.id, "hazards": probabilities([listing.title])[0]}

    @app.post("/v1/score-many")
    def score_many(many: Listings) -> dict[str, Any]:
        pairs = zip(many.listings, probabilities([one.title for one in many.listings]), strict=True)
        return {"results": [{"listing_id": one.id, "hazards": row} for one, row in pairs]}

    return app


def __getattr__(name: str) -> Any:
    if name == "app":
        globals()[name] = _app()
        return globals()[name]
    raise AttributeError(name)


if __name__ == "__main__":
    fit(*map(Path, sys.argv[2:]))
