"""What goes into a judgement on a listing and what comes out: the bundle as it is seen, look-ups, risk, findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

import numpy as np

from features.schema import Listing
from features.taxonomy import Taxonomy
from serving.decisions import PhotosSeen
from serving.policy.binding import OperatingPoints
from serving.policy.evaluation import MatchFact, PolicyFacts, RiskLevel, Verdict
from training.scores import PastResult, Phrase, Scores

Explain = Literal["acted", "always", "never"]
Clock = Callable[[], datetime]
CertificateCheck = Callable[[Listing, str, str], frozenset[str]]
MatchCheck = Callable[[Sequence[Listing]], "Sequence[Compared]"]


class ManifestLike(Protocol):
    """What serving reads of a bundle's manifest."""

    @property
    def operating_points(self) -> OperatingPoints:
        """Name -> hazard code (or ``p_noncompliant``) -> probability."""
        ...


class Scorer(Protocol):
    """A loaded bundle, as far as serving uses it."""

    @property
    def version(self) -> str:
        """Name and hash of the bundle."""
        ...

    @property
    def manifest(self) -> ManifestLike:
        """What the bundle says of itself."""
        ...

    @property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy it was trained with."""
        ...

    def score(self, listings: Sequence[Listing]) -> Scores:
        """Score a block of listings."""
        ...

    def explain(self, listing: Listing, hazards: Sequence[str], limit: int = 5) -> tuple[Phrase, ...]:
        """Return the phrases of the seller that moved these hazards most."""
        ...

    def nearest(self, listing: Listing, limit: int = 3) -> tuple[PastResult, ...]:
        """Return the past results nearest to the listing."""
        ...


class ScoringError(RuntimeError):
    """The bundle gave something that is no score; nothing may be decided on it."""


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


def _no_findings(listing: Listing, group: str, audience: str) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of comparing a listing with banned items; ``photos`` is None where there was none to look at."""

    matches: tuple[MatchFact, ...] = ()
    photos: PhotosSeen | None = None


def _no_matches(listings: Sequence[Listing]) -> Sequence[Compared]:
    return [Compared()] * len(listings)


def _nothing(listings: Sequence[Listing]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Checks:
    """What is looked up beside the score: certificates against the register, the listing against the bank.

    Attributes
    ----------
    before
        Called with the listings before they are scored: what ``matches`` will have encoded is announced, so that the
        encoder takes it in one run with what the score needs.
    """

    certificates: CertificateCheck = _no_findings
    matches: MatchCheck = _no_matches
    before: Callable[[Sequence[Listing]], None] = _nothing


@dataclass(frozen=True, slots=True)
class Risk:
    """Risk of a block of listings.

    Attributes
    ----------
    injury
        ndarray of shape (n_listings, n_hazards): probability of injury.
    level
        ndarray of str of shape (n_listings, n_hazards).
    worst
        Worst level of each listing.
    harm
        ndarray of shape (n_listings,): expected harm.
    """

    injury: np.ndarray
    level: np.ndarray
    worst: tuple[RiskLevel, ...]
    harm: np.ndarray


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of one listing of a block: what the policy saw and said, when, and why."""

    facts: PolicyFacts
    verdict: Verdict
    at: datetime
    reasons: tuple[Phrase, ...]
    past_results: tuple[PastResult, ...]
    photos: PhotosSeen | None = None
    policy_version: str = ""
