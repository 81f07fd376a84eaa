"""Speed of the words' side of re-listing: ``python -m benchmarks.relisting.words_speed``.

Offers are the sample's, put up again under other words until there are enough; their embeddings carry noise of their
own, so that no two prints are equal. Nothing outside the package is read.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from benchmarks.results_file import RESULTS, Results, Row, code_commit, machine, now, write_results
from features.offer import view_of_listing
from features.offer_index import print_of
from features.schema import Listing
from features.scripts import language
from serving.ban_office import load_reader, office_of
from serving.bans import item_body, request_of
from serving.matching import MatchFinder, OfferReader
from serving.predictor import load_predictor
from serving.retroaction import BanOffice
from serving.settings import Settings
from serving.store import BanRecord, Store
from serving.store.catalogue import CatalogueRow, put_rows
from serving.store.engine import writing
from serving.store.prepare import prepare_change
from training.matcher_sets import read_sample
from training.retitle import relisted

TASK = "matching_speed_words"
BANS, LIVE = 10_000, 100_000


def offers(count: int, reader: OfferReader, rng: random.Random) -> list[tuple[Listing, bytes]]:
    """Return listings with their prints."""
    sample = [listing for half in ("dev", "test") for _, listing in read_sample(half)]
    known = {read.view.title: read.vector for read in reader.read(sample)}
    noise = np.random.default_rng(0)
    made: list[tuple[Listing, bytes]] = []
    for i in range(count):
        base = sample[i % len(sample)]
        copy = relisted(base, rng, language(base.title)).model_copy(update={"id": f"live-{i}"})
        vector = known[view_of_listing(base).title] + noise.normal(0, 0.03, reader.encoder.identity.dim)
        made.append((copy, print_of(view_of_listing(copy), vector / np.linalg.norm(vector))))
    return made


def fill(store: Store, reader: OfferReader, rng: random.Random, bans: int, live: int) -> None:
    """Put bans and live listings into an empty store, many a transaction."""
    records = [
        prepare_change(
            BanRecord(
                f"ban-{i}", "banned", "benchmark", "banned", "", item_body(one, None, mark, reader.made_by)
            )
        )
        for i, (one, mark) in enumerate(offers(bans, reader, rng))
    ]
    for start in range(0, len(records), 500):
        store.writer.submit(records[start : start + 500]).result()
    rows = [
        CatalogueRow("shop", one.id, one.model_dump(mode="json", exclude_defaults=True), mark, reader.made_by)
        for one, mark in offers(live, reader, rng)
    ]
    for start in range(0, len(rows), 5_000):
        with writing(store.engine) as connection:
            put_rows(connection, rows[start : start + 5_000], 0)


def median_ms(work: Callable[[], object], times: int) -> tuple[float, float, float]:
    """Return the median and the middle half of several runs, in ms."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - began))
    low, middle, high = np.quantile(took, [0.25, 0.5, 0.75])
    return float(middle), float(low), float(high)


def measure(office: BanOffice, queries: list[Listing]) -> list[Row]:
    """Measure look-ups, a ban until it is live, and retroaction."""
    finder, reader = MatchFinder(office.desk.bank), office.desk.bank.reader
    reads = reader.read(queries)
    turn = iter(range(10**6))

    def look_up() -> None:
        finder.text_probabilities(reads[next(turn) % len(reads)])

    finder.find(queries[0])
    words = median_ms(look_up, 200)
    whole = median_ms(lambda: finder.find(queries[next(turn) % len(queries)]), 200)
    item = {"id": "new", "title": "Rainbow Magnet Balls 5mm 216 Pieces Desk Cube ZK-216", "price": 9.9}
    live = median_ms(lambda: office.desk.place(request_of({"listing": item}), "benchmark"), 20)
    entry = office.desk.place(request_of({"listing": item}), "benchmark")
    search = median_ms(lambda: office.look_back(entry, "benchmark"), 5)
    unit = office.desk.bank.reader.encoder.identity.dim + 256

    def row(
        metric: str, found: tuple[float, float, float], n: int, scale: float = 1.0, unit: str = "ms"
    ) -> Row:
        middle, low, high = (round(value * scale, 4) for value in found)
        return Row(system="ours", metric=metric, value=middle, low=low, high=high, n=n, unit=unit)

    return [
        row("lookup_words_ms", words, BANS),
        row("lookup_with_encoding_ms", whole, BANS),
        row("ban_live_s", live, BANS, 1e-3, "s"),
        row("retroaction_s", search, LIVE, 1e-3, "s"),
        Row(system="ours", metric="bytes_per_offer", value=unit, n=LIVE, unit="bytes"),
    ]


@click.command()
@click.option("--results", "folder", type=click.Path(path_type=Path, file_okay=False), default=RESULTS)
def main(folder: Path) -> None:
    """Measure the speed of the words' side."""
    rng = random.Random(0)
    reader = load_reader()
    with tempfile.TemporaryDirectory() as place, Store(str(Path(place) / "store.db")) as store:
        click.echo("filling", err=True)
        fill(store, reader, rng, BANS, LIVE)
        began = time.perf_counter()
        office = office_of(store, load_predictor(Settings()), reader)
        opened = time.perf_counter() - began
        rows = measure(office, [listing for _, listing in read_sample("test")])
    rows.append(Row(system="ours", metric="open_s", value=round(opened, 3), n=BANS, unit="s"))
    results = Results(
        task=TASK,
        command="python -m benchmarks.relisting.words_speed",
        commit=code_commit(),
        date=now(),
        machine=machine(),
        data_sha256="",
        rows=tuple(rows),
    )
    write_results(results, folder)
    for one in results.rows:
        click.echo(f"{one.metric:26} {one.value:10.4f} {one.unit}  n={one.n}")


if __name__ == "__main__":
    main()
