"""The two figures of the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

_INK, _WARN = "#37474f", "#c62828"


def draw(found: Mapping[str, Any], a: Mapping[str, float], folder: Path) -> None:
    """Write ``scaling_load.svg`` and ``scaling_growth.svg``."""
    with mpl.rc_context({"svg.hashsalt": "scaling", "font.size": 9, "axes.spines.top": False}):
        _load(found, a, folder / "scaling_load.svg")
        _growth(found, folder / "scaling_growth.svg")


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    # Matplotlib ends lines with blanks, which editors take away.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def _load(found: Mapping[str, Any], a: Mapping[str, float], path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.2))
    cores = list(found["load"])
    left.plot(cores, [found["load"][at].p99_ms for at in cores], "o-", color=_INK, label="p99")
    left.plot(cores, [found["load"][at].p50_ms for at in cores], "o--", color=_INK, alpha=0.5, label="p50")
    left.set(xlabel="cores that score", ylabel="ms to the answer", yscale="log")
    left.set_title(
        f"{a['uploads_per_s']:,.0f} uploads a second, {a['burst']:g} times that for {a['burst_s']:g} s"
    )
    left.legend(frameon=False)
    beside = left.twinx()
    beside.plot(cores, [100 * found["load"][at].refused for at in cores], "s:", color=_WARN)
    beside.set_ylabel("answered 429, %", color=_WARN)
    beside.set_ylim(bottom=0)
    stores = [at for at in found["stores"] if at <= 10]
    right.plot(stores, [found["stores"][at].p99_ms for at in stores], "o-", color=_INK, label="p99")
    right.plot(
        stores, [found["stores"][at].p50_ms for at in stores], "o--", color=_INK, alpha=0.5, label="p50"
    )
    right.set(xlabel="stores among which uploads are parted", ylabel="ms until recorded", yscale="log")
    right.set_title("the same uploads waiting to be recorded")
    right.legend(frameon=False)
    _save(figure, path)


def _growth(found: Mapping[str, Any], path: Path) -> None:
    months = range(1, len(found["growth"]) + 1)
    parts = (
        ("live listings, millions", [one.live / 1e6 for one in found["growth"]]),
        ("index in memory, GB", [one.index_gb for one in found["growth"]]),
        ("decisions on disk, TB", [one.decisions_gb / 1e3 for one in found["growth"]]),
        ("one look-back, core minutes", [one.look_back_cpu_s / 60 for one in found["growth"]]),
    )
    figure, axes = plt.subplots(1, 4, figsize=(8.6, 2.4))
    for axis, (title, values) in zip(axes, parts, strict=True):
        axis.plot(list(months), values, color=_INK)
        axis.set_title(title, fontsize=8)
        axis.set_ylim(bottom=0)
        axis.set_xlabel("months")
    _save(figure, path)
