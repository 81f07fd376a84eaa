"""The README's table of serving speed, from the results file; `benchmarks.document` puts it into its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.results_file import OURS, ROOT, Results

PAGES = (ROOT / "README.md", ROOT / "README.ko.md")
TASK = "serving_speed"

_COLUMNS = {
    "service_p50_ms": "{:.1f}",
    "service_p99_ms_c32": "{:,.0f}",
    "peak_rps": "{:,.0f}",
    "bulk_listings_per_s": "{:,.0f}",
    "cpu_s_per_1000": "{:.1f}",
    "rss_mb": "{:,.0f}",
    "ready_s": "{:.1f}",
    "goodput_at_3x": "{:.0%}",
}
_SYSTEMS: Mapping[str, Mapping[str, str]] = {
    "README.md": {
        OURS: "listing-risk",
        "sentence-transformers+sklearn": "MiniLM + scikit-learn, FastAPI",
        "mlflow-models-serve": "the same, `mlflow models serve`",
        "bentoml-adaptive": "the same, BentoML batching",
        "autogluon-tabular": "AutoGluon tabular, FastAPI",
    },
    "README.ko.md": {
        OURS: "listing-risk",
        "sentence-transformers+sklearn": "MiniLM + scikit-learn, FastAPI",
        "mlflow-models-serve": "같은 모델, `mlflow models serve`",
        "bentoml-adaptive": "같은 모델, BentoML 묶음 처리",
        "autogluon-tabular": "AutoGluon tabular, FastAPI",
    },
}
_TABLE = re.compile(r"(?<=\n\|---\|---\|---\|---\|---\|---\|---\|---\|---\|\n)(\|.*\n)+")


def with_table(text: str, page: str, results: Results) -> str:
    """Return a README with the rows of its table as the results have them.

    Parameters
    ----------
    text
        The README as it is; what stands under its table's head is replaced.
    page
        File name, which decides the language.

    Raises
    ------
    ValueError
        When the page has not exactly one such table.
    """
    values = {(row.system, row.metric): row.value for row in results.rows}
    lines = [
        f"| {name} | {' | '.join(form.format(values[system, metric]) for metric, form in _COLUMNS.items())} |\n"
        for system, name in _SYSTEMS[page].items()
    ]
    filled, count = _TABLE.subn(lambda _: "".join(lines), text)
    if count != 1:
        raise ValueError(f"got {count} tables of nine columns in {page}, expected one")
    return filled


def write(results: Results, pages: tuple[Path, ...] = PAGES) -> None:
    """Bring the READMEs up to date."""
    for path in pages:
        path.write_text(
            with_table(path.read_text(encoding="utf-8"), path.name, results), encoding="utf-8", newline="\n"
        )
