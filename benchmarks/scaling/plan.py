"""From costs to machines: arithmetic for a month of uploads and for the worst second, and the simulated queues."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.scaling.inputs import LOOK_BACK_OVER
from benchmarks.scaling.queues import Waits, arrivals, look_backs, service_times, workers, writer

SEED = 20_261_122
SECONDS = 60.0
MONTHS = 36

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Month:
    """How things stand at the end of a month."""

    live: float
    index_gb: float
    decisions_gb: float
    look_back_cpu_s: float


def month_of_uploads(m: Mapping[str, float], a: Mapping[str, float]) -> Figures:
    """A month's uploads as files in batch: cores, hours, bytes, money."""
    seconds = a["month_days"] * 86_400
    mean = a["uploads_per_month"] / seconds
    core_hours = a["uploads_per_month"] * m["row_cpu_ms"] / 1e3 / 3_600
    return {
        "mean_per_s": mean,
        "peak_per_s": mean * a["day_peak"],
        "batch_core_hours": core_hours,
        "batch_cores": core_hours * 3_600 / seconds / a["busy"],
        "batch_usd": core_hours / a["busy"] * a["core_hour_usd"],
        "batch_in_gb": a["uploads_per_month"] * m["bytes_in"] / 1e9,
        "batch_out_gb": a["uploads_per_month"] * m["bytes_out"] / 1e9,
        "feeds": m["row_cpu_ms"] / m["pass_cpu_ms"],
        "batch_day_workers": math.ceil(core_hours / 24 / a["busy"]),
    }


def worst_second(m: Mapping[str, float], a: Mapping[str, float]) -> Figures:
    """Uploads one by one at the worst moment: cores by part, stores, and which part gives out first."""
    rate = a["uploads_per_s"]
    photo = a["photos"] * (m["photo_cpu_ms"] + m["photo_look_up_cpu_ms"])
    cores = rate * m["upload_cpu_ms"] / 1e3 / a["busy"]
    photo_cores = rate * photo / 1e3 / a["busy"]
    stores = rate / (m["store_rows_per_s"] * a["busy"])
    return {
        "cores": math.ceil(cores),
        "nodes": math.ceil(cores / a["node_cores"]),
        "photo_cores": math.ceil(photo_cores),
        "photo_nodes": math.ceil(photo_cores / a["node_cores"]),
        "memory_gb": math.ceil(cores) * m["worker_mb"] / 1e3,
        "stores": math.ceil(stores),
        "uploads_one_node": a["node_cores"] * a["busy"] * 1e3 / m["upload_cpu_ms"],
        "uploads_one_store": m["store_rows_per_s"] * a["busy"],
        "usd_month": (math.ceil(cores) + photo_cores) * 24 * a["month_days"] * a["core_hour_usd"],
        "usd_month_text": math.ceil(cores) * 24 * a["month_days"] * a["core_hour_usd"],
    }


def growth(m: Mapping[str, float], a: Mapping[str, float], months: int = MONTHS) -> list[Month]:
    """Live listings, index, stored decisions and the cost of one look-back, month by month.

    The market grows evenly from its first month's share to its size; listings leave it at a constant rate, text and
    decisions after their times.
    """
    found, live = [], 0.0
    stay = math.exp(-1 / a["live_months"])
    each = (m["look_back_words_s"] + m["look_back_photos_s"]) / LOOK_BACK_OVER
    monthly: list[float] = []
    for month in range(months):
        share = min(a["first_share"] + (1 - a["first_share"]) * month / a["grown_months"], 1.0)
        monthly.append(a["uploads_per_month"] * share)
        # Those that come during the month leave during it too.
        live = live * stay + monthly[-1] * a["live_months"] * (1 - stay)
        index = live * (a["words_vector_bytes"] + a["photos"] * m["photo_vector_bytes"]) / 1e9
        with_text, kept = (sum(monthly[-int(a[f"{what}_months"]) :]) for what in ("text", "decisions"))
        decisions = m["decision_bytes"] * (a["text_share"] * with_text + (1 - a["text_share"]) * kept) / 1e9
        found.append(Month(live, index, decisions, live * each))
    return found


def at_size(m: Mapping[str, float], a: Mapping[str, float]) -> Figures:
    """What the index and its look-backs need once the market is full."""
    last = growth(m, a)[-1]  # when the market has its size
    by_memory = math.ceil(last.index_gb / (a["node_memory_gb"] * a["index_memory_share"]))
    allowed = a["look_back_minutes"] * 60
    # Half of an alert's look-backs done in time, a shard a core.
    by_time = math.ceil(last.look_back_cpu_s * a["alert_bans"] / 2 / allowed)
    shards = max(by_memory, by_time)
    done = look_backs(int(a["alert_bans"]), last.look_back_cpu_s / shards)
    daily = a["bans_per_day"] * last.look_back_cpu_s
    return {
        "live": last.live,
        "index_gb": last.index_gb,
        "shards_memory": by_memory,
        "shards_time": by_time,
        "look_back_cpu_s": last.look_back_cpu_s,
        "look_back_core_hours_day": daily / 3_600,
        "alert_half_min": float(np.median(done)) / 60,
        "alert_last_min": float(done[-1]) / 60,
        "decisions_gb": last.decisions_gb,
        "decisions_usd_month": last.decisions_gb * a["gb_month_usd"],
    }


def load_curve(m: Mapping[str, float], a: Mapping[str, float], shares: tuple[float, ...]) -> dict[int, Waits]:
    """Waits at the worst moment with a burst, by cores; ``shares`` are of the cores that work alone would fill."""
    found = {}
    least = a["uploads_per_s"] * m["upload_cpu_ms"] / 1e3
    for share in shares:
        chance = np.random.default_rng(SEED)
        times = arrivals(a["uploads_per_s"], SECONDS, chance, a["burst"], a["burst_s"])
        service = service_times(len(times), m["upload_cpu_ms"] / 1e3, a["spread"], chance)
        cores = math.ceil(least * share)
        found[cores] = workers(times, service, cores, a["waiting_ms"] / 1e3)
    return found


def store_curve(m: Mapping[str, float], a: Mapping[str, float], most: int = 16) -> dict[int, Waits]:
    """Waits for the record at the worst moment with a burst, by stores among which uploads are parted."""
    commit = m["group_fsync_ms"] / 1e3
    row = max(1 / m["store_rows_per_s"] - commit / 128, 1e-6)
    found = {}
    for stores in range(1, most + 1):
        chance = np.random.default_rng(SEED)
        times = arrivals(a["uploads_per_s"] / stores, SECONDS, chance, a["burst"], a["burst_s"])
        found[stores] = writer(times, commit, row)
    return found
