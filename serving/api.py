"""The Python interface: a bundle, frames of listings in, frames of decisions out.

>>> from serving.api import ListingRisk                                           # doctest: +SKIP
>>> risk = ListingRisk.load("models:/mine@champion")                              # doctest: +SKIP
>>> risk.score(frame)[["id", "action", "p_noncompliant", "top_hazard"]]           # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from features.frames import frame_like, listings_of
from features.schema import Listing
from serving.decisions import Decision
from serving.predictor import Predictor, load_predictor
from serving.settings import Settings

_BLOCK = 256


class ListingRisk:
    """Scores frames of listings with one bundle and one policy, as the service does.

    Parameters
    ----------
    predictor
        Usually from `load`.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    @classmethod
    def load(cls, bundle: str | Path | None = None, *, policy: Path | None = None) -> Self:
        """Load a bundle.

        Parameters
        ----------
        bundle
            Folder, ``models:/name@alias`` or ``models:/name/version``; None for the starter bundle.
        policy
            Policy file; None for the package's.

        Raises
        ------
        UserError
            When the bundle or the policy cannot be used.
        OutsideError
            When the registry does not answer.
        """
        folder = None if bundle is None else Path(bundle)
        if isinstance(bundle, str) and bundle.startswith("models:/"):
            from training.registry_path import resolve

            folder = resolve(bundle)
        return cls(load_predictor(Settings(bundle=folder, policy=policy)))

    @property
    def version(self) -> str:
        """Name and hash of the bundle."""
        return self.predictor.model_version

    @property
    def hazards(self) -> tuple[str, ...]:
        """Hazard codes, in the order of `predict_proba`'s columns."""
        return tuple(self.predictor.taxonomy.codes)

    def score(self, frame: Any, *, columns: str | None = None) -> Any:
        """Decide about every listing of a frame.

        Parameters
        ----------
        frame
            pandas, polars or pyarrow table, or a list of mappings; a column ``title`` at least.
        columns
            Column map where the names are others: ``title=상품명,price=판매가``.

        Returns
        -------
        frame
            Of the kind that was given, a row a listing: ``id``, ``action``, ``state``, ``p_noncompliant``,
            ``risk_level``, ``expected_harm``, ``top_hazard``, ``group``, ``audience``, ``language``, ``rules``,
            ``model_version``, ``policy_version`` and ``p_HAZARD`` for every hazard.

        Raises
        ------
        FrameError
            Naming the rows that are no listings.
        """
        decisions = [d for block in self._decided(listings_of(frame, columns)) for d in block]
        return frame_like(frame, self._columns(decisions))

    def predict(self, frame: Any, *, columns: str | None = None) -> np.ndarray:
        """Return the action for every listing, ndarray of str of shape (n_listings,)."""
        listings = listings_of(frame, columns)
        return np.array([d.action for block in self._decided(listings) for d in block], dtype=str)

    def predict_proba(self, frame: Any, *, columns: str | None = None) -> np.ndarray:
        """Return P(listing fails for h), ndarray of shape (n_listings, n_hazards), taxonomy order."""
        listings = listings_of(frame, columns)
        blocks = [self.predictor.bundle.score(block).p for block in _blocks(listings)]
        return np.vstack(blocks) if blocks else np.zeros((0, len(self.hazards)))

    def decide(self, frame: Any, *, columns: str | None = None) -> list[Decision]:
        """Return whole decisions, with reasons and past results."""
        return [
            decision
            for block in _blocks(listings_of(frame, columns))
            for decision in self.predictor.decide(block, explain="always")
        ]

    def _decided(self, listings: Sequence[Listing]) -> list[list[Decision]]:
        return [list(self.predictor.decide(block, explain="never")) for block in _blocks(listings)]

    def _columns(self, decisions: Sequence[Decision]) -> Mapping[str, list[Any]]:
        columns: dict[str, list[Any]] = {
            "id": [d.listing_id for d in decisions],
            "action": [d.action for d in decisions],
            "state": [d.state for d in decisions],
            "p_noncompliant": [d.p_noncompliant for d in decisions],
            "risk_level": [d.risk_level for d in decisions],
            "expected_harm": [d.expected_harm for d in decisions],
            "top_hazard": [max(d.hazards, key=lambda cell: cell.p_injury).hazard for d in decisions],
            "group": [d.group for d in decisions],
            "audience": [d.audience for d in decisions],
            "language": [d.language for d in decisions],
            "rules": ["|".join(rule.id for rule in d.rules) for d in decisions],
            "model_version": [d.model_version for d in decisions],
            "policy_version": [d.policy_version for d in decisions],
        }
        for k, code in enumerate(self.hazards):
            columns[f"p_{code}"] = [d.hazards[k].p for d in decisions]
        return columns


def _blocks(listings: Sequence[Listing]) -> list[Sequence[Listing]]:
    return [listings[at : at + _BLOCK] for at in range(0, len(listings), _BLOCK)]
