"""From listings to decisions: score, weigh the risk, apply the policy, say why.

The service and the batch use this same class, so that a listing gets the same decision either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import cast

import numpy as np

from features.certification import Register
from features.groups import ancestors
from features.remembering import remembered
from features.risk import exposure_of, harm_of, injury_probability, risk_level
from features.schema import Listing
from serving.decisions import Decision, Earlier, HazardScore, compare, field_digests, new_decision_id
from serving.judging import Checks, Clock, Compared, Explain, Judgement, Risk, Scorer, ScoringError, utc_now
from serving.policy.binding import bind
from serving.policy.certificates import KcCheck
from serving.policy.document import PolicyDocument, load_policy
from serving.policy.evaluation import (
    RISK_LEVELS,
    MatchFact,
    PolicyFacts,
    RiskLevel,
    Verdict,
    evaluate,
    risk_rank,
)
from serving.settings import STARTER, Settings
from serving.unswept import unswept
from training.scores import BASES, Scores

_EXPLAINED_HAZARDS = 3
_FIRST = (
    Listing(
        id="first", title="Mini c a m e r a 시계 玩具 3+", description="Ages 3 and up", category=["Toys"]
    ),
    Listing(id="second", title="1080p wifi camera in a paper lantern"),
    Listing(id="third", title="7!$5u3 holder"),
)


class Predictor:
    """Decides about listings with one bundle and one policy.

    Parameters
    ----------
    bundle
        Scores and explains.
    policy
        A policy file; it is bound to the bundle's operating points here.
    clock
        Gives the time of a decision, with a zone.
    checks
        Certificate and match look-ups; none by default.

    Raises
    ------
    PolicyError
        When the policy does not fit the bundle.
    """

    def __init__(
        self, bundle: Scorer, policy: PolicyDocument, clock: Clock = utc_now, checks: Checks | None = None
    ) -> None:
        self.bundle = bundle
        self.model_version = bundle.version
        self.clock = clock
        self.checks = checks or Checks()
        self.taxonomy = bundle.taxonomy
        self.policy = bind(policy, bundle.manifest.operating_points, self.taxonomy)
        groups = self.taxonomy.groups
        self._lines = {code: (code, *ancestors(code, groups)) for code in groups}

    def decide(
        self,
        listings: Sequence[Listing],
        explain: Explain = "acted",
        previous: Sequence[Earlier | None] | None = None,
    ) -> list[Decision]:
        """Decide about a block of listings, in their order.

        Parameters
        ----------
        listings
            Any number; one block is scored at once.
        explain
            ``acted`` gives reasons and past results for every action but ``allow``.
        previous
            Earlier decisions, one per listing or None, to compare an edited listing with.

        Raises
        ------
        ScoringError
            When the bundle's scores are no probabilities or do not fit the listings.
        """
        if not listings:
            return []
        scores, risk, judged = self.judge(listings, explain)
        return [
            self._decision(row, listing, scores, risk, judged[row], previous[row] if previous else None)
            for row, listing in enumerate(listings)
        ]

    def judge(
        self, listings: Sequence[Listing], explain: Explain = "acted"
    ) -> tuple[Scores, Risk, list[Judgement]]:
        """Come to a judgement on each listing of a block, without writing decisions out; as `decide`."""
        self.checks.before(listings)
        scores = self.bundle.score(listings)
        self._check(scores, len(listings))
        risk = self._risk(scores, listings)
        return (
            scores,
            risk,
            [
                self._judge(row, listing, scores, risk, explain, compared)
                for row, (listing, compared) in enumerate(
                    zip(listings, self.checks.matches(listings), strict=True)
                )
            ],
        )

    def _check(self, scores: Scores, n_listings: int) -> None:
        expected = (n_listings, len(self.taxonomy.codes))
        if scores.p.shape != expected or scores.p_noncompliant.shape != expected[:1]:
            raise ScoringError(f"got scores of shape {scores.p.shape}, expected {expected}")
        for values in (scores.p, scores.p_noncompliant):
            # The comparison is False for NaN, so NaN is refused too.
            if not np.all((values >= 0) & (values <= 1)):
                raise ScoringError("got a probability outside 0 to 1 or not a number; check the bundle")

    def _risk(self, scores: Scores, listings: Sequence[Listing]) -> Risk:
        taxonomy = self.taxonomy
        injury = injury_probability(scores.p, taxonomy, scores.audiences)
        level = risk_level(injury, taxonomy.severities, taxonomy.risk_matrix)
        units = exposure_of([listing.units_sold for listing in listings])
        return Risk(
            injury=injury,
            level=level,
            worst=tuple(RISK_LEVELS[max(map(risk_rank, row))] for row in level.tolist()),
            harm=harm_of(injury, taxonomy, units),
        )

    def _judge(
        self,
        row: int,
        listing: Listing,
        scores: Scores,
        risk: Risk,
        explain: Explain,
        compared: Compared,
    ) -> Judgement:
        facts = self._facts(row, listing, scores, risk, compared.matches)
        now = self.clock()
        policy = self.policy  # another thread may put a promoted one in its place at any time
        verdict = evaluate(policy, facts, now)
        wanted = explain == "always" or (explain == "acted" and verdict.action != "allow")
        return Judgement(
            facts,
            verdict,
            now,
            self.bundle.explain(listing, _to_explain(verdict, facts.p)) if wanted else (),
            self.bundle.nearest(listing) if wanted else (),
            compared.photos,
            policy.version,
        )

    def _decision(
        self,
        row: int,
        listing: Listing,
        scores: Scores,
        risk: Risk,
        judged: Judgement,
        earlier: Earlier | None,
    ) -> Decision:
        facts, verdict = judged.facts, judged.verdict
        fields = field_digests(listing)
        return Decision(
            decision_id=new_decision_id(judged.at),
            listing_id=listing.id,
            revision=listing.revision,
            action=verdict.action,
            state=verdict.state,
            held_until=verdict.held_until,
            on_expiry=verdict.on_expiry,
            p_noncompliant=facts.p_noncompliant,
            hazards=self._hazards(row, scores, risk),
            group=scores.groups[row],
            audience=facts.audience,
            language=facts.language,
            risk_level=facts.risk_level,
            expected_harm=facts.expected_harm,
            rules=verdict.fired,
            reasons=judged.reasons,
            past_results=judged.past_results,
            fields=fields,
            model_version=self.model_version,
            policy_version=judged.policy_version,
            decided_at=judged.at.astimezone(UTC),
            previous=None if earlier is None else compare(earlier, fields),
            matches=facts.matches,
            photos=judged.photos,
        )

    def _hazards(self, row: int, scores: Scores, risk: Risk) -> tuple[HazardScore, ...]:
        columns = zip(
            self.taxonomy.codes,
            scores.p[row].tolist(),
            scores.q[row].tolist(),
            scores.basis[row].tolist(),
            scores.base_rate.tolist(),
            risk.injury[row].tolist(),
            risk.level[row].tolist(),
            strict=True,
        )
        return tuple(
            HazardScore(code, p, None if q != q else q, BASES[basis], rate, injury, cast(RiskLevel, level))
            for code, p, q, basis, rate, injury, level in columns
        )

    def _facts(
        self, row: int, listing: Listing, scores: Scores, risk: Risk, matches: tuple[MatchFact, ...]
    ) -> PolicyFacts:
        history = listing.seller.history if listing.seller else None
        group = scores.groups[row]
        codes = self.taxonomy.codes
        return PolicyFacts(
            p=dict(zip(codes, scores.p[row].tolist(), strict=True)),
            p_noncompliant=float(scores.p_noncompliant[row]),
            risk_level=risk.worst[row],
            hazard_risk=dict(zip(codes, risk.level[row].tolist(), strict=True)),
            basis={code: BASES[at] for code, at in zip(codes, scores.basis[row].tolist(), strict=True)},
            expected_harm=float(risk.harm[row]),
            group_line=self._lines.get(group, (group,) if group else ()),
            audience=scores.audiences[row],
            language=scores.languages[row],
            market=listing.market,
            marketplace=listing.marketplace or "",
            origin=listing.origin or "",
            price=listing.price,
            currency=listing.currency or "",
            units_sold=listing.units_sold,
            seller_strikes=history.strikes if history else None,
            seller_failed=history.failed if history else None,
            seller_removed=history.removed if history else None,
            certificates=self.checks.certificates(listing, group, scores.audiences[row]),
            matches=matches,
        )


@unswept()
def load_predictor(settings: Settings, clock: Clock = utc_now) -> Predictor:
    """Load the bundle and the policy that the settings name.

    Raises
    ------
    UserError
        When there is no bundle at the path, or the bundle, the policy or the register cannot be used.
    """
    from training.bundle import Bundle

    policy = load_policy(settings.policy)
    register = None if settings.register is None else Register.read(settings.register)
    if settings.supply.trusted_keys is not None:
        from serving.supply.signatures import check_trust

        check_trust(settings.bundle or STARTER, settings.supply.trusted_keys)
    bundle = Bundle.load(settings.bundle or STARTER)
    bundle.encoder = remembered(bundle.encoder)
    if bundle.image_encoder is not None:
        from serving.bans.photo_vectors import photo_vectors

        bundle.look = photo_vectors(bundle.image_encoder, settings)
    predictor = Predictor(bundle, policy, clock, Checks(KcCheck(register)))
    # Weights and word lists are read at their first use; that is to be now and not the first listing's wait.
    predictor.decide(_FIRST, explain="always")
    return predictor


def _to_explain(verdict: Verdict, p: Mapping[str, float]) -> tuple[str, ...]:
    """Return the hazards rules fired on, or the likeliest ones when rules looked at other things."""
    fired = {cause.hazard for rule in verdict.fired for cause in rule.causes if cause.hazard}
    ranked = sorted(p, key=lambda hazard: -p[hazard])
    if fired:
        ranked = [hazard for hazard in ranked if hazard in fired]
    return tuple(ranked[:_EXPLAINED_HAZARDS])
