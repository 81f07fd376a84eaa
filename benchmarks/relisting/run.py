"""Measure re-listing by photo: ``python -m benchmarks.relisting.run --data DIR``.

Slow part first: every photo goes through a draw of the edits, and each edited photo is searched in the persisted index
of its half; answers are kept in ``--work`` and a second run goes on where the first stopped. ``--quick`` takes every
tenth photo and writes nothing.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import click

from benchmarks.relisting import collect, measure
from benchmarks.relisting.edits import EDITS
from benchmarks.relisting.photos import FOLDS, Original, originals, paths
from benchmarks.relisting.picture import draw
from benchmarks.relisting.starter import EDITS_EACH, answered
from benchmarks.results_file import (
    OURS,
    RESULTS,
    Look,
    Results,
    Row,
    code_commit,
    data_sha256,
    log_look,
    machine,
    now,
    write_results,
    write_scores,
)
from features.image_match import FACTORS, Limits, PhotoMatcher

TASK = "relisting"
DEFAULT_EDITS = 12
DEFAULT_SHARE = 0.68
DEFAULT_WORK = Path(".cache/relisting")


def ask(
    photos: list[Original], work: Path, edits: int, workers: int, share: float
) -> list[list[collect.Answer]]:
    """Have all queries answered; shows how far it is."""
    unfitted = PhotoMatcher(weights=(1.0,) * len(FACTORS), offset=0.0, exact=1.0, near=1.0, limits=Limits())
    start = time.monotonic()
    for fold in range(FOLDS):
        steps = collect.collect(photos, fold, work, unfitted, edits, workers, share)
        for done, of in steps:
            if done % 10 == 0 or done == of:
                spent = time.monotonic() - start
                click.echo(f"half {fold + 1} of {FOLDS}: {done} of {of} photos, {spent:.0f} s", err=True)
    return [collect.answers_of(photos, fold, work, share) for fold in range(FOLDS)]


def show(rows: tuple[Row, ...] | list[Row]) -> None:
    """Print the figures, edits of our own only."""
    for row in rows:
        if "/" not in row.metric or row.system == OURS:
            spread = "" if row.low is None else f"  [{row.low:.3f}, {row.high:.3f}]"
            click.echo(f"{row.system:10} {row.metric:48} {row.value:.5f}{spread}  n={row.n}")


def worst(judged: list[measure.Judged], count: int = 40) -> None:
    """Print the most convincing wrong pairs and the missed copies, for the eye."""
    for one in judged:
        ours = one.frame[one.frame["system"] == OURS]
        wrong = ours[ours["kind"] == "other_product"].nlargest(count, "score")
        missed = ours[(ours["kind"] == "copy") & (ours["score"] < one.exact[OURS])]
        for kind, part in (("wrong", wrong), ("missed", missed)):
            for row in part.to_dict("records"):
                line = f"{kind} {row['photo']} {row['edit']} {row['other']} {row['score']:.4f}"
                click.echo(line, err=True)


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
    help="Folder of real data (or LISTING_RISK_DATA).",
)
@click.option("--work", type=click.Path(path_type=Path), default=DEFAULT_WORK, help="Where answers are kept.")
@click.option("--edits", default=DEFAULT_EDITS, show_default=True, help=f"Edits a photo, of {len(EDITS)}.")
@click.option(
    "--share", default=DEFAULT_SHARE, show_default=True, help="Share of the photos that are asked for."
)
@click.option("--workers", default=2, show_default=True, help="Processes.")
@click.option("--quick", is_flag=True, help="Every tenth photo, three edits; writes nothing.")
@click.option("--again", is_flag=True, help="Forget the answers of an earlier run.")
@click.option("--look-closer", is_flag=True, help="Name the worst pairs.")
@click.option(
    "--picture", type=click.Path(path_type=Path), help="Page of hits and misses (shows the photos)."
)
@click.option("--note", default="", help="Why the test part is looked at, for results/looks.jsonl.")
def main(
    data: Path,
    work: Path,
    edits: int,
    share: float,
    workers: int,
    quick: bool,
    again: bool,
    look_closer: bool,
    picture: Path | None,
    note: str,
) -> None:
    """Measure and write ``results/relisting.json``."""
    photos = originals(data)
    if quick:
        photos, edits, share, work = photos[::6], 8, 1.0, work.with_name("relisting-quick")
    if again or quick:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    answers = ask(photos, work, edits, workers, share)
    both = measure.halves(photos, answers)
    # Shops that print one band on all their products are rare in a few hundred photos; drawn ones have them.
    drawn = answered(work / "drawn", EDITS_EACH, workers)
    matchers = [
        measure.fit([half, drawn], f"half {fold} of the benchmark's photos, and drawn pictures")
        for fold, half in enumerate(both)
    ]
    judged = measure.judge(both, matchers)
    kept = measure.stored(judged)
    rows = measure.figures(measure.judged_of(kept))
    show(rows)
    if look_closer:
        worst(judged)
    if picture:
        draw(judged, {one.name: one for one in photos}, picture)
    if quick:
        return
    results = Results(
        task=TASK,
        command=f"python -m benchmarks.relisting.run --edits {edits} --share {share}",
        commit=code_commit(),
        date=now(),
        machine=machine(),
        data_sha256=data_sha256(data, paths(data)),
        rows=tuple(rows),
    )
    click.echo(f"wrote {write_results(results)} and {write_scores(TASK, kept)}", err=True)
    log_look(Look(TASK, results.date.isoformat(), results.commit, measure.SYSTEMS, note), RESULTS)


if __name__ == "__main__":
    main()
