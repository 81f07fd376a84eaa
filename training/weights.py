"""The arrays of a bundle and the files they are kept in: data, never code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from features.expectations import Expectations
from features.text import NgramVocabulary
from training.heads import HazardTypeHeads, TextHeads
from training.image_heads import ImageHeads, Joining
from training.manifest import Manifest, write_manifest
from training.past import PastResults

ARRAYS = "model.safetensors"
_IMAGE, _JOINING = ("hazards", "weights", "intercept"), Joining.__slots__


@dataclass(frozen=True, slots=True)
class LabHeads:
    """Direct models of P(fails for h), for hazards with laboratory results, and their Platt scaling.

    Attributes
    ----------
    heads
        One head a hazard, in the order of ``hazards``.
    hazards
        Positions in the taxonomy.
    slope, offset
        ndarrays of shape (n_lab_hazards,).
    support
        ndarray of shape (n_groups + 1, n_lab_hazards): laboratory results behind each group; last row: no group.
    """

    heads: TextHeads
    hazards: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    support: np.ndarray


@dataclass(frozen=True, slots=True)
class Model:
    """The arrays of a bundle, all in numpy.

    Attributes
    ----------
    hazard_type
        Second factor: P(h | non-compliant).
    lab
        Direct models, None where the training data has no laboratory results.
    group_prior
        ndarray of shape (n_groups + 1, n_hazards): P(h | non-compliant, group); last row: no group recognised.
    group_rate
        ndarray of shape (n_groups + 1,): P(non-compliant | group).
    image
        What photos add to the second factor, None where it was trained without.
    """

    hazard_type: HazardTypeHeads
    lab: LabHeads | None
    group_prior: np.ndarray
    group_rate: np.ndarray
    image: ImageHeads | None = None


def _heads_to(
    prefix: str, heads: TextHeads, arrays: dict[str, np.ndarray], terms: dict[str, list[str]]
) -> None:
    arrays[f"{prefix}.idf"] = heads.vocabulary.idf
    arrays[f"{prefix}.ngrams"] = heads.ngram_weights.astype(np.float16)
    arrays[f"{prefix}.embedding"] = heads.embedding_weights.astype(np.float16)
    arrays[f"{prefix}.intercept"] = heads.intercept.astype(np.float32)
    terms[f"{prefix}.words"] = list(heads.vocabulary.words)
    terms[f"{prefix}.chars"] = list(heads.vocabulary.chars)


def _heads_from(prefix: str, arrays: Mapping[str, np.ndarray], terms: Mapping[str, list[str]]) -> TextHeads:
    vocabulary = NgramVocabulary(
        tuple(terms[f"{prefix}.words"]), tuple(terms[f"{prefix}.chars"]), arrays[f"{prefix}.idf"]
    )
    return TextHeads(
        vocabulary, arrays[f"{prefix}.ngrams"], arrays[f"{prefix}.embedding"], arrays[f"{prefix}.intercept"]
    )


def save_bundle(folder: Path, manifest: Manifest, model: Model, past: PastResults) -> Manifest:
    """Write a bundle.

    Parameters
    ----------
    folder
        Made if missing; files of an older bundle in it are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {
        "group_prior": model.group_prior,
        "group_rate": model.group_rate,
        "past": past.codes,
        "past.basis": past.basis,
        "type.table": model.hazard_type.kind_table,
        "type.slope": model.hazard_type.slope,
        "type.offset": model.hazard_type.offset,
        "type.positives": model.hazard_type.positives,
    }
    terms: dict[str, list[str]] = {}
    _heads_to("type", model.hazard_type.heads, arrays, terms)
    if model.hazard_type.expectations is not None:
        # The words travel with the bundle: its scaling was fitted with these and no others.
        arrays["type.expected"] = np.array([model.hazard_type.expected_weight])
        for code, words in model.hazard_type.expectations.words.items():
            terms[f"expected.{code}"] = list(words)
    if model.lab is not None:
        _heads_to("lab", model.lab.heads, arrays, terms)
        for name in ("hazards", "slope", "offset", "support"):
            arrays[f"lab.{name}"] = getattr(model.lab, name)
    if model.image is not None:
        for name in _IMAGE:
            arrays[f"image.{name}"] = getattr(model.image, name)
        for name in _JOINING:
            arrays[f"image.join.{name}"] = getattr(model.image.joining, name)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)
    (folder / "terms.json").write_text(json.dumps(terms, ensure_ascii=False), encoding="utf-8")
    past.save(folder)
    return write_manifest(folder, manifest)


FILES = frozenset({ARRAYS, "terms.json", "past_results.jsonl"})
"""What is read of a bundle beside its manifest."""


def read_model(folder: Path, codes: Sequence[str]) -> tuple[Model, PastResults]:
    """Read what `save_bundle` wrote, apart from the manifest, which vouches for these files.

    Parameters
    ----------
    codes
        Hazards of the manifest, in column order.
    """
    arrays = {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, array in load_file(folder / ARRAYS).items()
    }
    return _model_from(arrays, folder, codes), PastResults.load(folder, arrays["past"], arrays["past.basis"])


def _expectations_from(
    arrays: Mapping[str, np.ndarray], terms: Mapping[str, list[str]], hazards: Sequence[str]
) -> tuple[Expectations | None, float]:
    """Read what a bundle expects of words; nothing in bundles made before there were expectations."""
    if "type.expected" not in arrays:
        return None, 0.0
    # Whether the hazards are those of the taxonomy is for `Bundle` to say, in its own words.
    words = {code: terms[f"expected.{code}"] for code in hazards if f"expected.{code}" in terms}
    return Expectations(words, hazards), float(arrays["type.expected"][0])


def _model_from(arrays: Mapping[str, np.ndarray], folder: Path, codes: Sequence[str]) -> Model:
    terms: dict[str, list[str]] = json.loads((folder / "terms.json").read_text(encoding="utf-8"))
    lab = None
    if "lab.hazards" in arrays:
        lab = LabHeads(
            _heads_from("lab", arrays, terms),
            *(arrays[f"lab.{name}"] for name in ("hazards", "slope", "offset", "support")),
        )
    expectations, weight = _expectations_from(arrays, terms, codes)
    image = None
    if "image.hazards" in arrays:
        joining = Joining(*(arrays[f"image.join.{name}"] for name in _JOINING))
        hazards, weights, intercept = (arrays[f"image.{name}"] for name in _IMAGE)
        image = ImageHeads(hazards, weights, intercept, joining)
    return Model(
        HazardTypeHeads(
            _heads_from("type", arrays, terms),
            *(arrays[f"type.{name}"] for name in ("table", "slope", "offset", "positives")),
            expectations=expectations,
            expected_weight=weight,
        ),
        lab,
        arrays["group_prior"],
        arrays["group_rate"],
        image,
    )
