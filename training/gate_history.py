"""Past goods of which only chosen ones were tested, for comparing bundles off policy.

One row a listing, with the fields of a listing and beside them ``failed`` (blank where it was not tested),
``propensity`` (how likely it was to be tested) and ``stratum``; see docs/formats/gate_history.schema.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from features.rows import read_rows
from features.schema import Listing, parse_listing
from training.bundle import Bundle
from training.estimators import EstimateError
from training.gate import GateError, OffPolicyFigure
from training.off_policy import History, compare

_OWN = ("failed", "propensity", "stratum", "hazard")
_YES, _NO = (
    frozenset({"1", "true", "yes", "fail", "failed", "부적합"}),
    frozenset({"0", "false", "no", "pass", "passed", "적합"}),
)


def read_history(path: Path) -> tuple[list[Listing], History]:
    """Read the goods and what became of them.

    Raises
    ------
    GateError
        Naming the row and what is wrong with it.
    """
    listings: list[Listing] = []
    failed: list[float] = []
    propensity: list[float] = []
    stratum: list[str] = []
    for row in read_rows(path):
        if row.problem:
            raise GateError(f"{path.name}, line {row.line}: {row.problem}")
        fields = {
            name: value for name, value in row.values.items() if name not in _OWN and value not in ("", None)
        }
        fields.setdefault("id", f"row-{row.line}")
        listings.append(parse_listing(fields))
        failed.append(_failed(row.values.get("failed"), path, row.line))
        propensity.append(_propensity(row.values.get("propensity"), path, row.line))
        stratum.append(str(row.values.get("stratum") or ""))
    if not listings:
        raise GateError(f"{path.name}: got no rows; expected past goods, tested or not.")
    _, numbers = np.unique(stratum, return_inverse=True)
    return listings, History(np.array(failed), np.array(propensity), numbers)


def _failed(value: Any, path: Path, line: int) -> float:
    text = "" if value is None else str(value).strip().lower()
    if not text:
        return float("nan")
    if text in _YES | _NO:
        return float(text in _YES)
    raise GateError(
        f"{path.name}, line {line}: got failed {text[:20]!r}, expected 1, 0 or blank (not tested)"
    )


def _propensity(value: Any, path: Path, line: int) -> float:
    text = "" if value is None else str(value).strip()
    if not text:
        return float("nan")
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise GateError(f"{path.name}, line {line}: got propensity {text[:20]!r}, expected 0 to 1 or blank")
    return found


def compare_off_policy(champion: Path, challenger: Path, history: Path, budget: float) -> OffPolicyFigure:
    """Compare what testing the worst share of the goods by each bundle would have found.

    Parameters
    ----------
    champion, challenger
        Folders of bundles.
    history
        See `read_history`.
    budget
        Share of the goods tested.
    """
    listings, past = read_history(history)
    size = max(1, round(budget * len(listings)))
    targets = []
    for folder in (challenger, champion):
        score = Bundle.load(folder).score(listings).p_noncompliant
        target = np.zeros(len(listings))
        target[np.argsort(-score, kind="stable")[:size]] = 1.0
        targets.append(target)
    try:
        found = compare(past, *targets)
    except EstimateError as error:
        return OffPolicyFigure(budget, None, None, None, str(error))
    return OffPolicyFigure(budget, found.difference, found.low, found.high)
