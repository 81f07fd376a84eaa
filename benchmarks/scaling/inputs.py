"""What the plan starts from: figures of committed results, and figures that somebody chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.results_file import OURS, RESULTS, read_results

ASSUMPTIONS = Path(__file__).with_name("assumptions.yaml")

# Name -> the results it may stand in, the first that has it counts: task, metric, factor.
SOURCES: Mapping[str, tuple[tuple[str, str, float], ...]] = {
    "row_cpu_ms": (("batch_speed", "row_cpu_ms", 1.0),),
    "pass_cpu_ms": (("batch_speed", "pass_cpu_ms", 1.0),),
    "bytes_in": (("batch_speed", "bytes_in", 1.0),),
    "bytes_out": (("batch_speed", "bytes_out", 1.0),),
    "worker_mb": (("batch_speed", "rss_mb", 0.5), ("serving_speed", "rss_mb", 1.0)),
    "upload_cpu_ms": (("serving_speed", "service_cpu_ms", 1.0), ("serving_speed", "cpu_s_per_1000", 1.0)),
    "group_fsync_ms": (("store_speed", "group_fsync_ms", 1.0),),
    "photo_cpu_ms": (("matching_speed", "encode_photo_ms", 1.0),),
    "photo_look_up_cpu_ms": (("matching_speed", "lookup_photos_ms", 1 / 3),),
    "photo_vector_bytes": (("matching_speed", "bytes_per_vector", 1.0),),
    "search_million_ms": (("matching_speed", "search_million_vectors_ms", 1.0),),
    "look_back_words_s": (("matching_speed", "retroaction_words_s", 1.0),),
    "look_back_photos_s": (("matching_speed", "retroaction_photos_s", 1.0),),
}
SYSTEMS = {"group_fsync_ms": "disk"}
LOOK_BACK_OVER = 100_000
"""Live listings that a look-back was measured over."""


@dataclass(frozen=True, slots=True)
class Input:
    """A figure with where it was measured."""

    name: str
    value: float
    source: str


def assumptions(path: Path = ASSUMPTIONS) -> dict[str, float]:
    """Read the figures that somebody chose."""
    return {
        str(name): float(value) for name, value in yaml.safe_load(path.read_text(encoding="utf-8")).items()
    }


def measured(folder: Path = RESULTS) -> list[Input]:
    """Read the figures from committed results.

    Raises
    ------
    KeyError
        When no result has one of them.
    """
    return [_first(name, folder) for name in SOURCES]


def _first(name: str, folder: Path) -> Input:
    for task, metric, factor in SOURCES[name]:
        if not (folder / f"{task}.json").is_file():
            continue
        results = read_results(folder / f"{task}.json")
        try:
            value = results.value(SYSTEMS.get(name, OURS), metric) * factor
        except KeyError:
            continue
        return Input(name, value, f"{task}, {metric}")
    raise KeyError(f"no committed result has {name}: looked for {SOURCES[name]}")
