"""A running service takes the champion of the day: loaded and checked beside what serves, then put in its place.

No request is dropped: one that has begun keeps the engine it began with, the next one gets the new one. A bundle whose
contract or checks fail is refused; the service goes on with what it has, and the refusal is recorded with its reason.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import UserError
from serving import logs

if TYPE_CHECKING:
    from serving.doors import Doors, Engine
    from serving.models.candidate import Candidate
    from serving.predictor import Predictor
    from serving.settings import Settings
    from serving.store import Store
    from serving.store.model_history import ModelEvent

FOLLOW_S = 2.0
log = logging.getLogger("serving.swap")


def follow_champion(doors: Doors) -> AbstractContextManager[object]:
    """Follow the store's champion while the service runs, unless a bundle was named when it started."""
    from serving.keeping import now_and_then

    if doors.engine().store is None or doors.settings.bundle is not None:
        return nullcontext()
    return now_and_then("champion", FOLLOW_S, ChampionFollower(doors).once)


class ChampionFollower:
    """Looks whether somebody promoted another bundle, and swaps it in.

    Parameters
    ----------
    doors
        Of a loaded application with a store.
    """

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self._seen = 0

    def once(self) -> bool:
        """Look once.

        Returns
        -------
        bool
            Whether another bundle serves now.

        Raises
        ------
        OutsideError, StoreError
            When the store or the registry does not answer; the next look tries again.
        """
        from serving.models.promotion import champion_of

        engine, store = self.doors.engine(), self.doors.store()
        champion = champion_of(store)
        if champion is None or champion.seq == self._seen:
            return False
        if champion.version == engine.predictor.model_version:
            self._seen = champion.seq
            return False
        try:
            candidate = load_champion(champion, self.doors.settings)
        except UserError as error:
            self._seen = champion.seq
            self._refuse(champion, str(error))
            return False
        self._swap(engine, candidate)
        self._seen = champion.seq
        return True

    def _swap(self, engine: Engine, candidate: Candidate) -> None:
        from serving.models.in_force import note_loaded
        from serving.policy.follow import take_promoted

        predictor, before = candidate.predictor, engine.predictor
        if engine.bans is not None:
            predictor.checks = engine.bans.checks(predictor.checks)
        store = self.doors.store()
        if self.doors.settings.policy is None:
            take_promoted(store, predictor)
        note_loaded(store, predictor, replace(self.doors.settings, bundle=candidate.folder))
        if engine.bans is not None:
            engine.bans.decider = predictor
        # One assignment: whoever asks for the engine gets the old one or the new one, never half of each.
        self.doors.loaded = replace(engine, predictor=predictor)
        info = self.doors.metrics.info
        info.labels(model_version=before.model_version, policy_version=before.policy.version).set(0)
        info.labels(model_version=predictor.model_version, policy_version=predictor.policy.version).set(1)
        facts = {"from": before.model_version, "to": predictor.model_version}
        logs.event(log, logging.INFO, "champion swapped", facts)

    def _refuse(self, champion: ModelEvent, why: str) -> None:
        from serving.models.promotion import REFUSED, events_of
        from serving.store import ModelRecord

        store = self.doors.store()
        keeps = self.doors.engine().predictor.model_version
        known = [
            e for e in events_of(store, REFUSED) if e.seq > champion.seq and e.version == champion.version
        ]
        if not known:  # another worker may have said so already
            body = {"why": why, "keeps": keeps}
            store.change(ModelRecord(champion.version, REFUSED, "system", body), timeout_s=30)
        logs.event(log, logging.ERROR, "champion refused", {"version": champion.version, "why": why[:500]})


def load_champion(champion: ModelEvent, settings: Settings) -> Candidate:
    """Load the bundle of a champion's row: from the shelf, else from the registry it came from.

    Raises
    ------
    UserError
        When it is not there or its checks fail.
    OutsideError
        When the registry does not answer.
    """
    from serving.models.candidate import CandidateError, load_candidate

    folder = Path(str(champion.body.get("path", "")))
    address = str(champion.body.get("address", ""))
    if not folder.is_dir():
        if not address:
            raise CandidateError(f"The bundle {champion.version} is not at {folder}.")
        from training.registry_path import resolve

        folder = resolve(address)
    return load_candidate(folder, settings, champion.version)


def predictor_in_force(settings: Settings, store: Store) -> tuple[Predictor, Settings]:
    """Load what a service that starts is to decide with: the bundle that is named, else the store's champion.

    A champion that is refused leaves the starter bundle to decide, with a line in the log.

    Returns
    -------
    predictor : Predictor
    settings : Settings
        With the bundle that was loaded.
    """
    from serving.models.promotion import champion_of
    from serving.predictor import load_predictor

    champion = champion_of(store) if settings.bundle is None else None
    if champion is not None:
        try:
            candidate = load_champion(champion, settings)
        except UserError as error:
            facts = {"version": champion.version, "why": str(error)[:500]}
            logs.event(log, logging.ERROR, "champion refused", facts)
        else:
            return candidate.predictor, replace(settings, bundle=candidate.folder)
    return load_predictor(settings), settings
