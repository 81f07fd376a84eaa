"""The form of ``taxonomy.yaml`` and ``laboratories.yaml``, and the reader that names a wrong entry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from features.errors import UserError
from features.hazard_words import fold

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml: slower, same result
    from yaml import SafeLoader

Audience = Literal["under_3", "under_14", "general"]
AUDIENCES: tuple[Audience, ...] = ("under_3", "under_14", "general")
Mark = Literal["read", "read_secondary", "assumption", "unverified", "inferred"]
Level = Literal["low", "medium", "high", "serious"]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class TaxonomyError(UserError):
    """A data file of the taxonomy is wrong; the message names the file and the entry."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Names(_Entry):
    """A name where people read it: Korean, English and Chinese, and any other language under its ISO 639 code."""

    model_config = ConfigDict(extra="allow", frozen=True)

    ko: str = Field(min_length=1)
    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)

    @model_validator(mode="after")
    def _languages(self) -> Self:
        for code, name in (self.model_extra or {}).items():
            if not re.fullmatch(r"[a-z]{2,3}", code):
                raise ValueError(f"got {code!r}; expected a language's ISO 639 code, such as ja")
            if not isinstance(name, str) or not name:
                raise ValueError(f"{code}: got {name!r}, expected a name")
        return self


class Terms(_Entry):
    """Words per language."""

    ko: list[str] = Field(default_factory=list)
    en: list[str] = Field(default_factory=list)
    zh: list[str] = Field(default_factory=list)


class SeverityEntry(_Entry):
    """One of the four levels of the EU guideline, with the reason for it."""

    level: int = Field(ge=1, le=4)
    why: str = Field(min_length=1)


class ProbabilityEntry(_Entry):
    """P(injury | non-compliant) for one audience."""

    p: Probability
    source: str = ""
    mark: Mark = "assumption"


class InjuryEntry(_Entry):
    """P(injury | non-compliant) per audience; ``source`` stands for all that give none of their own."""

    why: str = Field(min_length=1)
    source: str = ""
    under_3: ProbabilityEntry
    under_14: ProbabilityEntry
    general: ProbabilityEntry


class HazardEntry(_Entry):
    """One hazard code."""

    names: Names
    family: Code
    policy: bool = False
    severity: SeverityEntry
    test_method: str = Field(min_length=1)
    mask_terms: Terms
    injury: InjuryEntry


class CrosswalkEntry(_Entry):
    """Terms of another scheme: what they assert, what else they may mean, and those that name nothing."""

    source: str
    mark: Mark
    names: dict[Code, list[str]]
    possible: dict[str, list[Code]] = Field(default_factory=dict)
    nothing: list[str] = Field(default_factory=list)


class ScopeEntry(_Entry):
    """When a scope of limits reaches goods outside its own product groups."""

    audiences: list[Audience] = Field(min_length=1)
    excluded_groups: dict[str, list[Code]] = Field(default_factory=dict)
    source: str
    mark: Mark


class BandEntry(_Entry):
    """One probability band of the risk table: levels for severity 1 to 4."""

    above: Probability
    levels: list[Level] = Field(min_length=4, max_length=4)


class MatrixEntry(_Entry):
    """The table that crosses probability of injury with severity."""

    source: str
    mark: Mark
    note: str = ""
    bands: list[BandEntry] = Field(min_length=2)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        bounds = [band.above for band in self.bands]
        if bounds != sorted(set(bounds), reverse=True) or bounds[-1] != 0:
            raise ValueError(f"got bands above {bounds}, expected falling bounds that end with 0")
        return self


class TaxonomyFile(_Entry):
    """The whole of ``taxonomy.yaml``."""

    version: Literal[1]
    severity_mark: Mark
    severity_source: str
    test_method_mark: Mark
    hazards: dict[Code, HazardEntry] = Field(min_length=1)
    ordinary_words: Terms
    crosswalks: dict[Code, CrosswalkEntry]
    scopes: dict[Code, ScopeEntry]
    units: dict[Code, dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]]
    risk_matrix: MatrixEntry
    harm_weights: list[Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(min_length=4, max_length=4)

    @model_validator(mode="after")
    def _crosswalks_are_consistent(self) -> Self:
        for scheme, entry in self.crosswalks.items():
            for code in [*entry.names, *(code for codes in entry.possible.values() for code in codes)]:
                if code not in self.hazards:
                    raise ValueError(
                        f"crosswalks.{scheme}: got hazard {code!r}, expected one of {', '.join(self.hazards)}"
                    )
            named = {fold(term) for terms in entry.names.values() for term in terms}
            nothing = {fold(term) for term in entry.nothing}
            if both := sorted(named & nothing):
                raise ValueError(
                    f"crosswalks.{scheme}: got {both} under `names` and under `nothing`, expected one"
                )
            if loose := sorted({fold(term) for term in entry.possible} - named - nothing):
                raise ValueError(
                    f"crosswalks.{scheme}.possible: got {loose}, expected terms listed under `names` or `nothing`"
                )
        return self


class LaboratoryEntry(_Entry):
    """A laboratory; ``tests`` holds hazard codes or families."""

    names: Names
    tests: list[Code]
    mark: Mark
    source: str = ""
    note: str = ""


class LaboratoriesFile(_Entry):
    """The whole of ``laboratories.yaml``."""

    version: Literal[1]
    laboratories: dict[str, LaboratoryEntry]


class _UniqueKeys(SafeLoader):  # pyright: ignore[reportGeneralTypeIssues]
    """YAML where a repeated key is an error instead of the last one winning in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            seen: set[Any] = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"got the key {key!r} twice, expected it once", key_node.start_mark
                    )
                seen.add(key)
        return mapping


File = TypeVar("File", bound=BaseModel)


def read_yaml(path: Path, form: type[File]) -> File:
    """Read a YAML file and hold it against its form.

    Parameters
    ----------
    path
        The file.
    form
        The pydantic model that says what belongs in it.

    Returns
    -------
    BaseModel
        An instance of ``form``.

    Raises
    ------
    TaxonomyError
        Naming the file and every wrong entry, when the file is missing, is not YAML, or is not of that form.
    """
    try:
        # A subclass of the safe loader: it builds plain values only.
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506
    except OSError as error:
        raise TaxonomyError(f"{path}: cannot be read ({error.strerror}); check the folder") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise TaxonomyError(f"{path}: expected YAML in UTF-8, got: {error}") from None
    try:
        return form.model_validate(raw)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, item['loc'])) or 'whole file'}: {item['msg']} (got {_short(item['input'])})"
            for item in error.errors(include_url=False)
        ]
        raise TaxonomyError(f"{path}: " + "; ".join(wrong)) from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
