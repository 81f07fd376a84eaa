"""The plan past one machine: ``python -m benchmarks.scaling [--refresh] [--measure]``.

Everything follows from two files: ``measured.yaml``, figures of committed results with where they stand, and
``assumptions.yaml``. ``--refresh`` reads the results anew, ``--measure`` also the store's capacity (a minute). Writes
``results/scaling.json``, two figures and ``docs/scaling.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import jinja2
import yaml

from benchmarks.results_file import (
    OURS,
    RESULTS,
    ROOT,
    Results,
    Row,
    code_commit,
    machine,
    now,
    write_results,
)
from benchmarks.results_file import data_sha256 as hash_of
from benchmarks.scaling.capacity import measure_capacity
from benchmarks.scaling.inputs import ASSUMPTIONS, Input, assumptions, measured
from benchmarks.scaling.plan import (
    Figures,
    at_size,
    growth,
    load_curve,
    month_of_uploads,
    store_curve,
    worst_second,
)
from benchmarks.scaling.queues import Waits

TASK = "scaling"
MEASURED = Path(__file__).with_name("measured.yaml")
PAGE = ROOT / "docs" / "scaling.md"
FIGURES = ROOT / "docs" / "figures"
SHARES = (1.05, 1.2, 1.4, 1.667, 1.85, 2.05, 2.5)
"""Cores that are simulated, over those that the mean rate alone would keep busy."""

_UNITS = (
    ("_ms", "ms"),
    ("_gb", "GB"),
    ("_usd", "USD"),
    ("usd_month", "USD"),
    ("_per_s", "listings/s"),
    ("_min", "min"),
)


def read_measured(path: Path = MEASURED) -> list[Input]:
    """Read the snapshot of measured figures."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [Input(str(name), float(one["value"]), str(one["source"])) for name, one in raw.items()]


def write_measured(inputs: list[Input], path: Path = MEASURED) -> None:
    """Write the snapshot."""
    head = "# Read from committed results by `python -m benchmarks.scaling --refresh`; not to be edited.\n"
    values = {one.name: {"value": float(f"{one.value:.6g}"), "source": one.source} for one in inputs}
    path.write_text(head + yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")


def figures(m: Mapping[str, float], a: Mapping[str, float]) -> dict[str, Any]:
    """Work everything out; a pure function of the two files."""
    second = worst_second(m, a)
    load, stores = load_curve(m, a, SHARES), store_curve(m, a)
    calm = next((count for count, waits in stores.items() if waits.p99_ms <= 100), max(stores))
    planned = min(load, key=lambda cores: abs(cores - second["cores"]))
    return {
        "month": month_of_uploads(m, a),
        "second": second,
        "size": at_size(m, a),
        "growth": growth(m, a),
        "load": load,
        "stores": stores,
        "calm_stores": calm,
        "planned": planned,
        "free_cores": next((cores for cores, waits in load.items() if waits.refused < 0.001), max(load)),
    }


def rows_of(m: Mapping[str, float], found: Mapping[str, Any]) -> list[Row]:
    """Turn the figures into rows; what went in stands there as the system ``measured``."""
    rows = [_row("measured", name, value) for name, value in m.items()]
    for part in ("month", "second", "size"):
        flat: Figures = found[part]
        rows += [_row(OURS, f"{part}_{name}", value) for name, value in flat.items()]
    for kind in ("load", "stores"):
        curve: Mapping[int, Waits] = found[kind]
        for at, waits in curve.items():
            rows += [
                _row(OURS, f"{kind}_{at}_{name}", value, waits.n)
                for name, value in asdict(waits).items()
                if name != "n"
            ]
    rows.append(_row(OURS, "stores_p99_below_100_ms", float(found["calm_stores"])))
    return rows


def _row(system: str, metric: str, value: float, n: int | None = None) -> Row:
    unit = next((unit for end, unit in _UNITS if metric.endswith(end)), None)
    if unit is None:
        unit = "share" if metric.endswith("refused") else "count"
    return Row(system=system, metric=metric, value=float(f"{value:.6g}"), n=n, unit=unit)


def page(inputs: list[Input], a: Mapping[str, float], found: Mapping[str, Any]) -> str:
    """Fill the page's template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,
    )
    environment.filters["n"] = _number
    m = {one.name: one.value for one in inputs}
    return environment.get_template("page.md.j2").render(inputs=inputs, m=m, a=a, **found)


def _number(value: float) -> str:
    """Write a figure with as many places as it deserves."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


@click.command()
@click.option("--refresh", is_flag=True, help="Read the measured figures anew from the committed results.")
@click.option("--measure", is_flag=True, help="Measure the store's capacity anew too.")
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS, help="Folder of the results.")
def main(refresh: bool, measure: bool, output: Path) -> None:
    """Work the plan out and write results, figures and page."""
    from benchmarks.scaling.draw import draw

    inputs = read_measured() if MEASURED.is_file() else []
    if refresh or measure:
        own = [one for one in inputs if one.source.startswith("measured here")]
        inputs = [*measured(), *(measure_capacity() if measure or not own else own)]
        write_measured(inputs)
        inputs = read_measured()
    m, a = {one.name: one.value for one in inputs}, assumptions()
    found = figures(m, a)
    draw(found, a, FIGURES)
    PAGE.write_text(page(inputs, a, found), encoding="utf-8")
    results = Results(
        task=TASK,
        command="python -m benchmarks.scaling",
        commit=code_commit(),
        date=now(),
        machine=machine(),
        data_sha256=hash_of(MEASURED.parent, [MEASURED.name, ASSUMPTIONS.name]),
        rows=tuple(rows_of(m, found)),
    )
    click.echo(f"written: {write_results(results, output)}, {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
