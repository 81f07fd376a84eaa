"""A registered bundle scores as the library does where others run it: MLflow's own server, and Spark."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from features.schema import Listing
from serving.settings import STARTER
from training.bundle import Bundle
from training.registry import register

LISTINGS = [
    {"id": "a-1", "title": "여아 리본 목걸이 팔찌 세트", "price": 3900.0},
    {"id": "a-2", "title": "Wooden building blocks, 100 pieces", "price": None},
]


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    place = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{place}/mlflow.db"
    register(STARTER, tracking_uri=uri)
    return uri


@pytest.fixture(scope="module")
def served(tracking, tmp_path_factory):
    """The real `mlflow models serve`, as its page shows it, in this environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", "models:/starter@champion",
               "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]  # fmt: skip
    environ = os.environ | {
        "MLFLOW_TRACKING_URI": tracking,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environ, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            end = time.monotonic() + 180
            while True:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                try:
                    if http.get("/ping").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.2)
            yield http
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


@pytest.mark.long
def test_the_server_scores_as_the_library_does(served):
    answer = served.post("/invocations", json={"dataframe_records": LISTINGS})
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    bundle = Bundle.load(STARTER)
    direct = bundle.score([Listing(**fields) for fields in LISTINGS])
    assert [row["id"] for row in rows] == list(direct.listing_ids)
    assert [row["p_noncompliant"] for row in rows] == pytest.approx(direct.p_noncompliant.tolist(), abs=1e-12)
    for k, code in enumerate(bundle.taxonomy.codes):
        assert [row[f"p_{code}"] for row in rows] == pytest.approx(direct.p[:, k].tolist(), abs=1e-12)


@pytest.mark.long
def test_the_input_example_that_was_logged_is_answered(served, tracking):
    import mlflow

    mlflow.set_tracking_uri(tracking)
    model = mlflow.models.get_model_info("models:/starter@champion")
    example = json.loads(
        Path(mlflow.artifacts.download_artifacts(f"{model.model_uri}/serving_input_example.json")).read_text()
    )
    answer = served.post("/invocations", json=example)
    assert answer.status_code == 200, answer.text
    row = answer.json()["predictions"][0]
    assert set(row) == {column.name for column in model.signature.outputs}


@pytest.mark.long
def test_a_body_that_does_not_fit_the_signature_is_refused_by_name(served):
    answer = served.post("/invocations", json={"dataframe_records": [{"name": "no title"}]})
    assert answer.status_code == 400
    assert "title" in answer.text


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    sql = pytest.importorskip("pyspark.sql", reason="the extra spark is not installed")
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        pytest.skip("Spark needs a Java runtime, which is not installed")
    place = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "512m",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.local.dir": str(place),
        "spark.sql.warehouse.dir": str(place / "warehouse"),
        "spark.executorEnv.OMP_NUM_THREADS": "1",
    }
    patch = pytest.MonkeyPatch()
    patch.setenv("PYSPARK_PYTHON", sys.executable)
    patch.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master("local[1]").appName("listing-risk")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
    patch.undo()


@pytest.mark.long
def test_a_table_in_spark_is_scored_as_the_library_scores_it(spark, tracking):
    import mlflow
    from pyspark.sql.functions import struct

    mlflow.set_tracking_uri(tracking)
    titles = [listing["title"] for listing in LISTINGS] * 20
    table = spark.createDataFrame(
        pd.DataFrame({"id": [f"r-{i}" for i in range(len(titles))], "title": titles})
    ).repartition(2)
    score = mlflow.pyfunc.spark_udf(spark, "models:/starter@champion", env_manager="local")
    scored = table.withColumn("risk", score(struct("id", "title"))).select(
        "id", "risk.p_noncompliant", "risk.top_hazard", "risk.p_lead"
    )
    found = {row["id"]: row for row in scored.collect()}
    bundle = Bundle.load(STARTER)
    direct = bundle.score([Listing(id=f"r-{i}", title=title) for i, title in enumerate(titles)])
    assert sorted(found) == sorted(direct.listing_ids)
    lead = bundle.taxonomy.index("lead")
    for i, name in enumerate(direct.listing_ids):
        assert found[name]["p_noncompliant"] == pytest.approx(direct.p_noncompliant[i], abs=1e-12)
        assert found[name]["p_lead"] == pytest.approx(direct.p[i, lead], abs=1e-12)
        assert found[name]["top_hazard"] == bundle.taxonomy.codes[int(np.argmax(direct.p[i]))]
