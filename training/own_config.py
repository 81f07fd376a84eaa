"""A first configuration from a folder of a user's own files: what is in it, and a commented file to go on from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from features.errors import UserError
from features.taxonomy import Taxonomy
from training.checks_columns import NEEDED, FileGuess, guess_file
from training.config import Config
from training.dataset import source_of
from training.labels import Cut
from training.records import LabResult, Record, Reject
from training.sources.parsing import canonical_unit

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".gz")
ROOT_RATE, ROOT_RATE_SOURCE = 0.058, "domestic fail rate named beside the round KATS-2024-11"
_UNIT = "mg/kg"
_WORDS = {
    "lab_results": "laboratory results",
    "own_recalls": "recalled or blocked goods",
    "inspections": "inspection rounds",
    "listings": "listings",
}


class NothingFoundError(UserError):
    """A folder without any file that can be learnt from."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A first configuration.

    Attributes
    ----------
    text
        The commented file.
    config
        The same, read.
    files
        What every file of the folder was taken for.
    """

    text: str
    config: Config
    files: tuple[FileGuess, ...]

    @property
    def listings(self) -> FileGuess | None:
        """The first file of listings, None where there is none."""
        return next((guess for guess in self.files if guess.kind == "listings"), None)

    @property
    def listing_columns(self) -> str:
        """What `listing-risk batch --columns` takes for that file; "" without one."""
        guess = self.listings
        return "" if guess is None else ",".join(f"{ours}={theirs}" for ours, theirs in guess.columns.items())


def draft_config(folder: Path, taxonomy: Taxonomy, *, name: str, today: date) -> Draft:
    """Look at every file in a folder and write a first configuration.

    Parameters
    ----------
    folder
        Files directly in it are looked at; folders below are not.
    name
        Name of the bundle and of its registered model.
    today
        Limits in force on this day become cuts.

    Raises
    ------
    NothingFoundError
        When no file holds results of any kind; says what each file lacks.
    """
    paths = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
    files = tuple(guess_file(path) for path in paths)
    usable = [guess for guess in files if guess.kind not in ("", "listings")]
    if not usable:
        raise NothingFoundError(_nothing(folder, files))
    cuts = propose_cuts(usable, folder, taxonomy, today)
    text = _document(name, usable, cuts)
    return Draft(text, Config.model_validate(yaml.safe_load(text)), files)


def _nothing(folder: Path, files: Sequence[FileGuess]) -> str:
    if not files:
        return f"Got {folder} without a file of results; expected {', '.join(SUFFIXES)} files directly in it."
    said = [
        f"{g.path.name}: {g.problem or ('listings, no results' if g.kind else 'lacks ' + ', '.join(g.missing))}"
        for g in files
    ]
    needs = "; ".join(
        f"{_WORDS[kind]} need {', '.join(' or '.join(each) for each in needed)}"
        for kind, needed in NEEDED.items()
        if kind != "listings"
    )
    return f"No file in {folder} holds results that can be learnt from. {'; '.join(said)}. {needs}."


def records_of(guess: FileGuess, folder: Path) -> list[Record | Reject]:
    """Read a file as it was taken for."""
    from training.config import SourceRef

    ref = SourceRef(
        reader=guess.kind,
        path=guess.path.name,
        columns=dict(guess.columns),
        encoding=guess.encoding,
    )
    return list(source_of(ref).read(folder / ref.path))


def propose_cuts(
    files: Sequence[FileGuess], folder: Path, taxonomy: Taxonomy, today: date
) -> Mapping[str, Cut]:
    """Propose the Korean limit for children's products as the cut of each hazard that is measured without a verdict."""
    measured = {
        record.hazard
        for guess in files
        if guess.kind == "lab_results"
        for record in records_of(guess, folder)
        if isinstance(record, LabResult) and record.value is not None
    }
    cuts: dict[str, Cut] = {}
    for hazard in sorted(measured, key=taxonomy.index):
        cut = _law_cut(hazard, taxonomy, today)
        if cut is not None:
            cuts[hazard] = cut
    return cuts


def _law_cut(hazard: str, taxonomy: Taxonomy, today: date) -> Cut | None:
    for limit in taxonomy.law.limits:
        unit = canonical_unit(limit.unit.removesuffix(" w/w"))
        whole = "migration" not in limit.substance
        if (
            limit.jurisdiction == "KR"
            and limit.hazard == hazard
            and "children_products" in limit.groups
            and limit.comparator in ("<=", "<")
            and limit.in_force(today)
            and whole
            and limit.value is not None
            and unit is not None
            and unit[0] == _UNIT
        ):
            basis = f"limit {limit.ref} ({limit.mark}): {limit.regulation}"
            return Cut(limit.value * unit[1], _UNIT, basis)
    return None


def _document(name: str, files: Sequence[FileGuess], cuts: Mapping[str, Cut]) -> str:
    lines = [
        "# How your bundle is trained. Written by `listing-risk init`; change what you know better.",
        "# Check it again at any time: listing-risk check --config listing-risk.yaml --data .",
        "",
        "# Name of the bundle and of its registered model.",
        f"name: {name}",
        "",
        "# What reads the titles: `use` (16 languages, Korean, English and Chinese among them, no torch), `e5` (extra",
        "# e5), or any sentence-transformers model from the Hugging Face hub (extra finetune).",
        "encoder: use",
        "",
        "# Your files. `columns` says which of your columns is which field: a name, `a|b` for the first that is",
        "# filled, or a fixed value in single quotes. Columns that are not named here are not read.",
        "sources:",
    ]
    for guess in files:
        lines.append(f"  - reader: {guess.kind}  # {_WORDS[guess.kind]}")
        lines.append(f"    path: {_quoted(guess.path.name)}")
        if guess.encoding != "utf-8":
            lines.append(f"    encoding: {guess.encoding}")
        lines.append("    columns:")
        lines += [f"      {ours}: {_quoted(theirs)}" for ours, theirs in guess.columns.items()]
        if guess.unused:
            lines.append(f"    # not used: {', '.join(guess.unused)[:100]}")
    lines += [
        "",
        "# From which value a result fails where the laboratory gave no verdict. Compare with the law of your goods.",
    ]
    if cuts:
        lines.append("cuts:")
        for code, cut in cuts.items():
            lines.append(f"  {code}: {{value: {cut.value:g}, unit: {cut.unit}, basis: {_quoted(cut.basis)}}}")
    else:
        lines.append("cuts: {}")
    lines += [
        "",
        "# How often goods fail that nobody singled out. A published figure stands here until you have your own: the",
        "# share of fails in a random sample of your catalogue.",
        f"root_rate: {ROOT_RATE}",
        f"root_rate_source: {_quoted(ROOT_RATE_SOURCE)}",
        "",
        "# Leave out what was not known on this day; results after it are then there to measure on. Or give --as-of.",
        "# as_of: 2026-06-30",
        "",
        "# A hazard gets a model of its own from so many failed and as many passed results on.",
        "lab: {min_failed: 30}",
        "",
        "folds: 5",
        "seed: 0",
        "",
    ]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, allow_unicode=True, default_style='"', width=10_000).strip()
