"""An evaluation as people look at it: one picture and one table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.console import Console

_BLUE, _GREY, _RED = "#1f5f99", "#9aa5b1", "#b3352c"


def draw_report(report: Mapping[str, Any], path: Path) -> None:
    """Draw average precision by hazard with intervals and the reliability of the probabilities."""
    from matplotlib.figure import Figure

    parts = report["parts"]
    figure = Figure(figsize=(12, 4.6 * max(1, len(parts))), layout="constrained")
    axes = figure.subplots(max(1, len(parts)), 2, squeeze=False)
    held = "results later than the training data" if report["held_out"] else "the bundle's own training data"
    figure.suptitle(f"{report['model_version']} on {held}", fontsize=12)
    for row, (name, part) in zip(axes, parts.items(), strict=False):
        _precisions(row[0], name, part)
        _reliability(row[1], part)
    figure.savefig(path, dpi=110)


def _precisions(axis: Axes, name: str, part: Mapping[str, Any]) -> None:
    hazards = sorted(part["hazards"].items(), key=lambda entry: entry[1]["average_precision"]["value"])
    for y, (_, figures) in enumerate(hazards):
        value = figures["average_precision"]
        axis.plot([value["low"], value["high"]], [y, y], color=_BLUE, lw=2, alpha=0.5)
        axis.plot(value["value"], y, "o", color=_BLUE, ms=6)
        axis.plot(figures["base_rate"], y, "|", color=_RED, ms=11, mew=2)
    labels = [f"{code} ({figures['positives']})" for code, figures in hazards]
    axis.set_yticks(range(len(hazards)), labels, fontsize=8)
    axis.set_xlim(0, 1)
    axis.set_xlabel("average precision with 95 % interval; red: share of positives")
    axis.set_title(f"{name}: {part['n']} items", fontsize=10)
    axis.grid(axis="x", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)


def _reliability(axis: Axes, part: Mapping[str, Any]) -> None:
    bins = part["reliability"]
    limit = max([0.05, *(max(b["p"], b["share"]) for b in bins)]) * 1.05
    axis.plot([0, limit], [0, limit], color=_GREY, lw=1)
    axis.plot([b["p"] for b in bins], [b["share"] for b in bins], "o-", color=_BLUE)
    axis.set_xlim(0, limit)
    axis.set_ylim(0, limit)
    axis.set_xlabel("mean probability in a tenth of all item-hazard cells")
    axis.set_ylabel("share that came true")
    axis.set_title("reliability over all hazards", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)


def draw_held_out(metrics: Mapping[str, Any]) -> Figure:
    """Draw a manifest's held-out average precision by hazard, of recalls and of laboratory results."""
    from matplotlib.figure import Figure

    rows = [
        (f"{code} ({name})", figures["average_precision"], figures["positives"] / max(figures["n"], 1))
        for name, key in (("recalls", "hazard_type_held_out"), ("laboratory", "lab_held_out"))
        for code, figures in metrics.get(key, {}).items()
        if "average_precision" in figures
    ]
    rows.sort(key=lambda row: row[1])
    figure = Figure(figsize=(7, 1.2 + 0.28 * max(len(rows), 1)), layout="constrained")
    axis = figure.subplots()
    axis.barh(range(len(rows)), [value for _, value, _ in rows], color=_BLUE, alpha=0.7)
    axis.plot([base for _, _, base in rows], range(len(rows)), "|", color=_RED, ms=10, mew=2)
    axis.set_yticks(range(len(rows)), [label for label, _, _ in rows], fontsize=8)
    axis.set_xlim(0, 1)
    axis.set_xlabel("average precision on held-out folds of the training data; red: share of positives")
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """Print one table a part."""
    from rich.table import Table

    if not report["held_out"]:
        console.print(
            "[yellow]These are the bundle's own training data: give --after, or train with --as-of.[/]"
        )
    for name, part in report["parts"].items():
        macro = part["macro_average_precision"]
        title = f"{name}: {part['n']} items"
        if macro:
            title += f", macro AP {macro['value']:.3f} ({macro['low']:.3f} to {macro['high']:.3f})"
        table = Table(title=title, title_justify="left")
        for column in (
            "hazard",
            "positives",
            "AP",
            "95 %",
            "AUC",
            "Brier skill",
            "ECE",
            "precision@5%",
            "recall@5%",
        ):
            table.add_column(column, justify="left" if column == "hazard" else "right")
        for code, figures in part["hazards"].items():
            precision, budget = figures["average_precision"], figures["budgets"]["5%"]
            table.add_row(
                code,
                str(figures["positives"]),
                _number(precision["value"]),
                f"{_number(precision['low'])}-{_number(precision['high'])}",
                _number(figures["roc_auc"]["value"]),
                _number(figures["brier_skill"]["value"]),
                _number(figures["calibration_error"]["value"]),
                _number(budget["precision"]),
                _number(budget["recall"]),
            )
        console.print(table)
        _print_bounds(part, console)
        _print_noise(part, console)
    probe = report["style_probe"]
    if probe["auc"] is not None:
        console.print(
            f"style probe: sources {', '.join(probe['sources'])} told apart with AUC {probe['auc']:.3f}"
        )


def _print_bounds(part: Mapping[str, Any], console: Console) -> None:
    for code, figures in part["hazards"].items():
        for bound in figures.get("let_through", ()):
            if bound["threshold"] is not None:
                console.print(
                    f"{code}: below {bound['threshold']:.4f} at most {bound['level']:.0%} of failing goods are "
                    f"expected to pass (from {bound['failing']} of them; clears {bound['cleared']:.0%}), "
                    "while nothing shifts"
                )


def _print_noise(part: Mapping[str, Any], console: Console) -> None:
    for source, noise in part["label_noise"].items():
        denied = noise["denied_positives"] + noise["denied_negatives"]
        if denied:
            console.print(
                f"labels of {source}: {denied} of {noise['cells']} are denied by a model that did not see them "
                f"({noise['denied_positives']} named, {noise['denied_negatives']} not named); see report.json"
            )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
