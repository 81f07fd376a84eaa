"""A store with many bans and their photos, made once and copied for every service that is measured."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

from benchmarks.relisting.words_speed import offers
from features.similarity import SimilarityIndex
from serving.bans.book import item_body
from serving.bans.office import load_reader
from serving.store import BanRecord, Store
from serving.store.ban_photos import BanPhoto
from serving.store.prepare import prepare_change

BANS = 10_000


def make_world(folder: Path, bans: int = BANS, photos: bool = True) -> Path:
    """Make a store with bans by words and, where asked, a photo each, unless it is there; returns its file.

    The index of photos is filled as a worker would fill it, with drawn pictures; the store's own copies of them are
    empty, since nobody looks at them here.
    """
    path = folder / "world.db"
    if path.exists():
        return path
    reader = load_reader()
    with Store(str(path)) as store:
        records = [
            prepare_change(
                BanRecord(
                    ban_id=f"ban-{i}",
                    status="banned",
                    actor="benchmark",
                    bank="banned",
                    body=item_body(one, None, mark, reader.made_by),
                    beside=(BanPhoto(0, b"picture", b"entry", "benchmark").row(f"ban-{i}"),)
                    if photos
                    else (),
                )
            )
            for i, (one, mark) in enumerate(offers(bans, reader, random.Random(1)))
        ]
        for start in range(0, len(records), 500):
            store.writer.submit(records[start : start + 500]).result()
    if photos:
        _fill_index(Path(f"{path}.photos") / "banned.index", bans)
    return path


def _fill_index(path: Path, count: int) -> None:
    from benchmarks.relisting.photo_speed import Filler, default_reader

    reader = default_reader()
    filler = Filler(reader)
    path.parent.mkdir(parents=True, exist_ok=True)
    number = 0
    with SimilarityIndex(path, reader.identity, write=True) as index:
        for block in filler.entries(count, "x"):
            index.add([replace(entry, key=f"ban-{number + i}#0") for i, entry in enumerate(block)])
            number += len(block)


def copy_world(world: Path, target: Path) -> Path:
    """Copy a store with what lies beside it; what was there before is gone."""
    for old in target.parent.glob(f"{target.name}*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    for part in world.parent.glob(f"{world.name}*"):
        there = target.parent / (target.name + part.name.removeprefix(world.name))
        shutil.copytree(part, there) if part.is_dir() else shutil.copy(part, there)
    return target
