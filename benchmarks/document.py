"""Make ``docs/benchmarks.md`` and its figures from the results files: ``python -m benchmarks.document``.

What stands in the page beside the numbers is kept next to each task, in ``<room>/<task>.md``: a YAML head that says
which figures to show, then the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks import readme
from benchmarks.results_file import (
    LABELS,
    OURS,
    RESULTS,
    ROOT,
    Results,
    ResultsError,
    Row,
    all_results,
    read_looks,
)

PAGE = ROOT / "docs" / "benchmarks.md"
FIGURES = "figures"
TEXTS = Path(__file__).parent


class Head(BaseModel):
    """What the page shows of a task.

    Attributes
    ----------
    title
        Of the section.
    order
        Place in the page; the smaller the earlier.
    metrics
        Columns of the main table; the first decides the order of rows and is drawn.
    lower_is_better
        Of the first metric.
    names
        What a column is called, where not by its metric.
    details
        Prefix of metrics that make a second table, one row each, one column a system.
    detail_systems
        Columns of that table.
    detail_count
        Prefix of the metrics of the system ``labels`` that say how many positives a row has.
    differences
        Prefix of metrics of ours that say by how much we are ahead of a system.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    order: int = 100
    metrics: tuple[str, ...]
    lower_is_better: bool = False
    names: dict[str, str] = {}
    details: str = ""
    detail_systems: tuple[str, ...] = ()
    detail_count: str = ""
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A task's results with what is said about them."""

    results: Results
    head: Head
    text: str


def read_text(task: str, folder: Path = TEXTS) -> tuple[Head, str]:
    """Read head and text of a task.

    Raises
    ------
    ResultsError
        When there is none, or more than one, or its head is wrong.
    """
    found = sorted(folder.glob(f"*/{task}.md"))
    if len(found) != 1:
        raise ResultsError(f"Got {len(found)} files named {task}.md in the rooms of {folder}; expected one.")
    _, head, text = found[0].read_text(encoding="utf-8").split("---\n", 2)
    try:
        return Head.model_validate(yaml.safe_load(head)), text.strip()
    except ValidationError as error:
        raise ResultsError(f"The head of {found[0]} is wrong: {error}") from None


def sections(folder: Path = RESULTS) -> list[Section]:
    """Collect all tasks in the order of the page."""
    found = [Section(results, *read_text(results.task)) for results in all_results(folder)]
    return sorted(found, key=lambda section: (section.head.order, section.results.task))


def number(row: Row | None, *, spread: bool = True) -> str:
    """Write a figure with as many places as it deserves, and its interval."""
    if row is None:
        return ""
    places = 3 if row.unit in ("share", "difference") else 0 if abs(row.value) >= 100 else 1
    sign = "+" if row.unit == "difference" else ""
    text = f"{row.value:{sign},.{places}f}"
    if spread and row.low is not None and row.high is not None:
        text += f" ({row.low:{sign},.{places}f} to {row.high:{sign},.{places}f})"
    return text


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "|".join([" --- ", *(" ---: " for _ in columns[1:])]) + "|"
    yield from ("| " + " | ".join(row) + " |" for row in rows)


def _mark(system: str, text: str) -> str:
    return f"**{text}**" if system == OURS and text else text


def ranked(results: Results, metric: str, lower_is_better: bool = False) -> list[str]:
    """Return the systems from best to worst; those without the metric last."""
    values = {row.system: row.value for row in results.rows if row.metric == metric and row.system != LABELS}
    rest = dict.fromkeys(
        row.system for row in results.rows if row.system not in values and row.system != LABELS
    )
    ordered = sorted(
        values, key=lambda system: (values[system] if lower_is_better else -values[system], system)
    )
    return [*ordered, *rest]


def _main_table(section: Section) -> Iterator[str]:
    head, results = section.head, section.results
    found = {(row.system, row.metric): row for row in results.rows}
    columns = []
    for metric in head.metrics:
        row = next((row for row in results.rows if row.metric == metric), None)
        unit = "" if row is None or row.unit in ("share", "difference") else f", {row.unit}"
        n = "" if row is None or row.n is None else f"<br>n = {row.n:,}"
        columns.append(head.names.get(metric, f"`{metric}`") + unit + n)
    rows = [
        [
            _mark(system, system),
            *(_mark(system, number(found.get((system, metric)))) for metric in head.metrics),
        ]
        for system in ranked(results, head.metrics[0], head.lower_is_better)
    ]
    yield from _table(["system", *columns], [row for row in rows if any(row[1:])])


def _difference_table(section: Section) -> Iterator[str]:
    """Say by how much we are ahead of each system; one column a metric."""
    prefixes = section.head.differences
    found = {row.metric: row for row in section.results.rows if row.system == OURS}
    systems = [system for system in ranked(section.results, section.head.metrics[0]) if system != OURS]
    rows = [[system, *(number(found.get(f"{p}_over_{system}")) for p in prefixes)] for system in systems]
    if any(any(row[1:]) for row in rows):
        yield ""
        yield "Ours less the other, over the same redrawn items (95 % interval):"
        yield ""
        names = [section.head.names.get(prefix, f"`{prefix}`") for prefix in prefixes]
        yield from _table(["other", *names], [row for row in rows if any(row[1:])])


def _detail_table(section: Section) -> Iterator[str]:
    head, results = section.head, section.results
    if not head.details:
        return
    found = {(row.system, row.metric): row for row in results.rows}
    counts = {
        row.metric.removeprefix(head.detail_count): row.value
        for row in results.rows
        if row.system == LABELS and head.detail_count and row.metric.startswith(head.detail_count)
    }
    shown = [s for s in head.detail_systems if any(key == s for key, _ in found)]
    metrics = dict.fromkeys(m for s, m in found if s in shown and m.startswith(head.details))
    keys = [metric.removeprefix(head.details) for metric in metrics]
    if counts:  # else they stand in the order in which they were measured
        keys.sort(key=lambda key: (-counts.get(key, 0), key))
    rows = []
    for key in keys:
        cells = [_mark(s, number(found.get((s, head.details + key)), spread=s == OURS)) for s in shown]
        n = next((row.n for (s, m), row in found.items() if m == head.details + key and s in shown), None)
        positives = [f"{counts.get(key, 0):,.0f}"] if counts else []
        rows.append([key.replace("_", " "), *positives, "" if n is None else f"{n:,}", *cells])
    if rows:
        yield ""
        names = ["", *(["positives"] if counts else []), "items"]
        yield from _table([*names, *(_mark(s, s) for s in shown)], rows)


def _facts(section: Section) -> Iterator[str]:
    results = section.results
    looks = [look for look in read_looks() if look.task == results.task]
    yield f"`{results.command}` · {results.date:%Y-%m-%d} · commit `{results.commit[:12]}` · {results.machine}"
    if results.data_sha256:
        yield f"· data `{results.data_sha256[:12]}`"
    if looks:
        yield f"· test part looked at {len(looks)} time{'s' if len(looks) > 1 else ''}"


def page(found: Sequence[Section]) -> str:
    """Return the whole page."""
    lines = [
        "# Benchmarks",
        "",
        "Made by `python -m benchmarks.document` from `benchmarks/results/*.json`; do not edit by hand. Figures in",
        "brackets are 95 % intervals (bootstrap over items, the same draws for every system). `ours` is what",
        "`listing-risk train` writes and `listing-risk batch` scores; method checks on other data call the training",
        "package instead and say so. The score of every item lies beside each results file, and `make test` computes",
        "every quality figure again from them where the data is present. Settings were chosen inside the training",
        "part; each reading of a test part is noted in `benchmarks/results/looks.jsonl`. `make benchmark` measures",
        "the tasks of quality and robustness again in 20 minutes of one core (half an hour by the clock where other",
        "work shares it), and files each run in MLflow with its settings, hashes of the data, figures and scores.",
    ]
    for section in found:
        lines += ["", f"## {section.head.title}", "", section.text, "", *_main_table(section)]
        lines += [*_difference_table(section), *_detail_table(section), ""]
        lines += [f"![{section.head.title}]({FIGURES}/{section.results.task}.png)", "", *_facts(section)]
    return "\n".join(lines) + "\n"


def draw(section: Section, folder: Path) -> None:
    """Draw the first metric of every system with its interval."""
    from matplotlib.figure import Figure

    metric = section.head.metrics[0]
    rows = [
        row
        for system in reversed(ranked(section.results, metric, section.head.lower_is_better))
        for row in section.results.rows
        if (row.system, row.metric) == (system, metric)
    ]
    figure = Figure(figsize=(6.0, 0.7 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        colour = "#b3402a" if row.system == OURS else "#6b7a8f"
        axes.barh(place, row.value, color=colour, height=0.6)
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [place, place], color="black", linewidth=1)
    axes.set_yticks(range(len(rows)), [row.system for row in rows])
    axes.set_xlabel(section.head.names.get(metric, metric))
    axes.spines[["top", "right"]].set_visible(False)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{section.results.task}.png", dpi=90, metadata={"Software": None})


@click.command()
def main() -> None:
    """Write the page, its figures, and the README's table."""
    found = sections()
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(found), encoding="utf-8")
    for section in found:
        draw(section, PAGE.parent / FIGURES)
        if section.results.task == readme.TASK:
            readme.write(section.results)


if __name__ == "__main__":
    main()
