"""Speed of re-listing, words and photos: ``python -m benchmarks.relisting.speed``. Reads no data outside the package.

Processor time of one core unless a figure says ``wall``; a ban until it is live is always wall time.
10,000 banned items with three photos each, and a live catalogue of 100,000 listings with one photo each.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from pathlib import Path

import click

from benchmarks.relisting import photo_speed, words_speed
from benchmarks.relisting.photo_speed import Filler, Took, middle, timed
from benchmarks.relisting.words_speed import BANS, LIVE
from benchmarks.results_file import RESULTS, Results, Row, code_commit, machine, now, write_results
from features.image_features import PhotoFeatures
from features.image_match import photo_entry
from features.schema import Listing
from features.similarity import SimilarityIndex
from serving.bans.book import request_of
from serving.bans.matching import MatchFinder
from serving.bans.office import load_reader, office_of
from serving.bans.retroaction import BanOffice
from serving.predictor import load_predictor
from serving.settings import Settings
from serving.store import Store
from training.matcher_sets import read_sample

TASK = "matching_speed"
PHOTOS = 3
_ITEM = {"title": "Rainbow Magnet Balls 5mm 216 Pieces Desk Cube ZK-216", "price": 9.9}


def measure_lookup(office: BanOffice, index: SimilarityIndex, photos: list[PhotoFeatures]) -> list[Row]:
    """Time one listing with three photos against the bank, its text and photos being read already."""
    finder, matcher = MatchFinder(office.desk.bank), photo_speed.default_matcher()
    listings = [listing for _, listing in read_sample("test")]
    reads = office.desk.bank.reader.read(listings)
    turn = iter(range(10**6))

    def words() -> None:
        finder.text_probabilities(reads[next(turn) % len(reads)])

    def pictures() -> None:
        start = next(turn) * PHOTOS
        for i in range(PHOTOS):
            matcher.match(photos[(start + i) % len(photos)], index)

    def whole() -> None:
        words()
        pictures()

    for work in (words, pictures):
        work()
    return [
        middle(timed(whole, 200)).row("lookup_ms", BANS),
        middle(timed(whole, 100, time.perf_counter)).row("lookup_wall_ms", BANS),
        middle(timed(words, 200)).row("lookup_words_ms", BANS),
        middle(timed(pictures, 200)).row("lookup_photos_ms", BANS * PHOTOS),
    ]


def measure_ban(office: BanOffice, path: Path, photos: list[PhotoFeatures]) -> list[Row]:
    """Time a ban until another reader of the index finds its photo and the words are searched; photos read already."""
    identity, matcher = photo_speed.default_reader().identity, photo_speed.default_matcher()
    with SimilarityIndex(path, identity, write=True) as writer, SimilarityIndex(path, identity) as reader:
        matcher.match(photos[0], reader)
        turn = iter(range(10**6))

        def ban() -> None:
            number = next(turn)
            office.desk.place(request_of({"listing": {"id": f"new-{number}", **_ITEM}}), "benchmark")
            one = photos[number % len(photos)]
            writer.add(
                [photo_entry(f"new-{number}#{i}", photos[(number + i) % len(photos)]) for i in range(3)]
            )
            found = matcher.match(one, reader)
            if not found or not found[0].key.startswith("new-"):
                raise RuntimeError(f"the ban new-{number} is not live")

        took = timed(ban, 20, time.perf_counter)
    return [middle(took).row("ban_live_s", BANS, seconds=True)]


def measure_retroaction(office: BanOffice, live: SimilarityIndex, photos: list[PhotoFeatures]) -> list[Row]:
    """Time the search of the live catalogue for one ban with three photos."""
    matcher = photo_speed.default_matcher()
    entry = office.desk.place(request_of({"listing": {"id": "last", **_ITEM}}), "benchmark")
    turn = iter(range(10**6))

    def words() -> None:
        office.look_back(entry, "benchmark")

    def pictures() -> None:
        start = next(turn) * PHOTOS
        photo_speed.hits(matcher, live, [photos[(start + i) % len(photos)] for i in range(PHOTOS)])

    for work in (words, pictures):
        work()
    by_words, by_photos = timed(words, 7), timed(pictures, 20)
    both: list[float] = [w + p for w in by_words for p in by_photos]

    def whole() -> None:
        words()
        pictures()

    return [
        middle(both).row("retroaction_s", LIVE, seconds=True),
        middle(timed(whole, 7, time.perf_counter)).row("retroaction_wall_s", LIVE, seconds=True),
        middle(by_words).row("retroaction_words_s", LIVE, seconds=True),
        middle(by_photos).row("retroaction_photos_s", LIVE, seconds=True),
    ]


def opening(path: Path) -> tuple[SimilarityIndex, Took]:
    """Open an index and time it, the first search included."""
    reader = photo_speed.default_reader()
    one = reader.read(photo_speed.queries(1))[0]
    began = time.perf_counter()
    index = SimilarityIndex(path, reader.identity)
    photo_speed.default_matcher().match(one, index)
    took = 1_000 * (time.perf_counter() - began)
    return index, Took(took, took, took)


@click.command()
@click.option("--results", "folder", type=click.Path(path_type=Path, file_okay=False), default=RESULTS)
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), help="Where 3 GB fit for a while.")
def main(folder: Path, work: Path | None) -> None:
    """Measure the speed of re-listing."""
    if os.environ.get("OMP_NUM_THREADS") != "1":  # as the service sets it for its workers
        raise click.UsageError(
            "got OMP_NUM_THREADS unset or not 1; expected OMP_NUM_THREADS=1, as when serving"
        )
    reader = photo_speed.default_reader()
    rows = [*photo_speed.encoding(reader), *photo_speed.million(reader.identity.dim)]
    photos = reader.read(photo_speed.queries(30))
    with tempfile.TemporaryDirectory(dir=work) as place:
        bans, live = Path(place) / "bans.index", Path(place) / "live.index"
        filler = Filler(reader)
        for path, count in ((bans, BANS * PHOTOS), (live, LIVE)):
            click.echo(f"filling an index of {count:,} photos", err=True)
            filler.fill(path, count, "x", reader)
        rows.append(
            Row(
                system="ours",
                metric="index_bytes_per_photo",
                value=round(bans.stat().st_size / (BANS * PHOTOS)),
                n=BANS * PHOTOS,
                unit="bytes",
            )
        )
        index, took = opening(bans)
        rows.append(took.row("open_photos_s", BANS * PHOTOS, seconds=True))
        with Store(str(Path(place) / "store.db")) as store:
            rows += _with_words(store, index, bans, live, photos)
        index.close()
    write_results(
        Results(
            task=TASK,
            command="OMP_NUM_THREADS=1 python -m benchmarks.relisting.speed",
            commit=code_commit(),
            date=now(),
            machine=machine(),
            data_sha256="",
            rows=tuple(rows),
        ),
        folder,
    )
    for one in rows:
        click.echo(f"{one.metric:28} {one.value:10.4f} {one.unit}  n={one.n}")


def _with_words(
    store: Store, index: SimilarityIndex, bans: Path, live: Path, photos: list[PhotoFeatures]
) -> list[Row]:
    reader = load_reader()
    click.echo(f"filling a store with {BANS:,} bans and {LIVE:,} live listings", err=True)
    words_speed.fill(store, reader, random.Random(0), BANS, LIVE)
    began = time.perf_counter()
    office = office_of(store, load_predictor(Settings()), reader)
    opened = 1_000 * (time.perf_counter() - began)
    sample: list[Listing] = [listing for _, listing in read_sample("test")]
    finder = MatchFinder(office.desk.bank)
    finder.find(sample[0])
    turn = iter(range(10**6))
    encoded = timed(lambda: finder.find(sample[next(turn) % len(sample)]), 200)
    rows = measure_lookup(office, index, photos)
    rows.append(middle(encoded).row("lookup_words_with_encoding_ms", BANS))
    rows += measure_ban(office, bans, photos)
    live_index, _ = opening(live)
    rows += measure_retroaction(office, live_index, photos)
    live_index.close()
    rows.append(Took(opened, opened, opened).row("open_words_s", BANS, seconds=True))
    return rows


if __name__ == "__main__":
    main()
