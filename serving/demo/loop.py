"""The sample catalogue once round the laboratory loop: one command that shows every step, with invented results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from features.schema import Listing, parse_listing
from serving.bans.office import load_reader, office_of
from serving.demo.results import Found, file_of, has_mass_limit, invent, orders_file
from serving.labs.estimate import Published, headline, publish
from serving.labs.follow import Settled
from serving.labs.intake import ResultsRefusedError
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

ACTOR = "demo"
FIRST, SECOND = "2026-12", "2027-01"
_START = datetime(2026, 11, 23, 9, tzinfo=UTC)
Say = Callable[[str], None]


@dataclass(slots=True)
class _Clock:
    now: datetime = _START

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class _Round:
    """What the walk has in hand."""

    folder: Path
    seed: int
    say: Say
    clock: _Clock = field(default_factory=_Clock)
    report: dict[str, Any] = field(default_factory=dict)

    def note(self, step: str, text: str, **facts: Any) -> None:
        self.report[step] = {"in_words": text, **facts}
        self.say(f"[bold]{step}[/]  {text}")


def run_loop(folder: Path, *, seed: int = 1, say: Say = lambda text: None) -> dict[str, Any]:
    """Walk the loop and write everything to a folder, which is emptied first where an earlier walk made it.

    Returns
    -------
    dict
        What happened at every step, in words and figures; also written to ``report.json`` and ``report.md``.
    """
    _prepare(folder)
    walk = _Round(folder, seed, say)
    listings = _sample()
    truth = _truth()
    first_bundle = _train(folder, "model-1", [])
    config = _config()
    with _office(folder, first_bundle, walk.clock) as office:
        _go_live(office, listings, walk)
        made = _plan(office, config, listings, FIRST, walk)
        office.keep_plan(made.plan, made.scored, ACTOR)
        write_plan(made, office, folder / "plan-1", [])
        relisted = _results(office, made, truth, walk)
        _orders(office, walk)
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
def _office(folder: Path, bundle: Path, clock: _Clock) -> Iterator[LabOffice]:
    from training.bundle import Bundle

    predictor = Predictor(Bundle.load(bundle), load_policy(), clock)
    with Store(f"sqlite:///{folder / 'store.db'}") as store:
        yield LabOffice(store, office_of(store, predictor, load_reader()), clock=clock)


def _go_live(office: LabOffice, listings: Sequence[Listing], walk: _Round) -> None:
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
    office: LabOffice, config: PlanConfig, listings: Sequence[Listing], period: str, walk: _Round
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


def _results(office: LabOffice, made: Made, truth: dict[str, frozenset[str]], walk: _Round) -> list[Listing]:
    """Send five files in: one with a wrong unit is refused whole and sent again, one result is corrected later."""
    book = office.book
    samples = book.samples_of(f"plan-{FIRST}")
    found = invent(samples, truth, np.random.default_rng(walk.seed))
    walk.clock.now += timedelta(days=20)
    day = walk.clock.now.date()
    relisted = _relist(office, made, found, walk)
    wrong = next(one for one in found if has_mass_limit(one, office.taxonomy, day))
    settled: list[Settled] = []
    counts = {"pass": 0, "fail": 0, "unclear": 0}
    censored = 0
    for laboratory in made.plan.config.laboratories:
        mine = [one for one in found if one.sample.laboratory == laboratory]
        if not mine:
            continue
        if laboratory == wrong.sample.laboratory:
            _refused(office, mine, wrong, day, walk)
        name, content = file_of(laboratory, mine, day)
        (walk.folder / "results" / name).write_bytes(content)
        taken = office.take(name, content, laboratory, ACTOR, today=day)
        assert taken.settled is not None
        settled.append(taken.settled)
        censored += sum(note.code == "censored" for note in taken.intake.notes)
        for entry in taken.intake.entries:
            counts[entry.verdict.outcome] += 1
    walk.note(
        "results",
        f"five files, each in its laboratory's own form: {counts['fail']} fails, {counts['pass']} passes, "
        f"{counts['unclear']} unclear, {censored} censored values (<LOD, ND)",
        counts=counts,
        censored=censored,
    )
    again = [key for one in settled for key in one.relistings]
    cases = office.cases()
    slowest = max((view.seconds_to_block or 0.0) for view in cases)
    caught = [listing.id for listing in relisted if listing.id in {one for _, one in again}]
    walk.note(
        "bans",
        f"{len(cases)} cases: {sum(len(s.bans) for s in settled)} bans, {len(again)} more listings found by looking "
        f"back ({len(caught)} of {len(relisted)} edited re-listings by another seller), slowest block {slowest:.1f} s "
        "after the result",
        cases=len(cases),
        relistings=len(again),
        edited_relistings_caught=caught,
        slowest_block_s=round(slowest, 3),
    )
    _correct(office, found, day, walk)
    return relisted


def _relist(office: LabOffice, made: Made, found: Sequence[Found], walk: _Round) -> list[Listing]:
    """Offer some goods that will fail again: edited title, other seller, other price."""
    assert office.bans is not None
    failing = list(dict.fromkeys(one.sample.listing_id for one in found if one.failed))[:3]
    copies = []
    for number, listing_id in enumerate(failing):
        old = made.listings[listing_id]
        raw = old.model_dump(mode="json", exclude_defaults=True)
        raw |= {
            "id": f"relisted-{number + 1}",
            "title": f"무료배송 {old.title} 특가" if number % 2 == 0 else f"{old.title} 재입고",
            "description": "",
            "price": round((old.price or 1000) * 0.9, 2),
            "seller": {"id": f"new-seller-{number + 1}", "name": "새로운상점"},
            "units_sold": 12,
        }
        copies.append(parse_listing(raw))
    for _ in office.bans.catalogue.add(copies):
        pass
    walk.note(
        "re-listed",
        f"{len(copies)} goods come back under edited titles from other sellers",
        ids=[c.id for c in copies],
    )
    return copies


def _refused(office: LabOffice, mine: Sequence[Found], wrong: Found, day: date, walk: _Round) -> None:
    key = (wrong.sample.sample_id, wrong.hazard)
    name, content = file_of(
        wrong.sample.laboratory, mine, day, units={key: "mg/L"}, values={key: ("55", False)}
    )
    (walk.folder / "results" / f"refused-{name}").write_bytes(content)
    try:
        office.take(name, content, wrong.sample.laboratory, ACTOR, today=day)
    except ResultsRefusedError as error:
        before = len(office.book.files)
        walk.note(
            "refused",
            f"{name} of {wrong.sample.laboratory}: nothing taken, {error.problems[0].message}",
            problem=error.problems[0].code,
            line=error.problems[0].line,
            files_taken_before=before,
        )


def _correct(office: LabOffice, found: Sequence[Found], day: date, walk: _Round) -> None:
    """Correct one fail to a pass: the earlier result stays on record and does not count; a person judges the ban."""
    by_sample: dict[str, list[Found]] = {}
    for one in found:
        by_sample.setdefault(one.sample.sample_id, []).append(one)
    alone = [m for m in by_sample.values() if sum(o.failed for o in m) == 1]
    one = next(o for m in alone for o in m if o.failed)
    key = (one.sample.sample_id, one.hazard)
    name, content = file_of(
        one.sample.laboratory, [one], day, kind="정정", values={key: (one.measure.passing, False)}
    )
    (walk.folder / "results" / name).write_bytes(content)
    fails = sum("fail" in by.values() for by in office.book.outcomes().values())
    office.take(name, content, one.sample.laboratory, ACTOR, today=day)
    after = sum("fail" in by.values() for by in office.book.outcomes().values())
    view = next(v for v in office.cases() if v.sample.key == one.sample.key)
    walk.note(
        "correction",
        f"{one.sample.laboratory} corrects {one.measure.analyte} of {one.sample.sample_id} to a pass: failed samples "
        f"{fails} -> {after}, both results stay on record, the ban waits for a person ({', '.join(view.open_steps)})",
        failed_before=fails,
        failed_after=after,
        open_steps=list(view.open_steps),
    )


def _orders(office: LabOffice, walk: _Round) -> None:
    random = np.random.default_rng(walk.seed)
    listings = [key for view in office.cases() for key in view.listings]
    content = orders_file(listings, random, 0.4)
    (walk.folder / "results" / "orders.csv").write_bytes(content)
    office.take_orders("orders.csv", content, ACTOR)
    work = office.work_list()
    due = sum(row["open"] or 0 for row in work)
    # One case is seen through to its end.
    view = next(v for v in office.cases() if v.hazards)
    office.take_orders("orders.csv", orders_file(view.listings, random, 1.0), ACTOR)
    for step in ("off_sale", "consumer_notice", "refunds"):
        view = office.confirm(view.case.case_id, step, ACTOR)
    (walk.folder / "refunds.json").write_text(
        json.dumps(office.work_list(), ensure_ascii=False, indent=1), encoding="utf-8"
    )
    states = {
        "open": sum(not v.closed for v in office.cases()),
        "closed": sum(v.closed for v in office.cases()),
    }
    walk.note(
        "refunds",
        f"work list of {len(work)} listings with {due} orders to refund, counts and sums only; one case seen through "
        f"({states['closed']} closed, {states['open']} open)",
        listings=len(work),
        orders_due=due,
        **states,
    )


def _estimates(office: LabOffice, walk: _Round) -> Published:
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


def _learn(office: LabOffice, lines: Sequence[str], walk: _Round) -> None:
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


def _second_plan(office: LabOffice, config: PlanConfig, listings: Sequence[Listing], walk: _Round) -> None:
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


def _write_report(walk: _Round, published: Published) -> None:
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
