"""Files for running it elsewhere speak of what exists: routes, settings, counters, paths, valid manifests."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import promql_parser
import pytest
import yaml

from serving.app import Engine, create_app
from serving.metrics import Metrics
from serving.settings import PREFIX, Settings, read_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "listing-risk.yaml").read_text("utf-8")))
ALERTS = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "listing-risk.json").read_text("utf-8"))
QUERIES = [rule["expr"] for rule in ALERTS] + [
    target["expr"].replace("$__rate_interval", "5m")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
EXPORTED = {
    name
    for metric in Metrics().registry.collect()
    for name in (
        {f"{metric.name}_bucket", f"{metric.name}_count", f"{metric.name}_sum"}
        if metric.type == "histogram"
        else {f"{metric.name}_total"}
        if metric.type == "counter"
        else {metric.name}
    )
}


@pytest.mark.parametrize("query", QUERIES)
def test_queries_parse_and_ask_for_counters_that_are_exported(query):
    promql_parser.parse(query)
    asked = set(re.findall(r"\blisting_risk_\w+", query))
    assert asked <= EXPORTED
    assert asked or "up{" in query


def test_every_alert_says_what_to_do():
    for rule in ALERTS:
        assert rule["annotations"]["summary"] and rule["annotations"]["action"]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda m: m["kind"])
def test_manifests_are_what_kubernetes_expects(manifest):
    import kubernetes_validate  # its checks of addresses take seconds to import

    kubernetes_validate.validate(manifest, "1.31", strict=True)


def routes() -> set[str]:
    def nothing() -> Engine:
        raise AssertionError("nothing is loaded here")

    return {getattr(route, "path", "") for route in create_app(nothing, Settings()).routes}


def test_probes_ask_for_routes_that_exist():
    container = MANIFESTS[0]["spec"]["template"]["spec"]["containers"][0]
    asked = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    asked.add(MANIFESTS[0]["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"])
    asked |= set(re.findall(r"127\.0\.0\.1:3000(/\w+)", (DEPLOY / "Dockerfile").read_text("utf-8")))
    assert len(asked) == 3 and asked <= routes()


def environments() -> list[dict[str, str]]:
    docker = (DEPLOY / "Dockerfile").read_text("utf-8")
    container = MANIFESTS[0]["spec"]["template"]["spec"]["containers"][0]
    return [
        dict(re.findall(rf"({PREFIX}\w+)=(\S+)", docker)),
        COMPOSE["services"]["service"]["environment"],
        {entry["name"]: entry.get("value", "postgresql://u:p@h/d") for entry in container["env"]},
    ]


@pytest.mark.parametrize("environment", environments(), ids=["docker", "compose", "kubernetes"])
def test_settings_are_known_and_readable(environment):
    source = "".join(path.read_text("utf-8") for path in (DEPLOY.parent / "serving").glob("*settings.py"))
    for name in environment:
        assert name.removeprefix(PREFIX) in source, name
    read_settings(environment)


def test_paths_in_compose_and_docker_exist():
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (DEPLOY / volume.partition(":")[0]).exists(), volume
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    for line in (DEPLOY / "Dockerfile").read_text("utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for part in shlex.split(line)[1:-1]:
                assert (DEPLOY.parent / part).exists(), part


def test_nothing_listens_beyond_this_machine_and_no_password_is_in_the_files():
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    text = "".join(path.read_text("utf-8") for path in DEPLOY.rglob("*") if path.is_file())
    assert not re.search(r"(?i)password[=:]\s*['\"]?[a-z0-9]{6,}", text.replace("PASSWORD@HOST", ""))
