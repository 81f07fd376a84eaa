"""A bundle as MLflow's generic Python model: a frame of listings in, a frame of probabilities out.

The package must be installed where it is loaded; no code travels with it, since a second model's copy of the code would
silently be the first's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, DataType, Schema

from features.frames import frame_like, listings_of
from training.scores import Scores

BUNDLE = "bundle"
_TEXTS = (
    "id",
    "description",
    "category",
    "brand",
    "origin",
    "currency",
    "market",
    "marketplace",
    "target_age",
)


class BundleModel(PythonModel):
    """Loads the bundle of its artifacts and scores frames."""

    def load_context(self, context: Any) -> None:
        """Load the bundle."""
        from training.bundle import Bundle

        self.bundle = Bundle.load(Path(context.artifacts[BUNDLE]))

    # MLflow reads type hints here as the schema of the input, and warns of any it does not know.
    def predict(self, context, model_input, params=None):  # noqa: ANN001, ANN201
        """Score listings.

        Parameters
        ----------
        model_input
            Frame with a column ``title`` and any other field of a listing.

        Returns
        -------
        frame
            Of the kind that was given; see `score_columns`.
        """
        scores = self.bundle.score(listings_of(model_input))
        return frame_like(model_input, score_columns(scores, self.bundle.taxonomy.codes))


def score_columns(scores: Scores, codes: Sequence[str]) -> Mapping[str, list[Any]]:
    """Return scores as columns: ``id``, ``p_noncompliant``, ``top_hazard``, group, audience, language, ``p_HAZARD``."""
    columns: dict[str, list[Any]] = {
        "id": list(scores.listing_ids),
        "p_noncompliant": scores.p_noncompliant.tolist(),
        "top_hazard": [codes[k] for k in scores.p.argmax(axis=1)] if len(scores.p) else [],
        "group": list(scores.groups),
        "audience": list(scores.audiences),
        "language": list(scores.languages),
    }
    return columns | {f"p_{code}": scores.p[:, k].tolist() for k, code in enumerate(codes)}


def signature(codes: Sequence[str]) -> ModelSignature:
    """Return what goes in and what comes out; only the title is needed."""
    inputs: list[Any] = [ColSpec(DataType.string, "title")]
    inputs += [ColSpec(DataType.string, name, required=False) for name in _TEXTS]
    inputs.append(ColSpec(DataType.double, "price", required=False))
    texts = ("top_hazard", "group", "audience", "language")
    outputs: list[Any] = [ColSpec(DataType.string, "id"), ColSpec(DataType.double, "p_noncompliant")]
    outputs += [ColSpec(DataType.string, name) for name in texts]
    outputs += [ColSpec(DataType.double, f"p_{code}") for code in codes]
    return ModelSignature(Schema(inputs), Schema(outputs))


def input_example() -> Any:
    """Return two invented listings as a pandas frame."""
    import pandas as pd

    return pd.DataFrame(
        {
            "id": ["a-1", "a-2"],
            "title": ["여아 리본 목걸이 팔찌 세트", "Wooden building blocks, 100 pieces"],
            "category": ["완구 > 액세서리", "Toys > Building"],
            "price": [3900.0, 24.9],
        }
    )
