"""A challenger in shadow: it scores what was decided, beside the requests and never in their way, and decides nothing.

It reads decisions back from the store, so that it sees the very listings that were decided about, goes on where it
was after a restart, and costs a request nothing.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.schema import ListingError, parse_listing
from serving.policy.evaluation import ACTIONS
from serving.store.challenger import ShadowScore, ToScore, read_pairs, to_score, write_shadow
from serving.store.decided import pack_scores

if TYPE_CHECKING:
    from serving.doors import Doors
    from serving.models.candidate import Candidate
    from serving.predictor import Predictor
    from serving.store import Store

LOOK_S = 1.0
BLOCK = 32
_PAUSE_S = 0.02
log = logging.getLogger("serving.shadow")


def shadow_challenger(doors: Doors) -> AbstractContextManager[object]:
    """Score with the challenger in shadow while the service runs, where there is one."""
    from serving.keeping import now_and_then

    if doors.engine().store is None:
        return nullcontext()
    return now_and_then("shadow", LOOK_S, ShadowWork(doors).once)


class ShadowWork:
    """Scores what the challenger in shadow has not scored yet.

    Parameters
    ----------
    doors
        Of a loaded application with a store.
    """

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self._loaded: Candidate | None = None
        self._refused = 0

    def once(self) -> int:
        """Score one stretch; returns how many listings."""
        from features.errors import UserError
        from serving.models.candidate import load_candidate
        from serving.models.promotion import shadow_of

        store = self.doors.store()
        shadow = shadow_of(store)
        if shadow is None or shadow.seq == self._refused:
            self._loaded = None
            return 0
        if self._loaded is None or self._loaded.version != shadow.version:
            try:
                folder = Path(str(shadow.body["path"]))
                self._loaded = load_candidate(folder, self.doors.settings, shadow.version)
            except UserError as error:
                self._refused = shadow.seq
                log.error("shadow %s refused: %s", shadow.version, str(error)[:300])
                return 0
            self._join(self._loaded.predictor)
        return score_shadow(store, self._loaded.predictor, shadow.seq, most=10 * BLOCK)

    def _join(self, predictor: Predictor) -> None:
        """Give the challenger the bans and the policy of the champion, so that only the bundle differs."""
        from serving.policy.follow import take_promoted

        engine = self.doors.engine()
        if engine.bans is not None:
            predictor.checks = engine.bans.checks(predictor.checks)
        if self.doors.settings.policy is None:
            take_promoted(self.doors.store(), predictor)


def score_shadow(store: Store, predictor: Predictor, after: int, *, most: int | None = None) -> int:
    """Score decisions later than ``after`` with a challenger and keep what it says.

    Parameters
    ----------
    predictor
        The challenger's.
    most
        At most so many now; None for all.

    Returns
    -------
    int
        Listings scored.
    """
    done = 0
    while most is None or done < most:
        block = to_score(store, predictor.model_version, after, BLOCK)
        if not block:
            break
        scores = _score(block, predictor)
        write_shadow(store, predictor.model_version, scores, time.time_ns() // 1000)
        done += len(block)
        after = block[-1].seq
        time.sleep(_PAUSE_S)  # requests go first
    return done


def _score(block: Sequence[ToScore], predictor: Predictor) -> list[ShadowScore]:
    found = []
    for one in block:
        try:
            decision = predictor.decide([parse_listing(dict(one.listing))], explain="never")[0]
        except ListingError as error:
            found.append(ShadowScore(one.seq, "", 0.0, 0.0, b"", str(error)[:200]))
        except Exception as error:  # a challenger may fail on a listing; that is what a shadow is to find out
            found.append(ShadowScore(one.seq, "", 0.0, 0.0, b"", type(error).__name__))
        else:
            found.append(
                ShadowScore(
                    one.seq,
                    decision.action,
                    decision.p_noncompliant,
                    decision.expected_harm,
                    pack_scores(decision),
                )
            )
    return found


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """How a challenger compares with what was decided.

    Attributes
    ----------
    pairs
        Listings that both decided about.
    failed
        Listings that the challenger failed on.
    actions
        ``decided -> shadow``: count, for every pair of actions that occurs.
    stricter, milder
        Listings for which the challenger's action is stricter, milder.
    mean_gap
        Mean of challenger less champion, P(non-compliant).
    mean_absolute_gap
        Mean absolute gap.
    """

    version: str
    pairs: int
    failed: int
    actions: dict[str, int]
    stricter: int
    milder: int
    mean_gap: float
    mean_absolute_gap: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def compare_shadow(store: Store, version: str) -> ShadowReport:
    """Compare a challenger with what was decided, in constant memory."""
    from serving.store.engine import reading

    actions: Counter[str] = Counter()
    pairs = failed = stricter = milder = 0
    gap = absolute = 0.0
    rank = {action: number for number, action in enumerate(ACTIONS)}
    with reading(store.engine) as connection:
        for pair in read_pairs(connection, version):
            if pair.problem:
                failed += 1
                continue
            pairs += 1
            actions[f"{pair.action} -> {pair.shadow_action}"] += 1
            step = rank.get(pair.shadow_action, 0) - rank.get(pair.action, 0)
            stricter += step > 0
            milder += step < 0
            gap += pair.shadow_p - pair.p_noncompliant
            absolute += abs(pair.shadow_p - pair.p_noncompliant)
    n = max(pairs, 1)
    return ShadowReport(
        version, pairs, failed, dict(actions.most_common()), stricter, milder, gap / n, absolute / n
    )
