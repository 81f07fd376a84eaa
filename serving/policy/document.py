"""The policy as people write it: the fields a policy file may have, and where in the file each one stands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from features.errors import UserError
from serving.policy.evaluation import Action, RiskLevel

DEFAULT_POLICY = Path(__file__).with_name("policy.yaml")
SIZE_MAX = 1_000_000

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Names = Annotated[list[Name], Field(min_length=1)]
Values = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=200)]], Field(min_length=1)]
Where = tuple[str | int, ...]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="after")
    def _says_something(self) -> _Part:
        if not self.model_fields_set:
            raise ValueError("says nothing; give at least one key, or remove it")
        return self


class HazardPart(_Part):
    """Hazards whose probability reaches an operating point, chosen by code, family or severity."""

    at_least: Name
    codes: Names | None = None
    family: Names | None = None
    severity_at_least: Annotated[int, Field(ge=1, le=4)] | None = None
    basis: Annotated[list[Literal["lab", "recall", "prior", "policy"]], Field(min_length=1)] | None = None
    risk_level_at_least: RiskLevel | None = None


class NoncompliantPart(_Part):
    """P(fails any laboratory-type hazard) reaches an operating point of the bundle."""

    at_least: Name


class NumberPart(_Part):
    """A number from the listing, never from the model."""

    at_least: float | None = None
    below: float | None = None


class PricePart(NumberPart):
    """A price means nothing without its currency."""

    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]

    @model_validator(mode="after")
    def _has_bound(self) -> PricePart:
        if self.at_least is None and self.below is None:
            raise ValueError("names a currency but no bound; give at_least or below")
        return self


class SellerPart(_Part):
    """What the marketplace knows of the seller."""

    strikes_at_least: Annotated[int, Field(ge=1)] | None = None
    failed_at_least: Annotated[int, Field(ge=1)] | None = None
    removed_at_least: Annotated[int, Field(ge=1)] | None = None


class ConditionPart(_Part):
    """What must be true. Several keys in one condition must all hold."""

    hazard: HazardPart | None = None
    noncompliant: NoncompliantPart | None = None
    risk_level_at_least: RiskLevel | None = None
    expected_harm_at_least: Annotated[float, Field(gt=0)] | None = None
    group: Names | None = None
    audience: Annotated[list[Literal["under_3", "under_14", "general"]], Field(min_length=1)] | None = None
    certificate: Names | None = None
    match: Names | None = None
    seller: SellerPart | None = None
    language: Annotated[list[Literal["ko", "en", "zh", "other"]], Field(min_length=1)] | None = None
    market: Values | None = None
    marketplace: Values | None = None
    origin: Values | None = None
    price: PricePart | None = None
    units_sold: NumberPart | None = None
    all: Annotated[list[ConditionPart], Field(min_length=1)] | None = None
    any: Annotated[list[ConditionPart], Field(min_length=1)] | None = None
    not_: ConditionPart | None = Field(None, alias="not")


class HoldPart(_Part):
    """Hold the listing while it is open."""

    hours: Annotated[float, Field(gt=0, le=24 * 365)]
    on_expiry: Action | None = None


class WhyPart(_Part):
    """The reason a person reads, in the languages of the house."""

    ko: Annotated[str, StringConstraints(min_length=1)]
    en: Annotated[str, StringConstraints(min_length=1)]
    zh: Annotated[str, StringConstraints(min_length=1)]


class RulePart(_Part):
    """One rule: when it applies, what follows, and why."""

    id: Name
    action: Action
    why: WhyPart
    when: ConditionPart
    hold: HoldPart | None = None

    @model_validator(mode="after")
    def _block_holds(self) -> RulePart:
        if self.action == "block" and self.hold is None:
            raise ValueError("blocks without a hold, so the listing would stay live; add hold: {hours: ...}")
        return self


class DocumentPart(_Part):
    """A whole policy file."""

    version: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    on_expiry: Action
    rules: Annotated[list[RulePart], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """One thing wrong with a policy file."""

    line: int
    key: str
    problem: str


class PolicyError(UserError):
    """A policy that cannot be used; ``problems`` holds every one found, with its line and key."""

    def __init__(self, name: str, problems: tuple[PolicyProblem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{name}:{p.line}: {p.key}: {p.problem}" for p in problems))


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy file that was read and is well formed, not yet bound to a bundle."""

    name: str
    sha256: str
    content: DocumentPart
    lines: Mapping[Where, int]

    @property
    def version(self) -> str:
        """The author's version and the first eight digits of the file's SHA-256."""
        return f"{self.content.version}+{self.sha256[:8]}"

    def problem(self, where: Where, text: str) -> PolicyProblem:
        """Return a problem at the nearest place in the file that has a line."""
        key = ".".join(str(part) for part in where) or "(policy)"
        for length in range(len(where), -1, -1):
            if (line := self.lines.get(where[:length])) is not None:
                return PolicyProblem(line, key, text)
        return PolicyProblem(1, key, text)


def _walk(node: yaml.Node, where: Where) -> Iterator[tuple[Where, int, str]]:
    """Yield each place, its line, and a problem ("" for none)."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                yield where, line, "got a list or a mapping as a key, expected a word"
                continue
            inner = (*where, key.value)
            yield inner, line, "this key is given twice" if key.value in seen else ""
            seen.add(key.value)
            yield from _walk(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield (*where, position), value.start_mark.line + 1, ""
            yield from _walk(value, (*where, position))


def _tree(text: str, name: str) -> tuple[Any, dict[Where, int]]:
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, yaml.SafeLoader)):
            raise PolicyError(name, (PolicyProblem(1, "(policy)", "YAML aliases (*name) are not used here"),))
        root = yaml.compose(text, yaml.SafeLoader)
        places = [] if root is None else list(_walk(root, ()))
        repeated = tuple(
            PolicyProblem(line, ".".join(map(str, w)) or "(policy)", bad) for w, line, bad in places if bad
        )
        if repeated:
            raise PolicyError(name, repeated)
        return yaml.safe_load(text), {(): 1} | {where: line for where, line, _ in places}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        line = mark.line + 1 if mark else 1
        raise PolicyError(name, (PolicyProblem(line, "(policy)", f"cannot be read: {problem}"),)) from None
    except RecursionError:
        raise PolicyError(name, (PolicyProblem(1, "(policy)", "nested too deeply"),)) from None


@lru_cache(maxsize=8)
def parse_policy(text: str, name: str = "policy") -> PolicyDocument:
    """Read a policy from YAML text; the last few are remembered.

    Raises
    ------
    PolicyError
        With every problem and its line, when the text is not a policy.

    """
    tree, lines = _tree(text, name)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    try:
        content = DocumentPart.model_validate(tree)
    except ValidationError as error:
        found = PolicyDocument(name, sha256, DocumentPart.model_construct(), lines)
        problems = tuple(found.problem(item["loc"], _plain(item["msg"])) for item in error.errors())
        raise PolicyError(name, problems) from None
    document = PolicyDocument(name, sha256, content, lines)
    _refuse_repeated_ids(document)
    return document


def _plain(message: str) -> str:
    if message == "Extra inputs are not permitted":
        return "unknown key; check its spelling against the documented keys"
    return message.removeprefix("Value error, ")


def _refuse_repeated_ids(document: PolicyDocument) -> None:
    seen: set[str] = set()
    problems: list[PolicyProblem] = []
    for position, rule in enumerate(document.content.rules):
        if rule.id in seen:
            problems.append(document.problem(("rules", position, "id"), f"two rules are called {rule.id!r}"))
        seen.add(rule.id)
    if problems:
        raise PolicyError(document.name, tuple(problems))


def load_policy(path: Path | None = None) -> PolicyDocument:
    """Read a policy file, the default one when no path is given.

    Raises
    ------
    PolicyError
        When the file is missing, too large, not UTF-8 or not a policy.

    """
    path = path or DEFAULT_POLICY
    try:
        if path.stat().st_size > SIZE_MAX:
            raise PolicyError(str(path), (PolicyProblem(1, "(policy)", f"is larger than {SIZE_MAX} bytes"),))
        text = path.read_text("utf-8")
    except OSError as error:
        problem = PolicyProblem(1, "(policy)", f"cannot be read: {error.strerror}")
        raise PolicyError(str(path), (problem,)) from error
    except UnicodeDecodeError:
        raise PolicyError(str(path), (PolicyProblem(1, "(policy)", "is not UTF-8"),)) from None
    return parse_policy(text, str(path))
