"""The whole interface attacked by schemathesis, with a key and without, against a running service.

Quick: the same few hundred requests each time. Long (``--long``): other ones each time, sequences of calls too; the
report names the seed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = Path(__file__).with_name("schemathesis.toml")
PUBLIC = {"/", "/docs", "/v1/openapi.json", "/healthz", "/livez", "/readyz"}


def schemathesis(service, folder: Path, *options: str) -> str:
    """Run it against the service; return its report, and fail with what it found."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG),
        "run", f"{service.address}/v1/openapi.json",
        "--header", f"Authorization: Bearer {service.keys['administrator']}",
        "--no-shrink", "--request-timeout", "120", "--suppress-health-check", "all", "--warnings", "off",
        "--report", "junit", "--report-junit-path", str(folder / "report.xml"), *options,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    report = "\n".join(line[:500] for line in done.stdout.splitlines())
    assert done.returncode == 0, f"{report[-12_000:]}\n{done.stderr[-2_000:]}"
    return report


def test_no_request_breaks_the_service_or_its_promises(service, long, tmp_path):
    """No 5xx, every answer as the reference says, wrong input refused, nothing without a key."""
    form = ["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "60"]
    quick = ["--phases", "examples,fuzzing", "--max-examples", "5", "--seed", "20261122"]
    report = schemathesis(service, tmp_path, *(form if long else quick))
    tested = re.search(r"Tested: (\d+)", report)
    document = service.call("GET", "/v1/openapi.json").json()
    operations = sum(len(methods) for methods in document["paths"].values())
    assert tested and int(tested[1]) == operations - 1, report[-2_000:]  # all but the document itself
    assert "Traceback" not in service.output()


def requests_without_knowing(document: dict) -> list[tuple[str, str]]:
    found = [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]
    return [(method, re.sub(r"{\w+}", "1", path)) for method, path in found if path not in PUBLIC]


def test_no_operation_answers_who_brings_no_key_or_a_wrong_one(service):
    """Also with keys that look right: cut, longer, of another id, in another scheme."""
    import httpx

    good = service.keys["administrator"]
    wrong = [
        {},
        {"Authorization": f"Bearer {good[:-1]}"},
        {"Authorization": f"Bearer {good}x"},
        {"Authorization": f"Basic {good}"},
        {"Authorization": good},
        {"Authorization": "Bearer"},
        {"Cookie": f"listing_risk={good}"},
        {"X-Forwarded-User": "root", "X-Forwarded-Role": "administrator"},
    ]
    document = service.call("GET", "/v1/openapi.json").json()
    operations = requests_without_knowing(document)
    assert len(operations) > 40
    with httpx.Client(base_url=service.address, timeout=120) as http:
        for at, (method, path) in enumerate(operations):
            headers = wrong[at % len(wrong)]
            answer = http.request(method, path, headers=headers, json={} if method == "POST" else None)
            # Whoever is not known may not ask often either: a refusal all the same.
            assert answer.status_code in (401, 429), (method, path, headers, answer.status_code)
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("role", ["viewer", "reviewer", "laboratory", "compliance", "data_scientist"])
def test_a_lesser_key_gets_no_further_than_its_role(service, role):
    """Every operation that its role is not granted is 403, and no other is."""
    from serving.access.table import GRANTS

    document = service.call("GET", "/v1/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path in PUBLIC:
                continue
            address = re.sub(r"{\w+}", "1", path)
            body = json.dumps({"nothing": 1}) if method == "post" else None
            answer = service.call(
                method.upper(), address, role, content=body, headers={"Content-Type": "application/json"}
            )
            refused = operation["x-permission"] not in GRANTS[role]
            assert (answer.status_code == 403) == refused, (role, method, path, answer.status_code)
