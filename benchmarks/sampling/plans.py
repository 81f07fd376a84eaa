"""Plans measured on made-up catalogues: ``python -m benchmarks.sampling.plans speed`` or ``synthetic``."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click
import numpy as np

from benchmarks.results_file import RESULTS, Results, Row, code_commit, machine, now, write_results
from benchmarks.sampling.synthetic import DAY, STRICTNESS, Market, config, market
from features.taxonomy import Taxonomy, load_taxonomy
from serving.plans.planning import plan
from serving.plans.types import Candidates, Plan
from training.estimators import Population, difference, hajek, naive
from training.rate_table import ANY_HAZARD, Frame, sample_of
from training.simulation import mean_of
from training.strictness import StrictnessError, fit_strictness

SEEDS = 5


def _plan(candidates: Candidates, taxonomy: Taxonomy, seed: int, **changes: float) -> Plan:
    return plan(candidates, config(**changes), taxonomy, period="p", today=DAY, seed=seed)  # type: ignore[arg-type]


def speed(seeds: int) -> Iterator[Row]:
    """Plan 100,000 candidates for five laboratories."""
    taxonomy = load_taxonomy()
    seconds, gaps, spent = [], [], []
    for seed in range(seeds):
        goods = market(100_000, taxonomy, seed).candidates
        started = time.monotonic()
        made = plan(goods, config(items=300, seconds=30.0), taxonomy, period="p", today=DAY, seed=seed)
        seconds.append(time.monotonic() - started)
        gaps.append(made.gap)
        spent.append(made.spent() / made.config.budget.money)
        click.echo(f"seed {seed}: {seconds[-1]:.1f} s, gap {gaps[-1]:.5f}, {len(made.items)} items", err=True)
    n = 100_000
    yield Row(
        system="ours",
        metric="seconds",
        value=float(np.mean(seconds)),
        low=min(seconds),
        high=max(seconds),
        n=n,
        unit="s",
    )
    yield Row(
        system="ours",
        metric="optimality_gap",
        value=float(np.mean(gaps)),
        low=min(gaps),
        high=max(gaps),
        n=n,
        unit="share",
    )
    yield Row(
        system="ours",
        metric="budget_used",
        value=float(np.mean(spent)),
        low=min(spent),
        high=max(spent),
        n=n,
        unit="share",
    )


def harm_found(made: Plan, goods: Market) -> float:
    """True expected harm of what a plan tests; goods that two laboratories test count once."""
    place = {one: row for row, one in enumerate(goods.candidates.ids)}
    column = {code: at for at, code in enumerate(made.hazards)}
    return sum(
        float(goods.harm[place[item.listing_id], [column[h] for h in item.hazards]].sum())
        for item in made.items
        if item.role != "overlap"
    )


def tested_frame(made: Plan, goods: Market) -> tuple[Frame, float]:
    """Return the frame with what the mean laboratory finds, and the true share of goods that fail something."""
    place = {one: row for row, one in enumerate(goods.candidates.ids)}
    rows = np.array([place[row.listing_id] for row in made.frame])
    covered = np.array([row.covered for row in made.frame])
    chosen = np.array([row.chosen for row in made.frame])
    fails = goods.fails[rows] & covered
    failed = np.where(covered & chosen[:, None], fails.astype(float), np.nan)
    frame = Frame(
        units=[row.cluster for row in made.frame],
        propensity=np.array([row.propensity for row in made.frame]),
        stratum=np.array([row.stratum for row in made.frame], dtype=object),
        domains={},
        hazards=made.hazards,
        covered=covered,
        chosen=chosen,
        failed=failed,
        predicted=np.array([row.p for row in made.frame]),
    )
    return frame, float(fails.any(axis=1).mean())


def prevalence(draws: int, share: float, base: float, seed: int) -> dict[str, list[float]]:
    """Draw the exploration part again and again on one market; coverage and error of the whole rate."""
    taxonomy = load_taxonomy()
    goods = market(4_000, taxonomy, seed, base=base)
    names = ("covered", "error", "naive_error", "hajek_error", "hajek_covered", "fails", "truth")
    found: dict[str, list[float]] = {name: [] for name in names}
    first = _plan(goods.candidates, taxonomy, 0, share=share, items=240)
    certain = {row.cluster for row in first.frame if row.stratum == "certainty"}
    for draw in range(draws):
        made = redrawn(first, draw)
        frame, truth = tested_frame(made, goods)
        sample = sample_of(frame, ANY_HAZARD)
        predicted = 1 - np.prod(1 - np.where(frame.covered, frame.predicted, 0.0), axis=1)
        size = Population(
            float(frame.covered.any(axis=1).sum()), float(predicted[frame.propensity < 1].sum())
        )
        best, ratio, plain = difference(sample, size), hajek(sample, size), naive(sample)
        found["covered"].append(best.low <= truth <= best.high)
        found["hajek_covered"].append(ratio.low <= truth <= ratio.high)
        found["error"].append(best.rate - truth)
        found["hajek_error"].append(ratio.rate - truth)
        found["naive_error"].append(plain.rate - truth)
        seen = frame.chosen & np.array([unit not in certain for unit in frame.units])
        found["fails"].append(float((np.nan_to_num(frame.failed[seen]).max(axis=1) > 0).sum()))
        found["truth"].append(truth)
    return found


def redrawn(made: Plan, seed: int) -> Plan:
    """Draw the exploration part of a plan anew with the same probabilities."""
    from dataclasses import replace

    from training.sampling_design import pivotal

    random = np.random.default_rng([seed, 7])
    chosen: dict[str, bool] = {}
    for stratum in dict.fromkeys(row.stratum for row in made.frame):
        rows = [row for row in made.frame if row.stratum == stratum]
        drawn = (
            np.ones(len(rows), dtype=bool)
            if stratum == "certainty"
            else pivotal(np.array([row.propensity for row in rows]), random)
        )
        chosen |= {row.cluster: bool(one) for row, one in zip(rows, drawn, strict=True)}
    return replace(made, frame=tuple(replace(row, chosen=chosen[row.cluster]) for row in made.frame))


def strictness(seed: int) -> tuple[list[bool], list[float]]:
    """Fit laboratories of known strictness on one plan with overlap; whether intervals cover, and errors."""
    taxonomy = load_taxonomy()
    goods = market(4_000, taxonomy, seed, base=2.0)
    made = plan(goods.candidates, config(items=200, overlap=50), taxonomy, period="p", today=DAY, seed=seed)
    place = {one: row for row, one in enumerate(goods.candidates.ids)}
    column = {code: at for at, code in enumerate(made.hazards)}
    random = np.random.default_rng([seed, 3])
    lab, group, sample, failed, predicted = [], [], [], [], []
    for item in made.items:
        row = place[item.listing_id]
        for hazard in item.hazards:
            p = goods.truth[row, column[hazard]]
            odds = p / max(1 - p, 1e-9) * np.exp(STRICTNESS[item.laboratory])
            lab.append(item.laboratory)
            group.append(f"{goods.candidates.groups[row]}/{hazard}")
            sample.append(f"{item.cluster}/{hazard}")
            failed.append(random.random() < odds / (1 + odds))
            predicted.append(max(goods.candidates.p[row, column[hazard]], 1e-6))
    fit = fit_strictness(lab, group, sample, np.array(failed, float), np.array(predicted))
    centre = float(np.mean(list(STRICTNESS.values())))
    wanted = {name: value - centre for name, value in STRICTNESS.items()}
    covers = [one.low <= wanted[one.laboratory] <= one.high for one in fit.laboratories]
    return covers, [one.effect - wanted[one.laboratory] for one in fit.laboratories]


def synthetic(seeds: int, draws: int) -> Iterator[Row]:
    """Harm beside an oracle's, prevalence estimates over many draws, strictness."""
    taxonomy = load_taxonomy()
    shares: dict[str, list[float]] = {"ours": [], "risk": [], "best_seller": [], "random": []}
    for seed in range(seeds):
        goods = market(20_000, taxonomy, seed)
        best = harm_found(_plan(goods.oracle(), taxonomy, seed), goods)
        shares["ours"].append(harm_found(_plan(goods.candidates, taxonomy, seed), goods) / best)
        for name, score in (
            ("risk", goods.candidates.p.sum(axis=1)),
            ("best_seller", goods.candidates.units_sold.astype(float)),
            ("random", np.random.default_rng(seed).random(len(goods.candidates.ids))),
        ):
            shares[name].append(_taken_by(score, goods, taxonomy, seed) / best)
        click.echo(f"seed {seed}: " + ", ".join(f"{k} {v[-1]:.3f}" for k, v in shares.items()), err=True)
    for name, values in shares.items():
        found = mean_of(values)
        yield Row(
            system=name,
            metric="harm_vs_oracle",
            value=found.value,
            low=found.low,
            high=found.high,
            n=seeds,
            unit="share",
        )
    for label, share, base in (("", 0.3, 1.0), ("_rare", 0.3, 0.2)):
        found = prevalence(draws, share, base, 11)
        n = len(found["covered"])
        for metric, values, unit in (
            ("prevalence_coverage", found["covered"], "share"),
            ("prevalence_bias", found["error"], "difference"),
        ):
            figure = mean_of(values)
            yield Row(
                system="ours",
                metric=metric + label,
                value=figure.value,
                low=figure.low,
                high=figure.high,
                n=n,
                unit=unit,
            )
        figure = mean_of(found["naive_error"])
        yield Row(
            system="naive",
            metric="prevalence_bias" + label,
            value=figure.value,
            low=figure.low,
            high=figure.high,
            n=n,
            unit="difference",
        )
        figure = mean_of(found["hajek_covered"])
        yield Row(
            system="hajek",
            metric="prevalence_coverage" + label,
            value=figure.value,
            low=figure.low,
            high=figure.high,
            n=n,
            unit="share",
        )
        figure = mean_of(found["hajek_error"])
        yield Row(
            system="hajek",
            metric="prevalence_bias" + label,
            value=figure.value,
            low=figure.low,
            high=figure.high,
            n=n,
            unit="difference",
        )
        yield Row(system="labels", metric="true_rate" + label, value=found["truth"][0], n=n, unit="share")
        yield Row(
            system="labels",
            metric="random_fails" + label,
            value=float(np.mean(found["fails"])),
            n=n,
            unit="fails",
        )
        click.echo(
            f"coverage{label} {np.mean(found['covered']):.3f} bias {np.mean(found['error']):+.4f}", err=True
        )
    covers, errors = [], []
    for seed in range(6):
        try:
            one, error = strictness(seed)
        except StrictnessError as problem:
            click.echo(str(problem), err=True)
            continue
        covers += one
        errors += error
    yield Row(
        system="ours", metric="strictness_coverage", value=float(np.mean(covers)), n=len(covers), unit="share"
    )
    yield Row(
        system="ours",
        metric="strictness_rmse",
        value=float(np.sqrt(np.mean(np.square(errors)))),
        n=len(errors),
        unit="log-odds",
    )


def _taken_by(score: np.ndarray, goods: Market, taxonomy: Taxonomy, seed: int) -> float:
    """True harm found when goods enter by a score alone, tested in full where the plan would, under the same limits."""
    from dataclasses import replace

    candidates = goods.candidates
    level = score / max(score.max(), 1e-12)
    # The optimiser then sees nothing but the score, spread over what each panel covers.
    width = np.maximum(candidates.panel.sum(axis=1, keepdims=True), 1)
    flat = np.where(candidates.panel, level[:, None] / width, 0.0) * 1e6
    made = plan(
        replace(candidates, harm=flat), config().model_copy(update={"information": 0.0}), taxonomy,
        period="p", today=DAY, seed=seed,
    )  # fmt: skip
    return harm_found(made, goods)


@click.command()
@click.argument("task", type=click.Choice(["speed", "synthetic"]))
@click.option("--seeds", default=SEEDS, show_default=True)
@click.option("--draws", default=1000, show_default=True)
def main(task: str, seeds: int, draws: int) -> None:
    """Measure plans."""
    name = "plan_speed" if task == "speed" else "sampling_synthetic"
    rows = tuple(speed(seeds) if task == "speed" else synthetic(seeds, draws))
    results = Results(
        task=name,
        command=f"python -m benchmarks.sampling.plans {task}",
        commit=code_commit(),
        date=now(),
        machine=machine(),
        data_sha256="",
        rows=rows,
    )
    click.echo(f"-> {write_results(results, RESULTS)}", err=True)


if __name__ == "__main__":
    main()
