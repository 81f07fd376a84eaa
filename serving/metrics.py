"""Counters of the service, labelled by route template and never by anything a client chose."""

from __future__ import annotations

import os
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LISTINGS = (1, 2, 4, 8, 16, 32, 64)
_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """The service's counters in a registry of their own.

    With several worker processes (BentoML sets the folder they share) the answer sums over all of them.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._alarmed: set[str] = set()
        self.requests = Counter(
            "listing_risk_requests",
            "Requests by route template, method and status.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "listing_risk_request_seconds",
            "Time from the request's head to the last byte of the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.decisions = Counter(
            "listing_risk_decisions",
            "Decisions by action and state.",
            ["action", "state"],
            registry=self.registry,
        )
        self.problems = Counter(
            "listing_risk_problems", "Answers that are problems, by kind.", ["kind"], registry=self.registry
        )
        self.recording = Histogram(
            "listing_risk_recording_seconds",
            "Time until decisions of one request were on disk.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.block = Histogram(
            "listing_risk_block_listings",
            "Single listings that were scored in one go.",
            buckets=_LISTINGS,
            registry=self.registry,
        )
        self.line = Gauge(
            "listing_risk_line_listings",
            "Listings inside, from the line to the record on disk, by lane and kind of request.",
            ["lane", "kind"],
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.line_seconds = Gauge(
            "listing_risk_line_seconds",
            "How long what is inside takes at the pace of now, by lane and kind of request.",
            ["lane", "kind"],
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self.replayed = Counter(
            "listing_risk_replayed",
            "Requests answered with an earlier decision, by idempotency key.",
            registry=self.registry,
        )
        self.waiting = Gauge(
            "listing_risk_store_waiting",
            "Records that wait to be written.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.store_up = Gauge(
            "listing_risk_store_up",
            "1 while the store takes records, 0 while it does not; absent without a store.",
            ["database"],
            registry=self.registry,
            multiprocess_mode="livemin",
        )
        self.info = Gauge(
            "listing_risk_info",
            "Worker processes that decide with this model and policy.",
            ["model_version", "policy_version"],
            registry=self.registry,
            multiprocess_mode="livesum",
        )

        self.alarms = Gauge(
            "listing_risk_alarms",
            "Alarms of the last report of listing-risk monitor, by rule.",
            ["rule"],
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )

    def show_alarms(self, counts: Mapping[str, int]) -> None:
        """Set the alarms of the last report; rules that are quiet again go to 0."""
        for rule in self._alarmed | counts.keys():
            self.alarms.labels(rule).set(counts.get(rule, 0))
        self._alarmed |= counts.keys()

    def render(self) -> bytes:
        """Return all counters in Prometheus' text format."""
        if os.environ.get(_MULTIPROCESS):
            shared = CollectorRegistry()
            MultiProcessCollector(shared)
            return generate_latest(shared)
        return generate_latest(self.registry)
