"""What comes back from laboratories and marketplace in the demonstration: results, a correction, orders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from features.schema import Listing, parse_listing
from serving.demo.results import Found, file_of, has_mass_limit, invent, orders_file
from serving.demo.walk import ACTOR, FIRST, Walk
from serving.labs.follow import Settled
from serving.labs.intake import ResultsRefusedError
from serving.labs.loop import LabOffice
from serving.plans.making import Made


def take_results(
    office: LabOffice, made: Made, truth: dict[str, frozenset[str]], walk: Walk
) -> list[Listing]:
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


def _relist(office: LabOffice, made: Made, found: Sequence[Found], walk: Walk) -> list[Listing]:
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


def _refused(office: LabOffice, mine: Sequence[Found], wrong: Found, day: date, walk: Walk) -> None:
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


def _correct(office: LabOffice, found: Sequence[Found], day: date, walk: Walk) -> None:
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


def take_orders(office: LabOffice, walk: Walk) -> None:
    """Send the marketplace's orders in, and see one case through to its end."""
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
