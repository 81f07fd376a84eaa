"""The bundle: what training makes and serving loads. Weights are data, checked by hash; no torch, no scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from features.covert import CovertCameraDetector
from features.encoders import load_encoder
from features.encoding import Encoder
from features.image_encoder import ImageEncoder
from features.image_models import load_image_encoder
from features.schema import Listing
from features.taxonomy import Taxonomy, load_taxonomy
from training.explain import Explainer
from training.heads import logit, sigmoid
from training.lab_scores import LabScores
from training.manifest import Manifest, read_manifest, require_encoder, require_files
from training.past import PastResults
from training.reading import Reader, Reading
from training.scores import BASES, PastResult, Phrase, Scores
from training.taxonomy_mark import require_taxonomy
from training.weights import FILES, LabHeads, Model, read_model

_POLICY, _PRIOR, _RECALL, _LAB = (BASES.index(name) for name in ("policy", "prior", "recall", "lab"))
# Below this many past positives the level of a hazard comes more from the group prior than from recalls.
PRIOR_STRENGTH = 15.0
# From so many past positives on, what recalls say of one product against another counts in full.
HEARD_FROM = 5.0
# So many laboratory results of a group weigh as much as the factored score does: chosen on New York's 2017-2018 from
# results up to 2016 (AP 0.65; 0.36 at 50), since the direct model carries over between groups by its words.
LAB_STRENGTH = 2.0
# Readings kept for the reasons that follow a score.
REMEMBERED = 1024
# A listing without one word of a camera; an assumption, far below anything that a policy looks at.
NO_CAMERA = 1e-5


class Bundle:
    """A loaded bundle.

    Parameters
    ----------
    manifest, model, past
        As read from the bundle's folder.
    taxonomy
        Must read listings as the one it was trained with does (`training.taxonomy_mark`).
    encoder
        Must have the identity that the manifest names.

    Raises
    ------
    BundleError
        When taxonomy or encoder are not those of the manifest.
    """

    def __init__(
        self, manifest: Manifest, model: Model, past: PastResults, taxonomy: Taxonomy, encoder: Encoder
    ) -> None:
        require_taxonomy(manifest, taxonomy)
        require_encoder(manifest, manifest.encoder, encoder.identity)
        self.manifest = manifest
        self._version = f"{manifest.name}+{manifest.digest[:8]}"
        self.model = model
        self.past = past
        self.taxonomy = taxonomy
        self.encoder = encoder
        self._reader = Reader(taxonomy)
        self._covert = CovertCameraDetector()
        self._groups = {code: i for i, code in enumerate(taxonomy.groups)}
        self._policy = np.flatnonzero(~taxonomy.laboratory_mask)
        positives = model.hazard_type.positives
        self._trust = positives / (positives + PRIOR_STRENGTH)
        self._heard = np.minimum(positives / HEARD_FROM, 1.0)
        self._prior = logit(model.group_prior.astype(np.float64))
        self._base_rate = np.array([manifest.base_rate[code] for code in manifest.hazards])
        # By identity; the listing is kept beside, so its id cannot pass to another object meanwhile.
        self._recent: dict[int, tuple[Listing, Reading, np.ndarray]] = {}
        self._image_encoder: ImageEncoder | None = None
        self.look: Callable[[Listing], np.ndarray | None] | None = None
        self._explainer = Explainer(self.model.hazard_type, self.model.lab, manifest.hazards)

    @property
    def version(self) -> str:
        """Name and the first characters of the digest over all files."""
        return self._version

    @property
    def image_encoder(self) -> ImageEncoder | None:
        """The encoder of the vectors that `score` takes, loaded on first use; None where photos add nothing.

        Raises
        ------
        BundleError
            When the encoder installed here is not the one that the manifest names.
        """
        wanted = self.manifest.image_encoder
        if wanted is not None and self._image_encoder is None:
            encoder = load_image_encoder(wanted.spec)
            require_encoder(self.manifest, wanted, encoder.identity)
            self._image_encoder = encoder
        return self._image_encoder

    @classmethod
    def load(cls, folder: Path, taxonomy: Taxonomy | None = None, encoder: Encoder | None = None) -> Bundle:
        """Load and check a bundle.

        Raises
        ------
        BundleError
            When a file is missing, changed, or made for another contract, taxonomy or encoder.
        """
        manifest = read_manifest(folder)
        require_files(manifest, FILES)
        model, past = read_model(folder, manifest.hazards)
        return cls(
            manifest,
            model,
            past,
            taxonomy or load_taxonomy(),
            encoder or load_encoder(manifest.encoder.spec),
        )

    def read(self, listings: Sequence[Listing]) -> tuple[list[Reading], np.ndarray]:
        """Read listings and encode their views; embeddings of shape (n_listings, n_dimensions)."""
        readings = [self._reader.read(listing) for listing in listings]
        embeddings = self.encoder.encode([reading.view.text for reading in readings])
        if len(self._recent) + len(listings) > REMEMBERED:
            self._recent.clear()
        for listing, reading, embedding in zip(listings, readings, embeddings, strict=True):
            self._recent[id(listing)] = (listing, reading, embedding)
        return readings, embeddings

    def _read_one(self, listing: Listing) -> tuple[Reading, np.ndarray]:
        """Read a listing, or take what was just read when it was scored: reasons follow scores at once."""
        known = self._recent.get(id(listing))
        if known is not None and known[0] is listing:
            return known[1], known[2]
        self.score([listing])
        return self._recent[id(listing)][1:]

    def score(self, listings: Sequence[Listing], photos: Sequence[np.ndarray | None] | None = None) -> Scores:
        """Score a block of listings; each row depends on its own listing alone.

        Parameters
        ----------
        photos
            Per listing, `features.image_features.main_vectors` of its usable photos by `image_encoder`, shape
            (n_photos, dim); None where there are none. What ``look`` gives where it is left out and ``look`` is set;
            without either, or in a bundle without heads on photos, the words decide.
        """
        if photos is None and self.look is not None and self.model.image is not None:
            photos = [self.look(listing) for listing in listings]
        readings, embeddings = self.read(listings)
        rows = LabScores(*self.laboratory(readings, embeddings, photos))
        self._look_again(listings, readings, rows, photos)
        if "covert_camera" in self.manifest.hazards:
            rows.p[:, self.manifest.hazards.index("covert_camera")] = [
                self._covert_probability(listing, reading)
                for listing, reading in zip(listings, readings, strict=True)
            ]
        q, p, basis, p_noncompliant = rows
        return Scores(
            listing_ids=tuple(listing.id for listing in listings),
            p_noncompliant=p_noncompliant,
            p=p,
            q=q,
            basis=basis,
            base_rate=self._base_rate,
            groups=tuple(reading.group for reading in readings),
            audiences=tuple(reading.audience for reading in readings),
            languages=tuple(reading.language for reading in readings),
        )

    def _look_again(
        self,
        listings: Sequence[Listing],
        readings: list[Reading],
        rows: LabScores,
        photos: Sequence[np.ndarray | None] | None,
    ) -> None:
        """Put a riskier reading in place of the first one, for listings that may hide what they offer."""
        point = self.manifest.operating_points.get("review")
        found = [
            (i, other)
            for i, listing in enumerate(listings if point else ())
            for other in self._reader.others(listing, readings[i])
        ]
        if not found or point is None:
            return
        embeddings = self.encoder.encode([other.view.text for _, other in found])
        of = None if photos is None else [photos[i] for i, _ in found]
        again = LabScores(*self.laboratory([other for _, other in found], embeddings, of))
        near, nearer = (part.nearness(point, self.manifest.hazards) for part in (rows, again))
        for at, (i, other) in enumerate(found):
            if nearer[at] > near[i]:
                near[i], readings[i] = nearer[at], other
                rows.take(i, again, at)
                self._recent[id(listings[i])] = (listings[i], other, embeddings[at])

    def laboratory(
        self,
        readings: Sequence[Reading],
        embeddings: np.ndarray,
        photos: Sequence[np.ndarray | None] | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Score what laboratories find.

        Returns
        -------
        q, p, basis
            As in `Scores`; policy hazards are NaN, 0 and ``policy``.
        p_noncompliant
            ndarray of shape (n_listings,).
        """
        rows = np.array([self._groups.get(reading.group, -1) for reading in readings], dtype=np.intp)
        rate = self.model.group_rate[rows].astype(np.float64)
        q = self._given_failure(readings, embeddings, rows, photos)
        p = rate[:, None] * q
        basis = np.tile(np.where(self._trust >= 0.5, _RECALL, _PRIOR).astype(np.int8), (len(readings), 1))
        if self.model.lab is not None:
            self._add_lab(self.model.lab, readings, embeddings, rows, p, basis)
        q[:, self._policy], p[:, self._policy], basis[:, self._policy] = np.nan, 0.0, _POLICY
        # Whatever fails for one hazard is non-compliant: the whole is never less than a part.
        return q, p, basis, np.maximum(rate, p.max(axis=1, initial=0.0))

    def _given_failure(
        self,
        readings: Sequence[Reading],
        embeddings: np.ndarray,
        rows: np.ndarray,
        photos: Sequence[np.ndarray | None] | None = None,
    ) -> np.ndarray:
        """Return P(h | non-compliant), shape (n_listings, n_hazards).

        A hazard with few recalls keeps the order that they give, but takes its level from the group prior: log-odds of
        the prior, plus how far the product stands out among all recalls.

        Products of matrices are taken listing by listing, since they round by the number of rows; what works number
        by number is done for the block.
        """
        heads = self.model.hazard_type
        if not readings:
            return np.empty((0, len(self.manifest.hazards)))
        logits = [
            heads.logits(reading.type_text, embedding)
            for reading, embedding in zip(readings, embeddings, strict=True)
        ]
        recalled = heads.slope * np.array(logits) + heads.offset
        if self.model.image is not None and photos is not None:
            recalled = np.array(
                [
                    self.model.image.joined(words, vectors, readable=bool(reading.view.text.strip()))
                    for words, vectors, reading in zip(recalled, photos, readings, strict=True)
                ]
            )
        level = self._prior[rows] + self._heard * (recalled - self._prior[-1])
        return sigmoid(self._trust * recalled + (1 - self._trust) * level)

    def _add_lab(
        self,
        lab: LabHeads,
        readings: Sequence[Reading],
        embeddings: np.ndarray,
        rows: np.ndarray,
        p: np.ndarray,
        basis: np.ndarray,
    ) -> None:
        """Weigh in what laboratories say, by how many results of the group there are; changes ``p`` and ``basis``."""
        if not readings:
            return
        logits = [
            lab.heads.logits(reading.lab_text, embedding)
            for reading, embedding in zip(readings, embeddings, strict=True)
        ]
        direct = sigmoid(lab.slope * np.array(logits) + lab.offset)
        weight = lab.support[rows] / (lab.support[rows] + LAB_STRENGTH)
        at = lab.hazards
        p[:, at] = sigmoid(weight * logit(direct) + (1 - weight) * logit(p[:, at]))
        basis[:, at] = np.where(weight >= 0.5, np.int8(_LAB), basis[:, at])

    def _covert_probability(self, listing: Listing, reading: Reading) -> float:
        score = self._covert.score_listing(listing, reading.title)
        return score.probability if score.evidence else NO_CAMERA

    def explain(self, listing: Listing, hazards: Sequence[str], limit: int = 5) -> tuple[Phrase, ...]:
        """Return the seller's words that raised these hazards most, in log-odds, strongest first."""
        reading, embedding = self._read_one(listing)
        phrases: list[Phrase] = []
        words = self._explainer.of(listing, reading, embedding)
        for code in hazards:
            if code == "covert_camera":
                phrases += self._covert_phrases(listing, reading)
            else:
                phrases += words.phrases(code)
                phrases += self._group_phrases(listing, reading, code)
        return tuple(sorted(phrases, key=lambda phrase: -phrase.weight)[:limit])

    def _covert_phrases(self, listing: Listing, reading: Reading) -> Iterator[Phrase]:
        for span in self._covert.score_listing(listing, reading.title).evidence:
            if span.weight > 0:
                yield Phrase(
                    span.field, span.start, span.end, span.text, round(span.weight, 3), "covert_camera"
                )

    def _group_phrases(self, listing: Listing, reading: Reading, code: str) -> Iterator[Phrase]:
        """Words that named the product group, with what the group's own history adds over no group."""
        row, column = self._groups.get(reading.group, -1), self.manifest.hazards.index(code)
        share = self.model.group_rate * self.model.group_prior[:, column]
        gain = float(logit(share[row : row + 1 or None])[0] - logit(share[-1:])[0])
        if row >= 0 and gain > 0:
            for start, end in dict.fromkeys(reading.group_spans):
                yield Phrase("title", start, end, listing.title[start:end], round(gain, 3), code)

    def nearest(self, listing: Listing, limit: int = 3) -> tuple[PastResult, ...]:
        """Return the past results nearest to the listing."""
        return self.past.nearest(self._read_one(listing)[1], limit)
