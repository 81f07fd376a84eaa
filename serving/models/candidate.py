"""Whether a bundle may be loaded: contract, files, policy, and listings that any bundle must get right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from features.errors import UserError
from features.schema import Listing, parse_listing
from serving.policy.evaluation import ACTIONS

if TYPE_CHECKING:
    from serving.predictor import Predictor
    from serving.settings import Settings


class CandidateError(UserError):
    """A bundle that is refused, with every reason."""


class _Canary(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    at_least: str = ACTIONS[0]
    at_most: str = ACTIONS[-1]
    listing: dict[str, Any]


class _Canaries(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    canaries: Annotated[tuple[_Canary, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bundle that passed its checks, loaded and ready to decide."""

    version: str
    folder: Path
    predictor: Predictor


@cache
def _canaries() -> tuple[tuple[_Canary, Listing], ...]:
    text = (resources.files("serving.models") / "canaries.yaml").read_text(encoding="utf-8")
    read = _Canaries.model_validate(yaml.safe_load(text)).canaries
    return tuple((canary, parse_listing({"id": canary.id} | canary.listing)) for canary in read)


def load_candidate(folder: Path, settings: Settings, expected: str = "") -> Candidate:
    """Load a bundle beside whatever is loaded, and check it.

    Parameters
    ----------
    folder
        The bundle.
    settings
        Policy and register that it is to serve with; its ``bundle`` is not looked at.
    expected
        The version it must be; "" for any.

    Raises
    ------
    UserError
        `CandidateError` with every failed check; `BundleError` when the contract, a file, the encoder or the taxonomy
        differs; `PolicyError` when the policy does not fit its operating points.
    """
    from dataclasses import replace

    from serving.predictor import load_predictor

    predictor = load_predictor(replace(settings, bundle=folder))
    version = predictor.model_version
    if expected and version != expected:
        raise CandidateError(
            f"Got bundle {version} in {folder}, expected {expected}: the folder was changed after it was promoted."
        )
    failures = failed_canaries(predictor)
    if failures:
        raise CandidateError(f"The bundle {version} is refused: {'; '.join(failures)}.")
    return Candidate(version, folder, predictor)


def failed_canaries(predictor: Predictor) -> tuple[str, ...]:
    """Return what a predictor gets wrong of the listings that none may get wrong."""
    known = _canaries()
    try:
        decisions = predictor.decide([listing for _, listing in known], explain="always")
    except (
        Exception
    ) as error:  # a bundle that raises on a plain listing must not reach traffic, whatever it raised
        return (f"it fails on a plain listing ({type(error).__name__}: {str(error)[:200]})",)
    return tuple(_wrong(known, [decision.action for decision in decisions]))


def _wrong(known: Sequence[tuple[_Canary, Listing]], actions: Sequence[str]) -> list[str]:
    found = []
    for (canary, _), action in zip(known, actions, strict=True):
        rank = ACTIONS.index(action)  # type: ignore[arg-type]
        if rank < ACTIONS.index(canary.at_least):  # type: ignore[arg-type]
            found.append(f"canary {canary.id}: decided {action}, expected at least {canary.at_least}")
        if rank > ACTIONS.index(canary.at_most):  # type: ignore[arg-type]
            found.append(f"canary {canary.id}: decided {action}, expected at most {canary.at_most}")
    return found
