"""The peer's model as ``mlflow models serve`` runs it: rows with a title in, a probability per hazard out."""

# pyright: reportMissingImports=false, reportPrivateImportUsage=false, reportIncompatibleMethodOverride=false

from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from peer import Pipeline


class PeerModel(PythonModel):
    """Loads the pipeline once and scores frames with a column ``title``."""

    def load_context(self, context: Any) -> None:
        """Load the pipeline."""
        self.pipeline = Pipeline(Path(context.artifacts["model"]))

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[dict[str, float]]:
        """Return hazard -> probability for each row."""
        return self.pipeline.score(list(model_input["title"]))


set_model(PeerModel())
