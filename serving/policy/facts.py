"""What a policy would have seen of a decision that is recorded or was just made: its facts, rebuilt. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from features.groups import ancestors
from features.risk import risk_level
from features.schema import Listing, ListingError, parse_listing
from features.taxonomy import Taxonomy
from serving.policy.evaluation import RISK_LEVELS, MatchFact, PolicyFacts, RiskLevel, risk_rank
from serving.store.decided import unpack_scores

if TYPE_CHECKING:
    from serving.decisions import Decision
    from serving.store import StoredDecision

CertificateCheck = Callable[[Listing, str, str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """Rebuilds facts.

    Parameters
    ----------
    taxonomy
        Of the bundle that scored; its hazards are the columns of recorded scores.
    certificates
        Looks certificates up as they stand now: what the register said then is recorded only where a rule used it.
    """

    taxonomy: Taxonomy
    certificates: CertificateCheck

    def of_decision(self, decision: Decision, listing: Listing) -> PolicyFacts:
        """Return the facts of a decision that was just made."""
        return self._facts(
            listing,
            p={cell.hazard: cell.p for cell in decision.hazards},
            basis={cell.hazard: cell.basis for cell in decision.hazards},
            risk={cell.hazard: cell.risk_level for cell in decision.hazards},
            p_noncompliant=decision.p_noncompliant,
            harm=decision.expected_harm,
            place=(decision.group, decision.audience, decision.language),
            matches=decision.matches,
        )

    def of_record(self, stored: StoredDecision) -> PolicyFacts | None:
        """Return the facts of a recorded decision, None where its input was erased or its hazards are not today's."""
        codes = self.taxonomy.codes
        cells = unpack_scores(stored.scores)
        if stored.listing is None or len(cells) != len(codes):
            return None
        try:
            listing = parse_listing(stored.listing)
        except ListingError:
            return None
        injury = np.array([[cell[2] for cell in cells]])
        levels = risk_level(injury, self.taxonomy.severities, self.taxonomy.risk_matrix)[0].tolist()
        body = stored.body
        return self._facts(
            listing,
            p={code: cell[0] for code, cell in zip(codes, cells, strict=True)},
            basis={code: cell[3] for code, cell in zip(codes, cells, strict=True)},
            risk=dict(zip(codes, levels, strict=True)),
            p_noncompliant=stored.p_noncompliant,
            harm=stored.expected_harm,
            place=(
                str(body.get("group") or ""),
                str(body.get("audience") or "general"),
                str(body.get("language")),
            ),
            matches=matches_of(body.get("matches", ())),
        )

    def _facts(
        self,
        listing: Listing,
        *,
        p: Mapping[str, float],
        basis: Mapping[str, str],
        risk: Mapping[str, str],
        p_noncompliant: float,
        harm: float,
        place: tuple[str, str, str],
        matches: Sequence[MatchFact],
    ) -> PolicyFacts:
        group, audience, language = place
        history = listing.seller.history if listing.seller else None
        worst = RISK_LEVELS[max(map(risk_rank, risk.values()), default=0)]
        line = (group, *ancestors(group, self.taxonomy.groups)) if group in self.taxonomy.groups else ()
        return PolicyFacts(
            p=p,
            p_noncompliant=p_noncompliant,
            risk_level=cast(RiskLevel, worst),
            hazard_risk=risk,
            basis=basis,
            expected_harm=harm,
            group_line=line or ((group,) if group else ()),
            audience=audience,
            language=language,
            market=listing.market,
            marketplace=listing.marketplace or "",
            origin=listing.origin or "",
            price=listing.price,
            currency=listing.currency or "",
            units_sold=listing.units_sold,
            seller_strikes=history.strikes if history else None,
            seller_failed=history.failed if history else None,
            seller_removed=history.removed if history else None,
            certificates=self.certificates(listing, group, audience),
            matches=tuple(matches),
        )


def matches_of(recorded: Sequence[Mapping[str, Any]]) -> tuple[MatchFact, ...]:
    """Return matches with bans as a decision's record has them."""
    return tuple(MatchFact(str(m["tier"]), str(m["ban_id"]), float(m["p"])) for m in recorded)
