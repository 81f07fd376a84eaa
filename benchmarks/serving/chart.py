"""Throughput against latency, drawn from the results: ``python -m benchmarks.serving.chart`` writes an SVG."""

from __future__ import annotations

from pathlib import Path

from benchmarks.results_file import OURS, RESULTS, ROOT, Results, read_results

FIGURE = ROOT / "docs" / "figures" / "serving_load.svg"
NAMES = {
    OURS: "listing-risk: policy, record on disk, 10,000 bans",
    "sentence-transformers+sklearn": "sentence-transformers + scikit-learn, FastAPI",
    "mlflow-models-serve": "the same, mlflow models serve",
    "bentoml-adaptive": "the same, BentoML adaptive batching",
    "autogluon-tabular": "AutoGluon tabular, FastAPI",
}


def points(results: Results, system: str, quantile: str) -> list[tuple[float, float]]:
    """Return answers a second and milliseconds, by number of clients."""
    clients = sorted(
        int(row.metric.removeprefix("rps_c"))
        for row in results.rows
        if row.system == system and row.metric.startswith("rps_c")
    )
    return [
        (
            results.value(system, f"rps_c{n}"),
            results.value(system, f"service_{quantile}_ms" + ("" if n == 1 else f"_c{n}")),
        )
        for n in clients
    ]


def draw(results: Results, target: Path) -> None:
    """Draw the systems that were measured."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "serving", "svg.fonttype": "none", "font.size": 10}):
        figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
        for number, (system, name) in enumerate(NAMES.items()):
            colour = f"C{number}"
            for quantile, style in (("p50", "-o"), ("p99", "--^")):
                found = points(results, system, quantile)
                if found:
                    label = name if quantile == "p50" else None
                    axes.plot(*zip(*found, strict=True), style, color=colour, label=label, markersize=4)
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="answers a second",
            ylabel="milliseconds: p50 solid, p99 dashed",
        )
        axes.set_xticks([50, 100, 200, 400], labels=["50", "100", "200", "400"])
        axes.set_xticks([], minor=True)
        axes.set_yticks([10, 100, 1_000], labels=["10", "100", "1,000"])
        axes.grid(alpha=0.3, which="both")
        figure.legend(loc="outside upper center", ncols=2, fontsize=8)
        figure.savefig(target, metadata={"Date": None})
        plt.close(figure)


def main() -> None:
    """Draw the committed results."""
    draw(read_results(RESULTS / "serving_speed.json"), FIGURE)


if __name__ == "__main__":
    main()
