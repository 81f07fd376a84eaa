"""Where the time of one listing goes: ``python -m benchmarks.serving.stages [--json FILE]``.

Takes each listing through the same calls as the service makes, one stage after another, and counts the processor time
of each. What follows on a score finds the listing read already, as in the service.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from benchmarks.serving.listings import distinct
from features.audience import audience_of
from features.nameview import NameViewer
from features.normalize import normalize
from features.schema import parse_listing
from serving.policy.evaluation import evaluate
from serving.predictor import Predictor, load_predictor
from serving.settings import STARTER, Settings

_Result = TypeVar("_Result")
_PARTS_OF = {"score": ("normalise", "name view", "group", "audience", "encode", "heads", "covert")}


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Microseconds of processor time by stage."""

    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def run(self, stage: str, call: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call and count."""
        started = time.thread_time_ns()
        result = call(*arguments)
        self.taken[stage].append((time.thread_time_ns() - started) / 1e3)
        return result


def walk(predictor: Predictor, body: bytes, watch: Stopwatch) -> None:
    """Take one listing through every stage, and once more through the whole."""
    bundle = predictor.bundle
    listing = watch.run("parse", lambda: parse_listing(orjson.loads(body)))
    _parts(predictor, listing, watch)
    scores = watch.run("score", bundle.score, [listing])
    risk = watch.run("risk", predictor._risk, scores, [listing])
    facts = watch.run("facts", predictor._facts, 0, listing, scores, risk)
    verdict = watch.run("policy", evaluate, predictor.policy, facts, predictor.clock())
    worst = sorted(facts.p, key=lambda code: -facts.p[code])[:3]
    watch.run("reasons", bundle.explain, listing, worst)
    watch.run("nearest", bundle.nearest, listing)
    fresh = parse_listing(orjson.loads(body))
    decision = watch.run("decide (all)", lambda: predictor.decide([fresh])[0])
    watch.run("to_json", lambda: orjson.dumps(decision.to_json()))
    watch.taken["acted on"].append(float(verdict.action != "allow"))


def _parts(predictor: Predictor, listing: Any, watch: Stopwatch) -> None:
    """The inside of a score, call by call; private names of the bundle, since nobody else needs them apart."""
    bundle: Any = predictor.bundle
    reader = bundle._reader
    viewer: NameViewer = reader._viewer
    title = watch.run("normalise", normalize, listing.title)
    view = watch.run("name view", viewer.view_listing, listing, title)
    match = watch.run("group", reader._matcher.match, title.text, listing.category)
    group = predictor.taxonomy.groups.get(match.code)
    watch.run("audience", audience_of, listing, title.text, group)
    reading = reader.read(listing)
    embeddings = watch.run("encode", bundle.encoder.encode, [view.text])
    watch.run("heads", bundle.laboratory, [reading], embeddings)
    watch.run("covert", bundle._covert_probability, listing, reading)


def table(watch: Stopwatch) -> list[dict[str, Any]]:
    """Median, mean and 95th percentile by stage, microseconds."""
    return [
        {
            "stage": stage,
            "p50_us": round(statistics.median(taken), 1),
            "mean_us": round(statistics.mean(taken), 1),
            "p95_us": round(statistics.quantiles(taken, n=20)[-1], 1),
            "n": len(taken),
        }
        for stage, taken in watch.taken.items()
        if stage != "acted on"
    ]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), envvar="LISTING_RISK_DATA", help="Real listings.")
@click.option("--bundle", type=click.Path(path_type=Path), envvar="LISTING_RISK_BUNDLE", default=STARTER)
@click.option("--listings", "count", default=600, help="How many listings.")
@click.option("--text-only", is_flag=True, help="Give only id and title.")
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write the table there too.")
def main(data: Path | None, bundle: Path, count: int, text_only: bool, target: Path | None) -> None:
    """Print microseconds per stage."""
    predictor, watch = load_predictor(Settings(bundle=bundle)), Stopwatch()
    for listing in distinct(data)[:count]:
        shown = {"id": listing["id"], "title": listing["title"]} if text_only else listing
        walk(predictor, orjson.dumps(shown), watch)
    rows = table(watch)
    for row in rows:
        indent = "  " if row["stage"] in _PARTS_OF["score"] else ""
        click.echo(f"{indent + row['stage']:14}{row['p50_us']:9.0f}{row['mean_us']:9.0f}{row['p95_us']:9.0f}")
    acted = statistics.mean(watch.taken["acted on"])
    load = os.getloadavg()[0]
    click.echo(
        f"microseconds: p50, mean, p95; {acted:.0%} acted on (only these get reasons); load {load:.1f}"
    )
    if target:
        target.write_text(json.dumps({"stages": rows, "acted_on": acted, "load": load}, indent=1) + "\n")


if __name__ == "__main__":
    main()
