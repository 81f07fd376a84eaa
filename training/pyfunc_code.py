"""What MLflow runs to make the model ("models from code"); nothing imports it."""

from mlflow.models import set_model

from training.pyfunc import BundleModel

set_model(BundleModel())
