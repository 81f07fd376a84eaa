"""From settings to the engine that answers: bundle, policy, store and bans, joined once at the start."""

from __future__ import annotations

import gc
import os
from pathlib import Path

from serving.doors import Engine
from serving.predictor import load_predictor
from serving.settings import Settings
from serving.unswept import unswept


def open_engine(settings: Settings) -> Engine:
    """Load what the settings name and open the store.

    Raises
    ------
    UserError
        When the bundle, the policy or the register cannot be used.
    StoreError
        When the store cannot be opened.
    """
    with unswept():
        engine = _joined(settings)
    # Weights, words and bans stay for good. Searching hundreds of thousands of them for cycles again and again would
    # hold up listings, a tenth of a second at a time.
    gc.collect()
    gc.freeze()
    return engine


def _joined(settings: Settings) -> Engine:
    if not settings.store:
        return Engine(load_predictor(settings))
    # What scores without a store needs neither the database nor the matcher.
    from serving.bans.office import load_reader, office_of, photo_folder
    from serving.bans.photos import open_eyes
    from serving.models.in_force import note_loaded
    from serving.models.swap import predictor_in_force
    from serving.policy.follow import take_promoted
    from serving.store import Store, StoreSink

    store = Store(settings.store).open()
    try:
        predictor, used = predictor_in_force(settings, store)
        if settings.policy is None:
            take_promoted(store, predictor)
        note_loaded(store, predictor, used)
        eyes = open_eyes(settings.image_hosts, settings.image_folder)
        folder = photo_folder(settings.store, os.environ)
        office = office_of(
            store, predictor, load_reader(settings.matcher, settings.supply.trusted_keys), eyes, folder
        )
    except BaseException:
        store.close()
        raise
    return Engine(predictor, StoreSink(store), store, office)


def make_store_folder(address: str) -> None:
    """Make the folder of a SQLite file, readable by its owner alone."""
    if address and "://" not in address:
        Path(address).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
