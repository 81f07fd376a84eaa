"""The sample catalogue once round the laboratory loop: one command that shows every step, with invented results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from features.schema import Listing, parse_listing
from serving.bans.office import load_reader, office_of
from serving.demo.returns import take_orders, take_results
from serving.demo.walk import ACTOR, FIRST, SECOND, Clock, Say, Walk
from serving.labs.estimate import Published, headline, publish
from serving.labs.loop import LabOffice
from serving.labs.plan_files import write_plan
from serving.labs.training import strictness_of, told, training_lines, training_weights, weights_by_role
from serving.plans.config import PlanConfig, read_plan_config
from serving.plans.making import Made, make_plan
from serving.policy.document import load_policy
from serving.predictor import Predictor
from serving.store import Store
from serving.store.decided import decision_record
from training.strictness import StrictnessError


def run_loop(folder: Path, *, seed: int = 1, say: Say = lambda text: None) -> dict[str, Any]:
    """Walk the loop and write everything to a folder, which is emptied first where an earlier walk made it.

    Returns
    -------
    dict
        What happened at every step, in words and figures; also written to ``report.json`` and ``report.md``.
    """
    _prepare(folder)
    walk = Walk(folder, seed, say)
    listings = _sample()
    truth = _truth()
    first_bundle = _train(folder, "model-1", [])
    config = _config()
    with _office(folder, first_bundle, walk.clock) as office:
        _go_live(office, listings, walk)
        made = _plan(office, config, listings, FIRST, walk)
        office.keep_plan(made.plan, made.scored, ACTOR)
        write_plan(made, office, folder / "plan-1", [])
        relisted = take_results(office, made, truth, walk)
        take_orders(office, walk)
        published = _estimates(office, walk)
        lines = list(training_lines(office))
        _learn(office, lines, walk)
    second_bundle = _train(folder, "model-2", lines)
    walk.clock.now += timedelta(days=30)
    with _office(folder, second_bundle, walk.clock) as office:
        _second_plan(office, config, [*listings, *relisted], walk)
        walk.report["audit"] = {"head": office.store.head().seq}
    _write_report(walk, published)
    return walk.report


def _prepare(folder: Path) -> None:
    """Empty what an earlier walk left; anything else in the folder is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("plan-1", "plan-2", "results", "past", "model-1", "model-2"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in folder.glob("store.db*"):
        path.unlink()
    for name in ("results", "past"):
        (folder / name).mkdir()


def _sample() -> list[Listing]:
    text = resources.files("features.sample").joinpath("catalogue.jsonl").read_text(encoding="utf-8")
    return [parse_listing(json.loads(line)) for line in text.splitlines()]


def _truth() -> dict[str, frozenset[str]]:
    text = resources.files("features.sample").joinpath("truth.jsonl").read_text(encoding="utf-8")
    rows = (json.loads(line) for line in text.splitlines())
    return {row["id"]: frozenset(row["hazards"]) for row in rows}


def _config() -> PlanConfig:
    raw = read_plan_config().model_dump()
    raw |= {"category_by": "group", "overlap": 12, "budget": {"money": 90_000_000, "items": 180}}
    raw["exploration"] = {"share": 0.3, "floor": 0.3}
    raw["solver"] = {"seconds": 10, "gap": 0.002}
    return PlanConfig.model_validate(raw)


def _train(folder: Path, name: str, lines: Sequence[str]) -> Path:
    """Train a bundle on the sample's past results, and on the loop's own where there are any."""
    from training.config import Config
    from training.pipeline import train

    past = resources.files("features.sample").joinpath("past_results.jsonl").read_text(encoding="utf-8")
    (folder / "past" / "sample.jsonl").write_text(past, encoding="utf-8")
    sources = [{"reader": "sample", "path": "sample.jsonl"}]
    if lines:
        (folder / "past" / "loop.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        sources.append({"reader": "sample", "path": "loop.jsonl"})
    raw = {
        "name": name,
        "sources": sources,
        "root_rate": 0.058,
        "root_rate_source": "domestic fail rate named beside the round KATS-2024-11",
        "folds": 3,
        "lab": {"min_failed": 5},
    }
    train(Config.model_validate(raw), folder / "past", folder / name)
    return folder / name


@contextmanager
def _office(folder: Path, bundle: Path, clock: Clock) -> Iterator[LabOffice]:
    from training.bundle import Bundle

    predictor = Predictor(Bundle.load(bundle), load_policy(), clock)
    with Store(f"sqlite:///{folder / 'store.db'}") as store:
        yield LabOffice(store, office_of(store, predictor, load_reader()), clock=clock)


def _go_live(office: LabOffice, listings: Sequence[Listing], walk: Walk) -> None:
    """Put the sample on sale and decide about it, as the service would."""
    assert office.bans is not None
    for _ in office.bans.catalogue.add(listings):
        pass
    actions: dict[str, int] = {}
    for start in range(0, len(listings), 64):
        block = listings[start : start + 64]
        decisions = office.bans.decider.decide(block, "never")
        office.store.record([decision_record(one, made) for one, made in zip(block, decisions, strict=True)])
        for made in decisions:
            actions[made.action] = actions.get(made.action, 0) + 1
    counts = ", ".join(f"{n} {action}" for action, n in sorted(actions.items()))
    walk.note("on sale", f"{len(listings)} invented listings, decided: {counts}", actions=actions)


def _plan(
    office: LabOffice, config: PlanConfig, listings: Sequence[Listing], period: str, walk: Walk
) -> Made:
    assert office.bans is not None
    made = make_plan(
        listings, office.bans.decider, office.bans.desk.bank.reader, config, office.past_tests(),  # type: ignore[arg-type]
        period=period, today=walk.clock.now.date(), seed=walk.seed,
    )  # fmt: skip
    roles: dict[str, int] = {}
    for item in made.plan.items:
        roles[item.role] = roles.get(item.role, 0) + 1
    labs = {code: sum(i.laboratory == code for i in made.plan.items) for code in config.laboratories}
    walk.note(
        f"plan {period}",
        f"{len(made.plan.items)} items ({', '.join(f'{n} {role}' for role, n in roles.items())}), "
        f"{made.plan.spent():,} {config.currency}, gap at most {made.plan.gap:.2%}; order sheets for "
        + ", ".join(f"{code} {n}" for code, n in labs.items()),
        roles=roles,
        laboratories=labs,
        spent=made.plan.spent(),
        gap=made.plan.gap,
        clusters=len(made.plan.frame),
    )
    return made


def _estimates(office: LabOffice, walk: Walk) -> Published:
    from rich.console import Console

    from serving.labs.tables import rates_table

    plan_id = f"plan-{FIRST}"
    found = publish(office.frame(plan_id), plan_id, office.book)
    (walk.folder / "rates.json").write_text(
        json.dumps(found.to_json(), ensure_ascii=False, indent=1), encoding="utf-8"
    )
    with (walk.folder / "rates.txt").open("w", encoding="utf-8") as file:
        Console(file=file, width=150).print(rates_table(found, office.taxonomy))
    whole = headline(found.rows)
    if whole is None:
        return found
    best = whole.difference or whole.hajek
    walk.note(
        "estimates",
        f"of goods on sale {best.rate:.1%} fail something ({best.low:.1%} to {best.high:.1%}); the share among "
        f"the tested, {whole.naive.rate:.1%}, would have misled: risky goods were tested first",
        naive=whole.naive.rate,
        rate=best.rate,
        low=best.low,
        high=best.high,
        harm_found=found.harm_found,
    )
    return found


def _learn(office: LabOffice, lines: Sequence[str], walk: Walk) -> None:
    results = told(office)
    try:
        fit = strictness_of(office)
        facts = {one.laboratory: [one.effect, one.low, one.high] for one in fit.laboratories}
        strict = max(fit.laboratories, key=lambda one: one.effect)
        spread = f"{strict.effect:+.2f} log-odds, {strict.low:+.2f} to {strict.high:+.2f}"
        text = f"{strict.laboratory} is the strictest ({spread})"
        if not strict.told:
            text = f"none can be told from the mean yet; {strict.laboratory} is highest ({spread})"
    except StrictnessError as error:
        fit, facts, text = None, {}, str(error)
    weights = weights_by_role(results, training_weights(results, fit))
    said = ", ".join(f"{role} {weight:.2f}" for role, weight in weights.items())
    walk.note("laboratories", text, effects=facts)
    walk.note(
        "retraining",
        f"{len(lines)} records with weights go to training (mean weight: {said})",
        records=len(lines),
        weights=weights,
    )


def _second_plan(office: LabOffice, config: PlanConfig, listings: Sequence[Listing], walk: Walk) -> None:
    made = _plan(office, config, listings, SECOND, walk)
    changed = office.changes(f"plan-{FIRST}", made)
    office.keep_plan(made.plan, made.scored, ACTOR)
    write_plan(made, office, walk.folder / "plan-2", changed)
    reasons: dict[str, int] = {}
    for change in changed:
        name = ("new: " if change["entered"] else "gone: ") + change["reason"]
        reasons[name] = reasons.get(name, 0) + 1
    kept = len({i.listing_id for i in made.plan.items}) - sum(c["entered"] for c in changed)
    walk.note(
        "what changed",
        f"{kept} items stay; " + ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items())),
        reasons=reasons,
        kept=kept,
    )


def _write_report(walk: Walk, published: Published) -> None:
    (walk.folder / "report.json").write_text(
        json.dumps(walk.report, ensure_ascii=False, indent=1), encoding="utf-8"
    )
    lines = [
        "# Once round the laboratory loop",
        "",
        "All listings, prices, results and orders are invented.",
        "",
    ]
    lines += [
        f"- **{step}**: {facts['in_words']}" for step, facts in walk.report.items() if "in_words" in facts
    ]
    lines += [
        "",
        "Open `plan-1/plan-ko.html` (why each item), `plan-1/order-*.xlsx` (what laboratories get), `results/` (what",
        "they sent, the refused file too), `refunds.json`, `rates.txt`, `plan-2/plan-ko.html` (what changed and why).",
        "",
        f"{published.results} of {published.samples} samples of the first plan have results.",
    ]
    (walk.folder / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
