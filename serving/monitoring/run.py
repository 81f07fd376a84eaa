"""Watching a store: both windows gathered in one pass each, judged by rules, recorded with their alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.events.kinds import event
from serving.monitoring.figures import Matured, Promised, embedding_drift, performance, promised, window_drift
from serving.monitoring.rules import Alarm, Figures, MonitorRules, alarms
from serving.monitoring.watch import Block, Window, listing_columns, unpack_block
from serving.store import OutboxEvent, Store
from serving.store.engine import reading
from serving.store.records import Row
from serving.store.watching import WatchedBlock, WatchedLabel, read_labels, read_watched

if TYPE_CHECKING:
    from features.encoding import Encoder

SUBJECT = "monitor"
SHOWN = 40


@dataclass(frozen=True, slots=True)
class Span:
    """From when (included) to when (not included)."""

    since: datetime
    until: datetime

    @property
    def days(self) -> float:
        """Length in days."""
        return max((self.until - self.since) / timedelta(days=1), 1e-9)


def usual_spans(now: datetime, days: float = 7.0, reference_days: float = 28.0) -> tuple[Span, Span]:
    """Return the reference and the present: the last ``days`` against the ``reference_days`` before them."""
    start = now - timedelta(days=days)
    return Span(start - timedelta(days=reference_days), start), Span(start, now)


@dataclass(frozen=True, slots=True)
class MonitorReport:
    """What was seen, and what of it is alarming."""

    made_at: datetime
    reference: Span
    present: Span
    figures: Figures
    alarms: tuple[Alarm, ...]
    versions: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; the widest `SHOWN` drifts."""
        figures = asdict(self.figures)
        figures["drifts"] = figures["drifts"][:SHOWN]
        return {
            "made_at": self.made_at.isoformat(timespec="seconds"),
            "reference": [self.reference.since.isoformat(), self.reference.until.isoformat()],
            "present": [self.present.since.isoformat(), self.present.until.isoformat()],
            "versions": dict(self.versions),
            "alarms": [asdict(alarm) for alarm in self.alarms],
            **figures,
        }


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """A report as an audited note, with an event for every alarm."""

    report: MonitorReport
    actor: str

    @property
    def body(self) -> Mapping[str, Any]:
        """The report."""
        return self.report.to_json()

    @property
    def events(self) -> tuple[OutboxEvent, ...]:
        """One event an alarm."""
        return tuple(
            event("monitor.alarm", alarm.rule, asdict(alarm), self.report.made_at)
            for alarm in self.report.alarms
        )

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        return "notes", SUBJECT, {}


def block_of(watched: WatchedBlock, n_hazards: int) -> Block:
    """Turn stored decisions into what a `Window` counts."""
    names, values = listing_columns(watched.listings)
    return Block(
        {
            **names,
            "action": watched.actions,
            "state": watched.states,
            "risk_level": watched.risk_levels,
            "marketplace": watched.marketplaces,
            "group": watched.groups,
            "audience": watched.audiences,
        },
        values,
        unpack_block(watched.scores, n_hazards),
        np.asarray(watched.p_noncompliant, dtype=np.float64),
        [str((one or {}).get("title") or "") for one in watched.listings],
    )


def gather(
    blocks: Iterable[WatchedBlock],
    n_hazards: int,
    *,
    seed: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[Window, dict[str, int]]:
    """Count a stretch of decisions, and how many each bundle made."""
    window, versions = Window(n_hazards), dict[str, int]()
    rng = np.random.default_rng(seed)
    for watched in blocks:
        window.add(block_of(watched, n_hazards), rng)
        for version in watched.versions:
            versions[version] = versions.get(version, 0) + 1
        advance(len(watched.actions))
    return window, versions


def matured(labels: Iterable[WatchedLabel], hazards: Sequence[str], now: datetime) -> Matured:
    """Turn labels into columns; labels of hazards that no score speaks of are left out."""
    from features.normalize import language

    position = {code: k for k, code in enumerate(hazards)}
    rows: list[tuple[str, str, str, str, float, float, float, float]] = []
    for one in labels:
        k = position.get(one.hazard)
        if k is None:
            continue
        p = float(unpack_block([one.scores], len(hazards))[0, k])
        if np.isnan(p):
            continue
        title = str((one.listing or {}).get("title") or "")
        delay = (one.labelled_at - one.decided_at) / timedelta(days=1)
        age = (now - one.decided_at) / timedelta(days=1)
        tongue = language(title) if title else ""
        rows.append((one.hazard, tongue, one.group, one.action, p, float(one.failed), delay, age))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 8
    texts = [np.array(column, dtype=object) for column in columns[:4]]
    numbers = [np.array(column, dtype=np.float64) for column in columns[4:]]
    return Matured(*texts, *numbers)


def watch(
    store: Store,
    hazards: Sequence[str],
    rules: MonitorRules,
    *,
    now: datetime,
    spans: tuple[Span, Span] | None = None,
    encoder: Encoder | None = None,
    label_days: float = 365.0,
    advance: Callable[[int], None] = lambda _: None,
) -> MonitorReport:
    """Look at a store.

    Parameters
    ----------
    hazards
        Codes in taxonomy order.
    spans
        Reference and present; by default the last week against the four weeks before.
    encoder
        Looks for drift in embedding space; None leaves that out.
    label_days
        Labels of decisions up to so old are judged.
    advance
        Called with the number of decisions read.
    """
    reference, present = spans or usual_spans(now)
    with reading(store.engine) as connection:
        old, _ = gather(
            read_watched(connection, reference.since, reference.until), len(hazards), advance=advance
        )
        new, versions = gather(
            read_watched(connection, present.since, present.until), len(hazards), seed=1, advance=advance
        )
        labels = matured(read_labels(connection, now - timedelta(days=label_days)), hazards, now)
    figures = figures_of(old, new, hazards, (reference.days, present.days), encoder, labels)
    return MonitorReport(now, reference, present, figures, alarms(figures, rules), versions)


def figures_of(
    old: Window,
    new: Window,
    hazards: Sequence[str],
    days: tuple[float, float],
    encoder: Encoder | None = None,
    labels: Matured | None = None,
) -> Figures:
    """Return everything the rules look at."""
    embedding = None
    if encoder is not None and old.titles and new.titles:
        embedding = embedding_drift(encoder.encode(old.titles), encoder.encode(new.titles))
    return Figures(
        old.n,
        new.n,
        old.n / days[0],
        new.n / days[1],
        window_drift(old, new, hazards) if old.n and new.n else (),
        embedding,
        _promised(old),
        _promised(new),
        performance(labels) if labels is not None and len(labels.p) else None,
    )


def _promised(window: Window) -> Promised | None:
    return promised(window) if window.n else None


def record(store: Store, report: MonitorReport, actor: str) -> None:
    """Keep a report, and tell of its alarms.

    Raises
    ------
    StoreError
    """
    store.change(ReportRecord(report, actor), timeout_s=60)
